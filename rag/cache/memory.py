"""The part of the cache that is searched in memory: read from the file, and read on as it grows."""

from __future__ import annotations

from rag.cache.clues import clue_from
from rag.cache.neighbours import Neighbours
from rag.cache.store import Store
from rag.cache.values import Clue


class Memory:
    """The questions' vectors or terms, as far as this process has read them from the file."""

    def __init__(self) -> None:
        self._of: Store | None = None
        self._near = Neighbours()
        self._newest = 0
        self._dropped = 0.0

    def near(self, store: Store, scope: bytes, clue: Clue) -> list[int]:
        """Return the entries that come near a question; some may be gone."""
        if store is not self._of:  # the file was opened anew, and may be another
            self._of, self._near, self._newest = store, Neighbours(), 0
            self._dropped = store.numbers().get("dropped", 0.0)
        for entry, of, held in store.clues(self._newest):
            self._near.add(entry, of, clue_from(held))
            self._newest = entry
        dropped = store.numbers().get("dropped", 0.0)
        if dropped - self._dropped > len(self._near) / 2:
            self._near.drop(self._near.entries - store.ids())
            self._dropped = dropped
        return self._near.near(scope, clue)

    def forget(self, entry: int) -> None:
        """Forget an entry that is gone."""
        self._near.drop((entry,))
