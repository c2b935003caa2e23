"""What systems said to the same questions: how right it is, and what an answer costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from eval.bench.corpora import SEED
from eval.metrics.answers import exact_match, token_f1
from eval.metrics.words import answer_recall
from eval.statistics import RESAMPLES, Estimate, set_differences, set_means
from rag.claims import without_marks

Drawn: TypeAlias = NDArray[np.intp]  # question numbers: (resamples, questions)
Columns: TypeAlias = Mapping[str, Sequence[float]]
Statistic: TypeAlias = Callable[[Drawn], NDArray[np.float64]]  # (resamples,)

_TAILS: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Said:
    """What one system said to one question, None where it refused, and what that took.

    ``short`` is the exact answer where it gave one. ``cpu_seconds`` [s]: of the whole process, the
    model's thread included. Tokens are the model's own, 0 where it was not called; ``stood`` says
    whether what it wrote became the answer, None where it was not called.
    """

    corpus: str
    way: str
    question: str
    golds: tuple[str, ...]
    text: str | None
    short: str | None
    confidence: float | None
    cpu_seconds: float
    prompt_tokens: int
    completion_tokens: int
    stood: bool | None

    def scores(self) -> Mapping[str, float]:
        """Return how right it is; a refusal is nowhere right.

        ``f1`` and ``exact`` are SQuAD's of the whole text without source marks, ``short_f1`` and
        ``short_exact`` of the exact answer, or of the text where there is none; ``holds``: a gold
        answer stands in the text.
        """
        text = without_marks(self.text or "")
        short = self.short or text
        answered = self.text is not None
        return {
            "answered": float(answered),
            "f1": token_f1(text, self.golds) if answered else 0.0,
            "exact": float(answered and exact_match(text, self.golds)),
            "short_f1": token_f1(short, self.golds) if answered else 0.0,
            "short_exact": float(answered and exact_match(short, self.golds)),
            "holds": float(answered and answer_recall(text, self.golds)),
            "cpu_seconds": self.cpu_seconds,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "called": float(self.stood is not None),
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """One way over some questions: means with 95 % intervals.

    ``per_answer`` [s]: processor time of all questions over the number of those answered.
    ``stood``: of the model's calls, the share that became the answer; None without calls.
    """

    way: str
    means: Mapping[str, Estimate]
    per_answer: Estimate
    stood: float | None


@dataclass(frozen=True, slots=True)
class Beside:
    """One way beside another at the same questions.

    ``cheaper``: how many times fewer CPU-seconds an answered question takes; ``f1``, ``short_f1``
    and ``holds``: its mean less that of the other.
    """

    way: str
    cheaper: Estimate
    f1: Estimate
    short_f1: Estimate
    holds: Estimate


def summary(said: Sequence[Said]) -> Summary:
    """Return the means of one way."""
    columns = _columns(said)
    means = zip(columns, set_means(list(columns.values()), SEED), strict=True)
    called = [each.stood for each in said if each.stood is not None]
    return Summary(
        way=said[0].way,
        means={name: mean for name, mean in means if mean is not None},
        per_answer=_estimated(lambda drawn: _per_answer(columns, drawn), len(said)),
        stood=sum(called) / len(called) if called else None,
    )


def beside(ours: Sequence[Said], theirs: Sequence[Said]) -> Beside:
    """Return how one way compares with another; both in the order of the same questions."""
    assert [each.question for each in ours] == [each.question for each in theirs]  # noqa: S101
    mine, other = _columns(ours), _columns(theirs)

    def cheaper(drawn: Drawn) -> NDArray[np.float64]:
        return _per_answer(other, drawn) / _per_answer(mine, drawn)

    names = ("f1", "short_f1", "holds")
    found = set_differences([mine[n] for n in names], [other[n] for n in names], SEED)
    f1, short_f1, holds = (each for each in found if each is not None)
    return Beside(ours[0].way, _estimated(cheaper, len(ours)), f1, short_f1, holds)


def _columns(said: Sequence[Said]) -> Columns:
    rows = [each.scores() for each in said]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _per_answer(columns: Columns, drawn: Drawn) -> NDArray[np.float64]:
    spent, answered = (np.asarray(columns[name])[drawn] for name in ("cpu_seconds", "answered"))
    return np.asarray(spent.sum(axis=1) / np.maximum(1.0, answered.sum(axis=1)))


def _estimated(of: Statistic, count: int) -> Estimate:
    """Return a statistic of drawn questions with its percentile bootstrap interval."""
    whole = float(of(np.arange(count)[None, :])[0])
    drawn = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
    low, high = np.percentile(of(drawn), _TAILS)
    return Estimate(whole, float(low), float(high), count)
