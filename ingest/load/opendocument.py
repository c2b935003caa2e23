"""OpenDocument text, presentations and spreadsheets: one XML part in a zip container."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.load.archive import open_archive, read_member
from ingest.load.builder import DocumentBuilder
from ingest.load.dates import iso_date
from ingest.load.markup import Element, attribute, local_name, parse_xml
from ingest.load.source import Source
from ingest.load.tables import write_table
from rag.errors import UnsupportedFormatError

_MOST_REPEATED = 1_000  # cells and rows are written once with a count that the file chooses
_SKIPPED = frozenset(("annotation", "tracked-changes", "forms", "sequence-decls", "note"))
_SPACES = {"tab": "\t", "line-break": "\n"}


def read(source: Source, into: DocumentBuilder) -> None:
    """Add headings, paragraphs, lists, tables and notes in document order.

    Raises:
        LoadError: The file is damaged.
        UnsupportedFormatError: It is encrypted.
    """
    name = source.path.name
    with open_archive(source.path) as archive:
        members = set(archive.namelist())
        if "META-INF/manifest.xml" in members:
            manifest = read_member(archive, "META-INF/manifest.xml")
            if b"encryption-data" in manifest:
                raise UnsupportedFormatError("encrypted document", name, "remove the password")
        content = parse_xml(read_member(archive, "content.xml"), name)
        if "meta.xml" in members:
            _describe(parse_xml(read_member(archive, "meta.xml"), name), into)
    for body in content.iter("{*}body"):
        _Renderer(into).children(body)


def _describe(meta: Element, into: DocumentBuilder) -> None:
    for element in meta.iter("{*}title", "{*}date", "{*}keyword"):
        text = "".join(str(part) for part in element.itertext()).strip()
        if local_name(element) == "title":
            into.title = text
        elif local_name(element) == "date":
            into.date = iso_date(text)
        elif text:
            into.tags = (*into.tags, text)


class _Renderer:
    """Turns the body's elements into blocks."""

    def __init__(self, into: DocumentBuilder) -> None:
        self._into = into
        self._page: int | None = None
        self._in_item = False

    def children(self, element: Element) -> None:
        """Render what an element holds, in order."""
        for child in element:
            self._add(child)

    def _add(self, element: Element) -> None:
        name = local_name(element)
        if name in _SKIPPED:
            return
        if name == "h":
            level = attribute(element, "outline-level")
            self._into.heading(_words(element), int(level) if level.isdecimal() else 1, self._page)
        elif name == "p":
            self._paragraph(element)
        elif name == "table":
            self._table(element)
        elif name == "page":
            self._page = (self._page or 0) + 1
            self.children(element)
        elif name in {"list-item", "list-header"}:
            self._in_item = True
            self.children(element)
            self._in_item = False
        else:
            self.children(element)

    def _paragraph(self, element: Element) -> None:
        self._into.add(_words(element), "list_item" if self._in_item else "paragraph", self._page)
        for inner in _inner(element):
            self.children(inner)

    def _table(self, table: Element) -> None:
        name = attribute(table, "name")
        if name and _is_sheet(table):
            self._into.heading(name, 1)
        write_table(self._into, _rows(table), page=self._page)


def _inner(element: Element) -> Iterator[Element]:
    """Yield the notes and boxes below, but not those in one another: each adds its own."""
    for child in element:
        if local_name(child) in {"note-body", "text-box"}:
            yield child
        else:
            yield from _inner(child)


def _is_sheet(table: Element) -> bool:
    parent = table.getparent()
    return parent is not None and local_name(parent) == "spreadsheet"


def _rows(table: Element) -> Iterator[list[str]]:
    for row in table.iter("{*}table-row"):
        cells: list[str] = []
        for cell in row.iter("{*}table-cell", "{*}covered-table-cell"):
            paragraphs = [_words(part) for part in cell.iter("{*}p", "{*}h")]
            text = " ".join(paragraphs)
            cells += [text] * _count(cell, "number-columns-repeated", filled=bool(text))
        while cells and not cells[-1]:
            cells.pop()
        for _ in range(_count(row, "number-rows-repeated", filled=bool(cells))):
            yield cells


def _count(element: Element, name: str, *, filled: bool) -> int:
    digits = attribute(element, name)
    wanted = int(digits) if digits.isdecimal() else 1
    return min(max(wanted, 1), _MOST_REPEATED) if filled else min(max(wanted, 1), 64)


def _words(element: Element) -> str:
    """Return a paragraph's words; notes and boxes in it are paragraphs of their own."""
    pieces = [element.text or ""]
    for child in element:
        name = local_name(child)
        if name == "s":
            count = attribute(child, "c")
            pieces.append(" " * min(int(count) if count.isdecimal() else 1, _MOST_REPEATED))
        elif name in _SPACES:
            pieces.append(_SPACES[name])
        elif name == "note":
            pieces += [f"[{_words(part)}]" for part in child if local_name(part) == "note-citation"]
        elif name not in _SKIPPED and name != "text-box":
            pieces.append(_words(child))
        pieces.append(child.tail or "")
    return "".join(pieces)
