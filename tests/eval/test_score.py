"""From a question and what it got to scores: which measures have a value, and which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from eval.datasets import Case
from eval.measures import MEASURES
from eval.outcomes import Outcome, Quote
from eval.safety.checker import Finding
from eval.score import Scorer
from rag.adapters.hash_embedder import HashEmbedder
from rag.build import build_analyzer, build_splitter

TEXT = "The pump is blue. It is covered for 24 months. Ask Ada."
CASE = Case(
    id="q1",
    text="How long is the pump covered?",
    answers=("24 months", "two years"),
    gold=(("pumps", 2), ("terms", 1)),
    answerable=True,
    meta={"evidence": ["The pump is blue."]},
)
ANSWERED = Outcome(
    ranking=("valves", "pumps"),
    context=f"Pumps\n{TEXT}",
    context_tokens=13,
    cap_tokens=256,
    answer="It is covered for 24 months.",
    short="24 months",
    citations=(Quote("pumps", "It is covered for 24 months.", 18, 46),),
    refused=False,
    confidence=0.9,
)
REFUSED = replace(ANSWERED, answer=None, short=None, citations=(), refused=True, reason="unsure")
SILENT = replace(REFUSED, refused=None, reason=None)  # a system that only retrieves
ANSWER = {
    name
    for name, measure in MEASURES.items()
    if measure.group in {"answer", "groundedness", "safety"}
}


class Words:
    """Counts words as tokens; supports a statement with the share of its words in the evidence."""

    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())

    def score(self, statements: Sequence[str], evidence: Sequence[str]) -> tuple[float, ...]:
        held = set(" ".join(evidence).replace(".", "").split())
        said = [statement.replace(".", "").split() for statement in statements]
        return tuple(sum(word in held for word in words) / len(words) for words in said)


class Swearing:
    """Finds one word."""

    def check(self, question: str, answer: str, context: str) -> tuple[Finding, ...]:
        assert question == CASE.text
        assert context in {"", "Pumps", ANSWERED.context}
        return (Finding("hate", "darn", "a word"),) if "darn" in answer else ()


def scorer(**changed: Any) -> Scorer:
    parts = {
        "tokenizer": Words(),
        "splitter": build_splitter(),
        "analyzer": build_analyzer(),
        "embedder": None,
        "groundedness": Words(),
        "safety": Swearing(),
        "texts": {"pumps": TEXT, "valves": "Valves are red."},
    }
    return Scorer(**(parts | changed))


def scores(case: Case, outcome: Outcome) -> dict[str, float]:
    """Return the measures that have a value."""
    found, _ = scorer().score(case, outcome)
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("outcome", [ANSWERED, REFUSED, SILENT])
@pytest.mark.parametrize("answerable", [True, False])
def test_every_deterministic_measure_is_there_in_order(outcome: Outcome, answerable: bool) -> None:
    found, _ = scorer().score(replace(CASE, answerable=answerable), outcome)
    assert list(found) == [name for name, measure in MEASURES.items() if not measure.repeats]
    assert {type(value) for value in found.values()} <= {float, type(None)}


def test_an_answered_question_worked_by_hand() -> None:
    found = scores(CASE, ANSWERED)
    assert found == {
        # Gold at rank 2 with grade 2, the other, of grade 1, not found.
        "recall_at_5": 0.5,
        "recall_at_10": 0.5,
        "ndcg_at_10": pytest.approx((2 / 1.58496) / (2 + 1 / 1.58496), abs=1e-5),
        "mrr": 0.5,
        "map": 0.25,
        # Sentences of 1, 4, 6 and 2 words: the second is evidence, the third holds the answer.
        "answer_recall": 1,
        "tokens_to_first_hit": 11,
        "relevant_tokens": pytest.approx(10 / 13),
        "context_tokens": 13,
        "cap_tokens": 256,
        "unused_context": pytest.approx(7 / 13),
        "answered": 1,
        "right_when_answered": 1,
        "exact_match": 1,
        "token_f1": 1,
        "key_points": 1,
        "fluency": 1,
        "citation_precision": 1,
        "citation_recall": 1,
        "groundedness": 1,
        "grounded": 1,
        "safe": 1,
    }


def test_a_refusal_of_what_can_be_answered() -> None:
    found = scores(CASE, REFUSED)
    assert ANSWER & found.keys() == {"answered", "refusal_precision"}
    assert (found["answered"], found["refusal_precision"]) == (0, 0)
    assert found["unused_context"] == 1
    assert found["answer_recall"] == 1


def test_a_question_that_cannot_be_answered() -> None:
    case = replace(CASE, answerable=False, answers=(), gold=())
    refused, answered = scores(case, REFUSED), scores(case, ANSWERED)
    assert ANSWER & refused.keys() == {"refusal_precision", "refusal_recall"}
    assert (refused["refusal_precision"], refused["refusal_recall"]) == (1, 1)
    assert answered["refusal_recall"] == 0
    assert "refusal_precision" not in answered
    gold_needed = {"recall_at_5", "map", "answer_recall", "relevant_tokens", "exact_match"}
    assert not gold_needed & (refused.keys() | answered.keys())
    assert answered["grounded"] == 1


def test_a_system_that_does_not_answer() -> None:
    found = scores(CASE, SILENT)
    assert not (ANSWER | {"unused_context"}) & found.keys()
    assert found["tokens_to_first_hit"] == 11


def test_nothing_found_scores_nothing() -> None:
    found = scores(CASE, replace(REFUSED, ranking=(), context="", context_tokens=0))
    assert [found[name] for name in ("recall_at_5", "ndcg_at_10", "mrr", "map")] == [0] * 4
    assert (found["answer_recall"], found["relevant_tokens"]) == (0, 0)
    assert "tokens_to_first_hit" not in found
    assert "unused_context" not in found


def test_a_question_without_gold_answers() -> None:
    found = scores(replace(CASE, answers=()), ANSWERED)
    assert not {"answer_recall", "exact_match", "key_points"} & found.keys()
    assert found["answered"] == 1


@pytest.mark.parametrize("gold", ["yes", "Yes."])
def test_yes_and_no_are_judged_by_the_exact_answer_only(gold: str) -> None:
    case = replace(CASE, answers=(gold,))
    found = scores(case, replace(ANSWERED, short="Yes"))
    assert (found["exact_match"], found["token_f1"]) == (1, 1)
    left_out = {"answer_recall", "tokens_to_first_hit", "relevant_tokens", "right_when_answered"}
    assert not (left_out | {"key_points"}) & found.keys()
    assert scores(case, ANSWERED)["exact_match"] == 0


def test_without_an_exact_answer_the_whole_one_is_judged() -> None:
    found = scores(CASE, replace(ANSWERED, short=None))
    assert found["exact_match"] == 0
    assert found["token_f1"] == pytest.approx(2 * 2 / (6 + 2))  # 2 words of 6 and of 2
    assert found["right_when_answered"] == 1


def test_key_points_of_the_case_come_before_its_answers() -> None:
    case = replace(CASE, meta={"key_points": ["covered", "a red valve"]})
    assert scores(case, ANSWERED)["key_points"] == 0.5
    several = replace(CASE, answers=("It is covered. Ask Grace.",))
    # Points "covered" and "ask grace", of which the answer holds all and nothing.
    assert scores(several, ANSWERED)["key_points"] == 0.5


def test_evidence_may_come_in_lists_one_a_person() -> None:
    case = replace(CASE, meta={"evidence": [["The pump is blue."], ["Ask Ada."]]})
    assert scores(case, ANSWERED)["relevant_tokens"] == pytest.approx((4 + 6 + 2) / 13)


@pytest.mark.parametrize("meta", [{"evidence": "24 months"}, {"evidence": [["24"], 24]}, {}])
def test_evidence_that_is_no_list_of_strings_is_left_out(meta: dict[str, object]) -> None:
    assert scores(replace(CASE, meta=meta), ANSWERED)["relevant_tokens"] == pytest.approx(6 / 13)


def test_a_broken_citation_lowers_precision_and_recall() -> None:
    quote = replace(ANSWERED.citations[0], start=17)
    found = scores(CASE, replace(ANSWERED, citations=(quote,)))
    assert (found["citation_precision"], found["citation_recall"]) == (0, 0)
    found = scores(CASE, replace(ANSWERED, citations=(*ANSWERED.citations, quote)))
    assert (found["citation_precision"], found["citation_recall"]) == (0.5, 1)


def test_an_answer_that_goes_beyond_its_context() -> None:
    # All 6 words of the first sentence; of the 4 of the second "Ask", not "Bob", "or", "Eve".
    answer = "It is covered for 24 months. Ask Bob or Eve."
    found = scores(CASE, replace(ANSWERED, answer=answer))
    assert found["groundedness"] == pytest.approx((6 * 1 + 4 * 1 / 4) / 10)
    assert found["grounded"] == 0
    assert found["citation_recall"] == 0.5


def test_an_answer_without_context_is_not_grounded() -> None:
    for context in ("", "Pumps"):
        found = scores(CASE, replace(ANSWERED, context=context, citations=()))
        assert (found["groundedness"], found["grounded"]) == (0, 0)
    assert found["citation_recall"] == 0
    assert "citation_precision" not in found


def test_findings_are_said_and_counted() -> None:
    found, findings = scorer().score(CASE, replace(ANSWERED, answer="The darn pump."))
    assert findings == ("hate/a word: darn",)
    assert found["safe"] == 0
    assert scorer().score(CASE, ANSWERED)[1] == ()


def test_relevancy_needs_an_embedder() -> None:
    found, _ = scorer(embedder=HashEmbedder()).score(CASE, ANSWERED)
    assert found["relevancy"] is not None
    assert 0 < found["relevancy"] < 1
    assert scorer().score(CASE, ANSWERED)[0]["relevancy"] is None


def test_tokens_of_a_generator_are_kept_and_unknown_stays_unknown() -> None:
    found = scores(CASE, replace(ANSWERED, prompt_tokens=40, completion_tokens=0))
    assert (found["prompt_tokens"], found["completion_tokens"]) == (40, 0)
    assert "prompt_tokens" not in scores(CASE, ANSWERED)


def test_the_same_outcome_scores_the_same() -> None:
    assert scorer().score(CASE, ANSWERED) == scorer().score(CASE, ANSWERED)


def test_source_marks_are_no_words_of_what_a_model_wrote() -> None:
    written = replace(ANSWERED, answer="24 months [1][2]", short=None, model="small")
    scores, _ = scorer().score(CASE, written)
    assert (scores["exact_match"], scores["token_f1"]) == (1.0, 1.0)
    scores, _ = scorer().score(CASE, replace(written, model=None))
    assert scores["exact_match"] == 0.0  # of a source, such brackets are words
