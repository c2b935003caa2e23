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
    of: str
    better: Better = "higher"
    unit: str = "share"
    repeats: bool = False
    paired: bool = False

    @property
    def label(self) -> str:
        """The name as words."""
        return self.name.replace("_", " ")

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1: a gain is ``sign * (after - before)``."""
        return 1 if self.better == "higher" else -1


MEASURES: Final[Mapping[str, Measure]] = {
    measure.name: measure
    for measure in (
        # Questions with gold documents.
        Measure("recall_at_5", "retrieval", "gold documents in the first 5"),
        Measure("recall_at_10", "retrieval", "gold documents in the first 10"),
        Measure("ndcg_at_10", "retrieval", "nDCG@10 by the gold's grades"),
        Measure("mrr", "retrieval", "1 / rank of the first gold document"),
        Measure("map", "retrieval", "average precision of the ranking"),
        # Answerable questions with an answer that can stand in a text.
        Measure("answer_recall", "context", "contexts that hold an answer"),
        Measure(
            "tokens_to_first_hit",
            "context",
            "read until the answer; none: miss",
            "lower",
            "tokens",
            paired=True,
        ),
        Measure("relevant_tokens", "context", "context tokens in relevant sentences"),
        # All questions.
        Measure("context_tokens", "context", "size of the context", "lower", "tokens"),
        Measure("cap_tokens", "context", "the most that it could have been", "lower", "tokens"),
        Measure("unused_context", "context", "context tokens that no citation quotes", "lower"),
        # Questions by what was asked and given; see eval/score.py.
        Measure("answered", "answer", "answerable questions not refused"),
        Measure("right_when_answered", "answer", "answers that hold a gold one"),
        Measure("exact_match", "answer", "exact answers equal to a gold one"),
        Measure("token_f1", "answer", "F1 of words, exact answer and gold"),
        Measure("key_points", "answer", "of the gold's points in the answer"),
        Measure("relevancy", "answer", "nearness of the answer to the question"),
        Measure("fluency", "answer", "well-formedness of the answer"),
        Measure("citation_precision", "answer", "citations true and needed"),
        Measure("citation_recall", "answer", "sentences that citations support"),
        Measure("refusal_precision", "answer", "refusals that were right"),
        Measure("refusal_recall", "answer", "unanswerable questions refused"),
        Measure("groundedness", "groundedness", "an answer's supported words"),
        Measure("grounded", "groundedness", "answers with all sentences grounded"),
        Measure("safe", "safety", "answers without a finding"),
        Measure("prompt_tokens", "cost", "sent to the generator", "lower", "tokens"),
        Measure("completion_tokens", "cost", "written by the generator", "lower", "tokens"),
        Measure("seconds", "cost", "wall time", "lower", "s", repeats=True),
        Measure("cpu_seconds", "cost", "processor time", "lower", "s", repeats=True),
        Measure("joules", "cost", "energy", "lower", "J", repeats=True),
        Measure("gco2e", "cost", "greenhouse gas", "lower", "g", repeats=True),
        Measure("litres", "cost", "water", "lower", "L", repeats=True),
    )
}
