"""What an evaluation measured: how good the answers are for so much context, a point a setting.

It is written by ``rag-eval frontier``, read once at the start, and shown on the page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.errors import SettingsError, ValueRangeError

FORMAT = 1
_REMEDY = "write it again with rag-eval frontier"


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over questions with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __post_init__(self) -> None:
        numbers = (self.mean, self.low, self.high)
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            raise ValueRangeError("part of a mean", numbers, "use finite numbers from 0")
        if self.low > self.high:
            raise ValueRangeError("interval of a mean", numbers, "give the lower bound first")


@dataclass(frozen=True, slots=True)
class Measured:
    """One system at one setting: ``tokens`` of context a question, and the ``quality`` they gave.

    ``record`` names the evaluation, ``commit`` its sources; None outside a checkout.
    ``fingerprint`` is of the settings. No other point is both as cheap and as good as an
    ``efficient`` one.
    """

    name: str
    record: str
    commit: str | None
    fingerprint: str
    tokens: Spread
    quality: Spread
    efficient: bool

    def __post_init__(self) -> None:
        highest = max(self.quality.mean, self.quality.high)
        if highest > 1:
            raise ValueRangeError("quality", highest, "use a share from 0 to 1")


@dataclass(frozen=True, slots=True)
class Frontier:
    """Points of one set of ``questions``, by tokens; ``measure`` is what their quality is.

    ``tokenizer`` counts the context; None is unknown.
    """

    data: str
    questions: int
    measure: str
    tokenizer: str | None
    points: tuple[Measured, ...]


def read_frontier(path: Path) -> Frontier:
    """Return what a file says was measured.

    Raises:
        SettingsError: It cannot be read, or is something else.
    """
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state.pop("format") != FORMAT:
            raise ValueError("another format")
        return _frontier(state)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        value = f"{path} ({type(exc).__name__} {exc})"[:200]
        raise SettingsError("frontier cannot be used", value, _REMEDY) from exc


def frontier_json(frontier: Frontier) -> str:
    """Return what was measured as ``read_frontier`` reads it."""
    return json.dumps({"format": FORMAT, **asdict(frontier)}, indent=1) + "\n"


def _frontier(state: Mapping[str, Any]) -> Frontier:
    points = tuple(_measured(each) for each in state["points"])
    if not points:
        raise ValueError("no points")
    return Frontier(
        data=str(state["data"]),
        questions=int(state["questions"]),
        measure=str(state["measure"]),
        tokenizer=_text(state["tokenizer"]),
        points=points,
    )


def _measured(state: Mapping[str, Any]) -> Measured:
    return Measured(
        **{name: str(state[name]) for name in ("name", "record", "fingerprint")},
        commit=_text(state["commit"]),
        tokens=_spread(state["tokens"]),
        quality=_spread(state["quality"]),
        efficient=bool(state["efficient"]),
    )


def _spread(state: Mapping[str, Any]) -> Spread:
    return Spread(*(float(state[name]) for name in ("mean", "low", "high")))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
