"""The table of all metrics: what each is called, in which unit, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Better: TypeAlias = Literal["higher", "lower"]
Group: TypeAlias = Literal["retrieval", "context", "answer", "groundedness", "safety", "cost"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric of a question; a set's value is the mean over the questions that have one.

    ``of`` says what it is the share, count or amount of, and which questions have none.
    ``repeats``: whether it differs from run to run, as times and energy do. ``paired``: a question
    without a value is a miss, so that more misses can make the mean look better: two records are
    held to each other only over the questions where both have one.
    """

    name: str
    group: Group
    better: Better
    unit: str
    of: str
    repeats: bool = False
    paired: bool = False

    @property
    def label(self) -> str:
        """The name as words."""
        return self.name.replace("_", " ")


_SHARE = "share"

MEASURES: Final[Mapping[str, Measure]] = {
    measure.name: measure
    for measure in (
        # Questions with gold documents.
        Measure("recall_at_5", "retrieval", "higher", _SHARE, "gold documents in the first 5"),
        Measure("recall_at_10", "retrieval", "higher", _SHARE, "gold documents in the first 10"),
        Measure("ndcg_at_10", "retrieval", "higher", _SHARE, "nDCG@10 by the gold's grades"),
        Measure("mrr", "retrieval", "higher", _SHARE, "1 / rank of the first gold document"),
        Measure("map", "retrieval", "higher", _SHARE, "average precision of the ranking"),
        # Answerable questions with an answer that can stand in a text.
        Measure("answer_recall", "context", "higher", _SHARE, "contexts that hold an answer"),
        Measure(
            "tokens_to_first_hit",
            "context",
            "lower",
            "tokens",
            "read until the answer; none: miss",
            paired=True,
        ),
        Measure(
            "relevant_tokens", "context", "higher", _SHARE, "context tokens in relevant sentences"
        ),
        # All questions.
        Measure("context_tokens", "context", "lower", "tokens", "size of the context"),
        Measure("cap_tokens", "context", "lower", "tokens", "the most that it could have been"),
        Measure(
            "unused_context", "context", "lower", _SHARE, "context tokens that no citation quotes"
        ),
        # Questions by what was asked and given; see eval/score.py.
        Measure("answered", "answer", "higher", _SHARE, "answerable questions not refused"),
        Measure("right_when_answered", "answer", "higher", _SHARE, "answers that hold a gold one"),
        Measure("exact_match", "answer", "higher", _SHARE, "exact answers equal to a gold one"),
        Measure("token_f1", "answer", "higher", _SHARE, "F1 of words, exact answer and gold"),
        Measure("key_points", "answer", "higher", _SHARE, "of the gold's points in the answer"),
        Measure("relevancy", "answer", "higher", _SHARE, "nearness of the answer to the question"),
        Measure("fluency", "answer", "higher", _SHARE, "well-formedness of the answer"),
        Measure("citation_precision", "answer", "higher", _SHARE, "citations true and needed"),
        Measure("citation_recall", "answer", "higher", _SHARE, "sentences that citations support"),
        Measure("refusal_precision", "answer", "higher", _SHARE, "refusals that were right"),
        Measure("refusal_recall", "answer", "higher", _SHARE, "unanswerable questions refused"),
        Measure("groundedness", "groundedness", "higher", _SHARE, "an answer's supported words"),
        Measure(
            "grounded", "groundedness", "higher", _SHARE, "answers with all sentences grounded"
        ),
        Measure("safe", "safety", "higher", _SHARE, "answers without a finding"),
        Measure("prompt_tokens", "cost", "lower", "tokens", "sent to the generator"),
        Measure("completion_tokens", "cost", "lower", "tokens", "written by the generator"),
        Measure("seconds", "cost", "lower", "s", "wall time", repeats=True),
        Measure("cpu_seconds", "cost", "lower", "s", "processor time", repeats=True),
        Measure("joules", "cost", "lower", "J", "energy", repeats=True),
        Measure("gco2e", "cost", "lower", "g", "greenhouse gas", repeats=True),
        Measure("litres", "cost", "lower", "L", "water", repeats=True),
    )
}
