"""What answers cost, as a table for a terminal and as CSV for sustainability reports."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from rag.ledger_entry import PER_UNIT, QUANTITIES, TOKENS, Quantity, Sums
from rag.ledger_sums import Line, Report, interval
from rag.receipts import printable

_NAMES: Final[dict[Quantity, tuple[str, str]]] = {
    "joules": ("energy", "J"),
    "gco2e": ("carbon", "gCO2e"),
    "litres": ("water", "L"),
}
_NO_GENERATOR = "(none)"
_UNKNOWN = "unknown"
_FORMULAS = ("=", "+", "-", "@")


def impact_text(report: Report) -> str:
    """Return the sums as a table, one line a group and the total below."""
    header = (report.by or "", "answers", "abstained", "tokens", "energy [J]", "carbon [gCO2e]")
    rows: list[tuple[str, ...]] = [(*header, "water [L]", "basis")]
    if report.by is not None:
        rows += [_row(line.group or _NO_GENERATOR, line.sums, report.by) for line in report.lines]
    rows.append(_row("all answers", report.total, None))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [_aligned(row, widths) for row in rows]
    return printable("\n".join([_heading(report), "", *table, *_notes(report)]))


def impact_csv(report: Report) -> str:
    """Return one row a period and group, with exact decimals; an empty cell is unknown."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = [each for each in _COLUMNS if report.by != "stage" or each[0] != "context_tokens"]
    writer.writerow(["period_utc", report.by or "group", *(name for name, _ in columns)])
    for line in report.lines:
        group = _group_cell(report, line)
        cells = [cell(line.sums) for _, cell in columns]
        writer.writerow([line.period, group, *("" if cell is None else cell for cell in cells)])
    return out.getvalue()


def _group_cell(report: Report, line: Line) -> str:
    if report.by is None:
        return "all"
    name = line.group or _NO_GENERATOR
    # A spreadsheet would run a name that begins like a formula.
    return f"'{name}" if name.startswith(_FORMULAS) else name


def _heading(report: Report) -> str:
    return f"{report.days.first} to {report.days.last} (UTC)"


def _row(name: str, sums: Sums, by: str | None) -> tuple[str, ...]:
    tokens = "" if by == "stage" else f"{sums.context_tokens}"
    amounts = (_amount(sums, quantity) for quantity in QUANTITIES)
    basis = sums.basis or ""
    return (name, f"{sums.answers}", f"{sums.abstained}", tokens, *amounts, basis)


def _amount(sums: Sums, quantity: Quantity) -> str:
    bounds = interval(sums, quantity)
    if bounds is None:
        return _UNKNOWN
    unknown = getattr(sums, f"{quantity}_unknown")
    text = f"{bounds.low:.3g} to {bounds.high:.3g}"
    return f"{text}, {unknown} {_UNKNOWN}" if unknown else text


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    return "  ".join(cells).rstrip()


def _notes(report: Report) -> list[str]:
    if not report.unreadable:
        return []
    months = ", ".join(report.unreadable)
    return ["", f"Answers are missing of {months}: the file is damaged or cannot be read."]


def _decimal(number: int, per_unit: int) -> str:
    places = len(str(per_unit)) - 1
    return f"{Decimal(number).scaleb(-places):f}"


def _bound(quantity: Quantity, index: int) -> Callable[[Sums], str | None]:
    def cell(sums: Sums) -> str | None:
        bounds = sums.known(quantity)
        return None if bounds is None else _decimal(bounds[index], PER_UNIT[quantity])

    return cell


def _count(name: str) -> Callable[[Sums], int]:
    def cell(sums: Sums) -> int:
        number: int = getattr(sums, name)
        return number

    return cell


_COLUMNS: Final[tuple[tuple[str, Callable[[Sums], object]], ...]] = (
    ("answers", _count("answers")),
    ("abstained", _count("abstained")),
    ("basis", lambda sums: sums.basis),
    ("time_s", lambda sums: _decimal(sums.nanoseconds, PER_UNIT["seconds"])),
    *(
        column
        for quantity, (name, unit) in _NAMES.items()
        for column in (
            (f"{name}_low_{unit}", _bound(quantity, 0)),
            (f"{name}_high_{unit}", _bound(quantity, 1)),
            (f"{name}_unknown_answers", _count(f"{quantity}_unknown")),
        )
    ),
    ("context_tokens", _count("context_tokens")),
    *((f"{tokens}_tokens", lambda sums, t=tokens: sums.known_tokens(t)) for tokens in TOKENS),
)
