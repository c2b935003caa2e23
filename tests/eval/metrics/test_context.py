"""Contexts against results worked out by hand; tokens are counted as words here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.context import relevant_token_precision, tokens_to_first_hit, unused_context
from eval.metrics.sentences import sentences
from eval.metrics.words import answer_recall
from rag.build import build_splitter

SPLITTER = build_splitter()
# Sentences of 1, 4, 6 and 2 words.
PUMP = "Pumps\nThe pump is blue. It is covered for 24 months. Ask Ada."
LONG = "records of the old plant are kept for thirty days by the new archive"


class Words:
    """Counts words as tokens, so that counts can be checked by eye."""

    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["Pumps"], 1),
        (["blue"], 5),
        (["24 months"], 11),
        (["Ada"], 13),
        (["Ada", "24 months"], 11),
        (["blue. It"], 11),  # runs over the end of a sentence
        (["green"], None),
        ([], None),
    ],
)
def test_tokens_to_first_hit(answers: list[str], expected: int | None) -> None:
    assert tokens_to_first_hit(PUMP, answers, Words(), SPLITTER) == expected


@given(
    pieces=st.lists(st.sampled_from(["It is red.", "Ask Ada.", "Nothing here."]), max_size=8),
    answer=st.sampled_from(["red", "Ada", "here"]),
)
def test_the_first_hit_is_within_what_is_there(pieces: list[str], answer: str) -> None:
    context = " ".join(pieces)
    found = tokens_to_first_hit(context, [answer], Words(), SPLITTER)
    assert (found is not None) == answer_recall(context, [answer])
    assert found is None or 0 < found <= Words().count(context)


@pytest.mark.parametrize(
    ("answers", "evidence", "expected"),
    [
        (["24 months"], [], 6 / 13),
        (["24 months", "Ada"], [], 8 / 13),
        (["green"], [], 0),
        (["green"], ["The pump is blue."], 4 / 13),
        (["24 months"], ["The pump is blue."], 10 / 13),
        (["green"], ["The pump is blue and new."], 0),  # shares only four words, not all six
        (["green"], ["!"], 0),
    ],
)
def test_relevant_token_precision(answers: list[str], evidence: list[str], expected: float) -> None:
    pieces = sentences(PUMP, SPLITTER)
    found = relevant_token_precision(pieces, answers, evidence, Words())
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("shared", "relevant"), [(8, True), (7, False)])
def test_eight_words_of_the_evidence_are_enough(shared: int, relevant: bool) -> None:
    # Articles do not count: take the words behind them.
    words = [word for word in LONG.split() if word != "the"]
    piece = " ".join(["Also", *words[2 : 2 + shared], "here"])
    assert bool(relevant_token_precision([piece], ["green"], [LONG], Words())) is relevant


def test_an_empty_context_holds_nothing_relevant() -> None:
    assert relevant_token_precision([], ["green"], [], Words()) == 0


@pytest.mark.parametrize(
    ("quotes", "expected"),
    [
        ([], 1.0),
        (["It is covered for 24 months."], 7 / 13),
        (["It is  covered\nfor 24 months."], 7 / 13),  # other white space
        (["It is covered for 24 months.", "Ask Ada."], 5 / 13),
        (["The pump is blue.", "blue. It is covered"], 6 / 13),  # they overlap: 7 words in all
        (["It is covered for 36 months.", " "], 1.0),
        ([PUMP], 0.0),
    ],
)
def test_unused_context(quotes: list[str], expected: float) -> None:
    assert unused_context(PUMP, quotes, Words()) == pytest.approx(expected)


def test_a_sentence_that_stands_twice_is_used_twice() -> None:
    assert unused_context("Ask Ada. Go. Ask Ada.", ["Ask Ada."], Words()) == pytest.approx(1 / 5)


def test_of_an_empty_context_nothing_can_be_unused() -> None:
    assert unused_context(" \n", ["Ask Ada."], Words()) is None


@given(
    context=st.text(alphabet="ab .\n", max_size=40),
    quotes=st.lists(st.text(alphabet="ab .", max_size=8), max_size=4),
)
def test_more_quotes_never_leave_more_unused(context: str, quotes: list[str]) -> None:
    shares = [unused_context(context, quotes[:n], Words()) for n in range(len(quotes) + 1)]
    if shares[0] is not None:
        assert all(0 <= share <= 1 for share in shares)
        assert shares[0] == 1
