"""A record in few numbers: each measure's mean with its interval, and the cost by stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from eval.measures import MEASURES
from eval.outcomes import Cost, StageCost
from eval.records import Record
from eval.statistics import set_means
from rag.impact import sci
from rag.types import Interval


@dataclass(frozen=True, slots=True)
class Line:
    """A measure's mean over the ``n`` questions that have one, with its 95 % interval.

    The three are None where no question has one: unknown, or not what the system does.
    """

    measure: str
    mean: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent for each of ``count`` things; None is unknown.

    ``context_tokens`` were packed; ``prompt_tokens`` and ``completion_tokens`` are None where no
    generator was ever called. ``seconds``: wall time [s]; ``cpu_seconds``: processor time [s];
    ``joules`` [J], ``gco2e`` [g] by location, ``market_gco2e`` [g], ``embodied_gco2e`` [g] of
    making the machine and ``litres`` [L]. ``sci_gco2e`` is the software carbon intensity for one of
    them [g].
    """

    count: int
    context_tokens: float
    prompt_tokens: float | None
    completion_tokens: float | None
    seconds: float | None
    cpu_seconds: Interval | None
    joules: Interval | None
    gco2e: Interval | None
    litres: Interval | None
    embodied_gco2e: Interval | None = None
    market_gco2e: Interval | None = None
    sci_gco2e: Interval | None = None


@dataclass(frozen=True, slots=True)
class StageSpent:
    """What one stage took, as means over all ``questions``, those that it was spared included.

    ``runs`` is the share of the questions that went through it.
    """

    stage: str
    runs: float
    seconds: float
    joules: Interval | None


def summary(record: Record, seed: int = 0) -> tuple[Line, ...]:
    """Return a line for each of ``MEASURES``, in their order; ``seed`` draws the intervals."""
    estimates = set_means([record.values(measure) for measure in MEASURES], seed)
    return tuple(
        Line(measure, estimate.mean, estimate.low, estimate.high, estimate.n)
        if estimate
        else Line(measure, None, None, None, 0)
        for measure, estimate in zip(MEASURES, estimates, strict=True)
    )


def per_question(record: Record) -> Spent | None:
    """Return what a question cost; None where none was asked.

    Source: ISO/IEC 21031:2024 (SCI), with a question as the functional unit R.
    """
    return _spent(record, len(record.rows))


def per_grounded_answer(record: Record) -> Spent | None:
    """Return all that was spent divided by the answers whose every sentence is grounded.

    None where no answer is: refusals and ungrounded answers are paid for by the grounded ones.

    Source: ISO/IEC 21031:2024 (SCI), with a grounded answer as the functional unit R.
    """
    return _spent(record, sum(row.scores.get("grounded") == 1 for row in record.rows))


def by_stage(record: Record) -> tuple[StageSpent, ...]:
    """Return what each stage took for a question, in the order in which they are first seen.

    Means over the questions and over the repeats. A stage's energy is unknown where it is for one
    of its runs.
    """
    costs = [cost for repeat in record.measured.repeats for cost in repeat]
    names = dict.fromkeys(part.stage for cost in costs for part in cost.stages)
    return tuple(_stage(name, costs) for name in names)


def _spent(record: Record, count: int) -> Spent | None:
    if not count:
        return None
    outcomes = [row.outcome for row in record.rows]
    repeats = record.measured.repeats
    operation = _bounds(repeats, lambda cost: cost.gco2e, 1)
    making = _bounds(repeats, lambda cost: cost.embodied_gco2e, 1)
    return Spent(
        count=count,
        context_tokens=math.fsum(outcome.context_tokens for outcome in outcomes) / count,
        prompt_tokens=_share([outcome.prompt_tokens for outcome in outcomes], count),
        completion_tokens=_share([outcome.completion_tokens for outcome in outcomes], count),
        seconds=_seconds(repeats, count),
        cpu_seconds=_bounds(repeats, lambda cost: cost.cpu_seconds, count),
        joules=_bounds(repeats, lambda cost: cost.joules, count),
        gco2e=_bounds(repeats, lambda cost: cost.gco2e, count),
        litres=_bounds(repeats, lambda cost: cost.litres, count),
        embodied_gco2e=_bounds(repeats, lambda cost: cost.embodied_gco2e, count),
        market_gco2e=_bounds(repeats, lambda cost: cost.market_gco2e, count),
        sci_gco2e=sci(operation, making, count),
    )


def _share(tokens: Iterable[int | None], count: int) -> float | None:
    # A question without a generator call sent nothing: only where none was called is it unknown.
    known = [number for number in tokens if number is not None]
    return math.fsum(known) / count if known else None


def _seconds(repeats: Sequence[Sequence[Cost]], count: int) -> float | None:
    if not repeats:
        return None
    return math.fsum(cost.seconds for repeat in repeats for cost in repeat) / len(repeats) / count


def _bounds(
    repeats: Sequence[Sequence[Cost]], of: Callable[[Cost], Interval | None], count: int
) -> Interval | None:
    total = _total(of(cost) for repeat in repeats for cost in repeat)
    if total is None:
        return None
    share = 1 / (len(repeats) * count)
    return total * Interval(share, share)


def _total(intervals: Iterable[Interval | None]) -> Interval | None:
    """Return the sum; None where one is unknown, or where there is none."""
    found = list(intervals)
    known = [interval for interval in found if interval is not None]
    if not found or len(known) < len(found):
        return None
    return Interval(math.fsum(i.low for i in known), math.fsum(i.high for i in known))


def _stage(name: str, costs: Sequence[Cost]) -> StageSpent:
    runs = [parts for cost in costs if (parts := _parts(cost, name))]
    parts = [part for run in runs for part in run]
    total = _total(part.joules for part in parts)
    share = 1 / len(costs)
    return StageSpent(
        name,
        len(runs) * share,
        math.fsum(part.seconds for part in parts) * share,
        total * Interval(share, share) if total else None,
    )


def _parts(cost: Cost, name: str) -> list[StageCost]:
    return [part for part in cost.stages if part.stage == name]
