"""One question and what it got, as scores: a value for each deterministic measure.

Which questions have a value of a measure, and which have none, is decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from eval.datasets import Case
from eval.measures import MEASURES
from eval.metrics.answers import exact_match, key_point_coverage, relevancy, token_f1
from eval.metrics.citations import SUPPORTED, citation_quality
from eval.metrics.context import relevant_token_precision, tokens_to_first_hit, unused_context
from eval.metrics.fluency import fluency
from eval.metrics.retrieval import average_precision, ndcg_at, recall_at, reciprocal_rank
from eval.metrics.sentences import sentences
from eval.metrics.words import answer_recall, normalised
from eval.outcomes import Outcome
from eval.safety.checker import SafetyChecker
from rag.claims import grounded_share, statements, without_marks
from rag.protocols import Analyzer, Embedder, GroundednessScorer, SentenceSplitter, Tokenizer

Scores: TypeAlias = dict[str, float | None]

_VERDICTS: Final = frozenset({"yes", "no"})  # said of evidence, never found in it


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores questions with the parts that it is given; the same outcome scores the same.

    ``texts`` maps the id of each document to its text. Without an embedder nothing is said on
    relevancy.
    """

    tokenizer: Tokenizer
    splitter: SentenceSplitter
    analyzer: Analyzer
    embedder: Embedder | None
    groundedness: GroundednessScorer
    safety: SafetyChecker
    texts: Mapping[str, str]

    def score(self, case: Case, outcome: Outcome) -> tuple[Scores, tuple[str, ...]]:
        """Return a value for each deterministic measure, and what the safety checker found.

        A value is None where the question has none: retrieval without gold, answers where the
        system gives none.
        """
        findings: tuple[str, ...] = ()
        found = {**_retrieval(case, outcome), **self._context(case, outcome)}
        found |= _refusals(case, outcome)
        if outcome.answer is not None:
            # A written answer names its sources by marks, which are no words of it.
            said = without_marks(outcome.answer) if outcome.model else outcome.answer
            found |= self._against_gold(case, outcome, said)
            found |= self._on_its_own(case, outcome, said)
            findings = self._findings(case, outcome, outcome.answer)
            found["safe"] = float(not findings)
        names = (name for name, measure in MEASURES.items() if not measure.repeats)
        return {name: _as_float(found.get(name)) for name in names}, findings

    def _context(self, case: Case, outcome: Outcome) -> Scores:
        quotes = [quote.text for quote in outcome.citations]
        scores: Scores = {
            "context_tokens": outcome.context_tokens,
            "cap_tokens": outcome.cap_tokens,
            "prompt_tokens": outcome.prompt_tokens,
            "completion_tokens": outcome.completion_tokens,
        }
        if outcome.refused is not None:
            scores["unused_context"] = unused_context(outcome.context, quotes, self.tokenizer)
        if not _can_stand_in_a_text(case):
            return scores
        context, answers = outcome.context, case.answers
        pieces = sentences(context, self.splitter)
        evidence = [s for text in noted(case, "evidence") for s in sentences(text, self.splitter)]
        return scores | {
            "answer_recall": float(answer_recall(context, answers)),
            "tokens_to_first_hit": tokens_to_first_hit(
                context, answers, self.tokenizer, self.splitter
            ),
            "relevant_tokens": relevant_token_precision(pieces, answers, evidence, self.tokenizer),
        }

    def _against_gold(self, case: Case, outcome: Outcome, answer: str) -> Scores:
        if not case.answerable or not case.answers:
            return {}
        exact = outcome.short or answer
        scores: Scores = {
            "exact_match": float(exact_match(exact, case.answers)),
            "token_f1": token_f1(exact, case.answers),
        }
        if _can_stand_in_a_text(case):
            scores["right_when_answered"] = float(answer_recall(answer, case.answers))
            points = self._key_points(case)
            scores["key_points"] = key_point_coverage(answer, points, self.analyzer)
        return scores

    def _key_points(self, case: Case) -> Sequence[Sequence[str]]:
        given = noted(case, "key_points")
        return [given] if given else [sentences(gold, self.splitter) for gold in case.answers]

    def _on_its_own(self, case: Case, outcome: Outcome, answer: str) -> Scores:
        said = statements(answer, self.splitter)
        cited = citation_quality(said, outcome.citations, self.texts, self.groundedness)
        support = self._support(said, sentences(outcome.context, self.splitter))
        return {
            "relevancy": relevancy(answer, case.text, self.embedder) if self.embedder else None,
            "fluency": fluency(sentences(answer, self.splitter)),
            "citation_precision": cited.precision,
            "citation_recall": cited.recall,
            "groundedness": grounded_share(said, support) if support else None,
            "grounded": float(min(support) >= SUPPORTED) if support else None,
        }

    def _support(self, said: Sequence[str], evidence: Sequence[str]) -> Sequence[float]:
        """Return how likely it is of each sentence that the evidence supports it."""
        return self.groundedness.score(said, evidence) if evidence else [0.0] * len(said)

    def _findings(self, case: Case, outcome: Outcome, answer: str) -> tuple[str, ...]:
        found = self.safety.check(case.text, answer, outcome.context)
        return tuple(f"{finding.category}/{finding.rule}: {finding.text}" for finding in found)


def _as_float(value: float | None) -> float | None:
    # A count that was read back from a record is 13.0: it must not have been written as 13.
    return None if value is None else float(value)


def _retrieval(case: Case, outcome: Outcome) -> Scores:
    if not case.gold:
        return {}
    ranking, gold = outcome.ranking, case.gold_ids
    return {
        "recall_at_5": recall_at(ranking, gold, 5),
        "recall_at_10": recall_at(ranking, gold, 10),
        "ndcg_at_10": ndcg_at(ranking, dict(case.gold), 10),
        "mrr": reciprocal_rank(ranking, gold),
        "map": average_precision(ranking, gold),
    }


def _refusals(case: Case, outcome: Outcome) -> Scores:
    """Return how right it was to answer or to refuse; nothing of a system that never answers."""
    if outcome.refused is None:
        return {}
    if case.answerable:
        scores: Scores = {"answered": float(not outcome.refused)}
    else:
        scores = {"refusal_recall": float(outcome.refused)}
    if outcome.refused:
        scores["refusal_precision"] = float(not case.answerable)
    return scores


def _can_stand_in_a_text(case: Case) -> bool:
    return case.answerable and any(normalised(a) not in _VERDICTS for a in case.answers)


def noted(case: Case, key: str) -> tuple[str, ...]:
    """Return the strings of a list in the case's notes, or of the lists in it; else nothing."""
    value = case.meta.get(key)
    if not isinstance(value, list):
        return ()
    lists = (each if isinstance(each, list) else [each] for each in value)
    found = [each for inner in lists for each in inner]
    return tuple(found) if all(isinstance(each, str) for each in found) else ()
