from collections.abc import Callable

import pytest

from rag.leaning import leans_on
from rag.types import Chunk, Span

MakeChunk = Callable[..., Chunk]


def chunk_of(make_chunk: MakeChunk, text: str, *sentences: str) -> Chunk:
    starts = [text.index(sentence) for sentence in sentences]
    spans = tuple(Span(at, at + len(s)) for at, s in zip(starts, sentences, strict=True))
    whole = make_chunk([text])
    return Chunk("id", "doc", "", text, 0, len(text), whole.tokens, spans)


@pytest.mark.parametrize(
    ("second", "needed"),
    [
        ("It lasts 30 days.", 0),
        ("This lasts 30 days.", 0),
        ("these last 30 days.", 0),
        ("Itself it lasts 30 days.", None),
        ("The limit is 30 days.", None),
        ("Thistle lasts 30 days.", None),
    ],
)
def test_a_first_word_that_stands_for_something_needs_the_sentence_before(
    make_chunk: MakeChunk, second: str, needed: int | None
) -> None:
    chunk = chunk_of(make_chunk, f"Retention is limited. {second}", "Retention is limited.", second)
    assert leans_on(chunk, 1) == needed
    assert leans_on(chunk, 0) is None


def test_items_need_the_line_above_their_list(make_chunk: MakeChunk) -> None:
    text = "Roles are:\n\nreader\nwriter\nowner\n\nOthers have none."
    chunk = chunk_of(
        make_chunk, text, "Roles are:", "reader", "writer", "owner", "Others have none."
    )
    assert [leans_on(chunk, i) for i in range(5)] == [None, 0, 0, 0, None]


def test_a_colon_inside_a_paragraph_leads_no_list(make_chunk: MakeChunk) -> None:
    chunk = chunk_of(make_chunk, "Note: read on.", "Note:", "read on.")
    assert leans_on(chunk, 1) is None


def test_nothing_leans_on_a_headline(make_chunk: MakeChunk) -> None:
    chunk = make_chunk(["Retention", "It lasts 30 days."], headlines=(0,))
    assert leans_on(chunk, 1) is None
    assert leans_on(make_chunk(["Retention is limited.", "It lasts 30 days."]), 1) == 0
