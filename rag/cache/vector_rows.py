"""The vectors of one scope's questions; apart, as only where there are vectors is numpy needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np

from rag.types import Vector

_FIRST_ROWS: Final = 16


@dataclass(slots=True)
class VectorRows:
    """Vectors of one scope: rows [0, used) of ``matrix``, (capacity, dim) float32."""

    matrix: Vector
    ids: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, dimension: int) -> Self:
        """Return rows for vectors of a dimension, none of them used yet."""
        return cls(np.zeros((_FIRST_ROWS, dimension), dtype=np.float32))

    def add(self, entry: int, vector: Vector) -> None:
        """Take an entry in."""
        if len(self.ids) == len(self.matrix):
            self.matrix = np.concatenate([self.matrix, np.zeros_like(self.matrix)])
        self.matrix[len(self.ids)] = vector
        self.ids.append(entry)

    def drop(self, entry: int) -> None:
        """Forget an entry; an unknown one is ignored."""
        if entry in self.ids:
            at, last = self.ids.index(entry), self.ids.pop()
            if last != entry:
                self.ids[at] = last
                self.matrix[at] = self.matrix[len(self.ids)]

    def near(self, vector: Vector, floor: float, most: int) -> list[int]:
        """Return the entries whose cosine is at least ``floor``, nearest first, up to ``most``."""
        cosines = self.matrix[: len(self.ids)] @ vector
        near = np.flatnonzero(cosines >= floor)
        best = near[np.argsort(-cosines[near], kind="stable")[:most]]
        return [self.ids[at] for at in best]
