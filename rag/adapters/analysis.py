"""Index terms for the lexical leg: the only importer of py_rust_stemmers and mmh3."""

from __future__ import annotations

import re
import unicodedata

import mmh3
from py_rust_stemmers import SnowballStemmer

# Letters and digits, with the accents that no composed letter holds.
_WORD = re.compile(r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")
_ASCII_SEPARATORS = {code: " " for code in range(128) if not chr(code).isalnum()}
_MOST_KNOWN = 200_000  # words, about 20 MB
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
        self._known = _Terms()

    def terms(self, text: str) -> list[int]:
        """Return term ids in text order, stop words removed, repeats kept."""
        known = self._known
        return [term for word in _words(text) if (term := known[word]) is not None]


class _Terms(dict[str, int | None]):
    """Term ids by word, None for stop words; computed when first asked for, bounded in size."""

    def __init__(self) -> None:
        super().__init__()
        self._stem = SnowballStemmer("english").stem_word

    def __missing__(self, word: str) -> int | None:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        self[word] = term = None if word in _STOP_WORDS else self._compute(word)
        return term

    def _compute(self, word: str) -> int:
        bare = word if word.isascii() else _without_accents(word)
        stem = bare if any(c.isdigit() for c in bare) else self._stem(bare)
        return mmh3.hash(stem, signed=False)


def _words(text: str) -> list[str]:
    """Return the words of a text in lower case; plain ASCII, the usual case, takes a third."""
    if text.isascii():
        return text.lower().translate(_ASCII_SEPARATORS).split()
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def _without_accents(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(c for c in decomposed if not unicodedata.combining(c))
