"""What serving costs over the rated figures of its hardware, fitted to published measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from eval.bench.measurements import Ideal, Measurement, ideal, sizes
from rag.types import Interval

# A row tells what reading costs where reading is most of it; the others tell what computing costs.
_READING_SHARE = 0.8  # chosen once: there the other part is lost in the spread
_MARGIN = 1.25  # widens each end: the rows are few and other stacks are unlike
_Row = tuple[float, Ideal]


@dataclass(frozen=True, slots=True)
class Excess:
    """Real over ideal energy, of reading bytes and of computing [-]."""

    byte: Interval
    flop: Interval


@dataclass(frozen=True, slots=True)
class Fit:
    """The excesses of dense models and of mixtures of experts."""

    dense: Excess
    sparse: Excess


def fit(rows: Sequence[Measurement]) -> Fit:
    """Return the narrowest excesses that cover the rows, a margin wider on each side.

    The low end takes a row's prompt to have been as long as it can be, the high end as short. At
    best a mixture of experts is served as well as a dense model, so it shares the low ends.
    """
    dense = [row for row in rows if not sizes(row).sparse]
    sparse = [row for row in rows if sizes(row).sparse]
    low_byte, low_flop = _ends(_ideals(dense, longest=True), min)
    high_byte, high_flop = _ends(_ideals(dense, longest=False), max)
    sparse_byte, sparse_flop = _ends(_ideals(sparse, longest=False), max)
    return Fit(
        Excess(_widened(low_byte, high_byte), _widened(low_flop, high_flop)),
        Excess(_widened(low_byte, sparse_byte), _widened(low_flop, sparse_flop)),
    )


def _ideals(rows: Sequence[Measurement], *, longest: bool) -> list[_Row]:
    return [(r.joules, ideal(r, r.prompt.high if longest else r.prompt.low)) for r in rows]


def _ends(rows: Sequence[_Row], extreme: Callable[[Iterable[float]], float]) -> tuple[float, float]:
    reading = [row for row in rows if row[1].reading >= _READING_SHARE * row[1].joules]
    byte = extreme(joules / ideal.joules for joules, ideal in reading)
    rest = [row for row in rows if row not in reading]
    return byte, extreme((j - byte * each.reading) / each.computing for j, each in rest)


def _widened(low: float, high: float) -> Interval:
    return Interval(round(low / _MARGIN, 2), round(high * _MARGIN, 2))
