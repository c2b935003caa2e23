"""The software carbon intensity of records in words: a question's and a grounded answer's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from eval.layout import shown, text_table
from eval.records import Record
from eval.summary import Spent, per_grounded_answer, per_question
from rag.impact import JOULES_PER_KWH
from rag.sci import STANDARD, missing
from rag.types import Interval

_HEADER: Final = (
    f"SCI ({STANDARD}) [gCO2e per R]",
    "R = a question",
    "R = a grounded answer",
    "grid [gCO2e/kWh]",
)
_UNSET: Final = "not configured for this run, or its record is older than this figure"


@dataclass(frozen=True, slots=True)
class Rates:
    """A record's ``SCI = (E * I + M) / R`` [gCO2e per R]; None is unknown.

    ``grounded`` is None too where no answer is grounded: ``answers`` counts those that are.
    ``gco2e_per_kwh`` is the intensity (I) that the record counts with: others compare only where
    it is the same. ``missing`` says what was not known.
    """

    question: Interval | None
    grounded: Interval | None
    answers: int
    gco2e_per_kwh: float | None
    missing: tuple[str, ...]


def rates(record: Record) -> Rates:
    """Return a record's software carbon intensities."""
    question, grounded = per_question(record), per_grounded_answer(record)
    return Rates(
        question=question.sci_gco2e if question else None,
        grounded=grounded.sci_gco2e if grounded else None,
        answers=grounded.count if grounded else 0,
        gco2e_per_kwh=_intensity(question) if question else None,
        missing=missing(question) if question else ("questions",),
    )


def sci_table(records: Sequence[tuple[str, Record]]) -> str:
    """Return the intensities of named records as a table, and below it what was missing."""
    found = [(name, rates(record)) for name, record in records]
    rows = [(name, *_cells(each)) for name, each in found]
    notes = [f"{name}: {note}" for name, each in found if (note := unknown_for(each))]
    return "\n".join([text_table(_HEADER, rows, (1, 2, 3)), *notes])


def sci_line(each: Rates) -> str:
    """Return a record's intensities on one line, or what was missing for them."""
    note = unknown_for(each)
    if note:
        return f"SCI ({STANDARD}) {note}"
    question, grounded, _ = _cells(each)
    return (
        f"SCI ({STANDARD}) [gCO2e]: {question} for R = a question, {grounded} for R = a grounded"
        f" answer, at {shown(each.gco2e_per_kwh, 'g')} gCO2e/kWh"
    )


def unknown_for(each: Rates) -> str:
    """Return why an intensity is unknown; nothing where it is known."""
    return f"unknown without {' and '.join(each.missing)}: {_UNSET}" if each.missing else ""


def differing_grids(records: Sequence[Record]) -> bool:
    """Return whether carbon was counted at other intensities, so that it cannot be compared."""
    known = [each.gco2e_per_kwh for each in map(rates, records) if each.gco2e_per_kwh is not None]
    return any(abs(each - known[0]) > 1e-6 * known[0] for each in known)


def _cells(each: Rates) -> tuple[str, str, str]:
    grounded = _ranged(each.grounded) if each.answers else "none"
    return _ranged(each.question), grounded, shown(each.gco2e_per_kwh, "g")


def _ranged(interval: Interval | None) -> str:
    if interval is None:
        return "unknown"
    return " to ".join(dict.fromkeys(_bounds(interval)))


def _bounds(interval: Interval) -> Iterator[str]:
    yield from (shown(bound, "g") for bound in (interval.low, interval.high))


def _intensity(spent: Spent) -> float | None:
    """Return the intensity that the operational emissions were counted with [gCO2e/kWh].

    ``I = O / E * 3.6e6``, the inverse of `rag.impact.carbon`: a mean over the questions.
    """
    if spent.gco2e is None or spent.joules is None or not spent.joules.high:
        return None
    return spent.gco2e.high / spent.joules.high * JOULES_PER_KWH
