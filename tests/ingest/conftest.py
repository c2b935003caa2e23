"""A small collection with real parts: loaders, chunker, embedding cache, Edge index."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest

from ingest.build import Dense, Toolkit, build_toolkit
from ingest.chunk import Chunker
from ingest.labels import AccessRule
from ingest.load.registry import load_document
from ingest.manifest import Manifest
from ingest.plan import ParseTask
from ingest.progress import Progress
from ingest.report import SyncReport
from ingest.sync import SyncRequest, preview, sync
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.hash_embedder import HashEmbedder
from rag.build import build_splitter, build_tokenizer
from rag.errors import RagError
from rag.generation import ReaderSlot
from rag.protocols import Tokenizer
from rag.settings import load_settings
from rag.types import Chunk, Document, Filter


@cache
def _tokenizer() -> Tokenizer:
    return build_tokenizer(load_settings())


def _chunker(limit: int) -> Chunker:
    return Chunker(_tokenizer(), build_splitter(), limit)


def _rules(access: Mapping[Path, Sequence[str]] | None) -> tuple[AccessRule, ...]:
    return tuple(AccessRule(str(path), tuple(labels)) for path, labels in (access or {}).items())


class Workshop:
    """Files, a collection, and what a run on them does; ``parsed`` names the files it read."""

    def __init__(self, root: Path) -> None:
        self.docs = root / "docs"
        self.data = root / "data"
        self.docs.mkdir(parents=True)
        self.parsed: list[str] = []

    @property
    def collection(self) -> Path:
        return self.data / "default"

    def write(self, name: str, text: str) -> Path:
        """Write a file, old enough for its time of change to be trusted."""
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self._clock = getattr(self, "_clock", time.time() - 10_000) + 1
        os.utime(path, (self._clock, self._clock))
        return path

    def toolkit(self, **settings: object) -> Toolkit:
        given = {"data_dir": self.data, "tier": "neural", "ingest_workers": 1, **settings}
        kit = build_toolkit(load_settings(**given))
        dense = None
        if kit.settings.tier == "neural":
            dense = Dense(partial(HashEmbedder, 16), HashEmbedder(16).fingerprint)
        return replace(
            kit,
            dense=dense,
            parse=self._parse,
            make_chunker=partial(_chunker, kit.settings.chunk_tokens),
        )

    def sync(
        self,
        *paths: Path,
        delete_missing: bool = False,
        retry: bool = False,
        access: Mapping[Path, Sequence[str]] | None = None,
        **settings: object,
    ) -> SyncReport:
        self.parsed = []
        given = () if retry else paths or (self.docs,)
        request = SyncRequest(given, delete_missing, retry, _rules(access))
        return sync(request, self.toolkit(**settings), Progress())

    def preview(
        self,
        *paths: Path,
        delete_missing: bool = False,
        access: Mapping[Path, Sequence[str]] | None = None,
    ) -> SyncReport:
        request = SyncRequest(paths or (self.docs,), delete_missing, access=_rules(access))
        return preview(request, self.toolkit(), Progress())

    def chunks(self, tenant: str = "default") -> list[Chunk]:
        """Return all that a reader finds, checked against the manifest."""
        slot = ReaderSlot.take(self.collection)
        if slot is None:
            return []
        with slot, Manifest.read(slot.generation.manifest_path) as manifest:
            ids = [chunk for owner, chunk in manifest.point_ids() if owner == tenant]
            index = EdgeIndex.open(slot.path)
            try:
                found = index.fetch(tenant, ids)
                assert len(found) == len(ids) == index.count(Filter(tenant))
                return [stored.chunk for stored in found]
            finally:
                index.close()

    def texts(self, tenant: str = "default") -> dict[str, set[str]]:
        """Return for each stored text the documents that a reader can find it under."""
        return {c.text: {c.doc_id, *c.also_in} for c in self.chunks(tenant)}

    def _parse(self, tasks: Sequence[ParseTask]) -> Iterator[tuple[ParseTask, Document | RagError]]:
        for task in tasks:
            self.parsed.append(task.doc_id)
            try:
                yield task, load_document(Path(task.file.path), task.doc_id)
            except RagError as exc:
                yield task, exc


@pytest.fixture
def fast_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: the engine waits for the disk most of the time."""
    memory = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made in it
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.fixture
def workshop(fast_path: Path) -> Workshop:
    return Workshop(fast_path)


@pytest.fixture(scope="session")
def make_workshop() -> Callable[[Path], Workshop]:
    return Workshop
