"""Chunks for the tests: made of sentences, with exact spans."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence

import pytest

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


@pytest.fixture
def own_event_loop() -> Iterator[None]:
    """An event loop that is closed after the test: LlamaIndex makes one and leaves it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
