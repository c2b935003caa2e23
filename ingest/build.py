"""The composition root of ingest: from settings to what a run works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.chunk import Chunker
from ingest.embedding_pool import EmbedderFactory, EmbeddingPool
from ingest.indexing import Vectorizer, WritableIndex
from ingest.metering import RunMeter
from ingest.plan import ParseTask
from ingest.vectors import VectorStore
from rag.errors import LoadError, RagError
from rag.generation import sharding_of
from rag.protocols import Analyzer, Embedder
from rag.settings import Settings
from rag.types import Document

if TYPE_CHECKING:
    from rag.adapters.server_index import QdrantServerIndex

# Raise it when a loader or the chunker gives other text or other chunks for the same file.
PARSER_VERSION = 2  # 1: without the labels that a file names


@dataclass(frozen=True, slots=True)
class Dense:
    """The dense leg: how an embedder is built, in any process, and what its vectors are called.

    Where their ``dimension`` is known beforehand, nothing is loaded to learn it.
    """

    make_embedder: EmbedderFactory
    fingerprint: str
    dimension: int | None = None


@dataclass(frozen=True, slots=True)
class Toolkit:
    """What a run works with, each part built when it is first needed.

    ``dense`` is None in the lexical tier. ``parse`` yields each task with its document or the
    error that it ended in. ``open_index`` opens the index in a directory, or makes one with
    vectors of that dimension; a server's index has no directory. ``check_index`` raises where it
    is certain beforehand that this will fail.
    """

    settings: Settings
    dense: Dense | None
    make_chunker: Callable[[], Chunker]
    make_analyzer: Callable[[], Analyzer]
    parse: Callable[[Sequence[ParseTask]], Iterator[tuple[ParseTask, Document | RagError]]]
    open_index: Callable[[Path, int | None], WritableIndex]
    check_index: Callable[[], None]

    @property
    def collection_dir(self) -> Path:
        """Where the collection is stored."""
        return self.settings.data_dir / self.settings.collection

    @property
    def shape(self) -> str:
        """Name of the settings that cut documents into chunks."""
        settings = self.settings
        return f"{PARSER_VERSION}|{settings.tokenizer}|{settings.chunk_tokens}"

    @property
    def sharding(self) -> str:
        """Name of the tenants that have shards of their own; empty for an embedded index."""
        on_server = self.settings.index == "server"
        return sharding_of(self.settings.server_own_shards) if on_server else ""

    def vectorizer(self, store: VectorStore) -> Vectorizer | None:
        """Return what makes vectors, None in the lexical tier."""
        if self.dense is None:
            return None
        pool = EmbeddingPool(self.dense.make_embedder, self.settings.ingest_workers)
        return Vectorizer(store, pool, self.dense.fingerprint)


def build_toolkit(settings: Settings) -> Toolkit:
    """Return what a run with these settings works with; loads nothing yet."""
    from rag.build import build_analyzer

    return Toolkit(
        settings=settings,
        dense=_dense(settings),
        make_chunker=partial(_chunker, settings),
        make_analyzer=build_analyzer,
        parse=partial(parse_files, settings),
        open_index=partial(open_index, settings),
        check_index=partial(check_index, settings),
    )


def build_meter(settings: Settings) -> RunMeter:
    """Return what says the cost of a run: by the counters of this machine, at the place it is in.

    A live source of the grid's intensity is asked once before this returns.

    Raises:
        SettingsError: ``grid_intensity_file`` or ``grid_url`` cannot be used.
        AssetError: The packaged data is damaged.
    """
    from rag.build_power import build_power
    from rag.grid.siting import sited

    return RunMeter(sited(settings), build_power())


def parse_files(
    settings: Settings, tasks: Sequence[ParseTask]
) -> Iterator[tuple[ParseTask, Document | RagError]]:
    """Yield each task with its document or its error, in their order."""
    from ingest.load.limits import ParseLimits
    from ingest.load.sandbox import ParserPool

    limits = ParseLimits(
        wall_seconds=settings.parse_seconds,
        memory_bytes=settings.parse_memory_mb << 20,
        input_bytes=largest_file(settings),
    )
    workers = min(settings.ingest_workers, max(1, len(tasks)))
    with ParserPool(workers, limits=limits) as pool:
        items = ((Path(task.file.path), task.doc_id) for task in tasks)
        for task, outcome in zip(tasks, pool.load_many(items), strict=True):
            error = LoadError("no document", task.doc_id, "report this as a bug")
            yield task, outcome.document or outcome.error or error


def largest_file(settings: Settings) -> int:
    """Return the size above which a file is not read [bytes]."""
    return int(settings.max_file_mb * 1e6)


def open_index(settings: Settings, path: Path, dimension: int | None) -> WritableIndex:
    """Open or make the index that the settings name.

    Raises:
        IndexStateError: The embedded index cannot be opened.
        BackendError: The server cannot be reached or refuses.
    """
    if settings.index == "server":
        return _server_index(settings, dimension)
    from rag.adapters.edge_index import EdgeIndex
    from rag.adapters.edge_layout import IndexConfig

    if path.exists():
        return EdgeIndex.open(path)
    return EdgeIndex.create(path, IndexConfig(dimension))


def check_index(settings: Settings) -> None:
    """Check that the server can be used, before files are parsed for it; of no cost without one.

    Raises:
        SettingsError: Its settings cannot be used.
        BackendError: It cannot be reached or refuses.
    """
    if settings.index == "server":
        with _server(settings, None) as index:
            index.check()


def _server_index(settings: Settings, dimension: int | None) -> WritableIndex:
    index = _server(settings, dimension)
    index.ensure_collection()
    return index


def _server(settings: Settings, dimension: int | None) -> QdrantServerIndex:
    from rag.adapters.server_index import QdrantServerIndex
    from rag.build_server import build_server_config

    return QdrantServerIndex(build_server_config(settings, dimension, writes=True))


def _dense(settings: Settings) -> Dense | None:
    if settings.tier == "lexical":
        return None
    from rag.adapters.minilm import DIMENSION, FINGERPRINT

    return Dense(partial(_embedder, settings.embedder_threads), FINGERPRINT, DIMENSION)


def _embedder(threads: int) -> Embedder:
    from rag.adapters.minilm import MiniLmEmbedder

    return MiniLmEmbedder(threads)


def _chunker(settings: Settings) -> Chunker:
    from rag.build import build_splitter, build_tokenizer

    return Chunker(build_tokenizer(settings), build_splitter(), settings.chunk_tokens)
