"""Jupyter notebooks: Markdown cells as Markdown, code cells as code; outputs are left out."""

from __future__ import annotations

from ingest.load import markdown
from ingest.load.builder import DocumentBuilder
from ingest.load.source import Source
from ingest.load.structured import Json, parse
from rag.errors import LoadError


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the cells in order.

    Raises:
        LoadError: The file is not a notebook.
    """
    value = parse(source.data(), source.path.name)
    for cell in _cells(value, source.path.name):
        text = _source(cell)
        if cell.get("cell_type") == "code":
            into.add(text, "code")
        else:
            markdown.render(text, into)


def _cells(value: Json, name: str) -> list[dict[str, Json]]:
    cells = value.get("cells") if isinstance(value, dict) else None
    if cells is None and isinstance(value, dict):  # notebook format 3
        sheets = value.get("worksheets")
        first = sheets[0] if isinstance(sheets, list) and sheets else None
        cells = first.get("cells") if isinstance(first, dict) else None
    if not isinstance(cells, list):
        raise LoadError("not a notebook", f"{name} has no cells", "save it again from Jupyter")
    return [cell for cell in cells if isinstance(cell, dict)]


def _source(cell: dict[str, Json]) -> str:
    lines = cell.get("source", cell.get("input", ""))
    if isinstance(lines, list):
        return "".join(line for line in lines if isinstance(line, str))
    return lines if isinstance(lines, str) else ""
