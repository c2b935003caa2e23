"""Chunks for the tests: made of sentences, with exact spans. A Qdrant cluster to be failed."""

import asyncio
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from rag.access import OPERATOR, acting
from rag.types import Chunk, Span


def _make_chunk(sentences: Sequence[str], separator: str = " ", **fields: object) -> Chunk:
    spans = []
    text = ""
    for sentence in sentences:
        text += separator if text else ""
        spans.append(Span(len(text), len(text) + len(sentence)))
        text += sentence
    start = int(str(fields.pop("start", 0)))
    doc_id = str(fields.pop("doc_id", "doc"))
    identity = hashlib.sha256(f"{doc_id}\n{start}\n{text}".encode("utf-8", "surrogatepass"))
    known: dict[str, object] = {"id": identity.hexdigest()[:32], "title": "", "tokens": 1}
    placed = {"doc_id": doc_id, "text": text, "start": start, "end": start + len(text)}
    return Chunk(**(known | placed | {"sentences": tuple(spans)} | fields))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def make_chunk() -> Callable[..., Chunk]:
    """Makes a chunk of sentences; any field of ``Chunk`` may be given by name."""
    return _make_chunk


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """Keep the settings of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RAG_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def operator() -> Iterator[None]:
    """Let the tests see everything, as commands do; what a service is asked has its own caller."""
    with acting(OPERATOR):
        yield


@pytest.fixture
def own_event_loop() -> Iterator[None]:
    """An event loop that is closed after the test: LlamaIndex makes one and leaves it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(scope="session")
def commands() -> Iterator[Callable[..., Any]]:
    """Makes a data directory's commands, each a process: ``commands(folder, tier="lexical")``."""
    spec = importlib.util.spec_from_file_location(
        "own_processes", Path(__file__).with_name("own_processes.py")
    )
    if spec is None or spec.loader is None:
        raise AssertionError("the file stands beside this one")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield lambda folder, **settings: module.Commands(folder).with_settings(**settings)


@pytest.fixture(scope="session")
def browsing() -> Iterator[Callable[[], AbstractContextManager[Any]]]:
    """Opens a real browser without a screen; where there is none the test is skipped."""
    spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
    if spec is None or spec.loader is None:
        raise AssertionError("the file stands beside this one")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield module.open_browser


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Qdrant cluster behind HTTP on the loopback, which can be told to fail."""
    spec = importlib.util.spec_from_file_location(
        "qdrant_gateway", Path(__file__).with_name("qdrant_gateway.py")
    )
    if spec is None or spec.loader is None:
        raise AssertionError("the file stands beside this one")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    cluster = module.Gateway()
    cluster.start()
    yield cluster
    cluster.stop()
