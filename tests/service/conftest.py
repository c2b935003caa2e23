from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import uvicorn

from ingest.build import build_toolkit
from ingest.plan import ParseTask
from ingest.progress import Progress
from ingest.sync import SyncRequest, sync
from rag.build import build_answering, build_cache, build_ledger, build_live_index
from rag.errors import RagError
from rag.keyring import Keyring, keys_path
from rag.service.app import create_app
from rag.service.served import Served
from rag.service.server import listen, url_of
from rag.settings import Settings, load_settings
from rag.types import Block, Document

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
Asking: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents of a collection, published through the real ingest.

    Only the processes that parse are left out: each text is one paragraph.
    """

    settings: Settings
    folder: Path

    def publish(self, documents: Mapping[str, str]) -> int | None:
        """Publish exactly these documents, by file name; returns the generation's number."""
        self.folder.mkdir(exist_ok=True)
        for path in self.folder.iterdir():
            path.unlink()
        for name, text in documents.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        toolkit = replace(build_toolkit(self.settings), parse=_parse)
        request = SyncRequest((self.folder,), delete_missing=True)
        return sync(request, toolkit, Progress()).generation


def _parse(tasks: Sequence[ParseTask]) -> Iterator[tuple[ParseTask, Document | RagError]]:
    for task in tasks:
        path = Path(task.file.path)
        text = path.read_text(encoding="utf-8")
        block = Block(0, len(text), "paragraph")
        yield task, Document(task.doc_id, path.stem, text, (block,), "text/plain")


def _settings(directory: Path) -> Settings:
    return load_settings(
        data_dir=directory / "data", tier="lexical", answer_threshold=0.2, ingest_workers=1
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """A collection in the lexical tier, which needs no model; nothing is published yet."""
    return Corpus(_settings(tmp_path), tmp_path / "documents")


@pytest.fixture(scope="session")
def pump_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A published collection that is not to be changed."""
    directory = tmp_path_factory.mktemp("pump")
    corpus = Corpus(_settings(directory), directory / "documents")
    corpus.publish(
        {
            "pump.txt": "The pump is covered for 24 months from delivery. It weighs 12 kg.",
            "tax.txt": "Invoices are paid within 30 days of receipt.",
        }
    )
    return corpus


@contextmanager
def _asking(corpus: Corpus, **overrides: object) -> Iterator[httpx.Client]:
    with ExitStack() as open_parts:
        given = corpus.settings.model_dump(exclude_unset=True) | {"cache": "off"} | overrides
        settings = load_settings(**given)
        live = build_live_index(settings)
        open_parts.callback(live.close)
        live.refresh()
        ledger, cache = build_ledger(settings), build_cache(settings)
        for part in (ledger, cache):
            if part is not None:
                open_parts.callback(part.close)
        answering = build_answering(settings, live, ledger, cache)
        app = create_app(
            settings,
            Served(
                answering=answering,
                ready=live.problem,
                keyring=Keyring(keys_path(settings)),
                ledger=ledger,
                cache=cache,
            ),
        )
        yield open_parts.enter_context(_serving(app))


@pytest.fixture(scope="session")
def asking() -> Asking:
    """Serves a collection as ``rag serve`` does, with some settings changed and no cache."""
    return _asking


@contextmanager
def _serving(app: Callable[..., Any]) -> Iterator[httpx.Client]:
    bound = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        with httpx.Client(base_url=url_of(bound), timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def serving() -> Serving:
    """Serves an application on a free port, on a thread, for as long as the block lasts."""
    return _serving
