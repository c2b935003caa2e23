"""The answer cache: what the pipeline asks it, in the order in which it asks.

1. ``exact`` before anything is retrieved: the same question in the same scope.
2. If the index is another generation since, retrieve, pack, and ``revalidate``.
3. ``similar`` once the question's own context is packed: other words over the same evidence.
4. ``used`` when a hit is given, ``keep`` when a new answer is.

It never makes a question fail: what the file cannot do is a miss.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from rag import access
from rag.cache import shadow
from rag.cache.eviction import priority
from rag.cache.grounds import Grounds, grounds_of
from rag.cache.keys import context_digest, exact_key, scope_key
from rag.cache.memory import Memory
from rag.cache.opened import Opened
from rag.cache.purge import Purge
from rag.cache.rows import cached_of, cost_of, documents_of, row_of
from rag.cache.schema import Row
from rag.cache.store import Store
from rag.cache.values import Asked, Cached, CacheState, Clue, Cost, Level, Limits, Said
from rag.cache.verifier import doubt
from rag.cache.watch import Watch
from rag.results import Context

FOLDER: Final = "cache"


class AnswerCache:
    """Kept answers of all tenants; threads may share it, and processes its folder.

    Each look is held to whoever is asking (``rag.access``), and raises ``AccessError`` beyond that.

    ``purge`` deletes from it.
    """

    def __init__(
        self, folder: Path, limits: Limits | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._opened = Opened(folder)
        self._memory = Memory()
        self._watch = Watch(self._limits)
        self.purge = Purge(self._opened, self._watch)

    def exact(self, asked: Asked) -> Cached | None:
        """Return the entry of the same question in the same scope; it may not be fresh."""
        access.check(asked.scope.where)
        return self._opened.tried(lambda store: self._exact(store, asked), None)

    def revalidate(self, cached: Cached, context: Context, generation: str) -> bool:
        """Return whether an entry of another generation still holds, and note it.

        It does if retrieving and packing its question on ``generation`` gave the very same
        context; else it is dropped.
        """
        return self._opened.tried(
            lambda store: _revalidated(store, cached, context, generation), False
        )

    def similar(self, asked: Asked, clue: Clue, context: Context) -> Cached | None:
        """Return an entry for the same question in other words, over the same evidence.

        ``context`` is what was just packed for the question; see ``Grounds.carry``.
        """
        access.check(asked.scope.where)
        return self._opened.tried(
            lambda store: self._similar(store, asked, clue, grounds_of(context)), None
        )

    def used(self, cached: Cached, spent_joules: float = 0.0) -> None:
        """Note that a hit was given, and what giving it took [J]."""
        self._opened.tried(lambda store: _note_use(store, cached, spent_joules), None)

    def keep(self, asked: Asked, clue: Clue, said: Said, cost: Cost) -> bool:
        """Keep a new answer; False where it was asked sparingly, is too large, or cannot be.

        An abstention is found by its own question only.
        """
        access.check(asked.scope.where)
        if asked.sparing:
            return False
        row = row_of(asked, clue, said, cost)
        if row is None or row.size > self._limits.most_bytes:
            return False
        row = replace(row, created=self._clock())
        return self._opened.tried(lambda store: self._keep(store, row, documents_of(said)), False)

    def shadow_due(self) -> bool:
        """Return whether the semantic hit now at hand is to be answered anew too."""
        return self._opened.tried(self._watch.due, False)

    def shadow(self, cached: Cached, fresh: Said) -> bool | None:
        """Return whether a fresh answer says what a hit says, and count it.

        None where the fresh one abstains. An entry that it contradicts is dropped.
        """
        agrees = shadow.agrees(cached.said, fresh)

        def note(store: Store) -> None:
            self._watch.note(store, agrees)
            if agrees is False:
                store.drop("tenant = ? AND id = ?", (cached.tenant, cached.entry))

        self._opened.tried(note, None)
        return agrees

    def state(self) -> CacheState | None:
        """Return what is held and what was saved; None where the file cannot be read.

        Raises:
            AccessError: Whoever asks is for one tenant: this is of all.
        """
        access.everywhere()
        return self._opened.tried(lambda store: _state(store, self._watch), None)

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def _exact(self, store: Store, asked: Asked) -> Cached | None:
        row = store.by_key(asked.tenant, exact_key(asked))
        return self._cached(store, row, "exact", asked) if row else None

    def _similar(
        self, store: Store, asked: Asked, clue: Clue, grounds: Grounds | None
    ) -> Cached | None:
        if grounds is None or not self._watch.is_on(store):
            return None
        scope = scope_key(asked.scope)
        for entry in self._memory.near(store, scope, clue):
            row = store.by_id(asked.tenant, entry)
            if row is None:
                self._memory.forget(entry)
            elif row.scope == scope and _carried(row, grounds, asked):
                cached = self._cached(store, row, "semantic", asked)
                if cached is not None and doubt(asked.text, row.question) is None:
                    return cached
        return None

    def _cached(self, store: Store, row: Row, level: Level, asked: Asked) -> Cached | None:
        # What a clock that ran ahead has dated would else be kept until then.
        if not row.created <= self._clock() < row.created + self._limits.ttl_seconds:
            return None
        try:
            # What is similar was compared with a context of the generation now served.
            fresh = level == "semantic" or row.generation == asked.generation
            return cached_of(row, level, fresh=fresh)
        except ValueError:  # it is damaged, or was
            store.drop("tenant = ? AND id = ?", (row.tenant, row.id))
            return None

    def _keep(self, store: Store, row: Row, doc_ids: tuple[str, ...]) -> bool:
        joules = cost_of(row).mean_joules
        with store.changing():
            clock = store.numbers().get("clock", 0.0)
            store.drop("created <= ?", (row.created - self._limits.ttl_seconds,))
            store.add(replace(row, priority=priority(clock, 1, joules, row.size)), doc_ids)
            self._evict(store)
        return True

    def _evict(self, store: Store) -> None:
        while store.numbers()["bytes"] > self._limits.most_bytes:
            lowest = store.lowest()
            if lowest is None:
                return
            store.drop("id = ?", (lowest[0],))
            store.put(clock=lowest[1])


def _carried(row: Row, grounds: Grounds, asked: Asked) -> bool:
    kept = Grounds.from_text(row.grounds)
    return grounds.carry(kept, same_index=row.generation == asked.generation)


def _revalidated(store: Store, cached: Cached, context: Context, generation: str) -> bool:
    row = store.by_id(cached.tenant, cached.entry)
    if row is None:
        return False
    holds = row.digest == context_digest(context)
    with store.changing():
        if holds:
            store.update(cached.entry, generation=generation)
        else:
            store.drop("tenant = ? AND id = ?", (cached.tenant, cached.entry))
    return holds


def _note_use(store: Store, cached: Cached, spent_joules: float) -> None:
    joules = cached.cost.mean_joules
    saved = {"joules_saved": joules - spent_joules, "tokens_saved": cached.cost.tokens}
    with store.changing():
        store.count(**{f"{cached.level}_hits": 1}, **saved)
        row = store.by_id(cached.tenant, cached.entry)
        if row is not None:
            clock, uses = store.numbers().get("clock", 0.0), row.uses + 1
            rank = priority(clock, uses, joules, row.size)
            store.update(cached.entry, uses=uses, priority=rank)


def _state(store: Store, watch: Watch) -> CacheState:
    numbers = store.numbers()
    return CacheState(
        entries=int(numbers.get("entries", 0)),
        bytes=int(numbers.get("bytes", 0)),
        exact_hits=int(numbers.get("exact_hits", 0)),
        semantic_hits=int(numbers.get("semantic_hits", 0)),
        joules_saved=numbers.get("joules_saved", 0.0),
        tokens_saved=int(numbers.get("tokens_saved", 0)),
        shadow=watch.report(store),
    )
