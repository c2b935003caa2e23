"""What is marked in a context: gold answers, gold evidence and cited sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final

from eval.metrics.words import answer_words
from eval.report.markup import Html, element, joined
from rag.types import Span

# What a mark is called in the style sheet, and what it says.
KINDS: Final[Mapping[str, str]] = {
    "answer": "gold answer",
    "evidence": "gold evidence",
    "cited": "cited by the answer",
}
_WORD = re.compile(r"\S+")
_LOOSE = " \t\n.,;:!?()[]\"'“”‘’«»"  # noqa: RUF001 -- quotation marks


def places(text: str, wanted: str) -> tuple[Span, ...]:
    """Return where a wording stands in a text: to the letter, or by ``answer_recall``'s words.

    An answer without any such word, such as "%", stands where it is a word of the text.
    """
    exact = [Span(*match.span()) for match in _verbatim(wanted).finditer(text)]
    words = [
        (word, match)
        for match in _WORD.finditer(text)
        for word in answer_words(match.group()) or [match.group().lower()]
    ]
    # What normalisation leaves nothing of may stand between the words that are looked for.
    said = [(word, match) for word, match in words if answer_words(match.group())]
    sought = answer_words(wanted)
    if not sought:
        return (*exact, *_runs(words, wanted.lower().split()))
    return (*exact, *(_trimmed(text, span) for span in _runs(said, sought)))


def marked(text: str, wanted: Mapping[str, Sequence[str]]) -> Html:
    """Return a text with everything marked that is wanted of each of ``KINDS``.

    Where marks overlap, one element carries the classes of all.
    """
    spans = {
        kind: [span for wording in wordings for span in places(text, wording)]
        for kind, wordings in wanted.items()
    }
    return joined(_piece(text[start:end], kinds) for start, end, kinds in _pieces(len(text), spans))


def _pieces(
    length: int, spans: Mapping[str, Sequence[Span]]
) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield the stretches of a text that carry the same marks, with those, from end to end."""
    edges = {edge for found in spans.values() for span in found for edge in (span.start, span.end)}
    pieces = (
        (start, end, tuple(kind for kind, found in spans.items() if _within(start, end, found)))
        for start, end in pairwise(sorted({0, length, *edges}))
    )
    for kinds, alike in groupby(pieces, key=itemgetter(2)):
        stretch = list(alike)
        yield stretch[0][0], stretch[-1][1], kinds


def _verbatim(wanted: str) -> re.Pattern[str]:
    bare = wanted.strip()
    return re.compile(rf"(?<!\w){re.escape(bare)}(?!\w)") if bare else re.compile(r"(?!)")


def _runs(words: Sequence[tuple[str, re.Match[str]]], sought: Sequence[str]) -> Iterator[Span]:
    size = len(sought)
    for first in range(len(words) - size + 1 if size else 0):
        run = words[first : first + size]
        if [word for word, _ in run] == list(sought):
            yield Span(run[0][1].start(), run[-1][1].end())


def _trimmed(text: str, span: Span) -> Span:
    inner = text[span.start : span.end]
    start = span.start + len(inner) - len(inner.lstrip(_LOOSE))
    return Span(start, max(start, span.end - len(inner) + len(inner.rstrip(_LOOSE))))


def _within(start: int, end: int, spans: Sequence[Span]) -> bool:
    return any(span.start <= start and end <= span.end for span in spans)


def _piece(text: str, kinds: Sequence[str]) -> str:
    if not kinds:
        return text
    said = ", ".join(KINDS[kind] for kind in kinds)
    return element("mark", text, class_=" ".join(kinds), title=said)
