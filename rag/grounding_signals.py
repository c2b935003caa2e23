"""What speaks for a statement, and against it, in the words of the evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, TypeAlias

from rag.claims import Word, without_marks, words
from rag.opposites import turned
from rag.protocols import Analyzer, SentenceSplitter
from rag.quantities import Quantity, in_digits, quantities, unsupported

Contraries: TypeAlias = Mapping[int, frozenset[int]]

MOST_CHARACTERS = 30_000  # of all evidence, about 7,000 tokens; what is beyond is not read
_LONGEST_STATEMENT = 5_000  # characters; what is beyond is not read
# An error tells most in a statement that is like the evidence otherwise.
# Source: docs/adr/0012-groundedness.md, of 1, 2, 3, 5, and twice that for names.
_AGREEMENT = 3


class Signals(NamedTuple):
    """What speaks for a statement and against it, all in [0, 1].

    For it: ``coverage``: see ``covered``; ``quoted``: 1 if its words stand there in one run.

    Against it, by the share of its content words that the nearest sentences have, to the power of
    3: ``numbers``: a number or date that the evidence has not; ``negation``: a word that a negation
    reaches there or here only; ``contrary``: a word whose contrary stands in the nearest sentences
    instead; to the power of 6, as other words for a name are common: ``names``: a name that it has
    not.
    """

    coverage: float
    quoted: float
    numbers: float
    names: float
    negation: float
    contrary: float


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence as it is compared; ``terms`` are those of all its words."""

    text: str
    words: tuple[Word, ...]
    quantities: frozenset[Quantity]
    terms: frozenset[int]
    follows: bool = False  # the sentence before it is of the same text

    @property
    def content(self) -> list[Word]:
        """The words that are no function words."""
        return [word for word in self.words if word.terms]


class Found(NamedTuple):
    """How surely a word stands in the evidence, and in the nearest sentences, in [0, 1]."""

    anywhere: float
    near: float


def covered(found: Sequence[Found]) -> float:
    """Return the mean of how surely words are found, in [0, 1]; 0 of none.

    Half of it is for being anywhere, half for being in one place.
    """
    return sum(word.anywhere + word.near for word in found) / (2 * len(found)) if found else 0.0


def read_statement(text: str, analyzer: Analyzer) -> Statement:
    """Return a statement taken apart."""
    return _read(in_digits(without_marks(text[:_LONGEST_STATEMENT])), analyzer, follows=False)


class ReadEvidence:
    """Texts read once for any number of statements; neither order nor repeats make a difference.

    ``sentences`` are what was read: all, unless there are more than ``MOST_CHARACTERS``.
    """

    def __init__(
        self, texts: Iterable[str], analyzer: Analyzer, splitter: SentenceSplitter
    ) -> None:
        self.sentences = [
            sentence
            for text in _capped(sorted(set(texts)))
            for sentence in _sentences(text, analyzer, splitter)
        ]
        self._places: dict[int, list[int]] = {}
        for place, sentence in enumerate(self.sentences):
            for term in sentence.terms:
                self._places.setdefault(term, []).append(place)
        # Each text is one run, of all its sentences.
        self._runs = "".join(
            f"{'' if sentence.follows else '| '}{_run(sentence.words)} "
            for sentence in self.sentences
        )
        self._quantities = frozenset(chain.from_iterable(s.quantities for s in self.sentences))

    def nearest(self, said: Statement) -> range:
        """Return the places of the sentence, or two in a row, with most of the words.

        Of equals it is the shortest; it is empty if no sentence has any.
        """
        wanted = frozenset(word.terms[-1] for word in said.content)
        places = {place for term in wanted for place in self._places.get(term, ())}
        windows = (window for place in sorted(places) for window in self._windows(place))
        return max(windows, key=lambda window: self._fullness(window, wanted), default=range(0))

    def found(self, said: Statement, near: range) -> list[Found]:
        """Return for each content word whether the evidence has it, by its letters."""
        terms = self._terms(near)
        return [Found(_has(self._places, w), _has(terms, w)) for w in said.content]

    def signals(self, said: Statement, near: range, contraries: Contraries) -> Signals:
        """Return what speaks for a statement and against it."""
        content, terms = said.content, self._terms(near)
        found = self.found(said, near)
        agreement = (sum(f.near for f in found) / max(len(found), 1)) ** _AGREEMENT
        strange = any(word.name and not f.anywhere for word, f in zip(content, found, strict=True))
        quoted = self._quotes(said)
        return Signals(
            coverage=covered(found) if content else float(quoted),
            quoted=float(quoted),
            numbers=agreement * (unsupported(said.quantities, self._quantities) > 0),
            names=agreement**2 * strange,
            negation=agreement * _is_negated_otherwise(content, self._at(near)),
            contrary=agreement * (turned(said.terms, terms, contraries) > 0),
        )

    def _quotes(self, said: Statement) -> bool:
        run = _run(said.words)
        if said.content:
            return f" {run} " in self._runs
        # "No." is said by a sentence that is just this, not by one that has the word.
        return any(run == _run(sentence.words) for sentence in self.sentences)

    def _at(self, near: range) -> list[Statement]:
        return [self.sentences[place] for place in near]

    def _terms(self, near: range) -> frozenset[int]:
        return frozenset(chain.from_iterable(sentence.terms for sentence in self._at(near)))

    def _fullness(self, near: range, wanted: frozenset[int]) -> tuple[int, int, str]:
        sentences = self._at(near)
        length = sum(len(sentence.words) for sentence in sentences)
        # The text comes last, so that equals do not depend on the order of the evidence.
        return len(wanted & self._terms(near)), -length, sentences[-1].text

    def _windows(self, place: int) -> Iterator[range]:
        """Yield the sentence alone, and with the one before it."""
        yield range(place, place + 1)
        if self.sentences[place].follows:
            yield range(place - 1, place + 1)


def _is_negated_otherwise(content: Iterable[Word], near: Iterable[Statement]) -> bool:
    known: dict[int, set[bool]] = {}
    for word in chain.from_iterable(sentence.content for sentence in near):
        known.setdefault(word.terms[-1], set()).add(word.negated)
    return any(word.negated not in known.get(word.terms[-1], (word.negated,)) for word in content)


def _has(terms: Collection[int], word: Word) -> float:
    """Return 1 if the word is there, as it stands or by the parts of a compound, else 0."""
    parts = word.terms[:-1]
    return float(word.terms[-1] in terms or (bool(parts) and all(part in terms for part in parts)))


def _run(found: Sequence[Word]) -> str:
    return " ".join(word.text for word in found)


def _capped(texts: Sequence[str]) -> Iterator[str]:
    left = MOST_CHARACTERS
    for text in texts:
        yield text[:left]
        left -= len(text)
        if left <= 0:
            return


def _sentences(text: str, analyzer: Analyzer, splitter: SentenceSplitter) -> Iterator[Statement]:
    plain = in_digits(without_marks(text))
    for number, span in enumerate(splitter.split(plain)):
        yield _read(plain[span.start : span.end], analyzer, follows=number > 0)


def _read(text: str, analyzer: Analyzer, *, follows: bool) -> Statement:
    found = words(text, analyzer)
    terms = frozenset(chain.from_iterable(word.terms for word in found))
    return Statement(text, found, quantities(text), terms, follows)
