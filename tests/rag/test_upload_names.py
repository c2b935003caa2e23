"""Names that documents may be sent under."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.load.registry import FORMATS
from rag.document_kinds import SUFFIXES
from rag.errors import RagError, UnsupportedFormatError, ValueRangeError
from rag.upload_names import LONGEST_BYTES, checked_name, folded


@pytest.mark.parametrize(
    "name",
    [
        "report.pdf",
        "Q3 figures (final).xlsx",
        "Übersicht.md",
        "報告.txt",
        "a.b.c.html",
        "x.PDF",
        "1.c",
    ],
)
def test_usual_names_are_kept(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".env",
        "..",
        "../x.txt",
        "a/b.txt",
        "a\\b.txt",
        "/etc/passwd.txt",
        "c:x.txt",
        "x.txt\0",
        "a\nb.txt",
        "a\r\nX-Evil: 1.txt",
        "a\x1b[31m.txt",
        "fdp.\u202etxt.md",
        "a\u200bb.txt",
        "\ufeffa.txt",
        "a\ud800.txt",
        " a.txt",
        "a.txt ",
        "a.txt.",
        "-rf.txt",
        "~a.txt",
        "CON.txt",
        "lpt1.md",
        "com¹.txt",
        "a*.txt",
        "a?.txt",
        "a\uff5cb\uff0fc.txt",
        "x" * 197 + ".txt",
    ],
)
def test_what_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueRangeError, match=r"Send another name") as refused:
        checked_name(name)
    assert str(refused.value).isprintable()  # and so is fit for a log and a terminal


@pytest.mark.parametrize("name", ["x.exe", "x", "x.tar.gz", "x.zip", "md", "x.md.png"])
def test_what_no_loader_reads_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedFormatError):
        checked_name(name)


def test_the_kinds_are_those_that_ingest_reads() -> None:
    assert set(FORMATS) == SUFFIXES


def test_a_decomposed_name_is_composed() -> None:
    assert checked_name("u\u0308.txt") == "\u00fc.txt"


@given(st.text(max_size=40), st.sampled_from([".txt", ".md", ""]))
def test_a_name_that_passes_is_one_plain_file(stem: str, suffix: str) -> None:
    try:
        name = checked_name(stem + suffix)
    except RagError:
        return
    assert Path("/folder", name).parent == Path("/folder")
    assert os.path.normpath(f"/folder/{name}") == f"/folder/{name}"
    assert name.isprintable()
    assert not name.startswith((".", "_uploads"))
    assert len(name.encode()) <= LONGEST_BYTES
    assert checked_name(name) == name


@given(st.text(max_size=20))
def test_folding_takes_names_together_that_look_alike(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert folded(text) == folded(unicodedata.normalize("NFD", text))


@pytest.mark.parametrize(
    ("one", "other"), [("A.txt", "a.TXT"), ("ﬁle.txt", "file.txt"), ("Straße.md", "STRASSE.md")]
)
def test_names_that_a_file_system_takes_for_one(one: str, other: str) -> None:
    assert folded(one) == folded(other)
