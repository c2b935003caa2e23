from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from rag.adapters.memory_index import MemoryIndex
from rag.answering import PinnedAnswering
from rag.errors import IndexStateError
from rag.generating import Listener
from rag.listening import NOBODY
from rag.live_index import LiveIndex, OpenGeneration, Published
from rag.results import Answer, Question, Retrieved
from rag.types import (
    Chunk,
    Filter,
    Point,
    SearchHits,
    SearchQuery,
    Span,
    SparseVector,
    StoredChunk,
)

WHERE = Filter("t")
QUERY = SearchQuery(WHERE, SparseVector((1,), (1.0,)), None, 5)


class Closable:
    """A memory index of one chunk, named after its generation, that fails once it is closed."""

    def __init__(self, number: int) -> None:
        self.closed = 0
        self._inner = MemoryIndex()
        text = f"generation {number}"
        chunk = Chunk(f"chunk-{number}", "d", "", text, 0, len(text), 2, (Span(0, len(text)),))
        self._inner.upsert([Point("t", chunk, SparseVector((1,), (1.0,)), None)])

    def search(self, query: SearchQuery) -> SearchHits:
        self._check()
        return self._inner.search(query)

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        self._check()
        return self._inner.fetch(tenant, chunk_ids)

    def count(self, where: Filter) -> int:
        self._check()
        return self._inner.count(where)

    def close(self) -> None:
        self.closed += 1

    def _check(self) -> None:
        if self.closed:
            raise IndexStateError("closed", self, "do not use it any more")


@dataclass
class Shelf:
    """A place where generations are published, damaged or not."""

    number: int | None = None
    failure: Exception | None = None
    opened: dict[int, Closable] = field(default_factory=dict)
    attempts: int = 0

    def published(self) -> Published:
        return Published("shelf", self.current, self.open)

    def current(self) -> str | None:
        return None if self.number is None else f"{self.number:06d}"

    def open(self) -> OpenGeneration | None:
        self.attempts += 1
        if self.failure:
            raise self.failure
        if self.number is None:
            return None
        index = self.opened[self.number] = Closable(self.number)
        return OpenGeneration(f"{self.number:06d}", self.number, index, index.close)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def live(shelf: Shelf) -> LiveIndex:
    return LiveIndex(shelf.published())


def publish(shelf: Shelf, live: LiveIndex, number: int) -> Closable:
    shelf.number = number
    live.refresh()
    return shelf.opened[number]


def found(live: LiveIndex) -> str:
    return live.search(QUERY).sparse[0].chunk_id


def test_without_a_generation_it_is_not_ready_and_says_what_to_do(live: LiveIndex) -> None:
    live.refresh()
    assert live.generation is None
    assert isinstance(live.problem(), IndexStateError)
    for call in (lambda: found(live), lambda: live.fetch("t", ()), lambda: live.count(WHERE)):
        with pytest.raises(IndexStateError, match=r"no documents yet.*rag-ingest sync PATH"):
            call()


def test_it_is_a_reader_of_what_is_published(shelf: Shelf, live: LiveIndex) -> None:
    publish(shelf, live, 1)
    assert live.problem() is None
    assert live.generation == 1
    assert found(live) == "chunk-1"
    assert live.fetch("t", ["chunk-1"])[0].chunk.text == "generation 1"
    assert live.count(WHERE) == 1


def test_the_same_generation_is_opened_once(shelf: Shelf, live: LiveIndex) -> None:
    publish(shelf, live, 1)
    live.refresh()
    assert shelf.attempts == 1


def test_another_generation_replaces_it_whether_newer_or_rolled_back(
    shelf: Shelf, live: LiveIndex
) -> None:
    second = publish(shelf, live, 2)
    assert found(live) == "chunk-2"
    first = publish(shelf, live, 1)
    assert found(live) == "chunk-1"
    assert (second.closed, first.closed) == (1, 0)


def test_a_pinned_thread_stays_and_the_old_one_is_closed_after_it(
    shelf: Shelf, live: LiveIndex
) -> None:
    first = publish(shelf, live, 1)
    with live.pinned():
        publish(shelf, live, 2)
        assert (found(live), live.generation) == ("chunk-1", 1)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(found, live).result() == "chunk-2"
        with live.pinned():
            assert found(live) == "chunk-1"
        assert first.closed == 0
    assert first.closed == 1
    assert (found(live), live.generation) == ("chunk-2", 2)


def test_a_pin_is_let_go_when_the_question_fails(shelf: Shelf, live: LiveIndex) -> None:
    first = publish(shelf, live, 1)
    with pytest.raises(ZeroDivisionError), live.pinned():
        raise ZeroDivisionError
    publish(shelf, live, 2)
    assert first.closed == 1


def test_a_damaged_generation_is_logged_once_and_the_old_one_stays(
    shelf: Shelf, live: LiveIndex, caplog: pytest.LogCaptureFixture
) -> None:
    publish(shelf, live, 1)
    shelf.number, shelf.failure = 2, IndexStateError("damaged", "000002", "roll back")
    for _ in range(3):
        live.refresh()
    assert shelf.attempts == 2
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1
    assert live.problem() is None
    assert found(live) == "chunk-1"
    shelf.failure = None
    publish(shelf, live, 3)
    assert found(live) == "chunk-3"


def test_a_mended_generation_is_tried_again_after_a_while(
    shelf: Shelf, live: LiveIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.number, shelf.failure = 1, OSError("no space")
    live.refresh()
    shelf.failure = None
    live.refresh()
    assert live.generation is None
    monkeypatch.setattr("rag.live_index._RETRY_SECONDS", 0.0)
    live.refresh()
    assert live.generation == 1


def test_a_damaged_first_generation_is_why_it_is_not_ready(shelf: Shelf, live: LiveIndex) -> None:
    shelf.number, shelf.failure = 1, IndexStateError("damaged", "000001", "roll back")
    live.refresh()
    for _ in range(2):
        with pytest.raises(IndexStateError, match="damaged: 000001") as caught:
            found(live)
        assert caught.value is not shelf.failure


def test_a_file_error_becomes_one_of_ours(shelf: Shelf, live: LiveIndex) -> None:
    shelf.number, shelf.failure = 1, PermissionError("forbidden")
    live.refresh()
    with pytest.raises(IndexStateError, match="forbidden"):
        live.count(WHERE)


def test_what_vanished_while_it_was_opened_changes_nothing(shelf: Shelf, live: LiveIndex) -> None:
    publish(shelf, live, 1)
    emptied = Published("shelf", lambda: "000002", lambda: None)
    live._published = emptied
    live.refresh()
    assert found(live) == "chunk-1"


def test_a_failing_close_does_not_reach_the_question(
    shelf: Shelf, live: LiveIndex, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("busy")

    index = Closable(1)
    opened = OpenGeneration("000001", 1, index, fail)
    live._published = Published("shelf", lambda: "000001", lambda: opened)
    live.refresh()
    live._published = shelf.published()
    with live.pinned():
        publish(shelf, live, 2)
        assert found(live) == "chunk-1"
    assert "generation-not-closed" in caplog.messages


def test_close_lets_go_and_later_questions_are_refused(shelf: Shelf, live: LiveIndex) -> None:
    first = publish(shelf, live, 1)
    live.close()
    assert first.closed == 1
    with pytest.raises(IndexStateError, match="closed"):
        found(live)


def test_following_picks_up_what_is_published(shelf: Shelf, live: LiveIndex) -> None:
    live.follow(every_seconds=0.01)
    try:
        for number in (1, 2, 3):
            shelf.number = number
            assert eventually(lambda wanted=number: live.generation == wanted)  # type: ignore[misc]
    finally:
        live.close()
    assert [index.closed for index in shelf.opened.values()] == [1, 1, 1]


class Lookups:
    """Answers with what a search and a fetch of the same question saw."""

    def __init__(self, live: LiveIndex, between: Callable[[], object]) -> None:
        self._live = live
        self._between = between
        self.seen: list[tuple[str, int, int | None]] = []

    def answer(self, question: Question, _: Listener = NOBODY) -> Answer:
        raise NotImplementedError

    def retrieve(self, question: Question) -> Retrieved:  # noqa: ARG002
        chunk_id = found(self._live)
        self._between()
        fetched = len(self._live.fetch("t", (chunk_id,)))
        self.seen.append((chunk_id, fetched, self._live.generation))
        raise IndexStateError("looked", chunk_id, "nothing")


def test_a_question_finds_and_fetches_in_one_generation(shelf: Shelf, live: LiveIndex) -> None:
    publish(shelf, live, 1)
    lookups = Lookups(live, lambda: publish(shelf, live, 2))
    with pytest.raises(IndexStateError, match="looked"):
        PinnedAnswering(lookups, live).retrieve(Question("?", WHERE, 16, 0.0))
    assert lookups.seen == [("chunk-1", 1, 1)]


def test_no_search_fails_or_mixes_generations_while_they_are_swapped(
    shelf: Shelf, live: LiveIndex
) -> None:
    publish(shelf, live, 0)
    stop = threading.Event()

    def ask() -> int:
        asked = 0
        while not stop.is_set():
            with live.pinned():
                number = live.generation
                assert found(live) == f"chunk-{number}"
                assert live.fetch("t", [f"chunk-{number}"])
            asked += 1
        return asked

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        for number in range(1, 300):
            publish(shelf, live, number)
        stop.set()
        assert all(future.result() for future in asking)
    assert [index.closed for index in shelf.opened.values()] == [1] * 299 + [0]


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return True
        waiting.wait(0.01)
    return False
