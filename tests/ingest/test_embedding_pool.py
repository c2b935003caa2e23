import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from ingest.embedding_pool import Embedded, EmbedderFactory, EmbeddingPool
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.minilm import MiniLmEmbedder
from rag.errors import AssetError, RagError, ValueRangeError
from rag.types import Chunk, Span

HASH: EmbedderFactory = partial(HashEmbedder, 32)

# Child processes import it by name, so it lies in a file of its own on their path.
HOSTILE = """
import os, sys, time
from rag.adapters.hash_embedder import HashEmbedder
from rag.errors import AssetError

class Hostile(HashEmbedder):
    def embed_passage(self, chunk):
        if "marker: die" in chunk.text:
            os._exit(7)
        if "marker: fail" in chunk.text:
            raise ZeroDivisionError("inside")
        if "marker: slow" in chunk.text:
            time.sleep(600)
        if "marker: burn" in chunk.text:
            end = time.process_time() + 0.2
            while time.process_time() < end:
                pass
        if "marker: modules" in chunk.text:
            raise AssetError("modules", sorted(sys.modules), "none")
        return super().embed_passage(chunk)

def missing():
    raise AssetError("no model", "nowhere", "install it")
"""


def chunk_of(text: str) -> Chunk:
    return Chunk(text, "doc", "", text, 0, len(text), 3, (Span(0, len(text)),))


def chunks_of(number: int) -> list[Chunk]:
    return [chunk_of(f"pump number {i} stands still") for i in range(number)]


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "hostile_embedder.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(tmp_path)
    import hostile_embedder  # type: ignore[import-not-found]

    yield hostile_embedder
    del sys.modules["hostile_embedder"]


def by_id(results: list[Embedded]) -> dict[str, Embedded]:
    assert len({result.chunk.id for result in results}) == len(results)
    return {result.chunk.id: result for result in results}


@pytest.fixture(autouse=True)
def _only_ours() -> None:
    """Forget the processes that other tests of this run have left."""
    OTHERS.clear()
    OTHERS.update(child.pid for child in multiprocessing.active_children())


OTHERS: set[int | None] = set()


def no_children() -> bool:
    return all(child.pid in OTHERS for child in multiprocessing.active_children())


def test_two_workers_give_what_the_caller_itself_gives() -> None:
    chunks = chunks_of(45)
    inline = by_id(list(EmbeddingPool(HASH, 1).embed(chunks)))
    spread = by_id(list(EmbeddingPool(HASH, 2).embed(reversed(chunks))))
    assert inline.keys() == spread.keys() == {chunk.id for chunk in chunks}
    for name, result in inline.items():
        assert np.array_equal(result.vectors.passage, spread[name].vectors.passage)
        assert np.array_equal(result.vectors.sentences, spread[name].vectors.sentences)
        assert spread[name].chunk == result.chunk
    assert no_children()


def test_nothing_to_embed_starts_nothing() -> None:
    for workers in (1, 2):
        assert list(EmbeddingPool(partial(_not_called), workers).embed([])) == []


def _not_called() -> HashEmbedder:
    raise AssertionError("built without a chunk")


def test_chunks_are_taken_only_as_workers_become_free() -> None:
    taken = 0

    def source() -> Any:
        nonlocal taken
        for chunk in chunks_of(200):
            taken += 1
            yield chunk

    results = EmbeddingPool(HASH, 2).embed(source())
    next(results)
    assert taken <= 3 * 8
    results.close()
    assert no_children()


def test_a_worker_that_dies_is_an_error_that_says_so(hostile: Any) -> None:
    chunks = [*chunks_of(20), chunk_of("marker: die"), *chunks_of(3)]
    with pytest.raises(RagError, match=r"worker died: exit code 7\. Run again"):
        list(EmbeddingPool(hostile.Hostile, 2).embed(chunks))
    assert no_children()


@pytest.mark.parametrize("workers", [2, 3])
def test_a_failure_inside_a_worker_reaches_the_caller(hostile: Any, workers: int) -> None:
    with pytest.raises(RagError, match="ZeroDivisionError"):
        list(EmbeddingPool(hostile.Hostile, workers).embed([chunk_of("marker: fail")]))
    assert no_children()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_embedder_itself_comes_unchanged(hostile: Any, workers: int) -> None:
    with pytest.raises(AssetError, match="no model: nowhere"):
        list(EmbeddingPool(hostile.missing, workers).embed(chunks_of(1)))


def test_an_error_in_the_source_ends_the_workers(hostile: Any) -> None:
    def source() -> Any:
        yield from [chunk_of("marker: slow")] * 8
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(EmbeddingPool(hostile.Hostile, 2).embed(source()))
    assert no_children()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_carry_the_cpu_time_of_the_work(hostile: Any, workers: int) -> None:
    chunks = [chunk_of(f"marker: burn {i}") for i in range(2)]
    pool = EmbeddingPool(hostile.Hostile, workers)
    assert pool.in_caller == (workers == 1)
    before = time.process_time()
    spent = sum(result.cpu_seconds for result in pool.embed(chunks))
    assert 0.4 <= spent < 10
    assert (time.process_time() - before >= 0.4) == (workers == 1)


def test_workers_import_no_more_than_the_embedder_needs(hostile: Any) -> None:
    with pytest.raises(AssetError) as caught:
        list(EmbeddingPool(hostile.Hostile, 2).embed([chunk_of("marker: modules")]))
    heavy = {"onnxruntime", "fastembed", "tiktoken", "nupunkt", "qdrant_edge", "pydantic"}
    assert heavy.isdisjoint(cast("list[str]", caught.value.value))


def test_the_packaged_model_gives_the_same_vectors_in_a_worker() -> None:
    chunks = [chunk_of("The pump stands still. Call the office."), chunk_of("A valve.")]
    factory = partial(MiniLmEmbedder, 1)
    inline = by_id(list(EmbeddingPool(factory, 1).embed(chunks)))
    spread = by_id(list(EmbeddingPool(factory, 2).embed(chunks)))
    for name, result in inline.items():
        assert np.array_equal(result.vectors.passage, spread[name].vectors.passage)
    assert sum(result.cpu_seconds for result in spread.values()) > 0.05


INTERRUPTED = """
    import sys
    from hostile_embedder import Hostile
    from ingest.embedding_pool import EmbeddingPool
    from rag.types import Chunk, Span

    def chunks():
        for number in range(64):
            text = f"number {number}" if number < 16 else "marker: slow"
            yield Chunk(str(number), "d", "", text, 0, len(text), 2, (Span(0, len(text)),))

    if __name__ == "__main__":
        try:
            for result in EmbeddingPool(Hostile, 2).embed(chunks()):
                print(result.chunk.id, flush=True)
        except KeyboardInterrupt:
            sys.exit(130)
"""


def group_ends_within(group: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_control_c_ends_the_caller_and_its_workers_quietly(tmp_path: Path) -> None:
    (tmp_path / "hostile_embedder.py").write_text(HOSTILE)
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)])}
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,
    ) as caller:
        assert caller.stdout is not None
        for _ in range(16):
            caller.stdout.readline()
        time.sleep(0.3)
        os.killpg(caller.pid, signal.SIGINT)
        _, errors = caller.communicate(timeout=15)
    assert (caller.returncode, errors) == (130, "")
    assert group_ends_within(caller.pid, seconds=5)


def test_no_workers_is_refused() -> None:
    with pytest.raises(ValueRangeError, match="embedding workers"):
        EmbeddingPool(HASH, 0)
