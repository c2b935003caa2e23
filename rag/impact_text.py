"""What answers and ingest cost, as tables for a terminal and as CSV for sustainability reports."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from rag.ledger_entry import PER_UNIT, TOKENS, Quantity, Sums
from rag.ledger_sci import SCI_FORMULA, Per, sci_of
from rag.ledger_sums import Line, Report, Work, interval
from rag.receipts import printable
from rag.types import Interval

Cells: TypeAlias = Mapping[str, Callable[[Sums], str]]

_NAMES: Final[Mapping[Quantity, tuple[str, str]]] = {
    "joules": ("energy", "J"),
    "gco2e": ("carbon", "gCO2e"),
    "embodied_gco2e": ("making", "gCO2e"),
    "market_gco2e": ("market_carbon", "gCO2e"),
    "litres": ("water", "L"),
}
_RATES: Final[tuple[Per, ...]] = ("question", "grounded_answer", "thousand_chunks")
_NO_GENERATOR = "(none)"
_UNKNOWN = "unknown"
_FORMULAS = ("=", "+", "-", "@")
_TOTALS: Final[Mapping[Work, str]] = {"questions": "all answers", "ingest": "all ingest"}


def impact_text(report: Report) -> str:
    """Return the sums as tables, one line a group and the total below; ingest by itself."""
    lines = [f"{report.days.first} to {report.days.last} (UTC)", ""]
    lines += [*_table(report, "questions", _COSTS), "", *_table(report, "questions", _CARBON)]
    if report.ingest.runs:
        lines += ["", *_table(report, "ingest", _RUN_COSTS)]
        lines += ["", *_table(report, "ingest", _RUN_CARBON)]
    lines += ["", f"{SCI_FORMULA}, in gCO2e; {_UNKNOWN} where a part is."]
    return printable("\n".join([*lines, *_notes(report)]))


def impact_csv(report: Report) -> str:
    """Return one row a period, work and group, with exact decimals; an empty cell is unknown."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = [each for each in _COLUMNS if report.by != "stage" or each[0] != "context_tokens"]
    header = ["period_utc", report.by or "group", *(name for name, _ in columns), "work"]
    writer.writerow(header)
    for line in report.lines:
        cells = [cell(line.sums) for _, cell in columns]
        shown = ("" if cell is None else cell for cell in cells)
        writer.writerow([line.period, _group_cell(report, line), *shown, line.work])
    return out.getvalue()


def _group_cell(report: Report, line: Line) -> str:
    if report.by is None:
        return "all"
    name = line.group or _NO_GENERATOR
    # A spreadsheet would run a name that begins like a formula.
    return f"'{name}" if name.startswith(_FORMULAS) else name


def _table(report: Report, work: Work, cells: Cells) -> list[str]:
    # Of a stage neither tokens nor carbon are known.
    carbon, of_stages = cells in (_CARBON, _RUN_CARBON), report.by == "stage"
    cells = {name: cell for name, cell in cells.items() if not (of_stages and name == "tokens")}
    rows = [((report.by or "") if work == "questions" else "ingest", *cells)]
    if report.by is not None and not (of_stages and carbon):
        lines = (line for line in report.lines if line.work == work)
        rows += [_row(line.group or _NO_GENERATOR, line.sums, cells) for line in lines]
    rows.append(_row(_TOTALS[work], report.total if work == "questions" else report.ingest, cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_aligned(row, widths) for row in rows]


def _row(name: str, sums: Sums, cells: Cells) -> tuple[str, ...]:
    return (name, *(cell(sums) for cell in cells.values()))


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    return "  ".join(cells).rstrip()


def _notes(report: Report) -> list[str]:
    if not report.unreadable:
        return []
    months = ", ".join(report.unreadable)
    return ["", f"Entries are missing of {months}: the file is damaged or cannot be read."]


def _shown(bounds: Interval | None) -> str:
    return _UNKNOWN if bounds is None else f"{bounds.low:.3g} to {bounds.high:.3g}"


def _amount(quantity: Quantity) -> Callable[[Sums], str]:
    def cell(sums: Sums) -> str:
        text = _shown(interval(sums, quantity))
        unknown = getattr(sums, f"{quantity}_unknown")
        return f"{text}, {unknown} {_UNKNOWN}" if unknown and text != _UNKNOWN else text

    return cell


def _rate(per: Per) -> Callable[[Sums], str]:
    return lambda sums: _shown(sci_of(sums, per))


def _number(name: str) -> Callable[[Sums], str]:
    return lambda sums: str(getattr(sums, name))


def _grounded(sums: Sums) -> str:
    unknown = f", {sums.grounded_unknown} {_UNKNOWN}" if sums.grounded_unknown else ""
    return f"{sums.grounded}{unknown}"


def _basis(sums: Sums) -> str:
    return sums.basis or ""


_OPERATION: Final[Cells] = {
    "carbon [gCO2e]": _amount("gco2e"),
    "making [gCO2e]": _amount("embodied_gco2e"),
    "by market [gCO2e]": _amount("market_gco2e"),
}
_COSTS: Final[Cells] = {
    **{name: _number(name) for name in ("answers", "abstained")},
    "grounded": _grounded,
    "tokens": _number("context_tokens"),
    "energy [J]": _amount("joules"),
    "water [L]": _amount("litres"),
    "basis": _basis,
}
_CARBON: Final[Cells] = {
    **_OPERATION,
    "SCI per question": _rate("question"),
    "per grounded answer": _rate("grounded_answer"),
}
_RUN_COSTS: Final[Cells] = {
    **{name: _number(name) for name in ("runs", "chunks")},
    "energy [J]": _amount("joules"),
    "water [L]": _amount("litres"),
    "basis": _basis,
}
_RUN_CARBON: Final[Cells] = {**_OPERATION, "SCI per 1,000 chunks": _rate("thousand_chunks")}


def _decimal(number: int, per_unit: int) -> str:
    places = len(str(per_unit)) - 1
    return f"{Decimal(number).scaleb(-places):f}"


def _bound(quantity: Quantity, index: int) -> Callable[[Sums], str | None]:
    def cell(sums: Sums) -> str | None:
        bounds = sums.known(quantity)
        return None if bounds is None else _decimal(bounds[index], PER_UNIT[quantity])

    return cell


def _sci_bound(per: Per, bound: str) -> Callable[[Sums], str | None]:
    def cell(sums: Sums) -> str | None:
        rate = sci_of(sums, per)
        return None if rate is None else f"{Decimal(repr(getattr(rate, bound))):f}"

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
            (f"{name}_unknown_entries", _count(f"{quantity}_unknown")),
        )
    ),
    ("context_tokens", _count("context_tokens")),
    *((f"{tokens}_tokens", lambda sums, t=tokens: sums.known_tokens(t)) for tokens in TOKENS),
    ("grounded", _count("grounded")),
    ("grounded_unknown_answers", _count("grounded_unknown")),
    ("runs", _count("runs")),
    ("chunks", _count("chunks")),
    *(
        (f"sci_{per}_{bound}_gCO2e", _sci_bound(per, bound))
        for per in _RATES
        for bound in ("low", "high")
    ),
)
