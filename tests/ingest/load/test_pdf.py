from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.load.pdf_blocks import join_lines
from ingest.load.registry import load_document
from rag.errors import EmptyDocumentError, LoadError

Make = Callable[..., Path]
LEFT = "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima".split()
RIGHT = "mike november oscar papa quebec romeo sierra tango uniform victor whiskey xray".split()


def two_columns(show: Any, *, interleaved: bool) -> list[Any]:
    """Return a title and two columns of twelve lines, drawn across or one after the other."""
    left = [
        show(72, 680 - 12 * i, f"{w} left words fill this line here") for i, w in enumerate(LEFT)
    ]
    right = [
        show(320, 680 - 12 * i, f"{w} right words fill the line too") for i, w in enumerate(RIGHT)
    ]
    title = show(72, 720, "A title that runs over both of the columns of this page and beyond")
    pairs = [line for pair in zip(left, right, strict=True) for line in pair]
    return [title, *(pairs if interleaved else left + right)]


@pytest.mark.parametrize("interleaved", [True, False])
def test_columns_are_read_one_after_the_other(
    make_pdf: Make, show: Any, interleaved: bool
) -> None:  # fmt: skip
    text = load_document(make_pdf([two_columns(show, interleaved=interleaved)]), "doc").text
    positions = [text.index(word) for word in ["title", *LEFT, *RIGHT]]
    assert positions == sorted(positions)


def test_rows_of_figures_are_not_columns(make_pdf: Make, show: Any) -> None:
    rows = [
        (show(72, 700 - 14 * i, f"Item number {i}"), show(300, 700 - 14 * i, f"{i}00.5"))
        for i in range(10)
    ]
    document = load_document(make_pdf([[cell for row in rows for cell in row]]), "doc")
    assert document.text.split("\n")[3] == "Item number 3 300.5"
    assert {block.kind for block in document.blocks} == {"table_row"}


def test_pages_headings_and_paragraphs(
    make_pdf: Make, show: Any, texts: Callable[..., list[str]]
) -> None:
    first = [
        show(72, 740, "Annual Report", 20),
        show(72, 700, "This is the first paragraph of the"),
        show(72, 688, "report and it has two lines."),
        show(72, 650, "A second paragraph stands below it."),
    ]
    second = [
        show(72, 740, "Results", 14),
        show(72, 710, "They were good, by any of the measures."),
    ]
    document = load_document(make_pdf([first, second], "/CreationDate (D:20240506)"), "doc")
    assert texts(document) == [
        "Annual Report",
        "This is the first paragraph of the report and it has two lines.",
        "A second paragraph stands below it.",
        "Results",
        "They were good, by any of the measures.",
    ]
    assert [block.page for block in document.blocks] == [1, 1, 1, 2, 2]
    assert document.blocks[-1].headings == ("Annual Report", "Results")
    assert (document.title, document.date) == ("Annual Report", "2024-05-06")


def test_hyphens_at_line_ends_are_joined(make_pdf: Make, show: Any) -> None:
    lines = ["The word is hyphen-", "ated here and the well-", "known term was well-known before."]
    shows = [show(72, 700 - 12 * i, line) for i, line in enumerate(lines)]
    text = load_document(make_pdf([shows]), "doc").text
    assert text == "The word is hyphenated here and the well-known term was well-known before."


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["in-", "side"], "inside"),
        (["Anglo-", "Saxon"], "Anglo-Saxon"),
        (["2019-", "20"], "2019-20"),
        (["a -", "b"], "a - b"),
        (["one", "two"], "one two"),
    ],
)
def test_line_joining(lines: list[str], text: str) -> None:
    assert join_lines(lines) == text


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_turned_pages_keep_their_text(make_pdf: Make, show: Any, angle: int) -> None:
    shows = [show(72, 700 - 12 * i, f"line {i} of the page") for i in range(3)]
    text = load_document(make_pdf([shows], page_extra=f"/Rotate {angle}"), "doc").text
    assert all(f"line {i} of the page" in text for i in range(3))


def test_a_page_without_text_is_empty(make_pdf: Make) -> None:
    with pytest.raises(EmptyDocumentError, match="OCR"):
        load_document(make_pdf([[]]), "doc")


def test_what_is_no_pdf_and_what_is_damaged(write: Make) -> None:
    with pytest.raises(LoadError, match="not a PDF"):
        load_document(write("a.pdf", "plain text"), "doc")
    with pytest.raises(LoadError, match="damaged PDF"):
        load_document(write("b.pdf", b"%PDF-1.4\nnothing follows"), "doc")


def test_an_encrypted_file_is_named_so(make_pdf: Make, show: Any) -> None:
    path = make_pdf([[show(72, 700, "secret")]])
    encrypt = (
        b"/Encrypt << /Filter /Standard /V 1 /R 2 /Length 40 /P -4 "
        b"/O <" + b"41" * 32 + b"> /U <" + b"42" * 32 + b"> >> /ID [<00> <00>] /Info"
    )
    path.write_bytes(path.read_bytes().replace(b"/Info", encrypt))
    with pytest.raises(LoadError, match="encrypted PDF"):
        load_document(path, "doc")
