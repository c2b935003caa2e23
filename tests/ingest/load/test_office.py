"""Word, PowerPoint and Excel files, made by the libraries that others make them with."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from openpyxl import Workbook
from openpyxl.chart import BarChart
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ingest.load.registry import load_document
from rag.errors import LoadError, UnsupportedFormatError
from rag.types import Document

new_chart_data: Callable[[], Any] = CategoryChartData
Texts = Callable[..., list[str]]
Checked = Callable[[Document], Document]
BOX = Inches(1)


def test_word_blocks_in_document_order(tmp_path: Path, checked: Checked, texts: Texts) -> None:
    word = docx.Document()
    word.add_heading("Guide", 1)
    word.add_paragraph("Before.")
    table = word.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ["Product", "Price", "X", "3"], strict=True):
        cell.text = text
    word.add_heading("Steps", 2)
    word.add_paragraph("one", style="List Bullet")
    word.add_paragraph("two", style="List Number 2")
    word.core_properties.title = "The title"
    path = tmp_path / "a.docx"
    word.save(str(path))
    document = checked(load_document(path, "doc"))
    assert texts(document) == ["Guide", "Before.", "Product: X; Price: 3.", "Steps", "one", "two"]
    assert [block.kind for block in document.blocks][-3:] == ["heading", "list_item", "list_item"]
    assert document.blocks[-1].headings == ("Guide", "Steps")
    assert document.title == "The title"


def test_word_keeps_controls_insertions_and_boxes(tmp_path: Path, texts: Texts) -> None:
    word = docx.Document()
    body = word.element.body
    run = "<w:r><w:t>{}</w:t></w:r>"
    control = (
        f"<w:sdt {{ns}}><w:sdtContent><w:p>{run.format('control')}</w:p></w:sdtContent></w:sdt>"
    )
    deleted = "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
    inserted = f"<w:p {{ns}}><w:ins>{run.format('inserted')}</w:ins>{deleted}</w:p>"
    inner = f"<w:pict><w:txbxContent><w:p>{run.format('box')}</w:p></w:txbxContent></w:pict>"
    boxed = f"<w:p {{ns}}>{run.format('host')}<w:r>{inner}</w:r></w:p>"
    for content in (control, inserted, boxed):
        body.insert(len(body) - 1, parse_xml(content.replace("{ns}", nsdecls("w"))))
    path = tmp_path / "a.docx"
    word.save(str(path))
    assert texts(load_document(path, "doc")) == ["control", "inserted", "host", "box"]


def test_word_files_with_macros_load(tmp_path: Path) -> None:
    word = docx.Document()
    word.add_paragraph("words")
    path = tmp_path / "a.docx"
    word.save(str(path))
    target = tmp_path / "a.docm"
    kind = "application/vnd.ms-word.document.macroEnabled.main+xml"
    rewrite(
        path,
        target,
        "[Content_Types].xml",
        re.compile(rb"application/vnd[^\"]*document\.main\+xml"),
        kind,
    )
    assert load_document(target, "doc").text == "words"


def rewrite(path: Path, target: Path, member: str, pattern: re.Pattern[bytes], new: str) -> None:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as out:
        for name in old.namelist():
            data = old.read(name)
            out.writestr(name, pattern.sub(new.encode(), data) if name == member else data)


def test_strict_files_are_refused_and_not_read_as_empty(tmp_path: Path) -> None:
    book = Workbook()
    book.create_sheet("S", 0)["A1"] = "words"
    path, target = tmp_path / "a.xlsx", tmp_path / "b.xlsx"
    book.save(path)
    namespace = re.compile(rb"http://schemas.openxmlformats.org/officeDocument/2006")
    rewrite(path, target, "_rels/.rels", namespace, "http://purl.oclc.org/ooxml/officeDocument")
    with pytest.raises(UnsupportedFormatError, match="Strict"):
        load_document(target, "doc")


def test_slides_with_tables_charts_groups_and_notes(
    tmp_path: Path, checked: Checked, texts: Texts
) -> None:
    deck = Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Opening"
    first.placeholders[1].text = "point one\npoint two"
    first.notes_slide.notes_text_frame.text = "say hello"
    second = deck.slides.add_slide(deck.slide_layouts[6])
    table = second.shapes.add_table(2, 2, BOX, BOX, BOX, BOX).table
    for index, text in enumerate(["Product", "Price", "X", "3"]):
        table.cell(index // 2, index % 2).text = text
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(BOX, BOX, BOX, BOX).text_frame.text = "grouped"
    data = new_chart_data()
    data.categories = ["East", "West"]
    data.add_series("Q1", (19.5, 22))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, BOX, BOX, BOX, BOX, data)
    path = tmp_path / "a.pptx"
    deck.save(str(path))
    document = checked(load_document(path, "doc"))
    assert texts(document) == [
        "Opening", "point one", "point two", "Notes: say hello",
        "Product: X; Price: 3.", "grouped", "East; Q1: 19.5.", "West; Q1: 22.",
    ]  # fmt: skip
    assert [block.page for block in document.blocks] == [1] * 4 + [2] * 4
    assert {block.headings for block in document.blocks[4:]} == {()}
    assert document.title == "Opening"


def test_diagrams_and_text_boxes_of_sheets(tmp_path: Path, texts: Texts) -> None:
    path = tmp_path / "a.xlsx"
    Workbook().save(path)
    main = "http://schemas.openxmlformats.org/drawingml/2006/main"
    box = f'<b xmlns:a="{main}"><a:p><a:r><a:t>box</a:t></a:r><a:r><a:t>ed</a:t></a:r></a:p></b>'
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/drawings/drawing1.xml", box)
        archive.writestr("xl/diagrams/data1.xml", box.replace("box", "draw"))
    assert texts(load_document(path, "doc")) == ["boxed", "drawed"]


def test_sheets_rows_and_formats(tmp_path: Path, checked: Checked, texts: Texts) -> None:
    book = Workbook()
    sheet = book.create_sheet("Sales", 0)
    del book["Sheet"]
    for row in (["Product", "Share", "Since", "Ok"], ["X", 0.125, date(2024, 5, 6), True]):
        sheet.append(row)
    sheet["B2"].number_format = "0.0%"
    sheet["A4"], sheet["B4"] = "Other", "Table"
    sheet["A5"], sheet["B5"] = 1.5, 1_000_000
    book.create_sheet("Notes")["C3"] = "alone"
    chart = BarChart()
    chart.title = "Totals"
    book["Notes"].add_chart(chart)
    path = tmp_path / "a.xlsx"
    book.save(path)
    document = checked(load_document(path, "doc"))
    assert texts(document) == [
        "Sales", "Product: X; Share: 12.5%; Since: 2024-05-06; Ok: TRUE.",
        "Other: 1.5; Table: 1000000.", "Notes", "Column 3: alone.", "Totals",
    ]  # fmt: skip
    assert [block.headings for block in document.blocks[-2:]] == [("Notes",), ()]


def test_a_sheet_that_claims_a_million_rows_is_quick(tmp_path: Path) -> None:
    book = Workbook()
    book.create_sheet("S", 0)["A1"] = "words"
    path, target = tmp_path / "a.xlsx", tmp_path / "b.xlsx"
    book.save(path)
    size = re.compile(rb'<dimension ref="[^"]*"')
    rewrite(path, target, "xl/worksheets/sheet1.xml", size, '<dimension ref="A1:XFD1048576"')
    assert load_document(target, "doc").text.endswith("words.")


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
def test_a_container_of_something_else_is_a_clear_error(
    tmp_path: Path, zipped: Callable[[dict[str, str | bytes]], bytes], name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(zipped({"other.txt": "words", "_rels/.rels": "<Relationships/>"}))
    with pytest.raises(LoadError, match=r"not a readable"):
        load_document(path, "doc")
