"""Nothing of another tenant, or of another scope, is ever given: fuzzed."""

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import access
from rag.access import Caller
from rag.cache.store import NAME
from rag.cache.values import Asked, Cost, Scope
from rag.errors import AccessError
from rag.types import Chunk, Filter

_TENANTS = st.sampled_from(["a", "b", "A", "a ", "", "é", "' OR 1=1 --"])
_TEXTS = st.sampled_from(
    ["What is the harbour of Oslo?", "the harbour of Oslo", "HARBOUR OF OSLO", "tenant a"]
)
_FILTERS = st.sampled_from([(), ("x",), ("x", "y"), ("a",)])
_STEP = st.tuples(
    st.sampled_from(["keep", "exact", "similar", "purge tenant", "purge question", "document"]),
    st.tuples(_TENANTS, _TEXTS, _FILTERS, _FILTERS),
    st.sampled_from(["f", "g"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_STEP, max_size=25))
def test_a_hit_is_of_the_same_tenant_and_scope(
    world_class: Callable[..., Any], make_chunk: Callable[..., Chunk], steps: list[Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = world_class(Path(folder), make_chunk)
        context = world.context("It is so.")
        counts: dict[str, int] = {}
        for name, (tenant, text, documents, tags), fingerprint in steps:
            scope = Scope(Filter(tenant, documents, tags), 128, 0.0, fingerprint)
            asked = Asked(text, scope, "g1")
            mark = repr((tenant, documents, tags, fingerprint))
            if name == "keep":
                said = world.said(context, f"For {mark}.")
                assert world.cache.keep(asked, world.clue(), said, Cost(None))
            elif name in ("exact", "similar"):
                found = (
                    world.cache.exact(asked)
                    if name == "exact"
                    else world.cache.similar(asked, world.clue(), context)
                )
                assert found is None or found.said.text == f"For {mark}."
                assert found is None or found.tenant == tenant
            else:
                counts = _others(world, tenant)
                if name == "purge tenant":
                    world.cache.purge.tenant(tenant)
                elif name == "purge question":
                    world.cache.purge.question(tenant, text)
                else:
                    world.cache.purge.document(tenant, "doc")
                assert _others(world, tenant) == counts
        world.cache.close()


def _others(world: Any, tenant: str) -> dict[str, int]:
    world.cache.state()
    with closing(sqlite3.connect(world.folder / NAME)) as db:
        rows = db.execute(
            "SELECT tenant, COUNT(*) FROM entries WHERE tenant != ? GROUP BY tenant", (tenant,)
        )
        return dict(rows.fetchall())


@pytest.mark.parametrize(
    "where", [Filter("b", labels=("hr",)), Filter("a"), Filter("a", labels=())]
)
def test_nobody_looks_or_keeps_beyond_what_they_may_see(world: Any, where: Filter) -> None:
    asked, context = Asked("Who?", Scope(where, 128, 0.0, "f"), "g1"), world.context("It is so.")
    said = world.said(context)
    with access.acting(Caller("k", where.tenant, frozenset(("query",)), where.labels)):
        assert world.cache.keep(asked, world.clue(), said, Cost(None))
    with access.acting(Caller("ann", "a", frozenset(("query",)), ("hr",))):
        for work in (
            lambda: world.cache.exact(asked),
            lambda: world.cache.similar(asked, world.clue(), context),
            lambda: world.cache.keep(asked, world.clue(), said, Cost(None)),
        ):
            with pytest.raises(AccessError):
                work()


@pytest.mark.parametrize("held", [None, (), ("board",), ("board", "hr")])
def test_what_was_kept_for_other_labels_is_not_found(world: Any, held: Any) -> None:
    context = world.context("It is so.")
    theirs = Asked("Who?", Scope(Filter("a", labels=("hr",)), 128, 0.0, "f"), "g1")
    with access.acting(Caller("ann", "a", frozenset(("query",)), ("hr",))):
        assert world.cache.keep(theirs, world.clue(), world.said(context), Cost(None))
        assert world.cache.exact(theirs) is not None
        assert world.cache.similar(theirs, world.clue(), context) is not None
    ours = Asked("Who?", Scope(Filter("a", labels=held), 128, 0.0, "f"), "g1")
    with access.acting(Caller("bob", "a", frozenset(("query",)), held)):
        assert world.cache.exact(ours) is None
        assert world.cache.similar(ours, world.clue(), context) is None
