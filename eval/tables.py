"""Summaries of records side by side, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from eval.layout import shown, text_table
from eval.measures import MEASURES
from eval.summary import Line


def summary_table(summaries: Sequence[tuple[str, Sequence[Line]]]) -> str:
    """Return a line a measure with mean, interval and number of questions, for each system."""
    header = ["measure"]
    for name, _ in summaries:
        header += [name, "95 % interval", "n"]
    rows = [
        [MEASURES[lines[0].measure].label, *(cell for line in lines for cell in _cells(line))]
        for lines in zip(*(lines for _, lines in summaries), strict=True)
        if any(line.n for line in lines)
    ]
    return text_table(header, rows, range(1, len(header)))


def _cells(line: Line) -> tuple[str, str, str]:
    unit = MEASURES[line.measure].unit
    if line.low is None or line.high is None:
        return "-", "", ""
    bounds = f"{shown(line.low, unit)} to {shown(line.high, unit)}"
    return shown(line.mean, unit), bounds, str(line.n)
