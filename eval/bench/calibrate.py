"""Fits the confidence of answers: how likely the sentence, and the phrase cut out, is right.

Logistic regression on the signals of ``rag.answer``, fitted on every second question and reported
on the others, and on Natural Questions, which the fit never sees. Questions are made unanswerable
by hiding the article that answers them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench import choices
from eval.bench.choices import TIERS, Asked, asking
from eval.bench.corpora import SEED
from eval.bench.logistic import Matrix, auroc, calibration_error, fit_binary, reliability
from eval.bench.records import provenance, table, write_record
from eval.datasets import Case
from eval.metrics.words import answer_recall
from rag.answer import CALIBRATIONS, SHORT, Calibration, Choice

_LONGEST_PHRASE = 9  # words
_VERDICTS = {"yes", "no"}  # said by evidence, never found in it
_THRESHOLDS = tuple(t / 10 for t in range(1, 10))
# How much one question of each set counts in the fit; sets that are not named are never fitted on.
_WEIGHTS = {"squad": 1.0, "squad, answer hidden": 0.5, "clapnq_dev": 1.5, "samples": 3.0}


@dataclass(frozen=True, slots=True)
class Judged:
    """Signals (questions, signals) and whether each is right, 1 or 0.

    ``answerable``: 1 where the answer is in the documents.
    """

    name: str
    signals: Matrix
    right: Matrix
    answerable: Matrix

    @property
    def weight(self) -> float:
        """How much a question counts in the fit."""
        return _WEIGHTS.get(self.name, 0.0)

    def half(self, which: int) -> Judged:
        """Return the even (0) or odd (1) questions."""
        return self._sliced(slice(which, None, 2))

    def first(self, count: int) -> Judged:
        """Return the first so many questions."""
        return self._sliced(slice(count))

    def _sliced(self, part: slice) -> Judged:
        return Judged(self.name, self.signals[part], self.right[part], self.answerable[part])

    def unseen(self) -> Judged:
        """Return what the fit has not seen."""
        return self.half(1) if self.weight > 0 else self


@dataclass(frozen=True, slots=True)
class Quality:
    """How well one calibration holds on the unseen questions of one set."""

    of: str
    questions_of: str
    n: int
    right: float
    mean_confidence: float
    auroc: float | None
    ece: float


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold does: shares of all unseen questions of a set.

    ``right``: of those answered; ``refused_rightly``: of the unanswerable; ``refused_wrongly``: of
    the answerable.
    """

    of: str
    questions_of: str
    threshold: float
    answered: float
    right: float | None
    refused_rightly: float | None
    refused_wrongly: float | None


@dataclass(slots=True)
class _Report:
    """What is printed and recorded."""

    qualities: list[Quality]
    points: list[Point]
    bins: list[list[str]]
    fitted: dict[str, Any]

    def add(self, of: str, sets: Sequence[Judged], shipped: Calibration | None) -> Calibration:
        """Fit, judge the fit on what it has not seen, and return it."""
        fitted = fit(sets)
        print(f"{of}: fitted {fitted}\n{' ' * len(of)}  shipped {shipped}", flush=True)
        self.fitted[of] = {"fitted": astuple(fitted), "shipped": shipped and astuple(shipped)}
        for judged in sets:
            unseen = judged.unseen()
            p = 1 / (1 + np.exp(-(fitted.intercept + unseen.signals @ np.array(fitted.weights))))
            self.qualities.append(_quality(of, unseen, p))
            self.points += [_point(of, unseen, p, threshold) for threshold in _THRESHOLDS]
            bins = reliability(p, unseen.right)
            self.bins.append([of, judged.name, *(_bin(*each) for each in bins)])
        return fitted

    def print(self) -> None:
        """Print all tables."""
        print("\nOn unseen questions, with the fitted weights.\n")
        print(table(*_rows(self.qualities)), "\n")
        print("Right / n of each tenth of confidence.\n")
        header = ("of", "questions of", *(f"{b / 10:.1f}" for b in range(10)))
        print(table(header, self.bins), "\n")
        print(table(*_rows(self.points)))

    def body(self) -> dict[str, Any]:
        """Return what is recorded."""
        return {
            "fitted": self.fitted,
            "qualities": [asdict(quality) for quality in self.qualities],
            "points": [asdict(point) for point in self.points],
            "reliability": self.bins,
        }


def run(data: Path, questions: int, *, record: bool = True) -> None:
    """Fit all tiers and the phrases, print the tables, and leave ``calibration.json`` if asked."""
    begun, report = provenance(), _Report([], [], [], {})
    exact: list[Judged] = []
    for tier in TIERS:
        asked = dict(_asked(data, questions, tier))
        sets = [sentences(name, each) for name, each in asked.items()]
        fitted = report.add(tier, sets, CALIBRATIONS.get(tier))
        exact += [phrases(name, each, fitted) for name, each in asked.items()]
    names = dict.fromkeys(judged.name for judged in exact)
    report.add("short", [_joined([j for j in exact if j.name == name]) for name in names], SHORT)
    report.print()
    if record:
        settings = {"seed": SEED, "questions_at_most": questions}
        write_record("calibration", {**begun, **settings, **report.body()})


def _asked(data: Path, questions: int, tier: str) -> Iterator[tuple[str, list[Asked]]]:
    with asking(choices.squad(data, questions), tier) as here:
        yield "squad", here.everywhere()
        yield "squad, answer hidden", here.hidden()
    for name in ("clapnq_dev", "nq_gold"):
        with asking(choices.passages(data, name, questions), tier) as here:
            yield name, here.everywhere()
    with asking(choices.samples(), tier) as here:
        yield "samples", here.everywhere()


def sentences(name: str, asked: Sequence[Asked]) -> Judged:
    """Return the signals of the sentences that would answer."""
    return _judged(
        name,
        [
            (astuple(each.choice.signals), not each.hidden and _holds(each.choice, each.case), each)
            for each in asked
            if each.choice
        ],
    )


def phrases(name: str, asked: Sequence[Asked], calibration: Calibration) -> Judged:
    """Return the signals of the phrases cut out of them; right is one that an answer stands in.

    Answers as long as a sentence say nothing about phrases and are left out.
    """
    rows = []
    for each in asked:
        choice, case = each.choice, each.case
        absent = each.hidden or not case.answerable
        if choice is None or choice.short is None or choice.short.form != "phrase":
            continue
        if not absent and all(len(answer.split()) > _LONGEST_PHRASE for answer in case.answers):
            continue
        share = choice.short_signals.share if choice.short_signals else 0.0
        signals = (share, calibration.probability(choice.signals))
        rows.append((signals, not absent and answer_recall(choice.short.text, case.answers), each))
    return _judged(name, rows)


def _judged(name: str, rows: Sequence[tuple[tuple[float, ...], bool, Asked]]) -> Judged:
    answerable = [not each.hidden and each.case.answerable for _, _, each in rows]
    return Judged(
        name,
        np.array([signals for signals, _, _ in rows], float),
        np.array([right for _, right, _ in rows], float),
        np.array(answerable, float),
    )


def _joined(parts: Sequence[Judged]) -> Judged:
    """Return one set of several tiers; those of odd length lose a question to keep the halves."""
    parts = [part.first(len(part.right) // 2 * 2) for part in parts]
    return Judged(
        parts[0].name,
        np.concatenate([part.signals for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.answerable for part in parts]),
    )


def _holds(choice: Choice, case: Case) -> bool:
    """Return whether the sentence holds an answer or, for long answers, is a gold sentence."""
    if not case.answerable:
        return False
    evidence = case.meta.get("evidence", ())
    gold = [_words(s) for part in evidence for s in ([part] if isinstance(part, str) else part)]
    said = _words(choice.evidence.text)
    if any(g in said or said in g for g in gold if g):
        return True
    return answer_recall(choice.evidence.text, [a for a in case.answers if a not in _VERDICTS])


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def fit(sets: Sequence[Judged]) -> Calibration:
    """Return the weights of largest penalised likelihood on the even questions."""
    halves = [(judged.half(0), judged.weight) for judged in sets if judged.weight > 0]
    beta = fit_binary(
        np.vstack([half.signals for half, _ in halves]),
        np.concatenate([half.right for half, _ in halves]),
        np.concatenate([np.full(len(half.right), weight) for half, weight in halves]),
    )
    intercept, *weights = (round(float(b), 2) for b in beta)
    return Calibration(intercept, tuple(weights))


def _quality(of: str, judged: Judged, p: Matrix) -> Quality:
    return Quality(
        of=of,
        questions_of=judged.name,
        n=len(p),
        right=float(judged.right.mean()),
        mean_confidence=float(p.mean()),
        auroc=auroc(p, judged.right),
        ece=calibration_error(p, judged.right),
    )


def _point(of: str, judged: Judged, p: Matrix, threshold: float) -> Point:
    answered = p >= threshold
    here, absent = judged.answerable == 1, judged.answerable == 0
    return Point(
        of=of,
        questions_of=judged.name,
        threshold=threshold,
        answered=float(answered.mean()),
        right=_share(judged.right[answered]),
        refused_rightly=_share(~answered[absent]),
        refused_wrongly=_share(~answered[here]),
    )


def _share(values: Matrix | NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _bin(n: int, _: float, right: float) -> str:
    return f"{right:.2f} / {n}" if n else "-"


def _rows(values: Sequence[Quality] | Sequence[Point]) -> tuple[list[str], list[list[str]]]:
    rows = [asdict(value) for value in values]
    header = [name.replace("_", " ") for name in rows[0]]
    return header, [[_written(cell) for cell in row.values()] for row in rows]


def _written(cell: object) -> str:
    return "-" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell)
