"""Mending a question's typos with the words of the documents themselves; there is no word list.

Only a word that no document holds is looked at, and only beside words that some hold. What it may
have been is every word at one edit from it; of those that documents hold, the one that stands best
beside the rest of the question is taken. A word that is merely new to the documents seldom passes:
some word of theirs may be one edit away, but hardly in one passage with the rest of the question.
Words without a topic ("would" for "wound") are never guessed: nothing in the documents speaks for
them.

Source: P. Norvig, How to Write a Spelling Corrector (2007), with the passages in place of his
word counts. What it wins and costs: ``python -m eval.bench --only wording``.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.bm25 import query_vector
from rag.protocols import Analyzer, IndexReader
from rag.terms import indexed_text
from rag.types import Filter, SearchQuery

# A whole word of plain letters. What is joined to others by signs is an identifier, a path or an
# address, and "couldn't" is no word in two parts; only "'s" may follow.
_PLAIN_WORD = re.compile(r"(?<![\w./@:\\'’-])[A-Za-z][a-z]+(?!['’](?!s\b)|[./@:\\-]?\w)", re.ASCII)
_WORD = re.compile(r"[^\W_]+")
_SHORTEST = 4  # letters: nearly every word of three is one edit from another
_LONGEST = 24  # letters: bounds the number of candidates, 54 a letter
_MOST_WORDS = 3  # looked at in one question: more of them are another language, not typos
_PASSAGES = 10  # read in one round for words that may have been meant
_ROUNDS = 3
_WEIGHED = 4  # candidates, the most frequent ones
# Source: words held by documents one edit from 450 random typos, and from 420 words of questions
# on other things than the documents. From six letters on, 0.2 takes .76 of the former and .15 of
# the latter; below, 0.6 takes .66 and .17.
_LEAST_GAIN = 0.2
_SHORT = 5  # letters
_LEAST_GAIN_OF_SHORT = 0.6


@dataclass(frozen=True, slots=True)
class Speller:
    """Mends questions with the words of an index."""

    analyzer: Analyzer
    index: IndexReader

    def mended(self, text: str, unknown: frozenset[int], where: Filter) -> str:
        """Return ``text`` with its typos mended; ``unknown`` are its terms that no document holds.

        What a word is mended to comes from documents within ``where``. Whether it counts as
        unknown comes from the index's IDF, over all that whoever asks may see.
        """
        known = [term for term in self.analyzer.terms(text) if term not in unknown]
        if not unknown or not known:
            return text  # without a word that is held, nothing speaks for one reading or another
        mended: dict[str, str] = {}
        for word in self._suspects(text, unknown)[:_MOST_WORDS]:
            better = self._meant(word, known, where)
            if better:
                mended[word] = better  # and supports no further guess
        return _PLAIN_WORD.sub(lambda match: mended.get(match[0], match[0]), text)

    def _suspects(self, text: str, unknown: frozenset[int]) -> list[str]:
        words = dict.fromkeys(_PLAIN_WORD.findall(text))
        return [
            word
            for word in words
            if _SHORTEST <= len(word) <= _LONGEST
            and unknown.issuperset(self.analyzer.terms(word))
            # a stop word has no terms
            and self.analyzer.terms(word)
        ]

    def _meant(self, word: str, known: Sequence[int], where: Filter) -> str | None:
        """Return the word that was meant, cased like ``word``; None if there is none."""
        candidates = edits(word.lower())
        best, gain = self._fitting(self._held(candidates, where), known, where)
        if gain < (_LEAST_GAIN if len(word) > _SHORT else _LEAST_GAIN_OF_SHORT):
            return None
        return best.capitalize() if word[0].isupper() else best

    def _held(self, candidates: frozenset[str], where: Filter) -> dict[int, str]:
        """Return those candidates that documents hold, by term.

        A search returns the passages of the rarest ones first, so it is repeated for the others.
        """
        held: dict[int, str] = {}
        wanted = set(self.analyzer.terms(" ".join(candidates)))
        for _ in range(_ROUNDS):
            passages = self._passages(wanted, where)
            for word in sorted(candidates.intersection(_WORD.findall(" ".join(passages).lower()))):
                held.update(dict.fromkeys(self.analyzer.terms(word), word))
            if len(passages) < _PASSAGES:
                break  # these were all that hold one
            wanted.difference_update(self.analyzer.terms(" ".join(passages)))
        return held

    def _passages(self, terms: set[int], where: Filter) -> list[str]:
        query = SearchQuery(where, query_vector(sorted(terms)), None, _PASSAGES, weigh_terms=False)
        hits = self.index.search(query).sparse
        stored = self.index.fetch(where.tenant, [hit.chunk_id for hit in hits])
        return [indexed_text(one.chunk) for one in stored]

    def _fitting(
        self, held: dict[int, str], known: Sequence[int], where: Filter
    ) -> tuple[str, float]:
        """Return the word that adds most to the best passage's score, in units of its own IDF.

        About 1 where the best passage holds the word beside all it held before, or instead of
        words of the same weight 0.
        """
        idf = self.index.search(SearchQuery(where, query_vector(sorted(held)), None, 1)).idf
        frequent = sorted(idf, key=lambda term: (idf[term], term))[:_WEIGHED]
        before = self._best_score(known, where)
        gains = [
            ((self._best_score([*known, term], where) - before) / idf[term], held[term])
            for term in frequent
        ]
        gain, word = max(gains, default=(0.0, ""))
        return word, gain

    def _best_score(self, terms: Sequence[int], where: Filter) -> float:
        if not terms:
            return 0.0
        query = SearchQuery(where, query_vector(terms), None, 1, weigh_terms=False)
        return max((hit.score for hit in self.index.search(query).sparse), default=0.0)


def edits(word: str) -> frozenset[str]:
    """Return every other word at one edit: a letter left out, added or changed, or two swapped."""
    return frozenset(_edits(word)) - {word, ""}


def _edits(word: str) -> Iterator[str]:
    for i in range(len(word) + 1):
        before, after = word[:i], word[i:]
        yield before + after[1:]
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
        for letter in string.ascii_lowercase:
            yield before + letter + after[1:]
            yield before + letter + after
