"""How a text is cut for judging: by sentences, and at the ends of complete lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.sentences import sentence_spans, sentences
from rag.build import build_splitter

SPLITTER = build_splitter()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two!", ("One.", "Two!")),
        ("Heading\nIt is so.", ("Heading", "It is so.")),
        ("- first\n- second", ("- first", "- second")),
        ("A line that was\nwrapped. Next.", ("A line that was\nwrapped.", "Next.")),
        ("  \n", ()),
    ],
)
def test_sentences(text: str, expected: tuple[str, ...]) -> None:
    assert sentences(text, SPLITTER) == expected


@given(st.text(alphabet="aB. \n!-", max_size=60))
def test_no_character_is_lost(text: str) -> None:
    spans = sentence_spans(text, SPLITTER)
    assert "".join("".join(text[s.start : s.end].split()) for s in spans) == "".join(text.split())
    assert all(a.end <= b.start for a, b in pairwise(spans))
