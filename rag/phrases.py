"""The phrase of a sentence that answers a question: candidates, what speaks for each, their shares.

Candidates are runs of words that no clause ends in, cut neither inside a name nor inside a number.
A linear model over eight signs ranks them; its softmax says how clear the best one is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from operator import mul
from typing import NamedTuple

from rag.kinds import Aim, Kind
from rag.protocols import Analyzer
from rag.types import Span

# An initial or abbreviation; a word or number with what joins its parts; any other mark.
_TOKEN = re.compile(
    r"(?:[^\W\d_]\.)+(?=\s?[^\W\d_])|[$€£¥±~]?\w+(?:[.,:'’/_@+&-]\w+)*(?: ?%|°\w?)?|[^\w\s]"
)
_MOST_TOKENS = 100  # of a sentence: bounds the work for what is none
_LONGEST = 9  # tokens of a candidate
_ARTICLES = frozenset("a an the its his her their our this these those".split())
_JOINING = _ARTICLES | frozenset("of and in for on de von la al to with".split())
_JOINING_MARKS = frozenset(",&-–.'\"’")
_FUNCTION = _JOINING | frozenset(
    """nor or but at by from as into onto over under about between among through during before
    after above below against within without upon per via until till since while because although
    though if when where who whom whose which that what how why it he him she hers they them theirs
    we us you your i my is are was were be been being am has have had having do does did will would
    shall should can could may might must not no also only just very more most so than then there
    here such each both all any some other however thus therefore including""".split()
)
_NUMBER_WORDS = frozenset(
    """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred hundreds thousand thousands million millions billion trillion half third quarter dozen
    twice first second fourth fifth sixth seventh eighth ninth tenth once zero none""".split()
)
_DATE_NAMES = frozenset(
    """January February March April May June July August September October November December
    Monday Tuesday Wednesday Thursday Friday Saturday Sunday""".split()
)
_PERIODS = frozenset("century decade daily weekly monthly quarterly yearly annually".split())
_AMOUNT = re.compile(r"[$€£¥±~]?\d")
_IDENTIFIER = re.compile(r"[^\W\d].*[\d_/@]")
_YEAR = re.compile(r"(?:1\d|20)\d\ds?$")
_PREPOSITIONS: dict[Kind | None, frozenset[str]] = {
    "date": frozenset("in on since during until from by after before around".split()),
    "place": frozenset("in at near from to on outside inside".split()),
    "name": frozenset(("by",)),
    "number": frozenset("of for at to about approximately over around nearly within".split()),
}
_SHAPES: dict[Kind | None, Kind] = {
    "date": "date",
    "number": "number",
    "name": "name",
    "place": "name",
}


class Signs(NamedTuple):
    """What speaks for a phrase or against it.

    ``near``: share of the question's IDF mass around it, each term's over its distance;
    ``repeats``: share of its words that the question has; ``fits``: 1 the kind asked for, -1
    another, 0 none is asked for; ``named``: it is a name and no kind is asked for; ``closes``: no
    word of a phrase is left out after it; ``introduced``: it stands after a preposition of the
    kind; ``joins``: number of its function words and marks; ``head``: the noun asked for ends it or
    stands next to it.
    """

    near: float
    repeats: float
    fits: float
    named: float
    closes: float
    introduced: float
    joins: float
    head: float


# Source: largest conditional likelihood on every second question of 2,000 of the SQuAD development
# set, by eval/bench/answers.py; figures on others and ablations in docs/benchmarks.md.
WEIGHTS = Signs(6.00, -2.95, 2.04, 2.10, 1.30, 1.38, -0.82, 1.35)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase by its place in the sentence, its signs, and its share of the softmax."""

    span: Span
    signs: Signs
    share: float


class _Token(NamedTuple):
    text: str  # in lower case
    start: int
    end: int
    word: bool  # not a mark
    content: bool  # a word that says something by itself
    capital: bool  # or an identifier
    number: bool
    date: bool
    mass: float  # share of the question's IDF mass, 0 for words that it does not hold
    head: bool


def ranked_phrases(
    sentence: str, aim: Aim, idf: dict[int, float], analyzer: Analyzer
) -> list[Phrase]:
    """Return every candidate, best first; their shares add up to 1."""
    mass = sum(idf.values())
    shares = {term: weight / mass for term, weight in idf.items()} if mass > 0 else {}
    matches = islice(_TOKEN.finditer(sentence), _MOST_TOKENS)
    tokens = [_token(match, aim, shares, analyzer) for match in matches]
    found = list(_signed(tokens, aim.kind))
    odds = [math.exp(sum(map(mul, WEIGHTS, signs))) for _, _, signs in found]
    total = sum(odds)
    phrases = [
        Phrase(Span(tokens[i].start, tokens[j - 1].end), signs, odd / total)
        for (i, j, signs), odd in zip(found, odds, strict=True)
    ]
    return sorted(phrases, key=lambda phrase: -phrase.share)


def _token(match: re.Match[str], aim: Aim, shares: dict[int, float], analyzer: Analyzer) -> _Token:
    text = match.group()
    lowered = text.lower()
    word = len(text) > 1 or text.isalnum()
    terms = analyzer.terms(text) if word else []
    return _Token(
        text=lowered,
        start=match.start(),
        end=match.end(),
        word=word,
        content=word and (lowered not in _FUNCTION or text in _DATE_NAMES),
        capital=text[0].isupper() or bool(_IDENTIFIER.match(text)),
        number=lowered in _NUMBER_WORDS or bool(_AMOUNT.match(text)),
        date=text in _DATE_NAMES or lowered in _PERIODS or bool(_YEAR.match(text)),
        mass=max((shares.get(term, 0.0) for term in terms), default=0.0),
        head=not aim.head.isdisjoint(terms),
    )


def _signed(tokens: Sequence[_Token], kind: Kind | None) -> Iterator[tuple[int, int, Signs]]:
    """Yield every candidate as first token, end, and signs."""
    before, after = _nearness(tokens)
    content = [0, *accumulate(t.content for t in tokens)]
    asked = [0, *accumulate(t.content and t.mass > 0 for t in tokens)]
    closing = [*(not t.content or t.mass > 0 for t in tokens), True]
    headed = [False, *(t.head for t in tokens), False]  # shifted by one: its ends have neighbours
    for i, j in _candidates(tokens):
        words = content[j] - content[i]
        shape = _shape(tokens[i:j])
        wanted = _SHAPES.get(kind)
        yield (
            i,
            j,
            Signs(
                near=before[i] + after[j],
                repeats=(asked[j] - asked[i]) / words,
                fits=0.0 if wanted is None else 1.0 if shape == wanted else -1.0,
                named=float(wanted is None and shape == "name"),
                closes=closing[j],
                introduced=_introduced(tokens, i, kind),
                joins=j - i - words,
                head=headed[i] or headed[j] or headed[j + 1],
            ),
        )


def _nearness(tokens: Sequence[_Token]) -> tuple[list[float], list[float]]:
    """Return for each place the mass before it and after it, each over its distance plus 1."""
    asked = [(at, token.mass) for at, token in enumerate(tokens) if token.mass > 0]
    places = range(len(tokens) + 1)
    before = [sum(mass / (1 + place - at) for at, mass in asked if at < place) for place in places]
    after = [sum(mass / (2 + at - place) for at, mass in asked if at >= place) for place in places]
    return before, after


def _candidates(tokens: Sequence[_Token]) -> Iterator[tuple[int, int]]:
    whole = [False, *(_together(a, b) for a, b in pairwise(tokens)), False]  # at each cut
    for i, first in enumerate(tokens):
        if not first.content or whole[i]:
            continue
        for j in range(i + 1, min(len(tokens), i + _LONGEST) + 1):
            last = tokens[j - 1]
            if last.content:
                if not whole[j]:
                    yield i, j
            elif last.text not in (_JOINING if last.word else _JOINING_MARKS):
                break


def _together(a: _Token, b: _Token) -> bool:
    """Return whether a cut between two tokens would go through a name or a number."""
    names = a.capital and b.capital
    numbers = (a.number or a.date) and (b.number or b.date)
    return a.content and b.content and (names or numbers)


def _introduced(tokens: Sequence[_Token], i: int, kind: Kind | None) -> bool:
    at = i - 2 if i > 1 and tokens[i - 1].text in _ARTICLES else i - 1
    return at >= 0 and tokens[at].text in _PREPOSITIONS.get(kind, ())


def _shape(tokens: Sequence[_Token]) -> Kind | None:
    if any(t.date for t in tokens):
        return "date"
    if any(t.number for t in tokens):
        return "number"
    return "name" if all(t.capital for t in tokens if t.content) else None
