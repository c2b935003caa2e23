from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.load.builder import DocumentBuilder
from ingest.load.tables import is_header, row_sentence, write_table
from rag.types import Document

ROWS = [["Product", "Region", "Price"], ["X", "EU", "3.50 EUR"], ["Y", "", "4"]]


def lines(rows: Sequence[Sequence[str]], names: Sequence[str] | None = None) -> list[str]:
    builder = DocumentBuilder()
    write_table(builder, rows, names)
    return builder.build("id", "text/csv", "t").text.split("\n")


def test_rows_name_their_columns() -> None:
    assert lines(ROWS) == ["Product: X; Region: EU; Price: 3.50 EUR.", "Product: Y; Price: 4."]


def test_columns_without_a_header_are_numbered() -> None:
    assert lines([["1", "2"], ["3", "4"]]) == [
        "Column 1: 1; Column 2: 2.",
        "Column 1: 3; Column 2: 4.",
    ]


def test_a_title_row_is_a_paragraph_and_the_next_row_the_header() -> None:
    assert lines([["Sales", "", ""], *ROWS])[:3] == ["Sales", "", lines(ROWS)[0]]


def test_names_of_empty_columns_are_not_lost() -> None:
    assert lines([["a", "b"], ["1", ""]])[-1] == "Columns without values: b."
    assert lines([], ["a", "b"]) == ["a; b."]


def test_given_names_win_and_empty_names_leave_cells_alone() -> None:
    assert lines([["1", "2"]], ["n:", ""]) == ["n: 1; 2."]
    assert lines([["Team", "City"], ["A", "B"]], ()) == ["Team; City.", "A; B."]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (["name", "age"], True),
        (["", "a", "b"], True),
        (["name", "name"], False),
        (["2019", "2020"], False),
        (["me@example.org", "you"], False),
        (["word " * 30, "b"], False),
        (["a", "", "", "b"], False),
        (["", "", "a", "b"], True),
        (["", ""], False),
    ],
)
def test_headers(row: list[str], expected: bool) -> None:
    assert is_header(row) is expected


def test_a_sentence_ends_once() -> None:
    assert row_sentence(["Done!"], []) == "Done!"


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), min_size=1, max_size=6))
def test_no_word_is_lost(checked: Callable[[Document], Document], rows: list[list[str]]) -> None:
    builder = DocumentBuilder()
    write_table(builder, rows)
    words = {word for row in rows for cell in row for word in builder_words(cell)}
    if words:
        text = checked(builder.build("id", "text/csv", "t")).text
        assert all(word in text for word in words)


def builder_words(cell: str) -> list[str]:
    """Return the alphanumeric runs that survive cleaning."""
    return ["".join(filter(str.isalnum, part)) for part in cell.split() if part.isalnum()]
