"""The published index, followed while it changes: new generations replace old ones unnoticed.

A search holds the generation it began with; a generation that was replaced is closed when the
last search that holds it has ended. Loading happens on the thread that calls ``refresh``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rag.errors import IndexStateError, RagError
from rag.protocols import IndexReader
from rag.types import Filter, SearchHits, SearchQuery, StoredChunk

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 30.0  # a damaged generation may be mended, but not every half second


@dataclass(frozen=True, slots=True)
class OpenGeneration:
    """A generation ready to be searched; ``close`` releases all that it holds.

    ``identity`` differs between any two contents; ``number`` is what people call it.
    """

    identity: str
    number: int
    index: IndexReader
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Published:
    """Where generations come from.

    ``current`` returns the identity of the published generation, cheaply; ``open`` opens it.
    Both return None while there is none and raise ``RagError`` where it cannot be used.
    """

    name: str
    current: Callable[[], str | None]
    open: Callable[[], OpenGeneration | None]


@dataclass(slots=True)
class _Held:
    """A generation with the number of searches that use it, plus one while it is current."""

    opened: OpenGeneration
    users: int = 1


class LiveIndex:
    """An ``IndexReader`` over whatever generation is published; safe to use from any thread."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._held: _Held | None = None
        self._failure: RagError | None = None
        self._failed_at = 0.0
        self._failed_identity: str | None = None
        self._counting = threading.Lock()
        self._loading = threading.Lock()
        self._stopped = threading.Event()
        self._follower: threading.Thread | None = None
        self._pin = threading.local()

    @property
    def generation(self) -> int | None:
        """Number of the generation this thread is pinned to, else of the current one."""
        held = self._pinned_here() or self._held
        return held.opened.number if held else None

    @property
    def identity(self) -> str:
        """Identity of the generation this thread is pinned to, else of the current one.

        Empty where there is none.
        """
        held = self._pinned_here() or self._held
        return held.opened.identity if held else ""

    def problem(self) -> RagError | None:
        """Return why no question can be answered, or None when ready."""
        if self._held is not None:
            return None
        if self._stopped.is_set():
            return IndexStateError("index is closed", self._published.name, "start it again")
        if self._failure is not None:  # a copy: raising one object from many threads mixes traces
            return type(self._failure)(*self._failure.__reduce__()[1])
        return IndexStateError("no documents yet", self._published.name, "run rag-ingest sync PATH")

    def refresh(self) -> None:
        """Open the published generation if it is another one; what fails is logged once.

        While a new generation cannot be opened, the old one stays. After ``close`` it does nothing.
        """
        with self._loading:
            if self._stopped.is_set():
                return
            identity = None
            try:
                identity = self._published.current()
                if self._is_due(identity):
                    self._load()
                elif identity is None or self._serves(identity):
                    self._failure = None
            except (RagError, OSError) as exc:
                self._note(identity, exc)

    def follow(self, every_seconds: float = 0.5) -> None:
        """Refresh in a background thread from now on, at once and then again and again."""
        self._follower = threading.Thread(
            target=self._keep_refreshing, args=(every_seconds,), name="generations", daemon=True
        )
        self._follower.start()

    def close(self) -> None:
        """Stop following and let go of the current generation."""
        self._stopped.set()
        if self._follower is not None:
            self._follower.join()
        with self._loading:
            self._swap(None)

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Keep all calls of this thread on one generation, so that ids found are ids fetched.

        Raises:
            IndexStateError: There is no generation to be pinned to.
        """
        if self._pinned_here() is not None:
            yield
            return
        held = self._acquire()
        self._pin.held = held
        try:
            yield
        finally:
            self._pin.held = None
            self._release(held)

    def search(self, query: SearchQuery) -> SearchHits:
        """Return both legs' best chunks; see ``IndexReader.search``.

        Raises:
            IndexStateError: There is no generation yet, or it is damaged.
        """
        with self._in_use() as index:
            return index.search(query)

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        """Return chunks by id; see ``IndexReader.fetch``.

        Raises:
            IndexStateError: There is no generation yet, or it is damaged.
        """
        with self._in_use() as index:
            return index.fetch(tenant, chunk_ids)

    def count(self, where: Filter) -> int:
        """Return the number of chunks; see ``IndexReader.count``.

        Raises:
            IndexStateError: There is no generation yet, or it is damaged.
        """
        with self._in_use() as index:
            return index.count(where)

    def _keep_refreshing(self, every_seconds: float) -> None:
        while not self._stopped.is_set():
            self.refresh()
            self._stopped.wait(every_seconds)

    def _serves(self, identity: str) -> bool:
        return self._held is not None and self._held.opened.identity == identity

    def _is_due(self, identity: str | None) -> bool:
        if identity is None or self._serves(identity):
            return False  # unpublishing is no way to stop a service: what is open stays
        waited = time.monotonic() - self._failed_at
        return (
            self._failure is None or identity != self._failed_identity or waited >= _RETRY_SECONDS
        )

    def _load(self) -> None:
        opened = self._published.open()
        if opened is not None:
            self._swap(opened)
            self._failure = None

    def _note(self, identity: str | None, exc: RagError | OSError) -> None:
        failure = exc
        if not isinstance(failure, RagError):
            remedy = "fix its files or permissions"
            failure = IndexStateError("generation cannot be read", exc, remedy)
        if self._failure is None or str(failure) != str(self._failure):
            fields = {"error": str(failure), "serving": self.generation}
            _LOG.error("generation-unusable", extra={"fields": fields})
        self._failure, self._failed_identity = failure, identity
        self._failed_at = time.monotonic()

    def _swap(self, opened: OpenGeneration | None) -> None:
        with self._counting:
            old, self._held = self._held, _Held(opened) if opened else None
        if opened is not None:
            _LOG.info("generation-loaded", extra={"fields": {"generation": opened.number}})
        if old is not None:
            self._release(old)

    def _pinned_here(self) -> _Held | None:
        held: _Held | None = getattr(self._pin, "held", None)
        return held

    @contextmanager
    def _in_use(self) -> Iterator[IndexReader]:
        with self.pinned():
            held = self._pinned_here()
            if held is None:
                raise IndexStateError("index was closed", self._published.name, "try again")
            yield held.opened.index

    def _acquire(self) -> _Held:
        with self._counting:
            if self._held is not None:
                self._held.users += 1
                return self._held
        problem = self.problem()
        raise problem or IndexStateError("index is just loading", self._published.name, "try again")

    def _release(self, held: _Held) -> None:
        with self._counting:
            held.users -= 1
            if held.users:
                return
        try:
            held.opened.close()
        except (RagError, OSError) as exc:
            # The question that happens to be the last user must not fail for it.
            _LOG.warning("generation-not-closed", extra={"fields": {"error": str(exc)}})
