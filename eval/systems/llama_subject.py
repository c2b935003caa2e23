"""LlamaIndex as it comes, to be evaluated beside frugal-rag: what is found, and what it costs.

It is asked for the context that it would send; there is no generator here, so it does not answer.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from eval.datasets import Case
from eval.outcomes import Cost, Outcome
from eval.systems import llama_index
from eval.systems.frugal import metered, place_of
from eval.systems.subjects import LLAMA, LLAMA_HYBRID, Opened, indexed, neural
from eval.vectors import CachedEmbedder, VectorCache
from rag.build import build_analyzer, build_tokenizer
from rag.build_power import build_power
from rag.meter import RequestMeter
from rag.metering.power import PowerSource
from rag.place import Place
from rag.protocols import Tokenizer
from rag.settings import Settings
from rag.types import Document

# Source: llama-index-core 0.14, constants DEFAULT_CHUNK_SIZE, SENTENCE_CHUNK_OVERLAP and
# DEFAULT_SIMILARITY_TOP_K.
CHUNK_TOKENS: Final = 1024
OVERLAP_TOKENS: Final = 200
NODES: Final = 2


@dataclass(frozen=True, slots=True)
class LlamaSubject:
    """LlamaIndex with its default splitter and number of nodes; dense, or Qdrant hybrid."""

    configured: Settings
    hybrid: bool

    @property
    def name(self) -> str:
        """Which of the two."""
        return LLAMA_HYBRID if self.hybrid else LLAMA

    @property
    def settings(self) -> Mapping[str, Any]:
        """LlamaIndex's defaults, and what is counted and embedded with."""
        return {
            "chunk_tokens": CHUNK_TOKENS,
            "overlap_tokens": OVERLAP_TOKENS,
            "nodes": NODES,
            "hybrid": self.hybrid,
            "tokenizer": self.configured.tokenizer,
            "embedder": "MiniLM",
        }

    @property
    def fingerprint(self) -> str:
        """12 hex digits of the settings."""
        text = json.dumps(self.settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @contextmanager
    def opened(self, documents: Sequence[Document], vectors: VectorCache) -> Iterator[Opened]:
        """Index the documents LlamaIndex's way, in memory.

        Raises:
            AssetError: The model is missing.
        """
        settings = self.configured
        embedder = neural(settings)
        started = time.process_time()
        cached = CachedEmbedder(embedder, vectors)
        nodes = llama_index.split(documents, CHUNK_TOKENS, OVERLAP_TOKENS)
        if self.hybrid:
            analyzer = build_analyzer()
            index = llama_index.hybrid_index(nodes, cached, analyzer, queries=embedder)
            retriever = llama_index.hybrid_retriever(index, NODES)
        else:
            index = llama_index.vector_index(nodes, cached, queries=embedder)
            retriever = llama_index.dense_retriever(index, NODES)
        indexing = indexed(started, settings, len(nodes), cached)
        tokenizer = build_tokenizer(settings)
        asked = _Llama(self.name, retriever, tokenizer, place_of(settings), build_power())
        yield Opened(asked, indexing)


@dataclass(frozen=True, slots=True)
class _Llama:
    name: str
    retriever: Any
    tokenizer: Tokenizer
    place: Place
    power: PowerSource

    def ask(self, case: Case) -> tuple[Outcome, Cost]:
        """Return the context that would be sent, and what finding it took."""
        meter = RequestMeter(self.place, self.power)
        with meter.stage("retrieve") as step:
            text, documents = llama_index.shown(self.retriever, case.text)
            step.decision = f"{len(documents)} documents"
        cost = metered(meter)
        outcome = Outcome(
            ranking=documents,
            context=text,
            context_tokens=self.tokenizer.count(text),
            cap_tokens=NODES * CHUNK_TOKENS,
        )
        return outcome, cost
