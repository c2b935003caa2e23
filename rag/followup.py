"""A follow-up made a question of its own, without a model.

"And in Germany?" leans on what was asked before. Such a question is recognised by a word that
points back (it, they, that), by how it begins (and, what about), or by having hardly a word of its
own and no name. What it leans on then stands behind it in brackets: the content words of the user's
last questions as they were written, newest first, until one of them stood alone, and the first
names of the last reply. Words are only ever taken from the conversation, and a question that stands
alone is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rag.claims import Word, words
from rag.generating import Message
from rag.protocols import Analyzer

# Source: recall at 5 passages on one half of MTRAG's conversations; docs/prompts.md.
_MOST_WORDS: Final = 12  # taken from questions
_MOST_NAMES: Final = 4  # taken from the last reply
_FEW: Final = 2  # index terms with which a question hardly stands alone
_MOST_TURNS: Final = 6  # questions that are looked back at
_MOST_READ: Final = 150  # words of a message
_POINTING = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those)\b",
    re.IGNORECASE,
)
_BEGINNING = re.compile(
    r"\W*(?:and|or|but|so|then|also|what about|how about|what if|why not|ok(?:ay)?|yes|no|any|more"
    r"|thanks?|thank you|und|oder|aber|was ist mit|et|mais|qu['’]en est-il|y|pero)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Standalone:
    """A question that can be looked up by itself; ``how`` says in a few words what was done."""

    text: str
    changed: bool
    how: str


def standalone(question: str, history: Sequence[Message], analyzer: Analyzer) -> Standalone:
    """Return a question with what it takes up from the conversation before it.

    The same question comes back if it stands alone or if there is nothing to take up.
    """
    if not history:
        return Standalone(question, changed=False, how="the first question")
    reader = _Reader(analyzer)
    reason = reader.leans(question)
    if reason is None:
        return Standalone(question, changed=False, how="stands alone")
    taken = reader.taken(question, history)
    if not taken:
        return Standalone(question, changed=False, how=f"{reason}; there is nothing to take up")
    added = " ".join(taken)
    return Standalone(f"{question} ({added})", changed=True, how=f"{reason}: takes up {added!r}")


def is_of(rewritten: str, question: str, history: Iterable[Message], analyzer: Analyzer) -> bool:
    """Return whether every content word of a model's rewriting was said in the conversation."""
    texts = (question, *(message.text for message in history))
    said = {term for text in texts for term in analyzer.terms(text)}
    terms = analyzer.terms(rewritten)
    return bool(terms) and said.issuperset(terms)


@dataclass(frozen=True, slots=True)
class _Reader:
    analyzer: Analyzer

    def leans(self, question: str) -> str | None:
        """Return why a question does not stand alone, None if it does."""
        if match := _POINTING.search(question):
            return f"points back ({match[0].lower()!r})"
        if match := _BEGINNING.match(question):
            return f"goes on ({match[0].strip().lower()!r})"
        content = self._content(question)
        if len({term for word in content for term in word.terms}) <= _FEW:
            return None if any(word.name for word in content) else "says little by itself"
        return None

    def taken(self, question: str, history: Sequence[Message]) -> list[str]:
        """Return the words that a question takes up, each once, as they were written."""
        known = set(self.analyzer.terms(question))
        asked = [message.text for message in history if message.role == "user"]
        taken: list[str] = []
        for text in reversed(asked[-_MOST_TURNS:]):
            taken += _new(text, self._content(text), known, _MOST_WORDS - len(taken))
            if self.leans(text) is None:
                break
        last = history[-1]
        if last.role == "assistant":
            names = [word for word in self._content(last.text) if word.name]
            taken += _new(last.text, names, known, _MOST_NAMES)
        return taken

    def _content(self, text: str) -> list[Word]:
        return [word for word in words(text, self.analyzer, _MOST_READ) if word.terms]


def _new(text: str, content: Iterable[Word], known: set[int], most: int) -> list[str]:
    """Return the first words with a term that is not known, which then are."""
    new: list[str] = []
    for word in content:
        if len(new) < most and not known.issuperset(word.terms):
            new.append(text[word.span.start : word.span.end])
            known.update(word.terms)
    return new
