"""Table rows as sentences that name their columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from ingest.load.builder import DocumentBuilder

_HEADER_CHARS = 100  # a longer cell in a first row is content, not a name
_STOPS = (".", "!", "?", ":", "。")


def write_table(
    into: DocumentBuilder,
    rows: Iterable[Sequence[str]],
    names: Sequence[str] | None = None,
    page: int | None = None,
) -> None:
    """Add one ``table_row`` block per row, such as ``Product: X; Region: EU; Price: 3.50 EUR.``.

    Args:
        into: Where the blocks go.
        rows: The cells' texts; blank rows are ignored.
        names: The columns' names; None to look for them in the first row and to number the
            columns if it holds none; empty to leave the columns unnamed.
        page: Page or slide number, counted from 1.
    """
    tidy = (cells for row in rows if any(cells := [" ".join(cell.split()) for cell in row]))
    if names is None:
        _write_detected(into, tidy, page)
    else:
        _write_named(into, tidy, [" ".join(name.split()) for name in names], page)


def row_sentence(cells: Sequence[str], names: Sequence[str]) -> str:
    """Return a row as one sentence; empty cells are left out, nameless ones stand alone."""
    parts = []
    for index, cell in enumerate(cells):
        if cell:
            name = names[index].rstrip(": ") if index < len(names) else ""
            parts.append(f"{name}: {cell}" if name else cell)
    return _stop("; ".join(parts))


def is_header(cells: Sequence[str]) -> bool:
    """Tell whether a first row looks like column names: short, unique and textual."""
    named = [cell for cell in cells if cell]
    filled = [index for index, cell in enumerate(cells) if cell]
    width = filled[-1] - filled[0] + 1 if filled else 0  # a table may begin at any column
    if (
        not named
        or 2 * len(named) <= width
        or len({name.casefold() for name in named}) < len(named)
    ):
        return False
    return all(_is_name(cell) for cell in named)


def _is_name(cell: str) -> bool:
    if len(cell) > _HEADER_CHARS or "@" in cell or "://" in cell:
        return False
    letters = sum(char.isalpha() for char in cell)
    return letters > 0 and letters >= sum(char.isdigit() for char in cell)


def _write_detected(into: DocumentBuilder, rows: Iterator[list[str]], page: int | None) -> None:
    head = list(islice(rows, 2))
    while len(head) == 2 and sum(map(bool, head[0])) == 1 < sum(map(bool, head[1])):
        into.add("".join(head[0]), "paragraph", page)  # a title above the table
        head = [head[1], *islice(rows, 1)]
    if len(head) == 2 and is_header(head[0]):
        _write_named(into, chain(head[1:], rows), head[0], page)
        return
    width = max((len(row) for row in head), default=0)
    numbers = [f"Column {number}" for number in range(1, width + 1)] if width > 1 else []
    for cells in chain(head, rows):
        into.add(row_sentence(cells, numbers), "table_row", page)


def _write_named(
    into: DocumentBuilder, rows: Iterable[list[str]], names: Sequence[str], page: int | None
) -> None:
    unused = {index for index, name in enumerate(names) if name}
    written = False
    for cells in rows:
        unused.difference_update(index for index, cell in enumerate(cells) if cell)
        into.add(row_sentence(cells, names), "table_row", page)
        written = True
    if unused:
        missing = "; ".join(names[index] for index in sorted(unused))
        sentence = f"Columns without values: {missing}" if written else missing
        into.add(_stop(sentence), "table_row", page)


def _stop(sentence: str) -> str:
    return sentence if sentence.endswith(_STOPS) else f"{sentence}."
