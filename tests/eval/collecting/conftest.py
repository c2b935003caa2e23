"""A published collection in the lexical tier, made by the real ingest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.build import build_toolkit
from ingest.plan import ParseTask
from ingest.progress import Progress
from ingest.sync import SyncRequest, sync
from rag.errors import RagError
from rag.settings import Settings, load_settings
from rag.types import Block, Document

TEXTS = {
    "pump.txt": "The pump is covered for 24 months from delivery. It weighs 12 kg.",
    "tax.txt": "Invoices are paid within 30 days of receipt.",
}


def _parse(tasks: Sequence[ParseTask]) -> Iterator[tuple[ParseTask, Document | RagError]]:
    # Only the processes that parse are left out: each text is one paragraph.
    for task in tasks:
        path = Path(task.file.path)
        text = path.read_text(encoding="utf-8")
        block = Block(0, len(text), "paragraph")
        yield task, Document(task.doc_id, path.stem, text, (block,), "text/plain")


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a published collection that is not to be changed."""
    place = tmp_path_factory.mktemp("collection")
    settings = load_settings(
        data_dir=place / "data", tier="lexical", answer_threshold=0.2, ingest_workers=1
    )
    documents = place / "documents"
    documents.mkdir()
    for name, text in TEXTS.items():
        (documents / name).write_text(text, encoding="utf-8")
    toolkit = replace(build_toolkit(settings), parse=_parse)
    sync(SyncRequest((documents,), delete_missing=True), toolkit, Progress())
    return settings
