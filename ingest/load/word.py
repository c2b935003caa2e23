"""Word documents: paragraphs, lists and tables in document order, then the notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zipfile import BadZipFile

from docx.exceptions import PythonDocxError
from docx.opc.exceptions import OpcError
from docx.opc.package import OpcPackage
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import qn

from ingest.load import mail, webpage
from ingest.load.builder import DocumentBuilder
from ingest.load.charts import add_chart, add_texts
from ingest.load.markup import Element
from ingest.load.office import describe
from ingest.load.source import Source
from ingest.load.tables import write_table
from rag.errors import LoadError

_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_BOX = qn("w:txbxContent")
_PIECES = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_TEXTS = frozenset((qn("w:t"), qn("m:t")))
# Deleted and moved-away text, properties, and the copy of a drawing for older applications.
_SKIPPED = frozenset(
    (qn("w:del"), qn("w:moveFrom"), qn("w:pPr"), qn("w:rPr"), qn("w:sdtPr"), qn("w:tblPr"))
) | {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"}
_NOTES = ("/footnotes", "/endnotes")
_LEVELS = {f"heading {level}": level for level in range(1, 10)} | {"title": 1, "subtitle": 2}


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the document's blocks; page headers and footers are left out.

    Read through the package and not through ``docx.Document``, which passes over content
    controls, text boxes and insertions, and refuses templates and files with macros.

    Raises:
        LoadError: The file is damaged.
        UnsupportedFormatError: It is in the strict variant of the format.
    """
    describe(source, into)
    try:
        main = OpcPackage.open(str(source.path)).main_document_part
    except (PythonDocxError, OpcError, BadZipFile, KeyError, ValueError) as exc:
        raise LoadError(
            "not a readable Word document", f"{source.path.name}: {exc}", "save it again as .docx"
        ) from exc
    related = _related(main)
    styles = [_root(part) for kind, part in related if kind.endswith("/styles")]
    writer = _Writer(into, _Styles(styles))
    for child in _root(main):
        writer.blocks(child)
    for kind, part in related:
        if kind.endswith(_NOTES):
            writer.blocks(_root(part))
        elif kind.endswith("/chart"):
            add_chart(_root(part), into)
        elif kind.endswith("/diagramData"):
            add_texts(_root(part), into)
        elif kind.endswith("/aFChunk"):
            _add_chunk(part, into)


def _related(main: Part) -> list[tuple[str, Part]]:
    inner = [relation for relation in main.rels.values() if not relation.is_external]
    return [(relation.reltype, relation.target_part) for relation in inner]


def _root(part: Part) -> Element:
    element: Element | None = getattr(part, "element", None)  # known parts are parsed already
    return element if element is not None else parse_xml(part.blob)


def _add_chunk(part: Part, into: DocumentBuilder) -> None:
    """Add a foreign document that stands in this one whole: HTML or a web archive."""
    if "html" in part.content_type:
        webpage.render(webpage.page_text(part.blob, str(part.partname)), into)
    elif part.content_type.startswith(("message/", "multipart/")):
        mail.render_archive(part.blob, str(part.partname), into)


class _Styles:
    """What the paragraph styles of a document stand for, inherited meanings included."""

    def __init__(self, parts: Sequence[Element]) -> None:
        self.levels: dict[str, int] = {}
        self.lists: set[str] = set()
        based: dict[str, str] = {}
        for style in (style for part in parts for style in part.iter(qn("w:style"))):
            key = str(style.get(qn("w:styleId")) or "")
            name = _value(style, "w:name").lower()
            based[key] = _value(style, "w:basedOn")
            outline = _value(style, "w:outlineLvl")
            if name in _LEVELS:
                self.levels[key] = _LEVELS[name]
            elif outline.isdecimal() and int(outline) < 9:
                self.levels[key] = int(outline) + 1
            if name.startswith("list ") or next(style.iter(qn("w:numPr")), None) is not None:
                self.lists.add(key)
        for key in based:
            self._inherit(key, based)

    def _inherit(self, key: str, based: dict[str, str]) -> None:
        seen = {key}
        parent = based[key]
        while parent and parent not in seen:
            if key not in self.levels and parent in self.levels:
                self.levels[key] = self.levels[parent]
            if parent in self.lists:
                self.lists.add(key)
            seen.add(parent)
            parent = based.get(parent, "")


class _Writer:
    """Walks the body and adds its blocks."""

    def __init__(self, into: DocumentBuilder, styles: _Styles) -> None:
        self._into = into
        self._styles = styles

    def blocks(self, parent: Element) -> None:
        """Add all block-level content, also what stands in content controls."""
        for child in parent:
            if child.tag == _PARAGRAPH:
                self._paragraph(child)
            elif child.tag == _TABLE:
                self._table(child)
            elif child.tag not in _SKIPPED:
                self.blocks(child)

    def _paragraph(self, paragraph: Element) -> None:
        text = "".join(_strings(paragraph))
        style = _value(paragraph, "w:pPr/w:pStyle")
        outline = _value(paragraph, "w:pPr/w:outlineLvl")
        level = int(outline) + 1 if outline.isdecimal() else self._styles.levels.get(style)
        numbered = paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None
        if level is not None and level <= 9:
            self._into.heading(text, level)
        else:
            listed = numbered or style in self._styles.lists
            self._into.add(text, "list_item" if listed else "paragraph")
        for box in _boxes(paragraph):
            self.blocks(box)

    def _table(self, table: Element) -> None:
        rows = [_cells(row) for row in _own(table, _ROW)]
        if max(map(len, rows), default=0) > 1:
            write_table(self._into, rows)
            return
        for row in _own(table, _ROW):  # a single column is a frame around ordinary text
            for cell in _own(row, _CELL):
                self.blocks(cell)


def _cells(row: Element) -> list[str]:
    """Return the texts of a row's cells, those of nested tables included."""
    cells = []
    for cell in _own(row, _CELL):
        parts = ("".join(_strings(part, boxes=True)) for part in _own(cell, _PARAGRAPH, deep=True))
        text = " ".join(parts)
        span = _value(cell, "w:tcPr/w:gridSpan")
        cells += [text] + [""] * (min(int(span), 64) - 1 if span.isdecimal() else 0)
    return cells


def _own(parent: Element, tag: str, *, deep: bool = False) -> Iterator[Element]:
    """Yield the elements ``tag`` below ``parent``, but not those inside one another."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag not in _SKIPPED and (deep or child.tag != _TABLE):
            yield from _own(child, tag, deep=deep)


def _strings(element: Element, *, boxes: bool = False) -> Iterator[str]:
    for child in element:
        if child.tag in _TEXTS:
            yield str(child.text or "")
        elif child.tag in _PIECES:
            yield _PIECES[str(child.tag)]
        elif child.tag not in _SKIPPED and (boxes or child.tag != _BOX):
            yield from _strings(child, boxes=boxes)


def _boxes(element: Element) -> Iterator[Element]:
    for child in element:
        if child.tag == _BOX:
            yield child
        elif child.tag not in _SKIPPED:
            yield from _boxes(child)


def _value(element: Element, path: str) -> str:
    found = element.find("/".join(qn(step) for step in path.split("/")))
    if found is None and "/" not in path:
        found = next(element.iter(qn(path)), None)
    return str(found.get(qn("w:val")) or "") if found is not None else ""
