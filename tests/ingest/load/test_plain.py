from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from ingest.load import plain
from ingest.load.builder import DocumentBuilder, clean
from rag.types import Document

Load = Callable[[str, str | bytes], Document]


@given(st.text(max_size=300))
def test_no_word_is_lost(checked: Callable[[Document], Document], text: str) -> None:
    builder = DocumentBuilder()
    plain.render(text, builder)
    if clean(text).strip():
        assert checked(builder.build("id", "text/plain", "t")).text.split() == clean(text).split()


def test_paragraphs(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load("notes.txt", "One\ntwo.\r\n \t\r\nThree.\fFour.")
    assert texts(document) == ["One\ntwo.", "Three.", "Four."]
    assert document.title == "notes"


def test_log_lines_are_blocks(load: Load, texts: Callable[..., list[str]]) -> None:
    assert texts(load("a.log", "10:00 start\n\n10:01 stop\n")) == ["10:00 start", "10:01 stop"]
