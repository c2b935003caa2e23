import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag.adapters.sentences import NupunktSplitter

SPLITTER = NupunktSplitter()
PIECES = ("Dr.", "Logs", "are", "kept.", "!", "?!", "e.g.", "3.5", "\n\n", "\u2028", "。", "…", '"')
texts = st.one_of(
    st.text(st.characters(), max_size=300),
    st.lists(st.sampled_from((*PIECES, " ", "  ", "The", "end")), max_size=80).map(" ".join),
    st.lists(st.sampled_from((*PIECES, " ", "\x00")), max_size=80).map("".join),
)


def sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in SPLITTER.split(text)]


@settings(max_examples=200, deadline=None)
@given(texts)
@example("")
@example(" \n\t ")
@example(". . . .")
@example("A.\u3000B.\u3000C")
@example("word " * 12_000)
@example("One sentence. " * 4_000)
def test_spans_are_ordered_disjoint_non_blank_and_cover_all_that_is_not_space(text: str) -> None:
    spans = SPLITTER.split(text)
    end = 0
    for span in spans:
        assert span.start >= end
        assert not text[end : span.start].strip()
        assert text[span.start : span.end].strip() == text[span.start : span.end] != ""
        end = span.end
    assert end <= len(text)
    assert not text[end:].strip()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Logs are kept for 30 days. Then they are deleted.", 2),
        ("Dr. Smith met Mr. Jones at 3 p.m. on Friday.", 1),
        ("The value is 3.5 per cent, e.g. in the U.S. and the U.K. today.", 1),
        ("Was it kept? No! It was deleted.", 3),
        ("See Fig. 3 for details. It shows the limit.", 2),
        ("No end mark", 1),
        ("Version 2.0.1 is out. Use it.", 2),
    ],
)
def test_english_prose(text: str, count: int) -> None:
    assert len(sentences(text)) == count


def test_a_sentence_is_verbatim() -> None:
    assert sentences('  He said "Stop."  Then\nhe left.  ')[-1] == "Then\nhe left."


@pytest.mark.parametrize("piece", ["word ", "x", "a, b; ", "\n", "a.b", "词"])
def test_a_megabyte_without_end_marks_is_quick(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    start = time.thread_time()
    spans = SPLITTER.split(text)
    assert time.thread_time() - start < 1.0
    assert sum(span.end - span.start for span in spans) <= len(text)


def test_a_cut_in_a_long_text_is_made_at_white_space() -> None:
    text = "words " * 24_000
    assert len(SPLITTER.split(text)) == 3
    assert all(
        sentence.split()[0] == sentence.split()[-1] == "words" for sentence in sentences(text)
    )
    assert "".join(sentences(text)).replace(" ", "") == text.replace(" ", "")
