"""PowerPoint presentations: every slide a section with its texts, tables, charts and notes."""

from __future__ import annotations

from collections.abc import Iterable
from zipfile import BadZipFile

from pptx import Presentation
from pptx.exc import PythonPptxError
from pptx.shapes.autoshape import Shape
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import Slide
from pptx.table import Table
from pptx.text.text import TextFrame

from ingest.load.builder import DocumentBuilder
from ingest.load.charts import add_chart, add_texts
from ingest.load.markup import parse_xml
from ingest.load.office import describe
from ingest.load.source import Source
from ingest.load.tables import write_table
from rag.errors import LoadError
from rag.types import BlockKind


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the slides in order; blocks carry the slide's number as their page.

    Raises:
        LoadError: The file is damaged.
    """
    try:
        deck = Presentation(str(source.path))
    except (PythonPptxError, BadZipFile, KeyError, ValueError) as exc:
        raise LoadError(
            "not a readable presentation", f"{source.path.name}: {exc}", "save it again as .pptx"
        ) from exc
    describe(source, into)
    for number, slide in enumerate(deck.slides, 1):
        _SlideWriter(into, number).write(slide)


class _SlideWriter:
    """Adds one slide's blocks."""

    def __init__(self, into: DocumentBuilder, number: int) -> None:
        self._into = into
        self._number = number

    def write(self, slide: Slide) -> None:
        """Add the blocks of one slide."""
        title = slide.shapes.title
        self._into.end_section(1)
        self._into.heading(title.text_frame.text if title is not None else "", 1, self._number)
        skipped = title.shape_id if title is not None else None
        self._shapes(shape for shape in slide.shapes if shape.shape_id != skipped)
        for relation in slide.part.rels.values():
            if relation.reltype.endswith("/diagramData") and not relation.is_external:
                part = relation.target_part
                add_texts(parse_xml(part.blob, str(part.partname)), self._into, self._number)
        if slide.has_notes_slide:
            notes = slide.notes_slide.notes_text_frame
            if notes is not None and notes.text.strip():
                self._into.add(f"Notes: {notes.text.strip()}", "paragraph", self._number)

    def _shapes(self, shapes: Iterable[BaseShape]) -> None:
        for shape in shapes:
            if isinstance(shape, GroupShape):
                self._shapes(shape.shapes)
            elif isinstance(shape, GraphicFrame) and shape.has_table:
                self._table(shape.table)
            elif isinstance(shape, GraphicFrame) and shape.has_chart:
                chart = shape.chart.part
                add_chart(parse_xml(chart.blob, str(chart.partname)), self._into, self._number)
            elif isinstance(shape, Shape):
                self._text(shape.text_frame)

    def _text(self, frame: TextFrame) -> None:
        paragraphs = [text for paragraph in frame.paragraphs if (text := paragraph.text).strip()]
        kind: BlockKind = "list_item" if len(paragraphs) > 1 else "paragraph"
        for text in paragraphs:
            self._into.add(text.replace("\v", "\n"), kind, self._number)

    def _table(self, table: Table) -> None:
        rows = [[cell.text for cell in row.cells] for row in table.rows]
        write_table(self._into, rows, page=self._number)
