import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.analysis import EnglishAnalyzer
from rag.kinds import aim
from rag.phrases import Phrase, Signs, ranked_phrases

ANALYZER = EnglishAnalyzer()
WORDS = st.sampled_from(
    "Logs are kept for 30 days , by Ada King of Bern in May 2021 and ( QY-3777 ) EUR 140 .".split()
)


def ranked(question: str, sentence: str) -> list[Phrase]:
    idf = dict.fromkeys(ANALYZER.terms(question), 1.0)
    return ranked_phrases(sentence, aim(question, ANALYZER), idf, ANALYZER)


def texts(question: str, sentence: str) -> list[str]:
    return [sentence[p.span.start : p.span.end] for p in ranked(question, sentence)]


@pytest.mark.parametrize(
    ("question", "sentence", "answer"),
    [
        ("How long is the warranty?", "The warranty is 24 months from delivery.", "24 months"),
        ("Who signs the contract?", "It is signed by Ada Lovelace, our lawyer.", "Ada Lovelace"),
        ("When did the office open?", "The Bern office opened in May 2021.", "May 2021"),
        ("Which port does it listen on?", "It listens on port 8443.", "8443"),
        ("How long are audit logs kept?", "Class: Audit logs; Kept: 24 months", "24 months"),
        ("Where is the archive?", "The archive is in Gothenburg since 1999.", "Gothenburg"),
        ("What share was lost?", "A share of 6.8 % was lost on the way.", "6.8 %"),
        ("Which company makes the pump?", "The pump is made by the company Kaldvarn.", "Kaldvarn"),
    ],
)
def test_the_phrase_that_answers(question: str, sentence: str, answer: str) -> None:
    assert texts(question, sentence)[0] == answer


def test_names_and_numbers_are_not_cut() -> None:
    found = texts("Who?", "On 7 May 2021 Ada King Lovelace paid 1.2 million euros.")
    assert {"7 May 2021", "Ada King Lovelace", "1.2 million"} <= set(found)
    assert not {"7", "7 May", "2021", "Ada King", "Lovelace", "1.2"} & set(found)


def test_what_the_question_says_is_no_answer_to_it() -> None:
    assert texts("Who succeeded Ada Lovelace?", "Ada Lovelace was followed by Grace Hopper.")[
        0
    ] == ("Grace Hopper")


def test_a_sentence_without_words_of_its_own_has_no_phrase() -> None:
    assert ranked("Who is it?", "It is -- of the!") == []
    assert ranked("", "") == []


def test_signs_by_hand() -> None:
    found = ranked("Who signs contracts?", "Contracts go to Ada.")
    (ada,) = (p.signs for p in found if p.span.start == 16)
    assert ada == Signs(
        near=0.5 / 4,  # half of the mass, three words before
        repeats=0.0,
        fits=1.0,
        named=0.0,
        closes=1.0,
        introduced=0.0,
        joins=0,
        head=0.0,
    )


@given(st.lists(WORDS, max_size=40), st.lists(WORDS, max_size=8))
def test_phrases_are_whole_words_with_shares_of_one(sentence: list[str], asked: list[str]) -> None:
    text = " ".join(sentence)
    found = ranked(" ".join(asked), text)
    assert len({p.span for p in found}) == len(found)
    assert [p.share for p in found] == sorted((p.share for p in found), reverse=True)
    if found:
        assert math.fsum(p.share for p in found) == pytest.approx(1)
    for phrase in found:
        start, end = phrase.span.start, phrase.span.end
        assert text[start:end].strip() == text[start:end] != ""
        assert not (start and text[start - 1].isalnum() and text[start].isalnum())


@given(st.text(max_size=200), st.text(max_size=60))
def test_any_text_is_taken(sentence: str, question: str) -> None:
    for phrase in ranked(question, sentence):
        assert 0 <= phrase.span.start < phrase.span.end <= len(sentence)


@pytest.mark.parametrize(
    "sentence", ["a." * 40_000, "A" * 80_000, "1,1" * 30_000, "Ada " * 20_000, "(" * 80_000]
)
def test_time_is_bounded_for_what_is_no_sentence(sentence: str) -> None:
    started = time.process_time()
    ranked("Who paid 1,1 to Ada?", sentence)
    assert time.process_time() - started < 0.5
