"""CSV as spreadsheets write it: any of three delimiters, a byte order mark, quoted line breaks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.problems import Problems
from eval.rows import lines
from rag.errors import LoadError

_DELIMITERS = ",;\t"
_REQUIRED = "question"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: the line it ends on, and its cells by column name."""

    where: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        """Return a cell without white space around it; "" where there is no such column."""
        return self.cells.get(column, "").strip()


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file with its columns, read row by row."""

    columns: tuple[str, ...]
    rows: Iterator[TableRow]


def read_table(path: Path, problems: Problems) -> Table:
    """Return the columns of a CSV file and its rows that are not blank.

    The first line names the columns; case, spaces and hyphens in names do not matter. The
    delimiter is the one of comma, semicolon and tab by which the column of questions is found. A
    line ``sep=;`` above, as spreadsheets write it, is passed over.

    Raises:
        UsageError: There is no such file.
        LoadError: It has no column of questions, or a column twice.
    """
    numbered = lines(path, problems)
    number, header = next(numbered, (0, ""))
    if header.lower().startswith("sep="):
        number, header = next(numbered, (0, ""))
    problems.raise_if_any()  # without a header nothing else can be said
    delimiter, columns = _header(header, path)
    return Table(columns, _rows(_Lines(numbered, path, number), delimiter, columns, problems))


class _Lines:
    """Hands out lines and remembers the place of the last; skipped lines would upset counting."""

    def __init__(self, numbered: Iterator[tuple[int, str]], path: Path, number: int) -> None:
        self._numbered = numbered
        self._name = path.name
        self._number = number

    def __iter__(self) -> Iterator[str]:
        for number, text in self._numbered:
            self._number = number
            yield text

    @property
    def where(self) -> str:
        """File and number of the last line that was handed out."""
        return f"{self._name}:{self._number}"


def _header(line: str, path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the delimiter and the names of the columns."""
    names: tuple[str, ...] = ()
    for delimiter in _DELIMITERS:
        names = tuple(_name(cell) for cell in next(csv.reader([line], delimiter=delimiter), []))
        if _REQUIRED in names:
            twice = sorted({name for name in names if name and names.count(name) > 1})
            if twice:
                raise LoadError("column stands twice", f"{twice[0]} ({path})", "rename one of them")
            return delimiter, names
    found = f"{path} has {line.strip()[:80] or 'no header'}"
    raise LoadError("column is missing", found, f"add a column {_REQUIRED}")


def _name(cell: str) -> str:
    return "_".join(cell.strip().lower().replace("-", " ").split())


def _rows(
    given: _Lines, delimiter: str, columns: Sequence[str], problems: Problems
) -> Iterator[TableRow]:
    reader = csv.reader(given, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            # What follows a broken quotation cannot be told apart from it.
            problems.add("unusable row", given.where, str(exc))
            return
        if cells is None:
            return
        if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
            problems.add("unusable row", given.where, "more cells than columns: quote the text")
        elif any("\0" in cell for cell in cells):
            problems.add("wrong encoding", given.where, "NUL character")
        elif any(cell.strip() for cell in cells):
            yield TableRow(given.where, dict(zip(columns, cells, strict=False)))
