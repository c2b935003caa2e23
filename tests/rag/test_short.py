from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.analysis import EnglishAnalyzer
from rag.results import Evidence
from rag.short import Exact, exact_answer
from rag.types import Chunk, Span

MakeChunk = Callable[..., Chunk]
ANALYZER = EnglishAnalyzer()


def answered(question: str, chunk: Chunk, sentence: int = 0, coverage: float = 1.0) -> Exact | None:
    idf = dict.fromkeys(ANALYZER.terms(question), 1.0)
    evidence = Evidence(chunk, sentence, 1.0, None, coverage, source=1)
    return exact_answer(question, evidence, idf, ANALYZER)


@pytest.mark.parametrize(
    ("question", "sentence", "verdict"),
    [
        ("Is overtime paid?", "Overtime is paid.", "yes"),
        ("Is overtime paid?", "Overtime isn't paid.", "no"),
        ("Is overtime not paid?", "Overtime is never paid.", "yes"),
        ("Is overtime not paid?", "Overtime is paid.", "no"),
        ("Is overtime paid?", "We asked whether overtime is paid.", None),
        ("Is overtime paid?", "Overtime may be paid.", None),
        ("Is overtime paid?", "Is overtime paid?", None),
    ],
)
def test_a_verdict_needs_a_statement(
    make_chunk: MakeChunk, question: str, sentence: str, verdict: str | None
) -> None:
    found = answered(question, make_chunk([sentence]))
    assert (found.text if found else None) == verdict
    if found:
        assert (found.form, found.spans) == ("verdict", (Span(0, len(sentence)),))


def test_a_verdict_needs_nearly_all_that_was_asked(make_chunk: MakeChunk) -> None:
    chunk = make_chunk(["Overtime is paid."])
    assert answered("Is overtime paid?", chunk, coverage=0.79) is None


def test_a_phrase_stands_in_its_sentence(make_chunk: MakeChunk) -> None:
    chunk = make_chunk(["Logs are kept.", "Audit logs are kept for 24\nmonths."])
    found = answered("How long are audit logs kept?", chunk, 1)
    assert found is not None
    assert found.text == "24\nmonths"
    assert [chunk.text[s.start : s.end] for s in found.spans] == ["24\nmonths"]


def test_reasons_are_left_to_the_sentence(make_chunk: MakeChunk) -> None:
    assert answered("Why are logs kept?", make_chunk(["Logs are kept for Ada."])) is None


LIST = ["Guests pay these fees:", "- parking\n2) the sauna", "Dogs stay free."]


@pytest.mark.parametrize("sentence", [0, 1])
def test_a_list_is_its_items(make_chunk: MakeChunk, sentence: int) -> None:
    chunk = make_chunk(LIST, separator="\n\n")
    found = answered("Which fees do guests pay?", chunk, sentence)
    assert found is not None
    assert (found.form, found.text) == ("list", "parking; the sauna")
    assert [chunk.text[s.start : s.end] for s in found.spans] == ["parking", "the sauna"]


def test_no_list_is_made_of_what_is_none(make_chunk: MakeChunk) -> None:
    below = answered("Which fees do guests pay?", make_chunk(LIST, separator="\n\n"), 2)
    one = answered("Which fees do guests pay?", make_chunk(["Fees:", "Parking"], separator="\n"))
    single = answered("Which fee do guests pay?", make_chunk(LIST, separator="\n\n"), 0)
    assert [found.form for found in (below, one, single) if found] == ["phrase"] * 3


@given(
    st.lists(st.text(max_size=30), min_size=1, max_size=6),
    st.sampled_from(("Which fees are due?", "Is it due?", "Who?", "What is 7?")),
    st.sampled_from((" ", "\n", "\n\n", ":\n")),
)
def test_nothing_is_said_that_does_not_stand_there(
    make_chunk: MakeChunk, sentences: list[str], question: str, separator: str
) -> None:
    chunk = make_chunk(sentences, separator=separator)
    for number in range(len(sentences)):
        found = answered(question, chunk, number)
        if found is not None and found.form != "verdict":
            assert found.text == "; ".join(chunk.text[s.start : s.end] for s in found.spans)
            assert all(found.text and s.start < s.end for s in found.spans)
