"""What a system gave for one question, and what that cost: what every metric looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from eval.datasets import Case
from rag.errors import ValueRangeError
from rag.types import Interval


@dataclass(frozen=True, slots=True)
class Quote:
    """One citation: ``text`` is said to stand at ``[start, end)`` of a document [characters]."""

    doc_id: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one question got; the same each time the same system is asked.

    ``ranking``: document ids by their best passage, best first. ``context``: what a generator
    would be given, ``context_tokens`` long; ``cap_tokens``: the most it could have been. ``answer``
    is None for a refusal and for a system that does not answer; the latter has ``refused`` None.
    ``short`` is the exact answer, where there is one. ``groundedness`` is the system's own: share
    of the answer that its citations support, None where it says none. ``prompt_tokens`` and
    ``completion_tokens`` are None where no generator was called; ``model`` was called last, and
    ``calls`` say what each call came to.
    """

    ranking: tuple[str, ...]
    context: str
    context_tokens: int
    cap_tokens: int
    answer: str | None = None
    short: str | None = None
    citations: tuple[Quote, ...] = ()
    refused: bool | None = None
    reason: str | None = None
    confidence: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    groundedness: float | None = None
    model: str | None = None
    calls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.answer is not None and self.refused is not False:
            raise ValueRangeError("answer of a refusal", self.answer, "leave one of them out")


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage of one question took: wall time [s] and energy [J]."""

    stage: str
    seconds: float
    joules: Interval | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one question took; None is unknown. Differs from run to run, unlike an outcome.

    ``seconds``: wall time [s]. ``cpu_seconds``: processor time [s]: the thread's own to the whole
    process's. ``joules`` [J], ``gco2e`` [g] by location, ``litres`` [L], ``embodied_gco2e`` [g] of
    making the machine and ``market_gco2e`` [g] are as in the receipt; older records lack the last.
    """

    seconds: float
    cpu_seconds: Interval | None
    joules: Interval | None
    gco2e: Interval | None
    litres: Interval | None
    stages: tuple[StageCost, ...] = ()
    embodied_gco2e: Interval | None = None
    market_gco2e: Interval | None = None


class System(Protocol):
    """Something that is asked questions over one indexed corpus."""

    @property
    def name(self) -> str:
        """What it is called in records and tables."""

    def ask(self, case: Case) -> tuple[Outcome, Cost]:
        """Return what a question got and took."""
