"""Whether a text is well formed, told without a model."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

# Source: rep-n over n-grams of four words, Welleck et al. 2020 (arXiv 1908.04319, section 6).
_GRAM: Final = 4
# Source: "floccinaucinihilipilification", the longest word of the Oxford Dictionary of English
# that is no technical term; scripts without spaces are not held to it.
_LONGEST_WORD: Final = 29
_MARKER = re.compile(r"^\s*(?:(?:[-*•>|#]+|\(?(?:\d{1,3}|[a-z])[.)])\s+)")
_END = re.compile(r"[.!?…:;。！？][\"'”’)\]*_]*$|\|$")
_EDGE = "\"'“”‘’«»()[]{}*_.,;:!?…"  # noqa: RUF001 -- quotation marks
_PAIRS: Final = ("()", "[]", "{}", "“”", "«»")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d[\d.,]*|[.!?;:,]")
_GARBAGE = ("Cc", "Cn", "Co", "Cs")
# What cannot stand behind a function word, by closed classes of English words.
# Source: the classes of Quirk et al. 1985, A Comprehensive Grammar, sections 2.34 to 2.41.
_DETERMINERS: Final = frozenset("a an the their our its your my".split())
_PREPOSITIONS: Final = frozenset("of at by from into with for in on to".split())
_FINITE: Final = frozenset(
    "is are was were am has had does did can could will would shall should must might".split()
)
_CONJUNCTIONS: Final = frozenset("and or but nor if than because although".split())
_PRONOUNS: Final = frozenset("i he she we they it which who".split())
_STOPS: Final = frozenset(".!?;:")
_FUNCTION_WORDS: Final = _DETERMINERS | _PREPOSITIONS | _FINITE | _CONJUNCTIONS | _PRONOUNS
_NEVER_AFTER: Final = {
    **dict.fromkeys(_DETERMINERS, _FUNCTION_WORDS | _STOPS | {"be", "been", ","}),
    **dict.fromkeys(_PREPOSITIONS, _FINITE | {"of"}),
    **dict.fromkeys("of at from into with".split(), _FINITE | _STOPS | {"of"}),
    **dict.fromkeys(("and", "or"), _STOPS),
    **dict.fromkeys(_FINITE, _FINITE),
}


def fluency(sentences: Sequence[str]) -> float:
    """Return how well formed a text is, given in sentences, in [0, 1]; 0 for an empty one.

    The product of six shares: of sentences' edges that are complete (a beginning that is no lower
    case letter, an end mark), of brackets and quotation marks that have their other half, of
    4-grams that are not repeated, of characters and of words that are such, and of function words
    that stand before something they can stand before. List items, headings and table rows need no
    end mark.

    Source: 4-grams: 1 - seq-rep-n, Welleck et al. 2020 (arXiv 1908.04319, section 6). The rest is
    what a proof-reader sees without understanding. Limits: grammar is looked at between
    neighbouring words only and in English only, sense not at all, so that four to six sentences
    in ten whose words are shuffled between a good beginning and end pass. It finds broken texts
    and does not rank good ones: among the answers of MTRAG, all well written, it has no rank
    correlation with the human ratings of naturalness.
    """
    text = " ".join(sentences)
    words = _WORD.findall(text.lower())
    spoken = [word for word in words if word[0].isalnum()]
    if not spoken:
        return 0.0
    shares = (
        _mean([_completeness(sentence) for sentence in sentences]),
        _balance(text),
        _novelty(spoken),
        _mean([_is_written(character) for character in text]),
        _mean([len(word) <= _LONGEST_WORD or not word.isascii() for word in spoken]),
        _order(words),
    )
    return math.prod(shares)


def _completeness(sentence: str) -> float:
    bare = _MARKER.sub("", sentence).strip()
    begun = bare.lstrip(_EDGE)[:1]
    ended = bool(_END.search(bare)) or bare != sentence.strip()
    return (float(bool(begun) and not begun.islower()) + float(ended)) / 2


def _is_written(character: str) -> bool:
    garbage = unicodedata.category(character) in _GARBAGE or character == "\ufffd"
    return character.isspace() or not garbage


def _balance(text: str) -> float:
    counts = [(text.count(left), text.count(right)) for left, right in _PAIRS]
    total = sum(map(sum, counts)) + text.count('"')
    lonely = sum(abs(left - right) for left, right in counts) + text.count('"') % 2
    return 1 - lonely / total if total else 1.0


def _novelty(words: Sequence[str]) -> float:
    """Return the share of 4-grams that are distinct times that of words unlike the next one."""
    grams = list(zip(*(words[i:] for i in range(_GRAM)), strict=False))
    stuttered = [a != b for a, b in pairwise(words)]
    return (len(set(grams)) / len(grams) if grams else 1.0) * _mean(stuttered)


def _order(words: Sequence[str]) -> float:
    pairs = pairwise([*words, "."])
    return _mean([b not in _NEVER_AFTER[a] for a, b in pairs if a in _NEVER_AFTER])


def _mean(values: Sequence[bool] | Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 1.0
