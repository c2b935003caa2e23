"""What a question asks for, as far as its wording tells: a kind of thing, a verdict, or several."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rag.protocols import Analyzer

# An account is a reason or a manner: more than a phrase can say.
Kind: TypeAlias = Literal["number", "date", "name", "place", "account"]

# A sentence that lacks the kind asked for speaks against itself only with these.
_TELLING: tuple[Kind, ...] = ("date", "number", "name")
_AUXILIARY = (
    "is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must"
)
_OPEN = re.compile(r"\b(?:what|which|who|whom|whose|when|where|why|how)\b")
_WHAT = r"(?:what|which) (?:(?:is|was|are|were) the )?"
# Matched at the first question word: the "when" of "what happens when" asks for no date.
_ASKS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("date", re.compile(rf"(?:when|{_WHAT}(?:year|date|day|month|time|century|decade))\b")),
    (
        "number",
        re.compile(
            r"(?:how (?:many|much|long|often|old|far|big|large|high|tall|fast|soon|early|late|wide"
            rf"|deep|heavy)|{_WHAT}(?:percent\w*|number|amount|share|fraction|price|fee|cost|rate"
            r"|limit|port|population|size|length|age|distance))\b"
        ),
    ),
    ("name", re.compile(r"who(?:m|se)?\b")),
    ("place", re.compile(r"where\b")),
    ("account", re.compile(r"(?:why|how)\b")),
)
_COSTS = re.compile(r"\bcosts?\b")
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
_HEAD = re.compile(
    rf"\b(?:what|which|whose|how (?:many|much)) (?:(?:{_AUXILIARY}) (?:the )?)?"
    rf"(?:(?:name|type|kind|sort)s? of (?:the )?)?((?:(?!(?:{_AUXILIARY}|of|in|on|at|for|by|to"
    r"|with|from|that|the)\b)[\w'’-]+ ?){1,3})"
)
_VERDICT = re.compile(rf"(?:^|[:;,.?!-] )(?:{_AUXILIARY}) ")
_SEVERAL = re.compile(
    r"^(?:please )?(?:list|name|enumerate) |\b(?:what|which) (?:all )?are the \w+"
    r"|\b(?:what|which) (?:[\w'’-]+ ){0,2}[\w'’-]*[a-rt-z]s"
    r" (?:are|were|do|have|can|must|should|may) "
)


@dataclass(frozen=True, slots=True)
class Aim:
    """The kind of thing asked for, and the terms of the noun after "what", "which", "how many"."""

    kind: Kind | None
    head: frozenset[int]


def aim(question: str, analyzer: Analyzer) -> Aim:
    """Return what a question asks for."""
    found = _HEAD.search(question.lower())
    return Aim(asked_kind(question), frozenset(analyzer.terms(found[1]) if found else ()))


def asked_kind(question: str) -> Kind | None:
    """Return the kind of thing a question asks for, as far as its wording tells."""
    lowered = question.lower()
    word = _OPEN.search(lowered)
    if word is None:
        return None
    at_word = next((kind for kind, asks in _ASKS if asks.match(lowered, word.start())), None)
    return at_word or ("number" if _COSTS.search(lowered) else None)


def asks_for_verdict(question: str) -> bool:
    """Return whether a question is answered by yes or no."""
    lowered = question.lower().strip()
    choice = _OPEN.search(lowered) or " or " in lowered
    return bool(_VERDICT.search(lowered)) and not choice


def asks_for_several(question: str) -> bool:
    """Return whether a question asks for more than one thing."""
    return bool(_SEVERAL.search(question.lower()))


def fitting(question: str) -> Callable[[str], float]:
    """Return what tells 1 of a sentence that holds what is asked for, -1 of one that does not.

    It tells 0 of every sentence if the question asks for no date, number or name.
    """
    kind = asked_kind(question)
    if kind not in _TELLING:
        return lambda _: 0.0
    holds = holder(kind, question)
    return lambda sentence: 1.0 if holds(sentence) else -1.0


def holder(kind: Kind, question: str) -> Callable[[str], bool]:
    """Return what tells whether a sentence holds a thing of a kind that the question does not."""
    if kind == "name":
        return lambda sentence: any(n not in question for n in _NAME.findall(f" {sentence}"))
    pattern = _DATE if kind == "date" else _NUMBER
    asked = {match[0] for match in pattern.finditer(question.lower())}
    return lambda sentence: any(m[0] not in asked for m in pattern.finditer(sentence.lower()))
