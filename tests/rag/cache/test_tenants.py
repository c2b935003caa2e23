"""Nothing of another tenant, or of another scope, is ever given: fuzzed."""

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rag.cache.store import NAME
from rag.cache.values import Asked, Cost, Scope
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
