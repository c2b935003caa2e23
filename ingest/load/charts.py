"""Charts and diagrams of Office files, as the tables and texts that they were drawn from."""

from __future__ import annotations

from itertools import chain

from ingest.load.builder import DocumentBuilder
from ingest.load.markup import Element, local_name
from ingest.load.tables import write_table

_CATEGORIES = frozenset(("cat", "xVal"))
_VALUES = frozenset(("val", "yVal", "bubbleSize"))


def add_chart(root: Element, into: DocumentBuilder, page: int | None = None) -> None:
    """Add a chart part's title and its data: one row per category, one column per series.

    Args:
        root: A DrawingML ``chartSpace`` element.
        into: Where the blocks go.
        page: Page or slide number, counted from 1.
    """
    for title in root.iter("{*}title"):
        into.add("".join(part.text or "" for part in title.iter("{*}t")), "paragraph", page)
    names: list[str] = [""]
    rows: dict[int, dict[int, str]] = {}
    for series in root.iter("{*}ser"):
        names.append(_name(series))
        for child in series:
            column = 0 if local_name(child) in _CATEGORIES else len(names) - 1
            if local_name(child) in _CATEGORIES | _VALUES:
                for point, value in _points(child):
                    rows.setdefault(point, {})[column] = value
    grid = (
        [row.get(column, "") for column in range(len(names))] for _, row in sorted(rows.items())
    )
    write_table(into, grid, names, page)


def add_texts(root: Element, into: DocumentBuilder, page: int | None = None) -> None:
    """Add the paragraphs of a DrawingML part: the nodes of a diagram, the text boxes of a sheet."""
    for paragraph in root.iter("{http://schemas.openxmlformats.org/drawingml/2006/main}p"):
        text = "".join(part.text or "" for part in paragraph.iter("{*}t"))
        into.add(text, "list_item", page)


def _name(series: Element) -> str:
    texts = (child.iter("{*}v") for child in series if local_name(child) == "tx")
    return " ".join(value.text or "" for value in chain.from_iterable(texts))


def _points(data: Element) -> list[tuple[int, str]]:
    points = []
    for point in data.iter("{*}pt"):
        index = str(point.get("idx", ""))
        values = [value.text or "" for value in point.iter("{*}v")]
        if index.isdecimal() and values:
            points.append((int(index), " ".join(values)))
    return points
