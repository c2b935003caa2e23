"""Units of a section, the pieces between which it may be cut, and their packing into chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ingest.partition import balanced_cuts
from ingest.sections import Part, Section
from ingest.segments import CountedText
from rag.types import Block, Span

# Costs of a cut, in the measure of ingest.partition. Their order is what matters: at 0.15 a part
# may miss its target by 39 % (the square root) before a cut between sentences is the better one.
_BETWEEN_ROWS = 0.02  # of one table, or items of one list
_BETWEEN_SENTENCES = 0.15
_AFTER_COLON = 0.3  # between "as follows:" and the list, table or code that follows
_INSIDE_SENTENCE = 0.5
_AFTER_HEADING = 5.0  # above what any deviation of size costs: a heading stays with its text

_MOST_UNITS_PER_CHUNK = 64  # bounds the time that texts of very short lines take
_HEADING_SLACK = 2  # tokens that may appear where a heading meets its text


class Unit(NamedTuple):
    """Sentences that stay together; ``cut_cost`` is the cost of starting a chunk here."""

    sentences: tuple[Span, ...]
    tokens: int
    cut_cost: float = 0.0

    @property
    def span(self) -> Span:
        """From the first sentence's start to the last one's end."""
        return Span(self.sentences[0].start, self.sentences[-1].end)


class UnitMaker:
    """Cuts sections into units that fit the limit."""

    def __init__(self, counted: CountedText, limit_tokens: int) -> None:
        self._counted = counted
        self._limit = limit_tokens

    def units(self, section: Section) -> list[Unit]:
        """Return the section's units: sentences, rows, and blocks of code that fit as a whole.

        What follows a heading fits together with it; very short units are joined.
        """
        units: list[Unit] = []
        headings: list[Unit] = []
        last: Block | None = None
        for block, sentences in section.parts:
            room = self._room(headings, sentences[0])
            cost = self._cost_between(last, block)
            new = list(self._block_units((block, sentences), room, cost))
            headings = headings + new if block.kind == "heading" else []
            for unit in new:
                self._add(units, unit)
            last = block
        return units

    def _room(self, headings: list[Unit], after: Span) -> int:
        """Return the limit for what follows headings; very long headings are not kept with it."""
        if not headings:
            return self._limit
        spans = [*(unit.span for unit in headings), after]
        gaps = sum(self._counted.gap(a, b) for a, b in pairwise(spans))
        taken = sum(unit.tokens for unit in headings) + gaps + _HEADING_SLACK
        return self._limit if taken > self._limit // 2 else self._limit - taken

    def _block_units(self, part: Part, room: int, cost: float) -> Iterator[Unit]:
        block, sentences = part
        whole = Span(sentences[0].start, sentences[-1].end)
        if block.kind == "code" and self._counted.fits(whole, room):
            yield Unit(sentences, self._counted.tokens(whole), cost)
            return
        for sentence in sentences:
            for span, tokens in self._counted.fitting(sentence, room):
                yield Unit((span,), tokens, cost)
                cost = _INSIDE_SENTENCE
            room, cost = self._limit, _BETWEEN_SENTENCES

    def _add(self, units: list[Unit], unit: Unit) -> None:
        """Append a unit, joined to the one before if both are very short."""
        shortest = self._limit // _MOST_UNITS_PER_CHUNK
        if units and unit.tokens < shortest and unit.cut_cost < _AFTER_HEADING:
            before = units[-1]
            tokens = before.tokens + self._counted.gap(before.span, unit.span) + unit.tokens
            if tokens <= shortest:
                units[-1] = Unit(before.sentences + unit.sentences, tokens, before.cut_cost)
                return
        units.append(unit)

    def _cost_between(self, last: Block | None, block: Block) -> float:
        if last is None:
            return 0.0
        if last.kind == "heading":
            return _AFTER_HEADING
        if last.kind == block.kind and block.kind in {"list_item", "table_row"}:
            return _BETWEEN_ROWS
        introduces = self._counted.text[last.start : last.end].rstrip().endswith(":")
        return _AFTER_COLON if introduces and block.kind != "paragraph" else 0.0


def packed(units: Sequence[Unit], counted: CountedText, limit_tokens: int) -> Iterator[Unit]:
    """Yield units joined to parts of near-equal size, each counted as a whole and within the limit.

    Raises:
        ValueRangeError: A single character has more tokens than the limit.
    """
    yield from _packed(units, counted, limit_tokens, limit_tokens)


def _packed(
    units: Sequence[Unit], counted: CountedText, limit: int, aimed_limit: int
) -> Iterator[Unit]:
    """Pack by estimates below ``aimed_limit``; where one proves too low, aim lower."""
    gaps = [0, *(counted.gap(a.span, b.span) for a, b in pairwise(units))]
    sizes = [max(1, unit.tokens) for unit in units]
    ranges = balanced_cuts(sizes, gaps, [unit.cut_cost for unit in units], aimed_limit)
    for first, end in ranges:
        part = _joined(units[first:end], counted)
        if part.tokens <= limit:
            yield part
        elif end - first > 1:
            estimate = sum(sizes[first:end]) + sum(gaps[first + 1 : end])
            lower = max(1, min(aimed_limit - 1, estimate * limit // part.tokens))
            yield from _packed(units[first:end], counted, limit, lower)
        else:
            yield from _packed(_taken_apart(part, counted, limit), counted, limit, limit)


def _joined(units: Sequence[Unit], counted: CountedText) -> Unit:
    if len(units) == 1 and len(units[0].sentences) == 1:
        return units[0]
    joined = Unit(tuple(s for unit in units for s in unit.sentences), 0, units[0].cut_cost)
    return joined._replace(tokens=counted.tokens(joined.span))


def _taken_apart(unit: Unit, counted: CountedText, limit: int) -> list[Unit]:
    pieces = (piece for sentence in unit.sentences for piece in counted.fitting(sentence, limit))
    return [Unit((span,), tokens, _BETWEEN_SENTENCES) for span, tokens in pieces]
