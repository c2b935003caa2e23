"""Numbers, tables and texts as plain text and as Markdown, safe for a terminal and for a page."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rag.receipts import printable

WIDTH: Final = 100
_GAP = "  "
_DIGITS = {"share": ".3f", "tokens": ".1f"}  # what is counted in other units may be of any size
_OTHERS = ".3g"


def shown(value: float | None, unit: str) -> str:
    """Return a value in the precision of its unit; "-" where there is none."""
    return "-" if value is None else format(value, _DIGITS.get(unit, _OTHERS))


def signed(value: float | None, unit: str) -> str:
    """Return a change with its sign; "0" where there is no change that could be read."""
    if value is None:
        return "-"
    text = format(value, "+" + _DIGITS.get(unit, _OTHERS))
    return "0" if not text.strip("+-0.") else text


def step(before: float | None, after: float | None, unit: str) -> str:
    """Return "before -> after", whole numbers without decimals, "none" where there is none."""
    return f"{_brief(before, unit)} -> {_brief(after, unit)}"


def _brief(value: float | None, unit: str) -> str:
    if value is None:
        return "none"
    return f"{value:.0f}" if value % 1 == 0 else shown(value, unit)


def p_shown(p: float | None) -> str:
    """Return a p value, "-" where nothing was tested."""
    if p is None:
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def shortened(text: str, width: int) -> str:
    """Return the text on one line of at most ``width`` characters."""
    return textwrap.shorten(printable(text), width, placeholder=" ...")


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """Return a table in columns; those named in ``right`` stand right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        _GAP.join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """Return a Markdown table; cells are plain text and are shown as they are."""
    rule = ["---:" if i in right else "---" for i in range(len(header))]
    lines = [header, *rows]
    cells = [[markdown_text(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [cells[0], rule, *cells[1:]])


def markdown_text(text: str) -> str:
    """Return plain text that Markdown shows as it is, in a table cell too."""
    safe = html.escape(printable(text), quote=False)
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", safe).replace("\n", "<br>")


def side_by_side(left: str, right: str, width: int = WIDTH) -> Iterator[str]:
    """Yield the lines of two texts beside each other, each wrapped to half of the width."""
    half = (width - 3) // 2
    for one, other in zip_longest(_wrapped(left, half), _wrapped(right, half), fillvalue=""):
        yield f"{one:<{half}} | {other}".rstrip()


def _wrapped(text: str, width: int) -> Iterator[str]:
    for line in printable(text).expandtabs(4).split("\n"):
        yield from textwrap.wrap(line, width) or [""]
