"""Index terms for the lexical leg: the only importer of py_rust_stemmers and mmh3.

What ``-``, ``_`` or ``.`` join (``kube-apiserver``, ``max_wal_size``, ``requirements.txt``,
``2.4.1``, ``e-mail``) is one term more, the compound, beside those of its parts; so a question
finds the one place that writes it so, and a text that writes the parts alone is still found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import chain

import mmh3
from py_rust_stemmers import SnowballStemmer

# Letters and digits, with the accents that no composed letter holds.
_WORD = r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*"
_JOINED = re.compile(rf"{_WORD}(?:[-_.]{_WORD})*")
_JOINS = re.compile(r"[-_.]")
# "e-mail" is "email" and "COVID-19" "covid19", but "2-4" is not "24"; "io.open" is not "ioopen".
_SILENT = re.compile(r"(?<!\d)[-_]|[-_](?!\d)")
_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?!,?\d)")
_OF_VERSION = re.compile(r"\bv(?=\d+\.\d)")
_WRITTEN = re.compile(r"[\w\u0300-\u036f.,-]+")
# Each ASCII byte in lower case, a blank for what stands in no word.
_ASCII = bytes(ord(chr(c).lower()) if _WRITTEN.match(chr(c)) else 32 for c in range(128)) * 2
_EDGES = "-_.,"
_MOST_KNOWN = 200_000  # words as written, about 35 MB
_LONGEST_KNOWN = 40  # characters: what is longer hardly comes twice
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

    Where it gives other terms than before, ``rag.terms.TERMS_VERSION`` has to be raised.
    Words with digits are kept as they stand: identifiers and numbers are never stemmed. "10,000"
    is "10000", "v2.4" is "2.4".
    """

    def __init__(self) -> None:
        self._known = _Terms()

    def terms(self, text: str) -> list[int]:
        """Return term ids in text order, a compound after its parts, stop words removed."""
        return list(chain.from_iterable(map(self._known.__getitem__, _written(text))))


class _Terms(dict[str, tuple[int, ...]]):
    """Term ids of what stands between blanks; found when first asked for, bounded in size."""

    def __init__(self) -> None:
        super().__init__()
        self._stem = SnowballStemmer("english").stem_word

    def __missing__(self, written: str) -> tuple[int, ...]:
        bare = written.strip(_EDGES)
        if bare != written:
            terms = self[bare]
        else:
            terms = tuple(self._term(word) for word in _words(written) if word not in _STOP_WORDS)
        if len(written) <= _LONGEST_KNOWN:
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[written] = terms
        return terms

    def _term(self, word: str) -> int:
        bare = word if word.isascii() else _without_accents(word)
        stem = self._stem(bare) if bare.isalpha() or not _has_digit(bare) else bare
        return mmh3.hash(stem, signed=False)


def _written(text: str) -> list[str]:
    """Return the text in lower case, cut where no word goes on; plain ASCII takes a third."""
    if text.isascii():
        return text.encode("ascii").translate(_ASCII).decode("ascii").split()
    return _WRITTEN.findall(unicodedata.normalize("NFKC", text).lower())


def _words(written: str) -> Iterator[str]:
    """Yield the words, and each compound after its parts."""
    if written.isalnum() and written.isascii():
        yield written
        return
    if "," in written:
        written = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), written)
    for joined in _JOINED.findall(_OF_VERSION.sub("", written)):
        parts = _JOINS.split(joined)
        yield from parts
        if len(parts) > 1:
            yield _SILENT.sub("", joined)


def _has_digit(word: str) -> bool:
    return any(c.isdigit() for c in word)


def _without_accents(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word)
    return "".join(c for c in decomposed if not unicodedata.combining(c))
