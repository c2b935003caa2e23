"""Whether two questions certainly ask the same; any doubt is a no, with its reason.

Cosines cannot tell: reversed or negated questions stand closer than paraphrases do.
Source: zilliztech/GPTCache issue 694, where reversed questions score 0.83 to 0.9997 in nine
encoders.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from rag.cache.reading import read
from rag.cache.rewriting import Words
from rag.cache.wording import AUXILIARIES, FUNCTION_WORDS, PREPOSITIONS, WH_WORDS

_NEGATIONS: Final = frozenset("not no never none nor neither nothing nobody without".split())
_DEGREES: Final = frozenset(
    "more less most least fewer few many much all any each every both".split()
)
# The first that holds a word which only one question has names the doubt.
_DOUBTS: Final = (
    ("what is asked for", WH_WORDS),
    ("a negation", _NEGATIONS),
    ("a tense or modal verb", AUXILIARIES),
    ("a quantity word", _DEGREES),
    ("a direction or relation", PREPOSITIONS),
    ("a function word", FUNCTION_WORDS),
)


def doubt(one: str, other: str) -> str | None:
    """Return why two questions may ask different things; None if they certainly ask the same."""
    mine, theirs = read(one), read(other)
    if mine & theirs:
        return None
    return _reason(min(mine), min(theirs))


def _reason(mine: Words, theirs: Words) -> str:
    apart = set((Counter(mine) - Counter(theirs)) + (Counter(theirs) - Counter(mine)))
    if not apart:
        return "the words stand in another order"
    if any(c.isdigit() for word in apart for c in word):
        return "a number or identifier differs"
    if apart <= FUNCTION_WORDS:
        name = next(name for name, words in _DOUBTS if apart & words)
        return f"{name} differs"
    return "a word of its own differs"
