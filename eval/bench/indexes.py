"""Indexes of the benchmarks: built for one measurement, and gone after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from eval.systems.indexed import built_index
from rag.protocols import Embedder, IndexReader
from rag.types import Chunk


@contextmanager
def temporary_index(
    chunks: Sequence[Chunk], embedder: Embedder | None, tenant: str
) -> Iterator[IndexReader]:
    """Hold an Edge index of the chunks in a temporary folder; neural with an embedder."""
    with (
        TemporaryDirectory(prefix="rag-bench-") as folder,
        built_index(Path(folder) / "index", chunks, embedder, tenant) as index,
    ):
        yield index
