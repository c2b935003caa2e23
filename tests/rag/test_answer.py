import math
from collections.abc import Callable
from dataclasses import astuple, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.analysis import EnglishAnalyzer
from rag.answer import LEXICAL, NEURAL, Calibration, Signals, asked_kind, choose, holds
from rag.results import Context, Evidence, Passage
from rag.retrieve import Found
from rag.types import Chunk

MakeChunk = Callable[..., Chunk]
ANALYZER = EnglishAnalyzer()
unit = st.floats(0, 1)
signals = st.builds(Signals, unit, st.floats(-1, 1), unit, unit)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When was it founded?", "date"),
        ("In which year did it end?", "date"),
        ("What time does the office open?", "date"),
        ("How many days are logs kept?", "number"),
        ("how much does it cost", "number"),
        ("What percentage is kept?", "number"),
        ("Which port does it listen on?", "number"),
        ("Who signs the contract?", "name"),
        ("To whom do I report?", "name"),
        ("Whose laptop is it?", "name"),
        ("Why are logs kept?", None),
        ("What is kept?", None),
        ("Is the whole team invited?", None),
        ("Tell me about Whoville", None),
        ("", None),
    ],
)
def test_the_kind_a_question_asks_for(question: str, kind: str | None) -> None:
    assert asked_kind(question) == kind


@pytest.mark.parametrize(
    ("kind", "sentence", "question", "expected"),
    [
        ("date", "It was founded in 1998.", "When was it founded?", True),
        ("date", "Founded in 1998, it grew.", "When, after 1998, did it grow?", False),
        ("date", "It opens at 9:30.", "When does it open?", True),
        ("date", "Reports are due monthly.", "When are reports due?", True),
        ("date", "It was founded long ago.", "When was it founded?", False),
        ("date", "It has 12 members.", "When was it founded?", False),
        ("number", "Logs are kept for thirty days.", "How long are logs kept?", True),
        ("number", "Logs are kept for 30 days.", "How long are logs kept?", True),
        ("number", "Logs are kept.", "How long are logs kept?", False),
        ("number", "Plan 3 is for teams.", "How much does plan 3 cost?", False),
        ("name", "The contract is signed by Ada Lovelace.", "Who signs the contract?", True),
        ("name", "Ada Lovelace signs.", "What did Ada Lovelace do, and who else?", False),
        ("name", "it is signed by the manager.", "Who signs it?", False),
    ],
)
def test_whether_a_sentence_holds_what_was_asked_for(
    kind: str, sentence: str, question: str, expected: bool
) -> None:
    assert holds(kind, sentence, question) is expected  # type: ignore[arg-type]


@given(signals, st.sampled_from([LEXICAL, NEURAL]))
def test_confidence_is_a_probability(given_signals: Signals, calibration: Calibration) -> None:
    assert 0 < calibration.probability(given_signals) < 1


@given(signals, st.sampled_from(fields(Signals)), unit, st.sampled_from([LEXICAL, NEURAL]))
def test_a_stronger_signal_never_lowers_the_confidence(
    weaker: Signals, field: object, more: float, calibration: Calibration
) -> None:
    name = field.name  # type: ignore[attr-defined]
    stronger = replace(weaker, **{name: getattr(weaker, name) + more})
    assert calibration.probability(stronger) >= calibration.probability(weaker)


def test_the_logistic_model_by_hand() -> None:
    calibration = Calibration(-1.0, (1.0, 0.0, 4.0, 2.0))
    likely = calibration.probability(Signals(0.5, 0.9, 0.25, 0.25))
    assert likely == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert calibration.probability(Signals(1.0, 0.0, 0.0, 0.0)) == 0.5


def test_the_lexical_model_does_not_look_at_vectors() -> None:
    assert LEXICAL.weights[[field.name for field in fields(Signals)].index("cosine")] == 0
    assert len(NEURAL.weights) == len(LEXICAL.weights) == len(fields(Signals))


def asked(question: str, *evidence: Evidence) -> tuple[Found, Context]:
    idf = dict.fromkeys(ANALYZER.terms(question), 1.0)
    passages = tuple(Passage(e.chunk, 1.0, ()) for e in evidence)
    return Found(passages, idf), Context("", 0, 64, evidence)


def evidence_of(make_chunk: MakeChunk, text: str, score: float, **more: object) -> Evidence:
    cosine = more.pop("cosine", None)
    return Evidence(make_chunk([text], **more), 0, score, cosine, 0.0, source=1)  # type: ignore[arg-type]


def test_nothing_packed_gives_no_choice() -> None:
    assert choose("Why?", *asked("Why?"), ANALYZER) is None


def test_single_evidence_is_chosen_with_no_lead(make_chunk: MakeChunk) -> None:
    question = "How long are logs kept?"
    only = evidence_of(make_chunk, "Logs are kept for 30 days.", 1.0)
    choice = choose(question, *asked(question, only), ANALYZER)
    assert choice is not None
    assert choice.evidence is only
    assert choice.signals.lead == 0
    assert choice.confidence == LEXICAL.probability(choice.signals)


def test_the_kind_asked_for_decides_between_near_equals(make_chunk: MakeChunk) -> None:
    vague = evidence_of(make_chunk, "Logs are kept for long.", 1.05)
    exact = evidence_of(make_chunk, "Logs are kept for 30 days.", 1.0)
    question = "How long are logs kept?"
    choice = choose(question, *asked(question, vague, exact), ANALYZER)
    assert choice is not None
    assert choice.evidence is exact
    assert choice.signals.lead == pytest.approx(0.25)
    question = "Why are logs kept?"
    choice = choose(question, *asked(question, vague, exact), ANALYZER)
    assert choice is not None
    assert choice.evidence is vague


def test_signals_in_the_neural_tier(make_chunk: MakeChunk) -> None:
    question = "retention of logs in Malta"
    best = evidence_of(make_chunk, "Logs are kept.", 3.0, cosine=0.7, title="Retention")
    next_best = evidence_of(make_chunk, "Malta is warm.", 1.0, cosine=0.1)
    choice = choose(question, *asked(question, best, next_best), ANALYZER)
    assert choice is not None
    assert astuple(choice.signals) == pytest.approx((2 / 3, 0.7, 1.0, 1.0))
    assert choice.confidence == NEURAL.probability(choice.signals)


@pytest.mark.parametrize(
    ("question", "held"),
    [
        ("How are logs kept?", 1.0),
        ("How does RFC-2119 keep logs?", 1.0),
        ("How does rfc2118 keep logs?", 0.0),
        ("How were 30 logs kept in 1999 under plan A3?", 0.0),
    ],
)
def test_numbers_that_the_question_names_have_to_be_there(
    make_chunk: MakeChunk, question: str, held: float
) -> None:
    only = evidence_of(make_chunk, "Logs of 1999 and 2119 are kept.", 1.0, title="Plan a3")
    choice = choose(question, *asked(question, only), ANALYZER)
    assert choice is not None
    assert choice.signals.numbers == held


@given(scores=st.lists(st.floats(-1, 3), min_size=1, max_size=6), question=st.text(max_size=40))
def test_the_choice_is_one_of_the_packed_sentences(
    make_chunk: MakeChunk, scores: list[float], question: str
) -> None:
    packed = [
        evidence_of(make_chunk, f"Sentence {n} of some text.", score)
        for n, score in enumerate(scores)
    ]
    choice = choose(question, *asked(question, *packed), ANALYZER)
    assert choice is not None
    assert choice.evidence in packed
    assert 0 <= choice.signals.lead <= 1
    assert 0 < choice.confidence < 1
