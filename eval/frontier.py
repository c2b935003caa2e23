"""Records as points of one frontier: answer quality against context, for the service's page."""

from __future__ import annotations

from collections.abc import Sequence

from eval.measures import MEASURES
from eval.records import Record
from eval.report.contents import Entry, side_by_side
from eval.report.plots import points_of
from eval.summary import Line
from rag.errors import UsageError
from rag.frontier import Frontier, Measured, Spread

_TOKENS = "context_tokens"


def frontier_of(records: Sequence[Record], quality: str, seed: int = 0) -> Frontier:
    """Return the records as points, by tokens; ``seed`` draws the intervals.

    Raises:
        UsageError: There is no record, they are not of the same questions or count tokens
            differently, or one has no value of the measure.
    """
    contents = side_by_side(records, seed)
    tokenizer = _tokenizer(records)
    entries = {entry.name: entry for entry in contents.every}
    points = points_of(contents, quality, _TOKENS)
    for name in sorted(entries.keys() - {point.name for point in points}):
        remedy = "leave it out, or choose another --quality"
        raise UsageError(f"record without {MEASURES[quality].label}", name, remedy)
    return Frontier(
        data=records[0].data.name,
        questions=len(records[0].rows),
        measure=MEASURES[quality].label,
        tokenizer=tokenizer,
        points=tuple(
            _measured(entries[point.name], quality, efficient=point.efficient) for point in points
        ),
    )


def _tokenizer(records: Sequence[Record]) -> str | None:
    named = [record.settings.get("tokenizer") for record in records]
    known = sorted({str(name) for name in named if name is not None})
    if len(known) > 1:
        remedy = "give records of one tokenizer: their tokens do not compare"
        raise UsageError("records of different tokenizers", " and ".join(known), remedy)
    return known[0] if known and None not in named else None


def _measured(entry: Entry, quality: str, *, efficient: bool) -> Measured:
    return Measured(
        name=entry.name,
        record=entry.record.identity.key,
        commit=entry.record.measured.commit,
        fingerprint=entry.record.identity.fingerprint,
        tokens=_spread(entry.lines[_TOKENS]),
        quality=_spread(entry.lines[quality]),
        efficient=efficient,
    )


def _spread(line: Line) -> Spread:
    if line.mean is None or line.low is None or line.high is None:
        raise AssertionError("points have both measures")
    return Spread(line.mean, line.low, line.high)
