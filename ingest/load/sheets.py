"""Excel workbooks: every sheet a section, every row a sentence that names its columns."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time
from itertools import groupby
from typing import Protocol
from zipfile import BadZipFile

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from ingest.load.archive import open_archive, read_member
from ingest.load.builder import DocumentBuilder
from ingest.load.charts import add_chart, add_texts
from ingest.load.markup import parse_xml
from ingest.load.office import describe
from ingest.load.source import Source
from ingest.load.tables import write_table
from rag.errors import LoadError, ParseLimitError

# Source: Microsoft, "Excel specifications and limits", worksheet size.
_MOST_ROWS = 1_048_576
_DRAWING = re.compile(r"xl/(charts/chart|drawings/drawing|diagrams/data)\d+\.xml")


class Cell(Protocol):
    """What is read of a cell."""

    @property
    def value(self) -> object:
        """The value that the application last computed."""

    @property
    def number_format(self) -> str:
        """The format code that it is shown with."""


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the rows of all sheets; a blank row ends a table, and the next one is its header.

    Raises:
        LoadError: The file is damaged.
        ParseLimitError: A row says that it lies outside of any worksheet.
    """
    describe(source, into)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl reports every extension that it leaves out
        try:
            book = load_workbook(source.path, read_only=True, data_only=True, keep_links=False)
        except (InvalidFileException, BadZipFile, KeyError, ValueError) as exc:
            raise LoadError(
                "not a readable workbook", f"{source.path.name}: {exc}", "save it again as .xlsx"
            ) from exc
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # the declared size is the file's word, and costs time
            for number, table in enumerate(_tables(_placed(sheet.iter_rows(), source.path.name))):
                if number == 0:
                    into.heading(sheet.title, 1)
                write_table(into, table)
        book.close()
    _add_drawings(source, into)


def _add_drawings(source: Source, into: DocumentBuilder) -> None:
    """Add text boxes, diagrams and charts, which openpyxl passes over when it only reads."""
    into.end_section(1)
    with open_archive(source.path) as archive:
        for name in archive.namelist():
            found = _DRAWING.fullmatch(name)
            if found:
                root = parse_xml(read_member(archive, name), name)
                (add_chart if found[1] == "charts/chart" else add_texts)(root, into)


def _placed(rows: Iterable[Sequence[Cell]], name: str) -> Iterator[Sequence[Cell]]:
    """Yield the rows: openpyxl makes up all before one, wherever the file says that it lies."""
    for number, row in enumerate(rows, 1):
        if number > _MOST_ROWS:
            raise ParseLimitError(
                "row outside of any worksheet",
                f"{name}: row {number}",
                "save the file again from its application",
            )
        yield row


def _tables(rows: Iterable[Iterable[Cell]]) -> Iterator[Iterator[list[str]]]:
    """Yield the runs of rows between blank ones; each must be read before the next."""
    shown = ([_shown(cell) for cell in row] for row in rows)
    for filled, table in groupby(shown, any):
        if filled:
            yield table


def _shown(cell: Cell) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float | int):
        return _number(value, cell.number_format or "")
    if isinstance(value, datetime):
        return str(value.date() if value.time() == time() else value)
    return str(value).strip()


def _number(value: float, form: str) -> str:
    if "%" in form:
        return f"{value * 100:.10g}%"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
