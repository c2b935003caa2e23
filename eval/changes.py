"""What changed from one record to another: at which questions, and in which settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.measures import Measure
from eval.records import Record, Row
from eval.statistics import Column, mean_of


@dataclass(frozen=True, slots=True)
class Change:
    """One question at which a measure differs: its values, and how much that moves the measure.

    ``gain`` is positive where B is better; in the measure's unit, see ``gains``.
    """

    id: str
    a: float | None
    b: float | None
    gain: float


def gains(
    measure: Measure, rows: Sequence[Row], before: Column, after: Column
) -> tuple[Change, ...]:
    """Return the questions at which a measure changed, the largest change first.

    A question's gain is ``(after - m) - (before - m)`` with the mean ``m`` before, a missing value
    counting as ``m``, and turned round where lower is better. So a right refusal that is gone costs
    what it had over the mean, and the gains add up to the change of the mean times the questions
    that have a value after.
    """
    mean = mean_of([value for value in before if value is not None] or after)
    changes = [
        Change(row.id, old, new, measure.sign * (_over(new, mean) - _over(old, mean)))
        for row, old, new in zip(rows, before, after, strict=True)
        if old != new
    ]
    return tuple(sorted(changes, key=lambda change: -abs(change.gain)))


def _over(value: float | None, mean: float | None) -> float:
    return 0.0 if value is None or mean is None else value - mean


def in_both(a: Column, b: Column) -> tuple[Column, Column]:
    """Return both columns with a value only at the questions where both have one."""
    pairs = zip(a, b, strict=True)
    kept = [(None, None) if None in pair else pair for pair in pairs]
    return [mine for mine, _ in kept], [other for _, other in kept]


def set_otherwise(a: Record, b: Record) -> tuple[tuple[str, object, object], ...]:
    """Return the settings that differ, as (name, in A, in B); None where a record lacks one."""
    names = sorted(a.settings.keys() | b.settings.keys())
    pairs = ((name, a.settings.get(name), b.settings.get(name)) for name in names)
    return tuple((name, mine, other) for name, mine, other in pairs if mine != other)
