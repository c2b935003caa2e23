"""The exact answer inside the sentence that answers: a phrase, a verdict, or the items of a list.

Nothing is written that does not stand there: a phrase is cut out verbatim, a list is its lines, and
a verdict only says whether the sentence states what was asked or denies it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rag.kinds import aim, asks_for_several, asks_for_verdict
from rag.phrases import Phrase, ranked_phrases
from rag.protocols import Analyzer
from rag.results import Evidence
from rag.types import Chunk, Span

_DENIES = re.compile(
    r"\b(?:no|not|nor|neither|without|none|never|cannot|fail(?:ed|s)?|lack(?:ed|s)?|unlikely"
    r"|unchanged)\b|n['’]t\b",
    re.IGNORECASE,
)
# What is asked, planned or supposed is not stated.
_LEAVES_OPEN = re.compile(
    r"\b(?:may|might|could|unclear|uncertain|possibl[ey]|perhaps|whether|if|aim(?:s|ed)?|purpose"
    r"|objectives?|hypothes\w+|question\w*|to (?:\w+ )?(?:determine|evaluate|assess|investigate"
    r"|examine|compare|study|test|analy[sz]e|explore))\b|\?",
    re.IGNORECASE,
)
# Source: 430 PubMedQA questions against the conclusions of their abstracts: .78 of the verdicts are
# right from .8 of the mass on, .74 from .3 on (the commonest answer: .53).
_STATED = 0.8
_MARKER = re.compile(r"(?:[-*•‣]|\(?\w{1,2}[.)])\s+")
_FEWEST_ITEMS = 2


@dataclass(frozen=True, slots=True)
class Exact:
    """An exact answer: its text, where it stands in the chunk's text, and how clear it is.

    ``share``: of the best phrase in the softmax over all, in [0, 1]; 1 for verdicts and lists.
    """

    form: Literal["phrase", "verdict", "list"]
    text: str
    spans: tuple[Span, ...]
    share: float


def exact_answer(
    question: str, evidence: Evidence, idf: dict[int, float], analyzer: Analyzer
) -> Exact | None:
    """Return the exact answer that a sentence gives; None where there is none to cut out."""
    if asks_for_verdict(question):
        return _verdict(question, evidence)
    if asks_for_several(question):
        items = _items(evidence)
        if items:
            text = "; ".join(evidence.chunk.text[item.start : item.end] for item in items)
            return Exact("list", text, items, 1.0)
    return _phrase(question, evidence, idf, analyzer)


def _phrase(
    question: str, evidence: Evidence, idf: dict[int, float], analyzer: Analyzer
) -> Exact | None:
    wanted = aim(question, analyzer)
    if wanted.kind == "account":
        return None
    found = ranked_phrases(evidence.text, wanted, idf, analyzer)
    return _cut(evidence, found[0]) if found else None


def _cut(evidence: Evidence, phrase: Phrase) -> Exact:
    base = evidence.chunk.sentences[evidence.sentence].start
    span = Span(base + phrase.span.start, base + phrase.span.end)
    return Exact("phrase", evidence.chunk.text[span.start : span.end], (span,), phrase.share)


def _verdict(question: str, evidence: Evidence) -> Exact | None:
    """Return yes or no where nearly all that is asked is stated, by whether one of both denies."""
    if evidence.coverage < _STATED or _LEAVES_OPEN.search(evidence.text):
        return None
    same = bool(_DENIES.search(question)) == bool(_DENIES.search(evidence.text))
    sentence = evidence.chunk.sentences[evidence.sentence]
    return Exact("verdict", "yes" if same else "no", (sentence,), 1.0)


def _items(evidence: Evidence) -> tuple[Span, ...]:
    """Return the items of the list that a sentence leads in or belongs to."""
    sentence = evidence.chunk.sentences[evidence.sentence]
    for lead_in, items in _lists(evidence.chunk):
        first, end = lead_in.start, items[-1].end
        if len(items) >= _FEWEST_ITEMS and first <= sentence.start and sentence.end <= end:
            return items
    return ()


def _lists(chunk: Chunk) -> Iterator[tuple[Span, tuple[Span, ...]]]:
    """Yield each line that ends in a colon, with the lines below it down to a blank one."""
    lead_in: Span | None = None
    items: list[Span] = []
    for line in (*_lines(chunk.text), Span(len(chunk.text), len(chunk.text))):
        text = chunk.text[line.start : line.end]
        if lead_in and items and not text:
            yield lead_in, tuple(items)
            lead_in, items = None, []
        elif text.endswith(":"):
            lead_in, items = line, []
        elif lead_in and text:
            marker = _MARKER.match(text)
            items.append(Span(line.start + (marker.end() if marker else 0), line.end))


def _lines(text: str) -> Iterator[Span]:
    start = 0
    for line in text.split("\n"):
        left = start + len(line) - len(line.lstrip())
        yield Span(left, max(left, start + len(line.rstrip())))
        start += len(line) + 1
