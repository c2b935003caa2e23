"""Build the PDF and DOCX files of the sample documents from the texts in ``sources/``.

The built files are kept in the repository, so this script is needed only to regenerate them.
It needs two packages that the project itself does not use: ``reportlab`` and ``python-docx``.
The output is deterministic: dates are fixed and the PDF files carry no random identifier.

The source texts use a small markup: ``title:`` and ``subtitle:`` lines first, then blocks
separated by blank lines. A block is a heading (``# ``), a list (``- ``), a table (``| ``, the
first row is the header) or a paragraph.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from docx import Document
from docx.document import Document as DocxDocument
from docx.shared import Pt
from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    NextPageTemplate,
    PageTemplate,
    Paragraph,
    Table,
    TableStyle,
)

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
DOCS = HERE / "docs"
MARGIN = 18 * mm
GAP = 8 * mm
TITLE_HEIGHT = 26 * mm
FIXED_DATE = dt.datetime(2025, 4, 1, 8, 0, 0, tzinfo=dt.UTC)
AUTHOR = "Kaldvarn Systems"


@dataclass
class Block:
    """One block of a source text.

    Attributes:
        kind: ``heading``, ``list``, ``table`` or ``paragraph``.
        rows: Lines of the block; a table row is a list of its cells.
    """

    kind: str
    rows: list[list[str]]


@dataclass
class Source:
    """A parsed source text.

    Attributes:
        title: Title of the document.
        subtitle: Line under the title.
        blocks: The body in reading order.
    """

    title: str
    subtitle: str
    blocks: list[Block] = field(default_factory=list)


def parse_block(text: str) -> Block:
    """Parse one block of the small markup.

    Args:
        text: The lines of the block.

    Returns:
        The parsed block.
    """
    lines = text.split("\n")
    if text.startswith("# "):
        return Block("heading", [[text[2:]]])
    if text.startswith("- "):
        return Block("list", [[line[2:]] for line in lines])
    if text.startswith("| "):
        return Block("table", [[c.strip() for c in ln.strip("| ").split("|")] for ln in lines])
    return Block("paragraph", [[" ".join(lines)]])


def read_source(name: str) -> Source:
    """Read a source text.

    Args:
        name: File name in the folder of sources.

    Returns:
        The parsed text.
    """
    head, *rest = (SOURCES / name).read_text(encoding="utf-8").strip().split("\n\n")
    fields = dict(line.split(": ", 1) for line in head.split("\n"))
    blocks = [parse_block(part) for part in rest]
    return Source(fields["title"], fields["subtitle"], blocks)


def pdf_styles(size: float) -> dict[str, ParagraphStyle]:
    """Return the paragraph styles of a PDF.

    Args:
        size: Font size of the body in points.

    Returns:
        Styles by name.
    """
    look = {"fontSize": size, "leading": size * 1.35, "spaceAfter": size * 0.6}
    body = ParagraphStyle("body", fontName="Helvetica", **look)
    return {
        "paragraph": ParagraphStyle("paragraph", parent=body, alignment=TA_JUSTIFY),
        "list": ParagraphStyle("list", parent=body, leftIndent=10, bulletIndent=0, spaceAfter=2),
        "cell": ParagraphStyle("cell", parent=body, fontSize=size - 0.5, spaceAfter=0),
        "heading": ParagraphStyle(
            "heading",
            parent=body,
            fontName="Helvetica-Bold",
            fontSize=size + 2,
            leading=size * 1.6,
            spaceBefore=size * 0.8,
            keepWithNext=1,
        ),
        "title": ParagraphStyle(
            "title", parent=body, fontName="Helvetica-Bold", fontSize=20, leading=25
        ),
        "subtitle": ParagraphStyle("subtitle", parent=body, textColor=colors.HexColor("#444444")),
    }


def pdf_table(rows: list[list[str]], width: float, style: ParagraphStyle) -> Table:
    """Lay out a table over the given width.

    Args:
        rows: Cells by row, header first.
        width: Total width in points.
        style: Style of the cells.

    Returns:
        The table.
    """
    bold = ParagraphStyle("bold", parent=style, fontName="Helvetica-Bold")
    cells = [[Paragraph(c, bold if i == 0 else style) for c in row] for i, row in enumerate(rows)]
    table = Table(
        cells, colWidths=[width / len(rows[0])] * len(rows[0]), repeatRows=1, spaceAfter=6
    )
    look = [
        ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
        ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#e6eef2")),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    table.setStyle(TableStyle(look))
    return table


def pdf_story(source: Source, width: float, size: float) -> list[Flowable]:
    """Turn the blocks of a source into flowables.

    Args:
        source: The parsed text.
        width: Width of the text column in points.
        size: Font size of the body in points.

    Returns:
        The flowables in reading order, without the title.
    """
    styles = pdf_styles(size)
    story: list[Flowable] = []
    for block in source.blocks:
        if block.kind == "table":
            story.append(pdf_table(block.rows, width, styles["cell"]))
            continue
        bullet = "\u2022" if block.kind == "list" else None
        story += [Paragraph(r[0], styles[block.kind], bulletText=bullet) for r in block.rows]
    return story


def draw_footer(canvas: Canvas, template: BaseDocTemplate) -> None:
    """Draw the footer of a page.

    Args:
        canvas: Canvas of the page.
        template: The document being built.
    """
    canvas.setFont("Helvetica", 7.5)
    canvas.drawString(MARGIN, 10 * mm, f"{AUTHOR} | {template.title}")
    canvas.drawRightString(A4[0] - MARGIN, 10 * mm, f"Page {canvas.getPageNumber()}")


def page_template(name: str, columns: int, reserved: float) -> PageTemplate:
    """Return a page with text columns under an optional title area.

    Args:
        name: Name of the template.
        columns: Number of columns.
        reserved: Height kept free for the title, zero for none.

    Returns:
        The page template.
    """
    width = (A4[0] - 2 * MARGIN - GAP * (columns - 1)) / columns
    height = A4[1] - 2 * MARGIN - reserved
    pad = {"leftPadding": 0, "rightPadding": 0, "topPadding": 0, "bottomPadding": 0}
    frames = [
        Frame(MARGIN + i * (width + GAP), MARGIN, width, height, **pad) for i in range(columns)
    ]
    if reserved:
        top = Frame(MARGIN, MARGIN + height, A4[0] - 2 * MARGIN, reserved, **pad)
        frames.insert(0, top)
    return PageTemplate(name, frames, onPage=draw_footer)


def build_pdf(source_name: str, target: Path, columns: int, size: float) -> None:
    """Build one PDF.

    Args:
        source_name: File name of the source text.
        target: Where to write the PDF.
        columns: Number of text columns.
        size: Font size of the body in points.
    """
    source = read_source(source_name)
    template = BaseDocTemplate(
        str(target), pagesize=A4, title=source.title, author=AUTHOR, subject=source.subtitle
    )
    template.addPageTemplates(
        [page_template("first", columns, TITLE_HEIGHT), page_template("later", columns, 0)]
    )
    styles = pdf_styles(size)
    head: list[Flowable] = [
        NextPageTemplate("later"),
        Paragraph(source.title, styles["title"]),
        Paragraph(source.subtitle, styles["subtitle"]),
        FrameBreak(),
    ]
    width = (A4[0] - 2 * MARGIN - GAP * (columns - 1)) / columns
    template.build(head + pdf_story(source, width, size))


def add_docx_block(document: DocxDocument, block: Block) -> None:
    """Append one block to a DOCX document.

    Args:
        document: The document being built.
        block: The block to append.
    """
    if block.kind == "heading":
        document.add_heading(block.rows[0][0], level=1)
    elif block.kind == "table":
        table = document.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
        for row in block.rows:
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text
    else:
        style = "List Bullet" if block.kind == "list" else None
        for row in block.rows:
            document.add_paragraph(row[0], style=style)


def write_fixed_zip(data: bytes, target: Path) -> None:
    """Write a ZIP container again with a fixed date on every member.

    Args:
        data: The container as produced by the library.
        target: Where to write it.
    """
    stamp = FIXED_DATE.timetuple()[:6]
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, date_time=stamp)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            new.writestr(info, old.read(name))


def build_docx(source_name: str, target: Path) -> None:
    """Build one DOCX.

    Args:
        source_name: File name of the source text.
        target: Where to write the DOCX.
    """
    source = read_source(source_name)
    document = Document()
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(11)
    properties = document.core_properties
    properties.title, properties.author, properties.comments = source.title, AUTHOR, ""
    properties.created = properties.modified = FIXED_DATE
    document.add_heading(source.title, level=0)
    document.add_paragraph(source.subtitle)
    for block in source.blocks:
        add_docx_block(document, block)
    buffer = io.BytesIO()
    document.save(buffer)
    write_fixed_zip(buffer.getvalue(), target)


def main() -> None:
    """Build all generated documents."""
    rl_config.invariant = 1
    products = DOCS / "products"
    build_pdf(
        "probe-placement-white-paper.txt", products / "probe-placement-white-paper.pdf", 2, 9.5
    )
    name = "lithium-battery-shipping-instruction"
    build_pdf(f"{name}.txt", products / f"{name}.pdf", 1, 10.5)
    name = "calibration-procedure-QP-17"
    build_docx(f"{name}.txt", DOCS / "quality" / f"{name}.docx")


if __name__ == "__main__":
    main()
