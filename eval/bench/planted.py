"""Statements with a planted error, made from passages, and the same passages' true statements.

True are a sentence as it stands, two of them joined, one cut short at a clause, with its numbers
written otherwise, or in lower case. False is one with a number, unit, date, name, negation or
direction changed, and a sentence of another article.

Source: after Kryscinski et al. 2020, "Evaluating the Factual Consistency of Abstractive Text
Summarization" (arXiv 1910.12840), section 4.1.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rag.protocols import SentenceSplitter

_FEWEST, _MOST = 8, 40  # words of a sentence that is taken
_MONTHS = tuple(
    "January February March April May June July August September October November December".split()
)
_DAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
_CALENDAR = frozenset((*_MONTHS, *_DAYS))
_UNITS = (
    ("years", "months"),
    ("kilometres", "miles"),
    ("kilometers", "miles"),
    ("km", "miles"),
    ("metres", "feet"),
    ("meters", "feet"),
    ("kg", "pounds"),
    ("tonnes", "kilograms"),
    ("hours", "minutes"),
    ("days", "weeks"),
    ("percent", "million"),
    ("million", "billion"),
)
_NUMBER = re.compile(r"(?<![\w.,-])(?:\d{1,3}(?:,\d{3})+|\d+)(?![\w.]*\d)(?!\w)")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}(?: [A-Z][a-z]+)*")
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|can|could|will|would|may|has been|have been)\b(?! not)"
)
_NOT = re.compile(r"\b(is|are|was|were|can|could|will|would|may|did|does|do) not\b")
_OPPOSITES = tuple(
    pair.split()
    for pair in (
        "increased decreased|increase decrease|more less|before after|first last|north south"
        "|northern southern|east west|eastern western|high low|higher lower|large small"
        "|larger smaller|early late|above below|best worst|positive negative|strong weak"
    ).split("|")
)
_CLAUSE = re.compile(r", (?:which|who|and|but|where|while|although|with|including) ")
_JOINED = "two sentences joined"
_SMALL = "two three four five six seven eight nine ten eleven twelve".split()


@dataclass(frozen=True, slots=True)
class Planted:
    """A statement beside its passage; ``kind`` names the error, or how a true one was reworded."""

    passage: str
    statement: str
    kind: str
    true: bool


Edit: TypeAlias = Callable[[str, random.Random], str | None]


def planted(
    passages: Sequence[str], splitter: SentenceSplitter, seed: int = 0
) -> Iterator[Planted]:
    """Yield for each passage a true statement of each kind and a false one, where it has one.

    Other texts' sentences and names come from half the list away, since neighbours may be of one
    article.
    """
    for at, passage in enumerate(passages):
        draw = random.Random(f"{seed} {at}")  # noqa: S311 -- reproducible choice, not a secret
        elsewhere = passages[(at + len(passages) // 2) % len(passages)]
        own, others = _sentences(passage, splitter), _sentences(elsewhere, splitter)
        if own and others:
            yield Planted(passage, draw.choice(others), "of another text", true=False)
            if len(own) > 1:
                yield Planted(passage, _joined(*draw.sample(own, 2)), _JOINED, true=True)
            for kind, edit in (_TRUE | _FALSE | _names(passage, elsewhere)).items():
                found = [made for sentence in own if (made := edit(sentence, draw)) is not None]
                # An edit that happens to make what the passage says as well is none.
                found = [made for made in found if kind in _TRUE or made not in passage]
                if found:
                    yield Planted(passage, draw.choice(found), kind, kind in _TRUE)


def _sentences(passage: str, splitter: SentenceSplitter) -> list[str]:
    found = (passage[span.start : span.end] for span in splitter.split(passage))
    return [sentence for sentence in found if _FEWEST <= len(sentence.split()) <= _MOST]


def _verbatim(sentence: str, _: random.Random) -> str:
    return sentence


def _joined(one: str, other: str) -> str:
    return f"{one.rstrip('.!?')}, and {other}"


def _shortened(sentence: str, _: random.Random) -> str | None:
    clauses = [match.start() for match in _CLAUSE.finditer(sentence)]
    wanted = [end for end in clauses if len(sentence[:end].split()) >= _FEWEST]
    return f"{sentence[: wanted[-1]]}." if wanted else None


def _lowered(sentence: str, _: random.Random) -> str:
    return sentence.lower()


def _respelt(sentence: str, _: random.Random) -> str | None:
    def other(match: re.Match[str]) -> str:
        plain = match[0].replace(",", "")
        small = int(plain) - 2
        if 0 <= small < len(_SMALL) and re.match(r" [a-z]", sentence[match.end() :]):
            return _SMALL[small]
        return plain if plain != match[0] else f"{int(plain):,}" if int(plain) > 9999 else plain

    made = _NUMBER.sub(other, sentence)
    return made if made != sentence else None


def _other_number(sentence: str, draw: random.Random) -> str | None:
    def other(text: str) -> str:
        value = int(text.replace(",", ""))
        year = 1000 <= value < 2100 and "," not in text
        changed = (
            value + draw.choice((-7, -3, 2, 4, 11)) if year else value * 3 + draw.randint(1, 9)
        )
        return f"{changed:,}" if "," in text else str(changed)

    return _changed(sentence, _NUMBER, other, draw)


def _other_unit(sentence: str, draw: random.Random) -> str | None:
    swaps = dict(_UNITS) | {b: a for a, b in _UNITS if b != "million"}
    pattern = re.compile(rf"(?<=\d )({'|'.join(swaps)})\b")
    return _changed(sentence, pattern, swaps.__getitem__, draw)


def _other_date(sentence: str, draw: random.Random) -> str | None:
    def other(text: str) -> str:
        names = _MONTHS if text in _MONTHS else _DAYS
        return draw.choice([name for name in names if name != text])

    names = "|".join((*_MONTHS, *_DAYS))
    return _changed(sentence, re.compile(rf"\b({names})\b(?! (?:be|have|not|also)\b)"), other, draw)


def _names(passage: str, elsewhere: str) -> dict[str, Edit]:
    """Return how names are exchanged: for one of another text, for one of another sentence."""

    def exchanged(source: str) -> Edit:
        known = dict.fromkeys(m[0] for m in _NAME.finditer(source) if m[0] not in _CALENDAR)

        def edit(sentence: str, draw: random.Random) -> str | None:
            others = [name for name in known if name not in sentence]
            if not others:
                return None
            return _changed(sentence, _NAME, lambda _: draw.choice(others), draw)

        return edit

    return {"name": exchanged(elsewhere), "name of another sentence": exchanged(passage)}


def _turned(sentence: str, draw: random.Random) -> str | None:
    if _NOT.search(sentence):
        return _changed(sentence, _NOT, lambda text: text.removesuffix(" not"), draw)
    return _changed(sentence, _AUXILIARY, lambda text: f"{text} not", draw)


def _opposite(sentence: str, draw: random.Random) -> str | None:
    swaps = {a: b for pair in _OPPOSITES for a, b in (pair, pair[::-1])}
    pattern = re.compile(rf"\b(?:{'|'.join(swaps)})\b(?! than)")
    return _changed(sentence, pattern, swaps.__getitem__, draw)


def _changed(
    sentence: str, pattern: re.Pattern[str], other: Callable[[str], str], draw: random.Random
) -> str | None:
    """Return the sentence with one match replaced, None if there is none."""
    matches = list(pattern.finditer(sentence))
    if not matches:
        return None
    match = draw.choice(matches)
    return sentence[: match.start()] + other(match[0]) + sentence[match.end() :]


_TRUE: dict[str, Edit] = {
    "verbatim": _verbatim,
    "cut short": _shortened,
    "lower case": _lowered,
    "numbers respelt": _respelt,
}
_FALSE: dict[str, Edit] = {
    "number": _other_number,
    "unit": _other_unit,
    "date": _other_date,
    "negation": _turned,
    "opposite": _opposite,
}
