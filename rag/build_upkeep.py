"""The composition root of backup and restore: how an index is opened to look at it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from rag.adapters.edge_index import EdgeIndex
from rag.backup.restoring import Inspect
from rag.build import build_analyzer
from rag.build_server import build_server_config
from rag.generation import Generation, copy_index
from rag.settings import Settings
from rag.soundness import analyzer_for, check_index, read_holdings


def build_inspection(settings: Settings) -> Inspect:
    """Return what compares a generation's index with its manifest, in a copy of its own.

    An index on a server is counted there, at the configured address.
    """

    def inspect(generation: Generation, scratch: Path) -> None:
        holdings = read_holdings(generation)
        analyzer = analyzer_for(generation, build_analyzer())
        if generation.shape.index == "server":
            from rag.adapters.server_index import QdrantServerIndex

            config = build_server_config(settings, generation.shape.dimension)
            with closing(QdrantServerIndex(config)) as on_server:
                check_index(on_server, holdings, analyzer)
            return
        copy_index(generation, scratch)
        with closing(EdgeIndex.open(scratch)) as index:
            check_index(index, holdings, analyzer)

    return inspect
