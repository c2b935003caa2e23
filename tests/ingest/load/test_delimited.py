from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.load.registry import load_document
from rag.errors import EmptyDocumentError
from rag.types import Document

Load = Callable[[str, str | bytes], Document]
CELL = st.text(st.sampled_from("ab1 ,;\"\n'é"), max_size=8)


@given(st.lists(st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=5))
@settings(deadline=None)
def test_no_word_is_lost(
    checked: Callable[[Document], Document],
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "rows.csv"
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    path.write_text(buffer.getvalue())
    found = "".join(char for row in rows for cell in row for char in cell if char.isalnum())
    try:
        text = checked(load_document(path, "doc")).text
    except EmptyDocumentError:
        assert not "".join(cell for row in rows for cell in row).strip(" ,;\"\n'")
        return
    assert all(text.count(char) >= min(found.count(char), 1) for char in found)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(
    load: Load, delimiter: str, texts: Callable[..., list[str]]
) -> None:
    rows = [["Product", "Region", "Price"], ["X", "EU", "3.50 EUR"], ["Y, Z", "US", "1,5"]]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    assert texts(load("a.csv", buffer.getvalue()), "table_row") == [
        "Product: X; Region: EU; Price: 3.50 EUR.",
        "Product: Y, Z; Region: US; Price: 1,5.",
    ]


def test_tabs_in_tsv_and_the_hint_of_spreadsheets(load: Load) -> None:
    assert load("a.tsv", "a,x\tb\n1,2\t3\n").text == "a,x: 1,2; b: 3."
    assert load("a.csv", "sep=|\na|b\n1|2\n").text == "a: 1; b: 2."


def test_cells_of_any_size_and_encoding(load: Load) -> None:
    assert load("a.csv", "a,b\n1," + "word " * 40_000).text.count("word") == 40_000
    assert load("a.csv", "Größe,b\n1,2\n".encode("cp1252")).text == "Größe: 1; b: 2."
    assert load("a.csv", "a,b\n1,2\n".encode("utf-16")).text == "a: 1; b: 2."
