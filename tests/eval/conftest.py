"""Records made by hand, for what reads records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from eval.outcomes import Cost, Outcome, StageCost
from eval.records import Data, Identity, Indexing, Measured, Record, Row, Work
from rag.types import Interval

RecordOf = Callable[..., Record]


@pytest.fixture
def record_of() -> RecordOf:
    """Return a maker of records: one row a question, with the given scores."""

    def made(
        scores: Mapping[str, Sequence[float | None]],
        *,
        system: str = "frugal-rag",
        cpu_seconds: Sequence[float] = (0.010,),
        **identity: object,
    ) -> Record:
        count = len(next(iter(scores.values())))
        rows = tuple(
            _row(i, {name: values[i] for name, values in scores.items()}) for i in range(count)
        )
        named = Identity(system, "f" * 12, "d" * 64, count, "a" * 12, "c" * 12, 0, "m" * 12)
        return Record(
            version=1,
            identity=replace(named, **identity),
            system=system,
            settings={"tier": "lexical", "budget_tokens": 256, "frugality": 0.02},
            data=Data("made", 1, count, count, "nothing"),
            environment={"machine": {}, "packages": {}},
            rows=rows,
            measured=Measured(
                at="2026-01-01T00:00:00+00:00",
                commit=None,
                load_average=None,
                indexing=Indexing(0.1, Interval(0.3, 0.4), 10, 0),
                evaluation=Work(0.2, Interval(0.6, 0.8)),
                repeats=tuple(tuple(_cost(s) for _ in rows) for s in cpu_seconds),
            ),
        )

    return made


def _row(i: int, scores: Mapping[str, float | None]) -> Row:
    said = f"The pump number {i} is covered for {i} months."
    outcome = Outcome(
        ranking=("a",),
        context=f"[1] Pumps\n{said}",
        context_tokens=20,
        cap_tokens=256,
        answer=said,
        refused=False,
        confidence=0.9,
    )
    question = f"How long is pump number {i} covered?"
    return Row(f"q{i}", question, "lookup", True, (f"{i} months",), ("a",), outcome, dict(scores))


def _cost(seconds: float) -> Cost:
    cpu, joules = Interval(seconds, seconds), Interval(2.8 * seconds, 4.3 * seconds)
    stages = (StageCost("retrieve", seconds / 2, joules), StageCost("pack", seconds / 2, joules))
    return Cost(seconds, cpu, joules, None, None, stages)
