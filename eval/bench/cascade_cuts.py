"""Between which confidences a model should write: chosen on one half, reported on the other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean
from typing import Final

from eval.bench.said import Said

CHOSEN: Final = "chosen cascade"
_STEPS: Final = tuple(round(0.05 * i, 2) for i in range(21))
_ANSWERS: Final = 0.5  # answer_threshold: what is extracted from there on is not written
_AS_GOOD: Final = 0.01  # F1 that is given away for less compute


@dataclass(frozen=True, slots=True)
class Cuts:
    """From which confidence nothing is written, and from which on something is."""

    extract_from: float
    generate_from: float

    def takes(self, confidence: float) -> bool:
        """Whether the model is asked."""
        return self.generate_from <= confidence < self.extract_from


@dataclass(frozen=True, slots=True)
class Tried:
    """A pair of cuts with its mean F1 and CPU-seconds a question."""

    cuts: Cuts
    f1: float
    cpu_seconds: float


def is_first_half(question: str) -> bool:
    """Whether a question is one that cuts are chosen on."""
    return hashlib.sha256(question.encode()).digest()[0] % 2 == 0


def composed(always: Sequence[Said], never: Sequence[Said], cuts: Cuts) -> list[Said]:
    """Return what the cascade says between two cuts, from both of its ways at each question."""
    return [
        replace(written if cuts.takes(plain.confidence or 0.0) else plain, way=CHOSEN)
        for written, plain in zip(always, never, strict=True)
    ]


def tried(always: Sequence[Said], never: Sequence[Said]) -> list[Tried]:
    """Return every pair of cuts, each with its means."""
    highs = [step for step in _STEPS if step >= _ANSWERS]
    pairs = [Cuts(high, low) for low, high in product(_STEPS, highs) if low <= high]
    return [_tried(composed(always, never, cuts), cuts) for cuts in pairs]


def _tried(said: Sequence[Said], cuts: Cuts) -> Tried:
    scores = [each.scores() for each in said]
    return Tried(
        cuts, fmean(s["short_f1"] for s in scores), fmean(s["cpu_seconds"] for s in scores)
    )


def chosen(found: Sequence[Tried]) -> Tried:
    """Return the cheapest pair that is about as good as the best."""
    best = max(each.f1 for each in found)
    enough = [each for each in found if each.f1 >= best - _AS_GOOD]
    return min(enough, key=lambda each: (each.cpu_seconds, -each.f1, each.cuts.extract_from))
