"""Which kept questions of a scope may be worded otherwise: by vectors, else by index terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rag.cache.values import Clue

if TYPE_CHECKING:
    from rag.cache.vector_rows import VectorRows

# Only what the verifier then agrees to counts, so that a low floor costs time, not truth.
# Source: eval/bench/results/cache.json, "floors": of what it agrees to on the half developed on,
# the least cosine is 0.86.
_NEAR_COSINE = 0.8
_NEAR_SHARE = 0.5
_MOST = 16  # candidates that are read and verified


@dataclass(slots=True)
class _Terms:
    """Index terms of one scope's questions, and which questions hold each."""

    weights: dict[int, dict[int, float]] = field(default_factory=dict)
    holders: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(self, entry: int, weights: dict[int, float]) -> None:
        self.weights[entry] = weights
        for term in weights:
            self.holders[term].add(entry)

    def drop(self, entry: int) -> None:
        for term in self.weights.pop(entry, ()):
            self.holders[term].discard(entry)

    def near(self, weights: Mapping[int, float]) -> list[int]:
        """Return entries by the share of both questions' IDF mass that they have in common.

        ``sum_{a and b} w / sum_{a or b} w``, the weighted Jaccard index.
        """
        common: defaultdict[int, float] = defaultdict(float)
        for term, weight in weights.items():
            for entry in self.holders.get(term, ()):
                common[entry] += weight
        mine = sum(weights.values())
        shares = {
            entry: shared / (mine + sum(self.weights[entry].values()) - shared)
            for entry, shared in common.items()
        }
        best = sorted(shares, key=lambda entry: (-shares[entry], entry))[:_MOST]
        return [entry for entry in best if shares[entry] >= _NEAR_SHARE]


class Neighbours:
    """The questions in memory; scopes never meet, and so neither do tenants."""

    def __init__(self) -> None:
        self._rows: dict[tuple[bytes, int], VectorRows] = {}
        self._terms: dict[bytes, _Terms] = {}
        self._scopes: dict[int, tuple[bytes, int | None]] = {}

    def __len__(self) -> int:
        return len(self._scopes)

    @property
    def entries(self) -> set[int]:
        """The entries that are known."""
        return set(self._scopes)

    def add(self, entry: int, scope: bytes, clue: Clue) -> None:
        """Take a question in; one without a vector or a term is never near any other."""
        if clue.vector is not None:
            from rag.cache.vector_rows import VectorRows

            dim = len(clue.vector)
            self._rows.setdefault((scope, dim), VectorRows.of(dim)).add(entry, clue.vector)
            self._scopes[entry] = (scope, dim)
        else:
            self._terms.setdefault(scope, _Terms()).add(entry, weights(clue))
            self._scopes[entry] = (scope, None)

    def drop(self, entries: Iterable[int]) -> None:
        """Forget questions; unknown ones are ignored."""
        for entry in entries:
            scope, dim = self._scopes.pop(entry, (b"", None))
            if dim is not None:
                self._rows[scope, dim].drop(entry)
            elif scope in self._terms:
                self._terms[scope].drop(entry)

    def near(self, scope: bytes, clue: Clue) -> list[int]:
        """Return the entries of a scope that come near a question, nearest first."""
        if clue.vector is not None:
            rows = self._rows.get((scope, len(clue.vector)))
            return rows.near(clue.vector, _NEAR_COSINE, _MOST) if rows else []
        terms = self._terms.get(scope)
        return terms.near(weights(clue)) if terms else []


def weights(clue: Clue) -> dict[int, float]:
    """Return the weight of each term: its IDF, of one in no document the largest there is."""
    rarest = max(clue.idf.values(), default=1.0)
    return {term: max(clue.idf.get(term, rarest), 0.0) for term in dict.fromkeys(clue.terms)}
