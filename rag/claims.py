"""An answer taken apart: its statements, and each statement's words as they are compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.protocols import Analyzer, SentenceSplitter
from rag.types import Span

MOST_WORDS = 400  # of a statement; what is beyond is not compared
_WORD = re.compile(r"[^\W_]+(?:(?:['’_.-]|(?<=\d),(?=\d))[^\W_]+)*")
_SOURCE_MARK = re.compile(r"\[\d+(?:\s*[,;-]\s*\d+)*\]")
_BULLET = re.compile(r"(?m)^[ \t]*(?:\d{1,3}[.)]|[-*•])[ \t]+")
_NOT = re.compile(r"(?:n['’]t|not)$")
_ENDING = re.compile(r"['’](?:s|m|re|ve|ll|d)$")
_STOP = re.compile(r"[.;:!?,]")
_BEGIN = re.compile(r"[.!?:\n]")
_CAPITAL_NEXT = re.compile(r" [A-Z][^\W\d_]")
_NEGATIONS = frozenset(
    """no not never none nor neither without cannot nothing nobody nowhere unable fail fails failed
    lack lacks lacked lacking absence hardly""".split()
)
_REACH = 4  # words that a negation speaks of, unless a mark ends it before


class Word(NamedTuple):
    """A word as it is compared.

    ``terms``: its index terms, a compound's own last, empty for a function word; ``name``: it is
    capitalised where no sentence begins, or an identifier; ``negated``: a negation reaches it.
    """

    span: Span
    text: str
    terms: tuple[int, ...]
    name: bool
    negated: bool


def statements(answer: str, splitter: SentenceSplitter) -> tuple[str, ...]:
    """Return the sentences of an answer that hold a word, without bullets and source marks."""
    plain = without_marks(answer)
    found = (plain[span.start : span.end] for span in splitter.split(plain))
    return tuple(sentence for sentence in found if _WORD.search(sentence))


def without_marks(text: str) -> str:
    """Return a text without source marks such as [1] and the numbers or bullets of its lists."""
    return _BULLET.sub("", _SOURCE_MARK.sub("", text))


def words(text: str, analyzer: Analyzer, most: int = MOST_WORDS) -> tuple[Word, ...]:
    """Return the first words of a text."""
    found: list[Word] = []
    negated, start, end = 0, True, 0
    for match in _WORD.finditer(text):
        if len(found) >= most:
            break
        gap = text[end : match.start()]
        end = match.end()
        if _STOP.search(gap):
            negated, start = 0, start or bool(_BEGIN.search(gap))
        word = _word(match, analyzer, begins=start, negated=negated > 0)
        found.append(word)
        start, negated = False, max(0, negated - 1)
        if word.text in _NEGATIONS or _NOT.search(word.text):
            negated = _REACH
    return tuple(found)


def word_count(text: str) -> int:
    """Return the number of words of a text."""
    return sum(1 for _ in _WORD.finditer(text))


def grounded_share(said: Sequence[str], probabilities: Sequence[float]) -> float:
    """Return the expected share of the words said that the evidence supports; 0 of no words.

    ``sum_i n_i p_i / sum_i n_i`` over statements of ``n_i`` words.
    """
    lengths = [word_count(statement) for statement in said]
    supported = sum(n * p for n, p in zip(lengths, probabilities, strict=True))
    return supported / sum(lengths) if any(lengths) else 0.0


def _word(match: re.Match[str], analyzer: Analyzer, *, begins: bool, negated: bool) -> Word:
    text = _ENDING.sub("", match[0])
    # "10th" and "1960s" are numbers, "p53" and "X200" are names.
    identifier = text[0].isalpha() and any(c.isdigit() for c in text)
    # What begins a sentence is a name if it is written like one otherwise: "McKay", "Anna Keller".
    named = text[1:] != text[1:].lower() or bool(_CAPITAL_NEXT.match(match.string, match.end()))
    capital = text[0].isupper() and (named or not begins)
    terms = tuple(analyzer.terms(text))
    name = bool(terms) and (identifier or capital)
    return Word(Span(match.start(), match.end()), text.lower(), terms, name, negated)
