from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.load.builder import DocumentBuilder, clean
from ingest.load.limits import ParseLimits
from rag.errors import EmptyDocumentError, ParseLimitError, ValueRangeError
from rag.types import BlockKind, Document

KINDS = st.sampled_from(get_args(BlockKind))
ANY_TEXT = st.text(st.characters(), max_size=40)  # surrogates and control characters included


@given(st.lists(st.tuples(ANY_TEXT, KINDS, st.integers(0, 4))))
def test_blocks_are_ordered_disjoint_stripped_and_lose_no_word(
    checked: Callable[[Document], Document], entries: list[tuple[str, BlockKind, int]]
) -> None:
    builder = DocumentBuilder()
    for text, kind, level in entries:
        if level and kind == "heading":
            builder.heading(text, level)
        else:
            builder.add(text, kind)
    words = [word for text, _, _ in entries for word in clean(text).split()]
    if not words:
        with pytest.raises(EmptyDocumentError):
            builder.build("id", "text/plain", "fallback")
        return
    document = checked(builder.build("id", "text/plain", "fallback"))
    assert document.text.split() == words


@given(ANY_TEXT)
def test_clean_text_is_storable_and_clean_again(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned
    assert not any(ord(char) < 32 and char not in "\n\t" for char in cleaned)


def test_headings_form_a_path() -> None:
    builder = DocumentBuilder()
    for level, name in ((1, "A"), (2, "B"), (3, "C"), (2, "D")):
        builder.heading(name, level)
        builder.add(f"under {name}")
    blocks = builder.build("id", "text/plain", "x").blocks
    assert [block.headings for block in blocks if block.kind == "heading"] == [
        (), ("A",), ("A", "B"), ("A",),
    ]  # fmt: skip
    assert [block.headings for block in blocks if block.kind == "paragraph"] == [
        ("A",), ("A", "B"), ("A", "B", "C"), ("A", "D"),
    ]  # fmt: skip


def test_rows_and_items_stand_on_adjacent_lines_and_paragraphs_apart() -> None:
    builder = DocumentBuilder()
    for text, kind in (("a", "paragraph"), ("b", "list_item"), ("c", "list_item")):
        builder.add(text, kind)  # type: ignore[arg-type]  # a literal in a tuple widens
    builder.add("d", "table_row")
    assert builder.build("id", "text/plain", "x").text == "a\n\nb\nc\n\nd"


def test_title_is_the_one_set_then_the_first_heading_then_the_last_resort() -> None:
    builder = DocumentBuilder()
    builder.add("text")
    assert builder.build("id", "text/plain", "name").title == "name"
    builder.heading("A  heading\n", 2)
    assert builder.build("id", "text/plain", "name").title == "A heading"
    builder.title = " Set "
    assert builder.build("id", "text/plain", "name").title == "Set"


def test_growth_past_the_limit_is_refused() -> None:
    builder = DocumentBuilder(ParseLimits(output_chars=10))
    builder.add("12345")
    with pytest.raises(ParseLimitError, match="10 characters"):
        builder.add("67890")


def test_limits_are_positive() -> None:
    with pytest.raises(ValueRangeError, match="wall_seconds"):
        ParseLimits(wall_seconds=0)
