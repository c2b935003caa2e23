"""The answer stage without generation: the packed sentence that most likely answers.

Which sentence: the best packed score, plus a bonus where the sentence holds the kind of thing the
question asks for. How sure: a logistic model over signals that mean the same on every corpus.
"""

from __future__ import annotations

import math
import re
from dataclasses import astuple, dataclass
from typing import Literal, TypeAlias

from rag.pack import Need
from rag.protocols import Analyzer
from rag.results import Context, Evidence
from rag.retrieve import Found

Kind: TypeAlias = Literal["number", "date", "name"]

_ASKS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("date", re.compile(r"\b(when|what (year|date|day|month|time)|which (year|date|day|month))\b")),
    (
        "number",
        re.compile(
            r"\b(how (many|much|long|often|old|far|big|large|high|tall|fast)|what percent\w*"
            r"|costs?|(what|which) (number|amount|share|fraction|price|fee|cost|rate|limit|port))\b"
        ),
    ),
    ("name", re.compile(r"\b(who|whom|whose)\b")),
)
_DATE = re.compile(
    r"\b(\d{4}|\d{1,2}[:.]\d{2}|\d{1,2}(st|nd|rd|th)|monday|tuesday|wednesday|thursday|friday"
    r"|saturday|sunday|january|february|march|april|may|june|july|august|september|october"
    r"|november|december|century|daily|weekly|monthly|quarterly)\b"
)
_NUMBER = re.compile(
    r"\d[\d.,]*|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty"
    r"|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion|half|quarter|third"
    r"|twice|none|zero)\b"
)
_NAME = re.compile(r"(?<=\s)[A-Z][\w'’-]+")
_DIGITS = re.compile(r"\w*\d+(?:[.,:/-]\d+)*\w*")
# Source: share of right sentences with a bonus of 0 / .1 / .15 / .25 / .4 on 1,000 questions each:
# SQuAD .746 / .755 / .754 / .753 / .749, Natural Questions .568 / .583 / .586 / .587 / .591.
_KIND_BONUS = 0.15


@dataclass(frozen=True, slots=True)
class Signals:
    """What speaks for the chosen sentence, each in about [0, 1] and comparable between corpora.

    ``coverage``: share of the question's IDF mass in the sentence and its title and headings;
    ``cosine``: of the sentence to the question, 0 in the lexical tier; ``lead``: how far its
    promise is above the next one's; ``numbers``: 1 if the sentence, its title or headings hold
    all the question's words with digits (amounts, years, versions, identifiers), else 0.
    """

    coverage: float
    cosine: float
    lead: float
    numbers: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Weights of the logistic model, in the order of the signals' fields, and its intercept."""

    intercept: float
    weights: tuple[float, ...]

    def probability(self, signals: Signals) -> float:
        """Return ``1 / (1 + exp(-(b + w . x)))``: how likely the sentence holds the answer."""
        terms = zip(self.weights, astuple(signals), strict=True)
        return 1 / (1 + math.exp(-(self.intercept + sum(w * x for w, x in terms))))


# Source: fitted by eval/bench/calibrate.py; data and reliability in docs/adr/0004-abstention.md.
NEURAL = Calibration(-6.06, (2.62, 3.94, 2.89, 1.76))
LEXICAL = Calibration(-4.71, (4.18, 0.00, 2.95, 1.44))


@dataclass(frozen=True, slots=True)
class Choice:
    """The sentence to answer with, what speaks for it, and how likely it holds the answer."""

    evidence: Evidence
    signals: Signals
    confidence: float


def choose(question: str, found: Found, context: Context, analyzer: Analyzer) -> Choice | None:
    """Return the best packed sentence with its confidence; None if nothing was packed."""
    if not context.evidence:
        return None
    kind = asked_kind(question)
    ranked = sorted(context.evidence, key=lambda e: -_promise(e, kind, question))
    best = ranked[0]
    rival = ranked[1] if len(ranked) > 1 else best  # without a rival the lead is unknown: 0
    lead = _promise(best, kind, question) - _promise(rival, kind, question)
    signals = _signals(best, question, found, analyzer, lead)
    calibration = LEXICAL if best.cosine is None else NEURAL
    return Choice(best, signals, calibration.probability(signals))


def asked_kind(question: str) -> Kind | None:
    """Return the kind of thing a question asks for, as far as its wording tells."""
    lowered = question.lower()
    return next((kind for kind, pattern in _ASKS if pattern.search(lowered)), None)


def holds(kind: Kind, sentence: str, question: str) -> bool:
    """Return whether a sentence holds a thing of that kind which the question does not name."""
    if kind == "name":
        return any(name not in question for name in _NAME.findall(f" {sentence}"))
    pattern = _DATE if kind == "date" else _NUMBER
    asked = {match.group() for match in pattern.finditer(question.lower())}
    return any(match.group() not in asked for match in pattern.finditer(sentence.lower()))


def _fit(evidence: Evidence, kind: Kind | None, question: str) -> float:
    if kind is None:
        return 0.0
    return 1.0 if holds(kind, evidence.text, question) else -1.0


def _promise(evidence: Evidence, kind: Kind | None, question: str) -> float:
    return evidence.score + _KIND_BONUS * _fit(evidence, kind, question)


def _signals(
    best: Evidence, question: str, found: Found, analyzer: Analyzer, lead: float
) -> Signals:
    need = Need(found.idf)
    named = " ".join((best.chunk.title, *best.headings, best.text))
    return Signals(
        coverage=need.coverage(analyzer.terms(named)),
        cosine=best.cosine or 0.0,
        lead=min(1.0, lead),
        numbers=_has_all_numbers(question, named),
    )


def _has_all_numbers(question: str, text: str) -> float:
    asked = set(_DIGITS.findall(question.lower()))
    return float(asked <= set(_DIGITS.findall(text.lower())))
