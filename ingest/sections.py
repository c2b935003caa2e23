"""Sections of a document: headings with what stands under them, small neighbours grouped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from ingest.segments import CountedText, covering_blocks, sentences_of
from rag.protocols import SentenceSplitter
from rag.types import Block, Document, Span

Part: TypeAlias = tuple[Block, tuple[Span, ...]]

_SMALL_SECTION = 1 / 4  # of the limit: a section below it is joined to its neighbour
_CHARS_WORTH_COUNTING = 5  # per token of the limit: longer sections hardly ever fit as a whole


class Section(NamedTuple):
    """Headings and what stands under them.

    ``parts`` are the blocks that are not blank, each with its sentences. ``tokens`` is None where
    the section is so long that it was not worth counting.
    """

    parts: tuple[Part, ...]
    tokens: int | None

    @property
    def headings(self) -> tuple[str, ...]:
        """The path that the section's text stands under."""
        return self.parts[-1][0].headings

    @property
    def span(self) -> Span:
        """From the first to the last character that is not white space."""
        return Span(self.parts[0][1][0].start, self.parts[-1][1][-1].end)

    @property
    def sentences(self) -> tuple[Span, ...]:
        """All sentences, in order."""
        return tuple(span for _, sentences in self.parts for span in sentences)


class SectionCutter:
    """Finds the sections of documents."""

    def __init__(self, counted: CountedText, splitter: SentenceSplitter, limit_tokens: int) -> None:
        self._counted = counted
        self._splitter = splitter
        self._limit = limit_tokens

    def groups(self, document: Document) -> Iterator[list[Section]]:
        """Yield sections in order, small neighbours of one parent together while they fit."""
        group: list[Section] = []
        size = 0
        for section in self._sections(document):
            joined = self._joined_size(group, size, section)
            if group and joined is None:
                yield group
                group = []
            group.append(section)
            size = joined or section.tokens or self._limit
        if group:
            yield group

    def _joined_size(self, group: list[Section], size: int, section: Section) -> int | None:
        """Return the tokens of group and section together, None where they are kept apart."""
        if not group or section.tokens is None or not _related(group[-1], section):
            return None
        if min(size, section.tokens) >= self._limit * _SMALL_SECTION:
            return None
        joined = size + self._counted.gap(group[-1].span, section.span) + section.tokens
        return joined if joined <= self._limit else None

    def _sections(self, document: Document) -> Iterator[Section]:
        """Yield sections: one begins at a heading after text, and where the path changes."""
        parts: list[Part] = []
        for block in covering_blocks(document):
            sentences = sentences_of(document.text, block, self._splitter)
            if sentences and parts and _begins_section(parts[-1][0], block):
                yield self._section(parts)
                parts = []
            if sentences:
                parts.append((block, sentences))
        if parts:
            yield self._section(parts)

    def _section(self, parts: list[Part]) -> Section:
        section = Section(tuple(parts), None)
        span = section.span
        if span.end - span.start > _CHARS_WORTH_COUNTING * self._limit:
            return section
        return section._replace(tokens=self._counted.tokens(span))


def common_headings(group: Sequence[Section]) -> tuple[str, ...]:
    """Return the path that all sections of a group share."""
    levels = zip(*(section.headings for section in group), strict=False)
    return tuple(names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels))


def _begins_section(last: Block, block: Block) -> bool:
    if last.kind == "heading":
        return False  # a heading stays with what follows, whatever its level
    return block.kind == "heading" or block.headings != last.headings


def _related(one: Section, other: Section) -> bool:
    """Return whether two paths have the same parent, or one leads to the other."""
    a, b = one.headings, other.headings
    return a[:-1] == b[:-1] or a == b[: len(a)] or b == a[: len(b)]
