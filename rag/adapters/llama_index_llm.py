"""Any model that LlamaIndex has a connector for, as a generator."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Final

from rag.adapters.provider_http import Call, ProviderHttp, broke_off
from rag.adapters.tokenizers import encodable
from rag.errors import BackendError, SettingsError
from rag.generating import Ended, EndReason, Prompt, Sampling, TokensUsed
from rag.provider_calls import PassingError
from rag.provider_replies import (
    Characters,
    end_of,
    holds_piece,
    refusal_of,
    strings_of,
    usage_of,
    whole_chain,
)
from rag.relay import Outlet, Piece, Work, relayed

if TYPE_CHECKING:
    from llama_index.core.base.llms.types import ChatResponse
    from llama_index.core.llms import LLM

_NO_KEY: Final = "none"  # the client insists on one, and would look for it in the environment
_NO_CHAT: Final = "check that the address is that of a chat endpoint, or ask again"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint: ``url`` up to and with ``/v1``, and the model asked for."""

    url: str
    model: str
    key: str = field(default="", repr=False)
    context_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector of LlamaIndex by its import path, ``package.module:Class``, and its options.

    ``per_request`` are the fields of ``Sampling`` that it takes as keywords of each call; the
    others are as its options say. Secrets among the options are never shown.
    """

    path: str
    model: str
    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    per_request: tuple[str, ...] = ("max_tokens", "temperature")


@dataclass(frozen=True, slots=True)
class _Calls:
    """How a connector is called; ``http`` where its connections are ours to cut."""

    keywords: Callable[[Sampling, float], dict[str, object]]
    where: str
    secrets: tuple[str, ...] = field(repr=False)
    http: ProviderHttp | None = None


def open_endpoint(endpoint: Endpoint) -> LlamaIndexGenerator:
    """Return a generator that asks an OpenAI-compatible endpoint.

    Raises:
        SettingsError: The packages it needs are not installed.
    """
    http = ProviderHttp()
    llm = _class("llama_index.llms.openai_like:OpenAILike")(
        model=endpoint.model,
        api_base=endpoint.url,
        api_key=endpoint.key or _NO_KEY,
        context_window=endpoint.context_tokens,
        is_chat_model=True,
        max_retries=0,
        http_client=http.client,
    )
    calls = _Calls(_openai_keywords, endpoint.url, (endpoint.key,), http)
    return LlamaIndexGenerator(llm, endpoint.model, calls)


def open_connector(connector: Connector, seconds: float) -> LlamaIndexGenerator:
    """Return a generator over any connector of LlamaIndex.

    Its own retries are switched off, and its own time-out is ``seconds`` [s] where it has one. A
    connector that takes an HTTP client, as those of OpenAI's family do, is given ours. Any other's
    connection cannot be cut from here: a call that was left ends at its time-out at the latest.

    Raises:
        SettingsError: It is not installed, is no connector, or its options do not fit.
    """
    kind = _class(connector.path)
    known = {*getattr(kind, "model_fields", ()), *signature(kind).parameters}
    http = ProviderHttp() if "http_client" in known else None
    own: dict[str, object] = {"model": connector.model, "max_retries": 0}
    own |= dict.fromkeys(("timeout", "request_timeout"), seconds)
    if http is not None:
        own["http_client"] = http.client
    options = {name: own[name] for name in own if name in known} | dict(connector.options)
    try:
        llm = kind(**options)
    except Exception as exc:  # noqa: BLE001 - any package's class refuses in its own way
        found = f"{connector.path} ({type(exc).__name__})"
        remedy = "see the connector's documentation"
        # Its words would show the options, and so the keys.
        raise SettingsError("a generator's options do not fit", found, remedy) from None

    def keywords(sampling: Sampling, deadline: float) -> dict[str, object]:
        given = {name: getattr(sampling, name) for name in connector.per_request}
        return given if http is None else _openai_keywords(sampling, deadline)

    secrets = tuple(strings_of(options))
    calls = _Calls(keywords, connector.path, secrets, http)
    return LlamaIndexGenerator(llm, connector.model, calls)


class LlamaIndexGenerator:
    """A connector behind our deadline and our errors; built by the two functions above."""

    def __init__(self, llm: LLM, name: str, calls: _Calls) -> None:
        self._llm = llm
        self._name = name
        self._calls = calls

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    def stream(self, prompt: Prompt, sampling: Sampling, deadline: float) -> Iterator[Piece]:
        """Yield the answer's pieces and its end; see ``Generator.stream``."""
        call = Call()

        def write(outlet: Outlet) -> None:
            with contextlib.ExitStack() as during:
                if self._calls.http is not None:
                    during.enter_context(self._calls.http.during(call))
                self._write(outlet, prompt, self._calls.keywords(sampling, deadline))

        return relayed(Work(write, call.cut), deadline)

    def _write(self, outlet: Outlet, prompt: Prompt, keywords: dict[str, object]) -> None:
        from llama_index.core.base.llms.types import ChatMessage

        sent = prompt.messages
        messages = [ChatMessage(role=each.role, content=encodable(each.text)) for each in sent]
        reply = _Reply(must_end=self._calls.http is not None)
        try:
            with contextlib.closing(self._llm.stream_chat(messages, **keywords)) as responses:
                for response in responses:
                    text = reply.read(response)
                    if text and not outlet.put(text):
                        return
        except BackendError:
            raise
        except Exception as exc:  # noqa: BLE001 - connectors of any package raise anything
            # An answer whose end was said is whole, whatever happens to its connection then.
            failed = exc if reply.reason is None else None
        else:
            failed = None
        if failed is not None:
            # Out here, so that ours does not hold on to an error that may show a key.
            raise self._error(failed) from self._shown(failed)
        if rest := reply.rest():
            outlet.put(rest)
        outlet.put(reply.ended())

    def _error(self, exc: Exception) -> BackendError:
        where = self._calls.where
        refused = refusal_of(exc, where, self._calls.secrets)
        if refused is not None:
            return refused
        found = f"{where} ({type(exc).__name__})"
        if broke_off(exc):
            remedy = "check the address and that the provider runs"
            return PassingError("the provider cannot be reached, or broke off", found, remedy)
        return BackendError("the provider sent what is no answer", found, _NO_CHAT)

    def _shown(self, exc: Exception) -> Exception | None:
        """Return the error as the cause of ours, unless its words or its causes' hold a key."""
        said = " ".join(f"{each!r} {each}" for each in whole_chain(exc))
        return None if any(holds_piece(said, secret) for secret in self._calls.secrets) else exc


class _Reply:
    """What was learnt from the responses so far."""

    def __init__(self, *, must_end: bool) -> None:
        self.reason: EndReason | None = None
        self._used: TokensUsed | None = None
        self._must_end = must_end
        self._characters = Characters()

    def read(self, response: ChatResponse) -> str:
        """Return the text that a response adds."""
        self.reason = end_of(response.raw) or self.reason
        counts = {"usage": response.additional_kwargs}  # where most connectors put them
        self._used = usage_of(response.raw) or usage_of(counts) or self._used
        text = response.delta
        return self._characters.whole(text) if isinstance(text, str) else ""

    def rest(self) -> str:
        """Return what is left of the text: half a character, if any, that nothing completed."""
        return self._characters.whole("", last=True)

    def ended(self) -> Ended:
        """Return the end.

        Raises:
            PassingError: The provider sent none.
        """
        if self.reason is None and self._must_end:
            what = "the provider broke off, or sent no answer"
            raise PassingError(what, "no reason of the end", _NO_CHAT)
        return Ended(self.reason or "stop", self._used)


def _openai_keywords(sampling: Sampling, deadline: float) -> dict[str, object]:
    keywords: dict[str, object] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "stream_options": {"include_usage": True},
        "timeout": max(0.001, deadline - time.monotonic()),
    }
    # Some endpoints refuse what they do not know, so that only what says something is sent.
    usual = Sampling()
    for name in ("top_p", "frequency_penalty", "presence_penalty"):
        if getattr(sampling, name) != getattr(usual, name):
            keywords[name] = getattr(sampling, name)
    if sampling.stop:
        keywords["stop"] = list(sampling.stop)
    return keywords


def _class(path: str) -> type[LLM]:
    module, _, name = path.partition(":")
    package = "-".join(module.split(".")[:3]).replace("_", "-")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as exc:
        remedy = f"install {package}, or the extra that brings it"
        raise SettingsError("a generator's connector is not there", path, remedy) from exc
    if not isinstance(found, type) or not hasattr(found, "stream_chat"):
        raise SettingsError("this is no connector", path, "name an LLM class of LlamaIndex")
    return found
