"""How large the models behind a name are: the packaged list, and lists of your own.

A list is a TOML file of ``[[model]]`` tables; sizes in billions, a number or ``[low, high]``:

    [[model]]
    name = "Llama-3.1-8B"                  # as in "meta-llama/Llama-3.1-8B-Instruct"
    aliases = ["llama3.1-8b"]              # other names for it; may be left out
    total = 8.03                           # parameters
    active = 8.03                          # those one token uses; left out: all
    bits = [8, 16]                         # of a weight as served; left out: 8 to 16
    source = "its model card"
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from rag.errors import SettingsError
from rag.types import Interval

PACKAGED = Path(__file__).with_name("models.toml")

# Precision in which a model is served that says nothing of it [bits].
# Source: ML.ENERGY benchmark v3 (December 2025) runs the same weights as BF16 and as FP8.
USUAL_BITS = Interval(8, 16)

# What a name may say beyond the model's own name, in any order.
_VARIANT = re.compile(
    r"instruct|chat|it|hf|gguf|latest|preview|thinking|turbo|base|v\d[.\d]*|\d{4,8}|\d{2}|"
    r"bf16|fp16|fp8|int8|q8|awq|gptq|int4|q4|[0km]|s"
)
# Bits of a weight that a name promises, by definition of the format.
_BITS = {"bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "q8": 8}
_BITS |= dict.fromkeys(("awq", "gptq", "int4", "q4"), 4)
_KEYS = {"name", "aliases", "total", "active", "bits", "source"}


@dataclass(frozen=True, slots=True)
class Model:
    """Parameters of one model (a count, not billions) and the precision of its weights [bits]."""

    name: str
    total: Interval
    active: Interval
    bits: Interval
    source: str
    aliases: tuple[str, ...] = ()

    @property
    def sparse(self) -> bool:
        """Whether a token uses only a part of the model."""
        return self.active != self.total


class Models:
    """Models by name; later ones replace earlier ones of the same name."""

    def __init__(self, models: tuple[Model, ...]) -> None:
        self._models = models
        self._by_words = {
            words(name): model for model in models for name in (model.name, *model.aliases)
        }

    def find(self, name: str) -> Model | None:
        """Return the model that a name means, with the bits that it promises; None if unknown.

        The longest known name that the words begin with counts, if what follows says nothing of
        the size: ``gpt-4o-mini`` is not ``gpt-4o``.
        """
        asked = words(name)
        for length in range(len(asked), 0, -1):
            rest = asked[length:]
            model = self._by_words.get(asked[:length])
            if model is not None and all(_VARIANT.fullmatch(word) for word in rest):
                promised = [_BITS[word] for word in rest if word in _BITS]
                return replace(model, bits=Interval(*2 * promised[:1])) if promised else model
        return None

    def missing(self, name: str) -> str:
        """Return why the energy of an unknown model is unknown, and what would help."""
        return (
            f"the size of the model {name!r} is not known: give its parameter count, total and "
            "active, in a file of models (docs/adr/0014-generation-energy.md)"
        )

    def with_file(self, path: Path) -> Models:
        """Return these models and those of a file; the file's win.

        Raises:
            SettingsError: The file cannot be read or is not a list of models.
        """
        return Models((*self._models, *read_models(path)))


@cache
def known_models() -> Models:
    """Return the packaged models."""
    return Models(read_models(PACKAGED))


def words(name: str) -> tuple[str, ...]:
    """Return the words of a model's name, without who offers it."""
    return tuple(re.findall(r"[a-z0-9.]+", name.rsplit("/", 1)[-1].casefold()))


def read_models(path: Path) -> tuple[Model, ...]:
    """Return the models of a TOML file.

    Raises:
        SettingsError: The file cannot be read or is not a list of models.
    """
    try:
        models = tuple(_models(_tables(path), path))
        _check_names(models)
    except (OSError, ValueError) as exc:
        raise SettingsError(
            f"models cannot be read ({exc})", path, "give a TOML file with [[model]] tables"
        ) from exc
    return models


def _tables(path: Path) -> list[Mapping[str, Any]]:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    tables = content.get("model")
    if set(content) != {"model"} or not isinstance(tables, list):
        raise ValueError(f"holds {', '.join(content) or 'nothing'}, not [[model]] tables")
    return tables


def _check_names(models: tuple[Model, ...]) -> None:
    """Refuse a name that two models of one file have: which one is meant nobody can tell."""
    owners: dict[tuple[str, ...], Model] = {}
    for model in models:
        for name in (model.name, *model.aliases):
            if owners.setdefault(words(name), model) is not model:
                raise ValueError(f"{name!r} is the name of two models")


def _models(tables: list[Mapping[str, Any]], path: Path) -> Iterator[Model]:
    for table in tables:
        try:
            yield _model(table)
        except (KeyError, TypeError, ValueError, OverflowError) as exc:
            raise SettingsError(
                f"a model in {path} cannot be used ({exc})",
                table,
                "give name, source and total (billions), with active no more than total",
            ) from exc


def _model(table: Mapping[str, Any]) -> Model:
    if unknown := sorted(set(table) - _KEYS):
        raise ValueError(f"unknown key {unknown[0]}")
    total = _interval(table["total"], 1e9)
    active = _interval(table.get("active", table["total"]), 1e9)
    bits = _interval(table["bits"]) if "bits" in table else USUAL_BITS
    if active.high > total.high or active.low > total.low or not active.low or not bits.low:
        raise ValueError("active, total or bits is out of bounds")
    name, *aliases = table["name"], *_aliases(table)
    if not all(isinstance(each, str) and words(each) for each in (name, *aliases)):
        raise ValueError("a name without a letter or a digit")
    return Model(name, total, active, bits, str(table["source"]), tuple(aliases))


def _aliases(table: Mapping[str, Any]) -> list[str]:
    aliases = table.get("aliases", [])
    if not isinstance(aliases, list):
        raise TypeError("aliases is no list")
    return aliases


def _interval(value: float | list[float], unit: float = 1.0) -> Interval:
    low, high = value if isinstance(value, list) else (value, value)
    if isinstance(low, bool) or isinstance(high, bool) or not math.isfinite(low + high):
        raise ValueError("a size is no finite number")
    return Interval(low * unit, high * unit)
