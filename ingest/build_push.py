"""The composition root of a push: from settings to both indexes and how they are asked."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

from ingest.agreement import Asking
from ingest.build import Toolkit, build_toolkit
from ingest.push import PushKit, TargetIndex
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.server_index import QdrantServerIndex
from rag.build import build_pipeline
from rag.build_server import build_server_config
from rag.generation import IndexShape
from rag.protocols import IndexReader
from rag.settings import Settings


def build_push(settings: Settings) -> PushKit:
    """Return what a push with these settings works with; connects to nothing yet."""
    return kit_of(build_toolkit(settings))


def kit_of(toolkit: Toolkit) -> PushKit:
    """Return what a push works with, with the embedder of a run's."""
    dense = toolkit.dense
    if dense:  # loaded once for both sides
        toolkit = replace(toolkit, dense=replace(dense, make_embedder=cache(dense.make_embedder)))
    return PushKit(
        settings=toolkit.settings,
        embedder=dense.fingerprint if dense else None,
        open_source=EdgeIndex.open,
        open_target=partial(_open_target, toolkit.settings),
        asking=partial(_asking, toolkit),
    )


def _open_target(settings: Settings, dimension: int | None) -> TargetIndex:
    index = QdrantServerIndex(build_server_config(settings, dimension, writes=True))
    index.ensure_collection()
    return index


def _asking(toolkit: Toolkit, index: IndexReader, shape: IndexShape) -> Asking:
    # Only contexts are compared: what writes answers would be loaded for nothing.
    dense = toolkit.dense if shape.embedder else None
    tier = toolkit.settings.tier if dense else "lexical"
    settings = toolkit.settings.model_copy(update={"generators": (), "tier": tier})
    embedder = dense.make_embedder() if dense else None
    return build_pipeline(settings, index, lambda: None, embedder).retrieve
