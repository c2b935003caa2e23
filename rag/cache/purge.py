"""Deleting from the cache on request; what is deleted is overwritten on the disk as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from rag import access
from rag.cache.keys import question_key
from rag.cache.opened import Opened
from rag.cache.reading import read
from rag.cache.store import Store
from rag.cache.watch import Watch

_Condition: TypeAlias = tuple[str, tuple[object, ...]]


class Purge:
    """Deletes entries; each method returns how many, or raises ``RagError`` if it cannot.

    What is another tenant's than the caller's raises ``AccessError``.
    """

    def __init__(self, opened: Opened, watch: Watch) -> None:
        self._opened = opened
        self._watch = watch

    def question(self, tenant: str, text: str) -> int:
        """Delete a tenant's question in all its scopes, and what would answer it worded so."""
        key, wordings = question_key(access.require(tenant), text), read(text)

        def conditions(store: Store) -> Iterable[_Condition]:
            same = [entry for entry, kept in store.questions(tenant) if wordings & read(kept)]
            yield "tenant = ? AND question_key = ?", (tenant, key)
            yield from (("tenant = ? AND id = ?", (tenant, entry)) for entry in same)

        return self._delete(conditions)

    def document(self, tenant: str, doc_id: str) -> int:
        """Delete what a tenant's document had a part in: packed, cited, or only offered."""
        access.require(tenant)
        where = "tenant = ? AND id IN (SELECT entry FROM documents WHERE tenant = ? AND doc_id = ?)"
        return self._delete(lambda _: [(where, (tenant, tenant, doc_id))])

    def tenant(self, tenant: str) -> int:
        """Delete all of a tenant."""
        access.require(tenant)
        return self._delete(lambda _: [("tenant = ?", (tenant,))])

    def everything(self) -> int:
        """Delete all of all tenants, and switch the semantic level on again."""
        access.everywhere()
        return self._delete(lambda _: [("1", ())], self._watch.reset)

    def _delete(
        self,
        conditions: Callable[[Store], Iterable[_Condition]],
        then: Callable[[Store], None] = lambda _: None,
    ) -> int:
        def work(store: Store) -> int:
            chosen = list(conditions(store))
            with store.changing():
                count = sum(store.drop(where, values) for where, values in chosen)
                then(store)
            store.wipe()
            return count

        return self._opened.done(work)
