"""The answer stage without generation: the packed sentence that most likely answers.

Which sentence: the one with the largest share (``rag.worth``). How sure: a logistic model over
signals that mean the same on every corpus. The exact answer is looked for inside that sentence,
with a probability of its own.
"""

from __future__ import annotations

import math
import re
from dataclasses import astuple, dataclass, replace
from typing import Final

from rag.addressing import speaks_to_the_writer
from rag.pack import Need
from rag.protocols import Analyzer
from rag.results import Context, Evidence, Short
from rag.retrieve import Found
from rag.short import Exact, exact_answer
from rag.types import Span

# To be the best of two sentences says little: the share is damped as if so many more had been
# offered. Source: a tenth of the 60 to 100 that the development sets offer at 256 tokens.
_UNSEEN = 8
_DIGITS = re.compile(r"\w*\d+(?:[.,:/-]\d+)*\w*")
# Source: share of right verdicts on PubMedQA with its conclusions, by eval/bench/answers.py.
_VERDICT_RIGHT = 0.7


@dataclass(frozen=True, slots=True)
class Signals:
    """What speaks for the chosen sentence, each in about [0, 1] and comparable between corpora.

    ``coverage``: share of the question's IDF mass in the sentence and its title and headings;
    ``cosine``: of the sentence to the question, 0 in the lexical tier; ``share``: how likely
    it is to hold the answer if one sentence does, less where few were offered; ``numbers``: 1 if
    the sentence, its title or headings hold all the question's words with digits (amounts, years,
    versions), else 0.
    """

    coverage: float
    cosine: float
    share: float
    numbers: float


@dataclass(frozen=True, slots=True)
class ShortSignals:
    """What speaks for an exact answer: ``share`` of its softmax, ``confidence`` in its sentence."""

    share: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Weights of a logistic model, in the order of the signals' fields, and its intercept."""

    intercept: float
    weights: tuple[float, ...]

    def probability(self, signals: Signals | ShortSignals) -> float:
        """Return ``1 / (1 + exp(-(b + w . x)))``: how likely it is right."""
        terms = zip(self.weights, astuple(signals), strict=True)
        return 1 / (1 + math.exp(-(self.intercept + sum(w * x for w, x in terms))))


# Source: fitted by eval/bench/calibrate.py; data and reliability in docs/adr/0004-abstention.md.
NEURAL = Calibration(-6.78, (2.50, 4.53, 3.22, 1.76))
LEXICAL = Calibration(-4.80, (3.77, 0.00, 3.56, 1.27))
CALIBRATIONS: Final = {"neural": NEURAL, "lexical": LEXICAL}  # by tier
SHORT = Calibration(-5.26, (3.38, 4.34))


@dataclass(frozen=True, slots=True)
class Choice:
    """The sentence to answer with, what speaks for it, and how likely it holds the answer.

    ``idf`` weighs the question's terms. ``short`` is its exact answer, however unsure; None where
    there is nothing to cut out.
    """

    evidence: Evidence
    signals: Signals
    confidence: float
    idf: dict[int, float]
    short: Short | None = None
    short_signals: ShortSignals | None = None

    @property
    def support(self) -> tuple[Evidence, ...]:
        """The sentence, and those that the items of a list are taken from."""
        if self.short is None or self.short.form != "list":
            return (self.evidence,)
        every = (
            replace(self.evidence, sentence=i) for i in range(len(self.evidence.chunk.sentences))
        )
        items = self.short.spans
        listed = (e for e in every if any(_overlap(e.span, item) for item in items))
        return (self.evidence, *(e for e in listed if e.sentence != self.evidence.sentence))


def choose(question: str, found: Found, context: Context, analyzer: Analyzer) -> Choice | None:
    """Return the best packed sentence with its confidence; None if nothing was packed.

    A sentence that tells a model what to write is no answer, however many words it shares.
    """
    ranked = sorted(context.evidence, key=lambda e: -e.score)
    best = next((e for e in ranked if not speaks_to_the_writer(e.text)), None)
    if best is None:
        return None
    signals = _signals(best, question, found, analyzer)
    calibration = LEXICAL if best.cosine is None else NEURAL
    confidence = calibration.probability(signals)
    exact = exact_answer(question, best, found.idf, analyzer)
    if exact is None:
        return Choice(best, signals, confidence, found.idf)
    short_signals = ShortSignals(exact.share, confidence)
    short = _short(exact, best, short_signals)
    return Choice(best, signals, confidence, found.idf, short, short_signals)


def _short(exact: Exact, evidence: Evidence, signals: ShortSignals) -> Short:
    """Return an exact answer by its place in the document, with how likely it is right."""
    base = evidence.chunk.start
    spans = tuple(Span(base + span.start, base + span.end) for span in exact.spans)
    confidence = {
        "phrase": SHORT.probability(signals),
        "verdict": _VERDICT_RIGHT * signals.confidence,
        "list": signals.confidence,
    }[exact.form]
    return Short(exact.form, " ".join(exact.text.split()), spans, confidence)


def _overlap(a: Span, b: Span) -> bool:
    return a.start < b.end and b.start < a.end


def _signals(best: Evidence, question: str, found: Found, analyzer: Analyzer) -> Signals:
    need = Need(found.idf)
    offered = sum(len(passage.chunk.sentences) for passage in found.passages)
    named = " ".join((best.chunk.title, *best.headings, best.text))
    return Signals(
        coverage=need.coverage(analyzer.terms(named)),
        cosine=best.cosine or 0.0,
        share=best.score * offered / (offered + _UNSEEN),
        numbers=_has_all_numbers(question, named),
    )


def _has_all_numbers(question: str, text: str) -> float:
    asked = set(_DIGITS.findall(question.lower()))
    return float(asked <= set(_DIGITS.findall(text.lower())))
