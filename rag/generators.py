"""How a generator is configured: which model, where it runs, and what one call may take."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from rag.errors import SettingsError
from rag.provider_calls import Bounds

Kind: TypeAlias = Literal["openai", "embedded", "llama-index"]

# Also the name of the embedded model's file, without its ending.
PACKAGED_MODEL: Final = "SmolLM2-135M-Instruct"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CONNECTOR = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_SECRET = re.compile(r"key|secret|token(?!s)|password|credential|auth(?!ors?\b)", re.IGNORECASE)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_USUAL: Final = Bounds(seconds=30.0, max_tokens=512, context_tokens=2048)
_SAMPLING: Final = "max_tokens temperature top_p frequency_penalty presence_penalty stop".split()


class Secret:
    """A text that is shown to nobody but whoever asks for it by ``reveal``."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(not shown)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """Return the text."""
        return self._text


@dataclass(frozen=True, slots=True)
class Running:
    """Where a generator's own machine runs; None is unknown, as it is with most providers.

    Attributes:
        energy_model: Its name in the list of models, if not that of the provider.
        gco2e_per_kwh: Carbon intensity there [gCO2e/kWh].
        litres_per_kwh: Water per electricity there [L/kWh].
    """

    energy_model: str | None = None
    gco2e_per_kwh: float | None = None
    litres_per_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """One configured generator.

    Attributes:
        name: What routes call it.
        kind: ``openai``: any OpenAI-compatible endpoint; ``embedded``: a GGUF file in this
            process; ``llama-index``: any connector of LlamaIndex.
        model: As the provider calls it; of an embedded one the packaged model's name, or the path
            of a file that ends in ``.gguf``.
        url: Of an endpoint, up to and with ``/v1``.
        api_key: Sent to it, over https or within this machine only.
        bounds: Seconds and tokens of one call.
        connector: Import path of a ``llama-index`` class, ``package.module:Class``.
        options: Its keywords; ``per_request`` names, separated by spaces, the sampling that it
            takes with each call. They may hold secrets and are never shown.
        running: Where it runs.
    """

    name: str
    kind: Kind
    model: str = PACKAGED_MODEL
    url: str | None = None
    api_key: Secret | None = None
    bounds: Bounds = _USUAL
    connector: str | None = None
    options: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
    running: Running = Running()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise self._wrong("name", self.name, "use up to 64 letters, digits, and _ . -")
        if not self.model.strip():
            raise self._wrong("model", repr(self.model), "name one")
        needed = {"openai": "url", "llama-index": "connector"}.get(self.kind)
        for part in ("url", "connector"):
            if (getattr(self, part) is not None) != (part == needed):
                remedy = f"give one for kind {self.kind}" if part == needed else "leave it out"
                raise self._wrong(part, "given" if part != needed else "not given", remedy)
        if self.url is not None:
            self._check_address(self.url)
        if self.kind == "embedded" and self.api_key is not None:
            raise self._wrong("api_key", "given", "leave it out: nobody asks for it")
        self._check_options()
        self._check_bounds()

    @property
    def energy_model(self) -> str:
        """The name under which the list of models knows it."""
        return self.running.energy_model or self.model

    @property
    def per_request(self) -> tuple[str, ...]:
        """The sampling that a connector takes with each call."""
        return tuple(str(self.options.get("per_request", "max_tokens temperature")).split())

    def fingerprint(self) -> str:
        """Return 12 hex digits that change with whatever can change an answer; no secret does."""
        options = _public(self.options)
        parts = (self.kind, self.model, self.url, self.connector, options)
        bounds = (self.bounds.max_tokens, self.bounds.context_tokens)
        text = json.dumps([*parts, *bounds])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _check_address(self, url: str) -> None:
        parts = _parts(url)
        if parts is None:
            raise self._wrong("url", "(not shown)", "use https://host/v1, without user or query")
        local = parts.scheme == "https" or parts.hostname in _LOOPBACK
        if self.api_key is not None and not local:
            remedy = "use https, or an address of this machine"
            raise self._wrong("api_key over plain http", parts.hostname, remedy)

    def _check_options(self) -> None:
        if self.options and self.kind != "llama-index":
            found = ", ".join(sorted(self.options))
            raise self._wrong("options", found, "leave them out: only connectors have some")
        if self.connector is not None and not _CONNECTOR.fullmatch(self.connector):
            raise self._wrong("connector", self.connector, "use package.module:Class")
        if unknown := [name for name in self.per_request if name not in _SAMPLING]:
            raise self._wrong("per_request", unknown[0], f"use {', '.join(_SAMPLING)}")

    def _check_bounds(self) -> None:
        bounds, running = self.bounds, self.running
        for name, value, low, high in (
            ("seconds", bounds.seconds, 0.001, 600),
            ("max_tokens", bounds.max_tokens, 1, 32_768),
            ("context_tokens", bounds.context_tokens, 128, 10_000_000),
            ("gco2e_per_kwh", running.gco2e_per_kwh, 0, 2000),
            ("litres_per_kwh", running.litres_per_kwh, 0, 100),
        ):
            if value is not None and not low <= value <= high:
                raise self._wrong(name, value, f"use {low} to {high}")

    def _wrong(self, part: str, value: object, remedy: str) -> SettingsError:
        shown = self.name if _NAME.fullmatch(self.name) else "(unnamed)"
        return SettingsError(f"{part} of generator {shown} cannot be used", value, remedy)


def _public(value: object) -> object:
    """Return options without what is named like a secret, however deep, in a fixed order."""
    if isinstance(value, Mapping):
        return {n: _public(value[n]) for n in sorted(value) if not _SECRET.search(n)}
    return [_public(each) for each in value] if isinstance(value, list | tuple) else repr(value)


def _parts(url: str) -> SplitResult | None:
    """Return the parts of an address that can be asked, and that holds no secret; else None."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    plain = "@" not in parts.netloc and not parts.query and not parts.fragment
    usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()
    return parts if plain and usable else None
