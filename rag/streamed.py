"""A stream of text read sentence by sentence, each with the source marks that belong to it.

A sentence is handed on once the first word of the next is there, be it on the next line. However
the stream is cut into pieces, the sentences are the same. Marks ("[1]", "[1, 2]", "[1-3]", "[^1]",
"[Source 1]") belong to the sentence that they stand in; behind its end to that one, if it has no
other; else to the next. A line is not continued on the next one, so that list items stand alone,
unless that one holds nothing but marks; a fenced block of code is one sentence, with the marks
behind its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rag.protocols import SentenceSplitter
from rag.types import Span

LONGEST: Final = 2_000  # characters of a sentence: about 400 words, as many as are compared
_WIDEST = 20  # sources that a range may name
_MOST_TRIES = 12  # stops that end no sentence; one with more is read when its line ends
_LIST = r"[1-9]\d{0,3}(?:\s?[,;–-]\s?[1-9]\d{0,3}){0,30}"
_MARK_FORM = rf"\[{{1,3}}(?:\^|[Ss]ources?:? )?{_LIST}\]{{1,3}}|【{_LIST}】"
# In code, brackets are indices.
_MARK = re.compile(rf"`[^`\n]*+`|\s*+(?P<mark>{_MARK_FORM})")
# A sentence may end here: the first word of the next is complete.
_NEXT = re.compile(rf"[.!?…]['\"”’)*_]*+(?:\s*+(?:{_MARK_FORM}))*+\s++(?![\[【])\S++\s")
_BULLET = re.compile(r"\s*(?:\d{1,3}[.)]|[-*•]|#{1,6})\s+")
_RANGE = re.compile(r"(\d+)(?:\s?[–-]\s?(\d+))?")
_FENCE = "```"
# A line that is, or may become, one of marks alone.
_MARKS_ALONE = re.compile(rf"(?:(?:{_MARK_FORM})[ \t.,;]*+)+")
_PERHAPS_MARKS = re.compile(
    rf"(?:(?:{_MARK_FORM})[ \t.,;]*+)*+(?:[\[【][^\]】\n]{{0,99}}\]{{0,3}})?"
)


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence as it was said, without its marks; ``lead`` stands between it and the one before.

    ``too_long``: it is the beginning of a sentence that was not read to its end.
    """

    text: str
    marks: tuple[int, ...]
    lead: str
    too_long: bool = False


class SentenceStream:
    """Reads one stream; what it holds back is bounded, whatever comes."""

    def __init__(self, splitter: SentenceSplitter) -> None:
        self._splitter = splitter
        self._rest = ""
        self._from = self._tries = 0  # no sentence ends before it, as so many tries have shown
        self._lead = ""
        self._skipping = False
        self._code = ""  # the block that is open
        self._ended = False

    def feed(self, piece: str) -> Iterator[Said]:
        """Yield what is complete with the next piece."""
        for start in range(0, len(piece), LONGEST):
            self._rest += piece[start : start + LONGEST]
            while (said := self._complete()) is not None:
                yield from said

    @property
    def amid_line(self) -> bool:
        """Whether the text so far ends within a line, or a block of code, that may go on."""
        return bool(self._code) or not self._rest.rstrip(" \t\r").endswith("\n")

    def end(self) -> Iterator[Said]:
        """Yield what is left at the end of the stream."""
        self._ended = True
        while (said := self._complete()) is not None:
            yield from said
        if self._rest:
            yield from self._line(self._rest)
        if self._code:
            yield self._block()
        self._rest = ""

    def _complete(self) -> list[Said] | None:
        """Return the next sentences, perhaps none of what was taken; None if more must come."""
        if not self._code:
            self._rest = self._rest.lstrip(" \t\r")
        window = self._rest[:LONGEST]
        line, newline, _ = window.partition("\n")
        if (said := self._begun(line)) is not None:
            return said
        if newline:
            marks = self._marks_behind(line, window[len(line) :])
            if marks is None:
                return None
            if marks:
                # Read on as if they stood at the line's end.
                alone, newline, behind = self._rest[len(line) :].lstrip().partition("\n")
                named = "".join(mark["mark"] for mark in _marks(alone))
                self._rest = f"{line} {named}{newline}{behind}"
                return []
            self._advance(len(line) + 1)
            said = self._line(line)
            self._lead = self._lead and "\n"
            return said
        if len(self._rest) > LONGEST:
            self._advance(LONGEST)
            return self._overflowing(window)
        return None

    def _marks_behind(self, line: str, behind: str) -> bool | None:
        """Return whether the next line holds marks alone; None if more must come to know it.

        Never within a block of code, and not behind a line that has its own at its end.
        """
        fence = line.strip().startswith(_FENCE)
        if not line.strip() or fence != bool(self._code) or _ends_in_marks(line):
            return False
        next_line, newline, _ = behind.lstrip().partition("\n")
        whole = bool(newline) or self._ended or len(self._rest) > LONGEST
        if whole:
            return bool(_MARKS_ALONE.fullmatch(next_line.rstrip()))
        return None if _PERHAPS_MARKS.fullmatch(next_line) else False

    def _begun(self, line: str) -> list[Said] | None:
        """Return the sentences before one that has begun in the line, None if there are none."""
        if self._code or line.startswith(_FENCE):
            return None
        while self._tries < _MOST_TRIES and (match := _NEXT.search(line, self._from)):
            read = self._read(line[: match.end()])
            if len(read) > 1:
                self._advance(read[-1].start)
                return self._given(read[:-1])
            self._from = match.start() + 1
            self._tries += 1
        return None

    def _line(self, line: str) -> list[Said]:
        """Return the sentences of a line that is complete."""
        if self._code:
            self._code = f"{self._code}\n{line}"[: LONGEST + 1]
            return [self._block()] if line.strip().startswith(_FENCE) else []
        if line.strip().startswith(_FENCE) and line.count(_FENCE) == 1:
            self._code = line.lstrip()
            return []
        return self._given(self._read(line))

    def _block(self) -> Said:
        code, self._code = self._code, ""
        end = code.rfind(_FENCE) + len(_FENCE) if code.count(_FENCE) > 1 else len(code)
        lead, self._lead = self._lead, " "
        text = code[:end]
        return Said(text, _named(_marks(code[end:])), lead, too_long=len(code) > LONGEST)

    def _overflowing(self, window: str) -> list[Said]:
        if self._code:
            self._code = (self._code + window)[: LONGEST + 1]
            return []
        if self._skipping:
            return []
        self._skipping = True
        lead, self._lead = self._lead, " "
        return [Said(window, (), lead, too_long=True)]

    def _given(self, read: Sequence[_Read]) -> list[Said]:
        """Return what was read, without the rest of a sentence that was too long."""
        said = []
        for each in read:
            if self._skipping:
                self._skipping = False
                continue
            said.append(Said(each.text, each.marks, self._lead))
            self._lead = " "
        return said

    def _advance(self, characters: int) -> None:
        self._rest = self._rest[characters:]
        self._from = self._tries = 0

    def _read(self, text: str) -> list[_Read]:
        """Return the sentences of a text with their marks; the splitter does not see the marks."""
        plain = _MARK.sub(_blank, text)
        bullet = None if self._lead == " " else _BULLET.match(plain)
        begin = bullet.end() if bullet else 0
        spans = [Span(s.start + begin, s.end + begin) for s in self._splitter.split(plain[begin:])]
        if not spans:
            return []
        spans[0] = Span(0 if bullet else spans[0].start, spans[0].end)
        every = _marks(text)
        owned = _owned(spans, every)
        return [
            _Read(_without(text, span, every), _named(marks), begins)
            for span, (begins, marks) in zip(spans, owned, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Read:
    """A sentence with its marks; ``start`` is where it or the first mark before it begins."""

    text: str
    marks: tuple[int, ...]
    start: int


def _owned(
    spans: Sequence[Span], marks: Sequence[re.Match[str]]
) -> list[tuple[int, list[re.Match[str]]]]:
    """Return for each sentence where it begins with its marks, and these."""
    begins = [span.start for span in spans]
    owned: list[list[re.Match[str]]] = [[] for _ in spans]
    at, behind = -1, -1  # the sentence that marks stand in or behind; who owns those behind it
    for mark in marks:
        while at + 1 < len(spans) and spans[at + 1].start <= mark.start("mark"):
            at, behind = at + 1, -1
        inside = at >= 0 and mark.start("mark") < spans[at].end
        if not inside and behind < 0:
            behind = at if at >= 0 and (not owned[at] or at + 1 == len(spans)) else at + 1
        owner = at if inside else behind
        owned[owner].append(mark)
        begins[owner] = min(begins[owner], mark.start())
    return list(zip(begins, owned, strict=True))


def _marks(text: str) -> list[re.Match[str]]:
    return [match for match in _MARK.finditer(text) if match["mark"]]


def _ends_in_marks(line: str) -> bool:
    marks = _marks(line)
    return bool(marks) and not line[marks[-1].end() :].strip(" \t\r.")


def _named(marks: Iterable[re.Match[str]]) -> tuple[int, ...]:
    """Return the sources that marks name, each once."""
    named: dict[int, None] = {}
    for mark in marks:
        for low, high in _RANGE.findall(mark["mark"]):
            last = min(int(high or low), int(low) + _WIDEST)
            named |= dict.fromkeys(range(int(low), last + 1))
    return tuple(named)


def _without(text: str, span: Span, marks: Iterable[re.Match[str]]) -> str:
    """Return a part of a text without the marks in it."""
    kept, at = "", span.start
    for mark in marks:
        if span.start <= mark.start("mark") < span.end:
            kept += text[at : mark.start()]
            at = mark.end()
    return (kept + text[at : span.end]).strip()


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0]) if match["mark"] else match[0]
