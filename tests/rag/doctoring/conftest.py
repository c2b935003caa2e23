"""A small published collection, made by the real ingest, and a copy of it to be damaged."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.build import build_toolkit
from ingest.plan import ParseTask
from ingest.progress import Progress
from ingest.sync import SyncRequest, sync
from rag.build import build_answering, build_cache, build_ledger, build_live_index
from rag.errors import RagError
from rag.service.bodies import QueryBody, to_question
from rag.settings import Settings, load_settings
from rag.types import Block, Document

TEXTS = {
    "pump.txt": "The pump is covered for 24 months from delivery. It weighs 12 kg.",
    "tax.txt": "Invoices are paid within 30 days of receipt.",
}


def _parse(tasks: Sequence[ParseTask]) -> Iterator[tuple[ParseTask, Document | RagError]]:
    for task in tasks:
        path = Path(task.file.path)
        text = path.read_text(encoding="utf-8")
        block = Block(0, len(text), "paragraph")
        yield task, Document(task.doc_id, path.stem, text, (block,), "text/plain")


def _ask(settings: Settings, text: str) -> None:
    live = build_live_index(settings)
    live.refresh()
    ledger, cache = build_ledger(settings), build_cache(settings)
    assert ledger is not None
    assert cache is not None
    with closing(live), closing(ledger), closing(cache):
        body = QueryBody.checked({"question": text})
        question = to_question(body, settings, float("inf"))
        build_answering(settings, live, ledger, cache).answer(question)


@pytest.fixture(scope="session")
def published() -> Iterator[Settings]:
    """A collection in the lexical tier with one answer; not to be changed."""
    memory = "/dev/shm"  # noqa: S108 -- a folder of its own is made in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        docs = Path(name) / "docs"
        docs.mkdir()
        for file, text in TEXTS.items():
            (docs / file).write_text(text, encoding="utf-8")
        settings = load_settings(
            data_dir=Path(name) / "data", tier="lexical", ingest_workers=1, port=1
        )
        toolkit = replace(build_toolkit(settings), parse=_parse)
        assert sync(SyncRequest((docs,)), toolkit, Progress()).generation == 1
        _ask(settings, "How long is the pump covered?")
        yield settings


@pytest.fixture
def collection(published: Settings, tmp_path: Path) -> Settings:
    """The settings of a copy."""
    shutil.copytree(published.data_dir, tmp_path / "data")
    return published.model_copy(update={"data_dir": tmp_path / "data"})


@pytest.fixture
def nothing(tmp_path: Path) -> Settings:
    """The settings of a collection that is not there."""
    return load_settings(data_dir=tmp_path / "data", tier="lexical", port=1)
