"""A run of ingest as the ledger keeps it: beside the answers, never among them."""

from __future__ import annotations

from dataclasses import dataclass

from rag.ledger_entry import Asker, Entry, StageCost, bounds_of, whole, whole_bounds
from rag.results import Impact
from rag.types import Interval


@dataclass(frozen=True, slots=True)
class RunStage:
    """What one stage of a run cost: wall time [s], energy [J]; None is unknown."""

    name: str
    seconds: float
    joules: Interval | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run of ingest: for whom, how long [s], what it cost, and how many chunks it worked on.

    ``generation`` is what it published, None where nothing was.
    """

    tenant: str
    tier: str
    seconds: float
    impact: Impact
    chunks: int
    stages: tuple[RunStage, ...] = ()
    fingerprint: str = ""
    generation: int | None = None


def entry_of_run(run: Run, at_seconds: float) -> Entry:
    """Return what the ledger keeps of a run that ended at a POSIX time [s]."""
    return Entry(
        at=round(at_seconds * 1e6),
        asker=Asker(run.tenant, run.tier, None, "ingest", abstained=False),
        nanoseconds=whole(run.seconds, "seconds") or 0,
        **bounds_of(run.impact),
        basis=run.impact.basis,
        context_tokens=0,
        prompt_tokens=None,
        cached_tokens=None,
        completion_tokens=None,
        stages=tuple(map(_stage, run.stages)),
        fingerprint=run.fingerprint,
        generation=run.generation,
        chunks=run.chunks,
    )


def _stage(stage: RunStage) -> StageCost:
    seconds = whole(stage.seconds, "seconds") or 0
    return StageCost(stage.name, seconds, whole_bounds(stage.joules, "joules"))
