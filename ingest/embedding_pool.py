"""Embeds chunks in worker processes, each with an embedder of its own."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeAlias

from rag.errors import RagError, ValueRangeError
from rag.protocols import Embedder
from rag.types import Chunk, PassageVectors

EmbedderFactory: TypeAlias = Callable[[], Embedder]

_CHUNKS_PER_BATCH = 8  # about half a second of work: long against a pipe, short against a stop
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Embedded:
    """One chunk's vectors and the CPU time they took [s].

    A worker's first result also carries the time to start it and load its model, so that the sum
    over all results is what the workers used.
    """

    chunk: Chunk
    vectors: PassageVectors
    cpu_seconds: float


class EmbeddingPool:
    """Embeds chunks in ``workers`` processes; with one worker, in the calling process.

    ``factory`` builds the embedder inside the worker and is pickled to it: a module-level function
    or a ``functools.partial`` of one. Vectors do not depend on the number of workers.
    """

    def __init__(self, factory: EmbedderFactory, workers: int) -> None:
        if workers < 1:
            raise ValueRangeError("embedding workers", workers, "use 1 or more")
        self._factory = factory
        self._workers = workers

    @property
    def in_caller(self) -> bool:
        """Whether the CPU time of the results is part of the calling process's own."""
        return self._workers == 1

    def embed(self, chunks: Iterable[Chunk]) -> Generator[Embedded, None, None]:
        """Yield each chunk once with its vectors, in the order in which they are ready.

        Chunks are taken as workers become free, at most one batch of 8 for each. Nothing is started
        before the first chunk. Closing the iterator, or an exception in the caller such as
        Ctrl-C, ends the workers.

        Raises:
            RagError: A worker died, or the embedder failed in it; its own errors come unchanged.
        """
        batches = _batches(chunks)
        if self.in_caller:
            return self._inline(batches)
        return self._spread(batches)

    def _inline(self, batches: Iterator[list[Chunk]]) -> Generator[Embedded, None, None]:
        embed = None
        for batch in batches:
            embed = embed or _Timed(self._factory, time.process_time())
            yield from map(embed, batch)

    def _spread(self, batches: Iterator[list[Chunk]]) -> Generator[Embedded, None, None]:
        workers: list[_Worker] = []
        try:
            for batch in islice(batches, self._workers):
                workers.append(_Worker(self._factory))
                workers[-1].send(batch)
            busy = list(workers)
            while busy:
                ready = wait([worker.connection for worker in busy])
                for worker in [worker for worker in busy if worker.connection in ready]:
                    results = worker.receive()
                    if batch := next(batches, []):
                        worker.send(batch)
                    else:
                        busy.remove(worker)
                    yield from results
        finally:
            for worker in workers:
                worker.stop()


class _Timed:
    """An embedder that tells the CPU time since it last told it."""

    def __init__(self, factory: EmbedderFactory, since: float) -> None:
        self._since = since
        self._embedder = factory()
        self._spent = time.process_time() - since

    def __call__(self, chunk: Chunk) -> Embedded:
        start = time.process_time()
        vectors = self._embedder.embed_passage(chunk)
        spent, self._spent = self._spent, 0.0
        return Embedded(chunk, vectors, spent + time.process_time() - start)


class _Worker:
    """The parent's end of one worker process."""

    def __init__(self, factory: EmbedderFactory) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, factory), daemon=True, name="embedding-worker"
        )
        self._process.start()
        theirs.close()

    def send(self, batch: list[Chunk]) -> None:
        """Give the worker its next batch."""
        try:
            self.connection.send(batch)
        except (BrokenPipeError, ConnectionResetError) as exc:
            raise self._death() from exc

    def receive(self) -> list[Embedded]:
        """Return the results of the oldest batch sent."""
        try:
            answer: list[Embedded] | RagError = self.connection.recv()
        except (EOFError, ConnectionResetError) as exc:
            raise self._death() from exc
        if isinstance(answer, RagError):
            raise answer
        return answer

    def _death(self) -> RagError:
        self._process.join(_STOP_SECONDS)
        return RagError(
            "an embedding worker died",
            f"exit code {self._process.exitcode}",
            "run again, with fewer ingest_workers if memory was short; stored vectors are kept",
        )

    def stop(self) -> None:
        """End the process: at once, as nothing it still does is wanted."""
        self.connection.close()
        self._process.terminate()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _serve(connection: Connection, factory: EmbedderFactory) -> None:
    """Answer batches until the parent closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    embed: _Timed | None = None
    while True:
        try:
            batch: list[Chunk] = connection.recv()
        except EOFError:
            return
        try:
            embed = embed or _Timed(factory, 0.0)
            answer: list[Embedded] | RagError = [embed(chunk) for chunk in batch]
        except RagError as exc:
            answer = exc
        except Exception as exc:  # noqa: BLE001 -- a process boundary
            answer = RagError("the embedder failed", repr(exc), "report this with the document")
        connection.send(answer)


def _batches(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    remaining = iter(chunks)
    while batch := list(islice(remaining, _CHUNKS_PER_BATCH)):
        yield batch
