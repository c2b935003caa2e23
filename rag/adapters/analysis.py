"""Index terms for the lexical leg: the only importer of py_rust_stemmers and mmh3."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import mmh3
from py_rust_stemmers import SnowballStemmer

# Letters and digits, with the accents that no composed letter holds.
_WORD = re.compile(r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")
# Source: the English list of Lucene's StopAnalyzer, plus the question words and auxiliaries
# that carry no topic of their own.
_STOP_WORDS = frozenset(
    """a an and are as at be but by for if in into is it no not of on or such that the their then
    there these they this to was will with what which who whom whose when where how why did do
    does has have had from were been its he she his her you your i we our can could would should
    may about than so also""".split()
)


class EnglishAnalyzer:
    """Lower-cases, strips accents, drops stop words, stems (Snowball English), hashes to 32 bits.

    Words with digits are kept as they stand: identifiers and numbers are never stemmed.
    """

    def __init__(self) -> None:
        self._stem = SnowballStemmer("english").stem_word
        self._term = lru_cache(maxsize=200_000)(self._term_of)

    def terms(self, text: str) -> list[int]:
        """Return term ids in text order, stop words removed, repeats kept."""
        lowered = (text if text.isascii() else unicodedata.normalize("NFKC", text)).lower()
        term = self._term
        return [t for word in _WORD.findall(lowered) if (t := term(word)) is not None]

    def _term_of(self, word: str) -> int | None:
        if word in _STOP_WORDS:
            return None
        bare = word if word.isascii() else _without_accents(word)
        stem = bare if any(c.isdigit() for c in bare) else self._stem(bare)
        return mmh3.hash(stem, signed=False)


def _without_accents(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(c for c in decomposed if not unicodedata.combining(c))
