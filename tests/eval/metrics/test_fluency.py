"""Fluency: damaged sentences must score lower than whole ones."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.fluency import fluency
from eval.metrics.sentences import sentences
from rag.build import build_splitter

SPLITTER = build_splitter()
# Written for this test, in the manner of manuals, news, guidelines and encyclopaedias.
WHOLE = (
    "The filter has to be cleaned every three months, or after 500 hours of use.",
    "If the light does not go out, switch off the pump and call the service team.",
    "According to the minister, the bridge will be closed until the end of the year.",
    "Patients who take this medicine should not drive on the first day.",
    'The word "quarry" comes from a Latin verb that means "to make square".',
    "Records are kept for 30 days (90 in the EU) and are then deleted from all of the disks.",
    "In 1871 the town was given a charter, and its first mayor was elected in the spring.",
    "A manager who does not answer within five working days has approved the request.",
)


def score(text: str) -> float:
    return fluency(sentences(text, SPLITTER))


def shuffled(text: str) -> str:
    words = text.split()
    random.Random(1).shuffle(words)  # noqa: S311 -- not a secret
    return " ".join(words)


def shuffled_inside(text: str) -> str:
    """Shuffle the words, but let the text begin and end as sentences do."""
    mixed = shuffled(text.lower().rstrip("."))
    return f"{mixed[0].upper()}{mixed[1:]}."


def stuttering(text: str) -> str:
    words = text.split()
    return " ".join(word for i, word in enumerate(words) for word in [word] * (1 + (i % 4 == 0)))


DAMAGES: dict[str, Callable[[str], str]] = {
    "shuffled": shuffled,
    "truncated": lambda text: " ".join(text.split()[:-4]),
    "repeated": lambda text: f"{text} {text}",
    "stuttering": stuttering,
    "lower case": str.lower,
    "undecodable": lambda text: text.replace("e", "\ufffd"),
    "control characters": lambda text: text.replace(" ", "\x00 "),
    "a bracket left open": lambda text: text.replace(" ", " (", 1),
}


@pytest.mark.parametrize("text", WHOLE)
def test_whole_sentences_are_fluent(text: str) -> None:
    assert score(text) == 1


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("text", WHOLE)
def test_damaged_sentences_are_less_fluent(text: str, damage: str) -> None:
    assert score(DAMAGES[damage](text)) < 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_so_are_damaged_paragraphs(damage: str) -> None:
    whole = " ".join(WHOLE)
    damaged = " ".join(map(DAMAGES[damage], WHOLE))
    assert score(damaged) < score(whole)


def test_most_shuffled_sentences_are_seen_by_their_function_words() -> None:
    assert sum(score(shuffled_inside(text)) < 1 for text in WHOLE) > len(WHOLE) / 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the pump is blue.", 1 / 2),  # no beginning
        ("The pump is blue", 1 / 2),  # no end
        ("The pump is blue. It is", 3 / 4),  # one of four edges missing
        ("- blue pumps and\n- Valves", 3 / 4),  # list items need no end mark, but a beginning
        ("The pump (blue is here.", 0),  # one of one brackets has no other half
        ('The "pump" (blue) "is here.', 4 / 5),  # 3 quotation marks, 2 brackets, one is lonely
        ("Ask Ada Ada now.", 2 / 3),  # 3 pairs of neighbours, one of them equal
        # 12 words, 9 runs of four, of which the first 3 come again: six are distinct
        ("One two three four five six one two three four five six.", 6 / 9),
        ("The of is blue.", 1 / 3),  # "the of" and "of is" cannot be, "is blue" can
        ("Thefilterhastobecleanedeverythreemonths.", 0),  # no word is that long
        ("Ask\x00 Ada.", 8 / 9),  # one of nine characters is none
        ("", 0),
        ("...", 0),
    ],
)
def test_worked_by_hand(text: str, expected: float) -> None:
    assert score(text) == pytest.approx(expected)


@given(st.text(max_size=80))
def test_it_is_a_share_of_any_text(text: str) -> None:
    assert 0 <= score(text) <= 1
