"""A question's acronyms, spelled out as the passages found define them, and the other way round.

"Who heads the MDN?" misses what says "Ministry of National Defence" throughout, unless a passage
found says "Ministry of National Defence (MDN)". Only what a passage defines in this way counts;
there is no list of acronyms.

Source: A. Schwartz and M. Hearst, A Simple Algorithm for Identifying Abbreviation Definitions in
Biomedical Text (2003), narrowed to initials. What it wins and costs:
``python -m eval.bench --only wording``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rag.results import Passage

_BRACKETED = re.compile(r"\(([A-Z][A-Z0-9]{1,5})s?\)")
_WORD = re.compile(r"[^\W\d_]\w*")
_WINDOW = 90  # characters before the bracket: the words of six initials
_MOST_SMALL = 2  # words without an initial of their own
_SMALL = frozenset("of and the for in to de".split())


def expanded(question: str, passages: Sequence[Passage]) -> str | None:
    """Return the question with the other form behind each form it holds; None if there is none.

    Short forms have to stand as the passages write them ("us" is not "US"). Where passages
    disagree on one, the first of them counts.
    """
    text, done = question, set[str]()
    for forms in dict.fromkeys(definitions(p.chunk.text for p in passages)):
        if done.isdisjoint(forms):
            longer = _with_other(text, *forms)
            done.update(() if longer == text else forms)
            text = longer
    return None if text == question else text


def _with_other(text: str, short: str, long: str) -> str:
    if short not in text and long.casefold() not in text.casefold():
        return text  # nearly always: spare the patterns
    as_short = re.search(rf"\b{short}\b", text)
    as_long = re.search(rf"\b{re.escape(long)}\b", text, re.IGNORECASE)
    if as_short and not as_long:
        return f"{text[: as_short.end()]} ({long}){text[as_short.end() :]}"
    if as_long and not as_short:
        return f"{text[: as_long.end()]} ({short}){text[as_long.end() :]}"
    return text


def definitions(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the short and the long form of each "Long Form (LF)"."""
    for text in texts:
        for match in _BRACKETED.finditer(text):
            long = _spelled_out(match[1], text[max(0, match.start() - _WINDOW) : match.start()])
            if long:
                yield match[1], long


def _spelled_out(short: str, before: str) -> str | None:
    """Return those last words of ``before`` whose initials are ``short``."""
    words = list(_WORD.finditer(before))
    for count in range(len(short), min(len(short) + _MOST_SMALL, len(words)) + 1):
        tail = [match[0] for match in words[-count:]]
        telling = [word for word in tail if word.lower() not in _SMALL]
        if short in (_initials(tail), _initials(telling)) and tail[0][0].upper() == short[0]:
            return before[words[-count].start() :].strip()
    return None


def _initials(words: Sequence[str]) -> str:
    return "".join(word[0] for word in words).upper()
