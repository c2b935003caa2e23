"""Retrieved text against relevant text, character by character."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rag.errors import ValueRangeError
from rag.types import Span

# Spans by document id, in any order; they may overlap.
Places: TypeAlias = Mapping[str, Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How well what was retrieved is what was relevant; each in [0, 1], 1 is best."""

    recall: float
    precision: float
    iou: float


def overlap(retrieved: Places, relevant: Places) -> Overlap:
    """Return recall, precision and intersection over union of two sets of characters.

    ``recall = |T & R| / |T|``, ``precision = |T & R| / |R|``, ``iou = |T & R| / |T | R|`` with the
    relevant characters ``T`` and the retrieved ones ``R``; nothing retrieved has precision 0.

    Source: Smith and Troynikov 2024, "Evaluating Chunking Strategies for Retrieval" (Chroma),
    whose code counts characters too.

    Raises:
        ValueRangeError: Nothing is relevant.
    """
    wanted, taken, common = size(relevant), size(retrieved), shared(retrieved, relevant)
    if wanted == 0:
        raise ValueRangeError("relevant characters", 0, "leave questions without any out")
    return Overlap(
        recall=common / wanted,
        precision=common / taken if taken else 0.0,
        iou=common / (wanted + taken - common),
    )


def size(places: Places) -> int:
    """Return how many characters lie in at least one of the spans."""
    return sum(span.end - span.start for spans in places.values() for span in union(spans))


def shared(one: Places, other: Places) -> int:
    """Return how many characters lie in both."""
    return sum(
        max(0, min(a.end, b.end) - max(a.start, b.start))
        for doc_id in one.keys() & other.keys()
        for a in union(one[doc_id])
        for b in union(other[doc_id])
    )


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the same characters in disjoint spans, in order."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined
