"""Who may see what: the rule itself, and that no store gives anything without it."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import access
from rag.access import OPERATOR, Caller
from rag.cache.answer_cache import AnswerCache
from rag.confined import ConfinedIndex
from rag.errors import AccessError
from rag.ledger_sums import days_between, read_report, spent_since, today
from rag.types import Filter, SearchHits, SearchQuery, StoredChunk

ANN = Caller("ann", "acme", frozenset({"query"}), ("hr",))
BOB = Caller("bob", None, frozenset({"query"}), ())


def alone(work: Callable[[], object]) -> object:
    """Return what work gives where nobody is named."""
    return contextvars.Context().run(work)


def test_without_a_caller_nothing_is_given() -> None:
    for work in (
        access.caller,
        access.everywhere,
        lambda: access.require("acme"),
        lambda: access.tenant_of(None, "acme"),
        lambda: access.narrowed(Filter("acme")),
        lambda: access.check(Filter("acme")),
    ):
        with pytest.raises(AccessError, match="nobody is asking"):
            alone(work)


def test_a_caller_of_one_tenant_means_that_tenant() -> None:
    with access.acting(ANN):
        assert access.tenant_of(None, "default") == "acme"
        assert access.tenant_of("acme", "default") == "acme"
        with pytest.raises(AccessError, match="another tenant: globex"):
            access.tenant_of("globex", "default")
        with pytest.raises(AccessError, match="one tenant"):
            access.everywhere()
    with access.acting(BOB):
        assert access.tenant_of(None, "default") == "default"
        assert access.tenant_of("globex", "default") == "globex"
        access.everywhere()


def test_a_filter_is_narrowed_to_the_callers_labels_and_no_other_passes() -> None:
    wide = Filter("acme")
    with access.acting(ANN):
        narrow = access.narrowed(wide)
        assert narrow == replace(wide, labels=("hr",))
        assert access.check(narrow) is narrow
        for other in (wide, replace(wide, labels=()), replace(wide, labels=("hr", "board"))):
            with pytest.raises(AccessError, match="shows more"):
                access.check(other)
        with pytest.raises(AccessError, match="another tenant"):
            access.check(replace(narrow, tenant="globex"))


LABELS = st.lists(st.sampled_from(["hr", "board", "legal"]), unique=True).map(
    lambda labels: tuple(sorted(labels))
)


@given(LABELS, LABELS)
def test_a_document_is_read_by_whoever_holds_one_of_its_labels(
    held: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    expected = not labels or any(label in held for label in labels)
    assert Caller("k", "acme", frozenset(), held).reads(labels) == expected
    assert OPERATOR.reads(labels)


def test_work_on_another_thread_is_done_for_the_same_caller() -> None:
    with ThreadPoolExecutor(1) as pool:
        with access.acting(ANN):
            carried = access.carried(access.caller)
        assert pool.submit(carried).result() is ANN
        with pytest.raises(AccessError):
            pool.submit(access.caller).result()


class Recorded:
    """An index that says what it was asked."""

    def __init__(self, stored: tuple[StoredChunk, ...] = ()) -> None:
        self.stored = stored
        self.asked: list[object] = []

    def search(self, query: SearchQuery) -> SearchHits:
        self.asked.append(query)
        return SearchHits((), (), {})

    def fetch(self, tenant: str, chunk_ids: object) -> tuple[StoredChunk, ...]:
        self.asked.append((tenant, chunk_ids))
        return self.stored

    def count(self, where: Filter) -> int:
        self.asked.append(where)
        return 3


def test_the_index_is_asked_only_for_what_the_caller_may_see(make_chunk: Callable) -> None:  # type: ignore[type-arg]
    chunks = [make_chunk(["One."], access=labels) for labels in ((), ("hr",), ("board",))]
    inner = Recorded(tuple(StoredChunk(chunk, None) for chunk in chunks))
    index = ConfinedIndex(inner)
    wide = Filter("acme")
    with access.acting(ANN):
        for work in (
            lambda: index.search(SearchQuery(wide, None, None, 5)),
            lambda: index.count(wide),
            lambda: index.fetch("globex", ["a"]),
        ):
            with pytest.raises(AccessError):
                work()
        assert not inner.asked
        assert index.count(access.narrowed(wide)) == 3
        assert [s.chunk.access for s in index.fetch("acme", ["a"])] == [(), ("hr",)]


def test_no_store_answers_without_a_caller(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path)
    days = days_between(None, None, today())
    for work in (
        cache.state,
        cache.purge.everything,
        lambda: cache.purge.tenant("acme"),
        lambda: cache.purge.document("acme", "a.txt"),
        lambda: cache.purge.question("acme", "Who?"),
        lambda: read_report(tmp_path, days, None),
        lambda: spent_since(tmp_path, "acme", 0),
        lambda: ConfinedIndex(Recorded()).count(Filter("acme")),
        lambda: ConfinedIndex(Recorded()).fetch("acme", []),
    ):
        with pytest.raises(AccessError, match="nobody is asking"):
            alone(work)
    with access.acting(ANN):
        for work in (cache.state, cache.purge.everything, lambda: cache.purge.tenant("globex")):
            with pytest.raises(AccessError):
                work()
        assert cache.purge.tenant("acme") == 0
    cache.close()
