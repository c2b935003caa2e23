"""A small collection with real parts, in the lexical tier: ingest, engine, ledger, cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ingest.build import build_toolkit
from ingest.plan import ParseTask
from ingest.progress import Progress
from ingest.report import SyncReport
from ingest.sync import SyncRequest, sync
from rag.backup.catalogue import Catalogue
from rag.backup.formats import known_formats
from rag.backup.making import make_backup
from rag.backup.reading import opened
from rag.backup.restoring import Restored, restore
from rag.build import build_answering, build_cache, build_ledger, build_live_index
from rag.build_upkeep import build_inspection
from rag.errors import RagError
from rag.results import Answer, Question
from rag.service.bodies import QueryBody, to_question
from rag.settings import Settings, load_settings
from rag.types import Block, Document

PUMP = {
    "pump.txt": "The pump is covered for 24 months from delivery. It weighs 12 kg.",
    "tax.txt": "Invoices are paid within 30 days of receipt.",
}


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection, its documents, and what can be done with it."""

    settings: Settings
    docs: Path

    @property
    def collection(self) -> Path:
        return self.settings.data_dir / self.settings.collection

    def publish(self, documents: Mapping[str, str]) -> SyncReport:
        """Publish exactly these documents, each one paragraph."""
        shutil.rmtree(self.docs, ignore_errors=True)
        self.docs.mkdir(parents=True)
        for name, text in documents.items():
            (self.docs / name).write_text(text, encoding="utf-8")
        return self.sync()

    def sync(self) -> SyncReport:
        toolkit = replace(build_toolkit(self.settings), parse=_parse)
        return sync(SyncRequest((self.docs,), delete_missing=True), toolkit, Progress())

    def sync_uploads(self, folder: Path) -> SyncReport:
        """Publish what was sent, as its job does."""
        toolkit = replace(build_toolkit(self.settings), parse=_parse)
        return sync(SyncRequest((folder,), delete_missing=True), toolkit, Progress())

    def ask(self, text: str) -> Answer:
        live = build_live_index(self.settings)
        live.refresh()
        ledger, cache = build_ledger(self.settings), build_cache(self.settings)
        assert ledger is not None
        assert cache is not None
        with closing(live), closing(ledger), closing(cache):
            answering = build_answering(self.settings, live, ledger, cache)
            return answering.answer(self.question(text))

    def question(self, text: str) -> Question:
        body = QueryBody.checked({"question": text})
        return to_question(body, self.settings, float("inf"))

    def backup(self, target: Path) -> Catalogue:
        return make_backup(self.collection, target)

    def restore(self, source: Path, *, force: bool = False) -> Restored:
        inspect = build_inspection(self.settings)
        with opened(source, known_formats()) as backup:
            return restore(backup, self.collection, inspect, force=force)

    def moved(self, folder: Path) -> Shelf:
        """Return the same shelf with its data in another folder."""
        return replace(self, settings=self.settings.model_copy(update={"data_dir": folder}))


def _parse(tasks: Sequence[ParseTask]) -> Iterator[tuple[ParseTask, Document | RagError]]:
    for task in tasks:
        path = Path(task.file.path)
        text = path.read_text(encoding="utf-8")
        block = Block(0, len(text), "paragraph")
        yield task, Document(task.doc_id, path.stem, text, (block,), "text/plain")


def _shelf(folder: Path) -> Shelf:
    settings = load_settings(
        data_dir=folder / "data", tier="lexical", answer_threshold=0.2, ingest_workers=1
    )
    return Shelf(settings, folder / "docs")


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is one: the engine waits for the disk most of the time."""
    place = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made in it
    if not os.access(place, os.W_OK):
        yield tmp_path_factory.mktemp("backup")
        return
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


@pytest.fixture
def fast_path(memory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.fixture
def make_shelf() -> Callable[[Path], Shelf]:
    return _shelf


@pytest.fixture
def shelf(fast_path: Path) -> Shelf:
    """A collection in which nothing is published."""
    return _shelf(fast_path)


@pytest.fixture(scope="session")
def pumps(memory: Path) -> Shelf:
    """A published collection with an answer in its ledger and cache; not to be changed."""
    shelf = _shelf(memory / "pumps")
    shelf.publish(PUMP)
    assert not shelf.ask("How long is the pump covered?").abstained
    return shelf


@pytest.fixture(scope="session")
def taken(memory: Path, pumps: Shelf) -> Path:
    """A backup of ``pumps`` in a folder; not to be changed."""
    target = memory / "taken"
    pumps.backup(target)
    return target
