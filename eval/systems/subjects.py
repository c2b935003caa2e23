"""What can be evaluated, by name: frugal-rag as it is configured, and the usual ways."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

from eval.outcomes import System
from eval.records import Indexing
from eval.systems.frugal import FrugalRag
from eval.systems.indexed import built_index, chunked
from eval.vectors import CachedEmbedder, VectorCache
from rag.build import build_embedder, build_pipeline
from rag.build_generators import answering_fingerprint
from rag.errors import UsageError
from rag.impact import cpu_energy
from rag.protocols import Embedder
from rag.settings import Settings
from rag.types import Document, Interval

FRUGAL: Final = "frugal-rag"
LLAMA: Final = "llama-index"
LLAMA_HYBRID: Final = "llama-index-hybrid"
NAMES: Final = (FRUGAL, LLAMA, LLAMA_HYBRID)


@dataclass(frozen=True, slots=True)
class Opened:
    """A system over its index, and what building the index took."""

    system: System
    indexing: Indexing


class Subject(Protocol):
    """A system that can be set up over documents, with the settings that name it."""

    @property
    def name(self) -> str:
        """What it is called in records and tables."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that can change what a question gets."""

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change with the settings."""

    def opened(
        self, documents: Sequence[Document], vectors: VectorCache
    ) -> AbstractContextManager[Opened]:
        """Return the system over an index of the documents, gone at the end of the block."""


@dataclass(frozen=True, slots=True)
class FrugalSubject:
    """frugal-rag with its settings."""

    configured: Settings

    @property
    def name(self) -> str:
        """Always the same; the settings tell two of them apart."""
        return FRUGAL

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that shape an answer: prompts and models by name, and no key."""
        return self.configured.answering()

    @property
    def fingerprint(self) -> str:
        """Of the settings, the prompts' texts and the models, as every receipt has it."""
        return answering_fingerprint(self.configured)

    @contextmanager
    def opened(self, documents: Sequence[Document], vectors: VectorCache) -> Iterator[Opened]:
        """Index the documents in a temporary folder and open the pipeline over it.

        Raises:
            AssetError: The model is missing.
        """
        settings = self.configured
        embedder = build_embedder(settings)
        started = time.process_time()
        cached = CachedEmbedder(embedder, vectors) if embedder else None
        chunks = chunked(documents, settings)
        with (
            TemporaryDirectory(prefix="rag-eval-") as folder,
            built_index(Path(folder) / "index", chunks, cached, settings.tenant) as index,
        ):
            indexing = indexed(started, settings, len(chunks), cached)
            pipeline = build_pipeline(settings, index, lambda: None, embedder)
            yield Opened(FrugalRag(pipeline, settings), indexing)


def indexed(
    started: float, settings: Settings, count: int, cached: CachedEmbedder | None
) -> Indexing:
    """Return what was spent since ``started`` [s of processor time] on an index of ``count``."""
    seconds = time.process_time() - started
    joules = cpu_energy(Interval(seconds, seconds), pue=settings.pue)
    if cached is None:
        return Indexing(seconds, joules, count, 0)
    cached.flush()
    return Indexing(seconds, joules, count, max(0, count - cached.computed))


def named(name: str, settings: Settings) -> Subject:
    """Return what is called ``name``; the usual ways take tokenizer and place from the settings.

    Raises:
        UsageError: Nothing is called so, or LlamaIndex is not installed.
    """
    if name == FRUGAL:
        return FrugalSubject(settings)
    if name not in NAMES:
        raise UsageError("no such system", name, f"use one of {', '.join(NAMES)}")
    try:
        from eval.systems.llama_subject import LlamaSubject
    except ModuleNotFoundError as exc:
        remedy = "run pip install 'frugal-rag[baselines]'"
        raise UsageError("this system needs a library", exc.name, remedy) from exc
    return LlamaSubject(settings, hybrid=name == LLAMA_HYBRID)


def neural(settings: Settings) -> Embedder:
    """Return the packaged embedder, whatever the tier."""
    embedder = build_embedder(settings.model_copy(update={"tier": "neural"}))
    assert embedder is not None  # noqa: S101 -- the neural tier has one
    return embedder
