"""How texts are compared: as words, against results worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import words

WORDS = st.text(alphabet="abc the, .'\"XY1-", max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  U.S. Army's\nHQ!", "us armys hq"),
        ("An answer, a question; the end.", "answer question end"),
        ("theatre", "theatre"),
        ("", ""),
    ],
)
def test_normalised_follows_the_squad_script(text: str, expected: str) -> None:
    assert words.normalised(text) == expected


@pytest.mark.parametrize(
    ("context", "answers", "expected"),
    [
        ("It was held in Santa Clara, California.", ["Santa Clara California"], True),
        ("The party was over.", ["art"], False),
        ("In 1998 it rose.", ["98"], False),
        ("the   golden\nanniversary of it", ['"golden anniversary"'], True),
        ("He was called “Spurs”.", ["Spurs"], True),
        ("nothing here", ["missing", "here"], True),
        ("anything", [], False),
        ("golden, then an anniversary", ["golden anniversary"], False),
        ("golden age, anniversary", ["golden anniversary"], False),
        ("grade: the", ["The"], True),
        ("grade: B", ["The"], False),
    ],
)
def test_answer_recall(context: str, answers: list[str], expected: bool) -> None:
    assert words.answer_recall(context, answers) is expected


@given(before=WORDS, answer=WORDS, after=WORDS)
def test_an_answer_with_space_around_it_is_found(before: str, answer: str, after: str) -> None:
    found = words.answer_recall(f"{before} {answer} {after}", [answer])
    assert found or not answer.strip()


@given(context=WORDS, answer=WORDS, more=WORDS)
def test_more_context_never_loses_an_answer(context: str, answer: str, more: str) -> None:
    if words.answer_recall(context, [answer]):
        assert words.answer_recall(f"{context}\n{more}", [answer])
