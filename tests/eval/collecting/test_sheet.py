"""Drafts as a CSV: what a spreadsheet may do to it, and what it may never do with it."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.collecting.sheet import (
    COLUMNS,
    VERDICTS,
    Draft,
    guarded,
    read_drafts,
    unguarded,
    write_drafts,
)
from rag.errors import LoadError, UsageError

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(str.strip)
FORMULAS = st.sampled_from(["=1+1", "+1", "-1", "@x", "'=1", "''=1", "'", "'a", "\t=1"])
DRAFTS = st.builds(
    Draft,
    id=st.uuids().map(str),
    question=(TEXT | FORMULAS).filter(str.strip).map(str.strip),
    draft_answer=TEXT | FORMULAS.map(str.strip),
    source=st.lists(TEXT.filter(bool), max_size=3, unique=True).map(tuple),
    quote=TEXT,
    confidence=st.none() | st.floats(0, 1).map(lambda x: round(x, 3)),
    grounded_automatic=st.none() | st.floats(0, 1).map(lambda x: round(x, 3)),
    verdict=st.none() | st.sampled_from(VERDICTS),
    corrected_answer=TEXT | FORMULAS.map(str.strip),
    answerable=st.none() | st.booleans(),
    grounded=st.none() | st.booleans(),
    helpful=st.none() | st.booleans(),
    note=TEXT,
)


@given(st.text() | FORMULAS)
def test_no_cell_is_a_formula_and_none_is_changed(cell: str) -> None:
    written = guarded(cell)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert unguarded(written) == cell


@settings(max_examples=60, deadline=None)
@given(st.lists(DRAFTS, min_size=1, max_size=4, unique_by=lambda draft: draft.id))
def test_what_is_written_is_what_is_read(drafts: list[Draft]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "drafts.csv"
        write_drafts(drafts, path)
        placed = read_drafts(path)
        content = path.read_bytes()
        assert [each.name for each in Path(name).iterdir()] == ["drafts.csv"]
    assert [each.draft for each in placed] == drafts
    assert content.startswith(b"\xef\xbb\xbf")


def test_every_hostile_cell_is_defused_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    write_drafts([Draft("q", "=cmd|'/c calc'!A0", "@SUM(1)", ("=x.txt",), "-2")], path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, row = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert read_drafts(path)[0].draft.question == "=cmd|'/c calc'!A0"


def rewritten(path: Path, delimiter: str = ";", **changed: str) -> Path:
    """Save the file as a spreadsheet of another country does, with some cells typed anew."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(row | changed for row in rows)
    path.write_text(text.getvalue(), encoding="utf-8-sig", newline="")
    return path


@pytest.fixture
def one(tmp_path: Path) -> Path:
    path = tmp_path / "drafts.csv"
    write_drafts([Draft("q", "How long?", "24 months", ("a.txt",), confidence=0.5)], path)
    return path


def test_a_spreadsheet_may_save_it_in_its_own_way(one: Path) -> None:
    typed = {"confidence": "0,5", "verdict": "Accept", "grounded": "TRUE", "helpful": "N"}
    [placed] = read_drafts(rewritten(one, **typed))
    assert placed.where == "drafts.csv:2"
    draft = placed.draft
    assert (draft.confidence, draft.verdict, draft.grounded, draft.helpful) == (
        *(0.5, "accept", True),
        False,
    )


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ({"verdict": "maybe"}, "verdict in doubt"),
        ({"grounded": "rather"}, "verdict in doubt"),
        ({"answerable": "?"}, "verdict in doubt"),
        ({"question": " "}, "blank question"),
        ({"id": ""}, "unusable row"),
        ({"confidence": "high"}, "unusable row"),
    ],
)
def test_what_cannot_be_meant_is_said(one: Path, typed: dict[str, str], kind: str) -> None:
    with pytest.raises(LoadError, match=f"drafts.csv:2: {kind}"):
        read_drafts(rewritten(one, ",", **typed))


def test_files_that_hold_no_drafts(tmp_path: Path, one: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_drafts(tmp_path / "gone.csv")
    lines = one.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    for text, message in (
        (lines[0], "1 no questions"),
        ("id,question\nq,a\n", "column is missing: draft_answer, source"),
        ("".join((*lines, lines[1])), "1 duplicate id"),
    ):
        one.write_text(text, encoding="utf-8")
        with pytest.raises(LoadError, match=message):
            read_drafts(one)
