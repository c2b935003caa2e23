"""Time and memory at 50,000 chunks: retrieval, ``rag --help``, the service's start and size."""

from __future__ import annotations

import gc
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from eval.bench.corpora import SEED, articles, sampled
from eval.bench.generations import published
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.service import script, serving
from eval.bench.vectors import FilledEmbedder, cached
from eval.datasets import load_dataset
from eval.statistics import percentile
from eval.systems.indexed import chunk_stream, single
from ingest.load.limits import ParseLimits
from ingest.load.sandbox import ParserPool
from rag.build import build_embedder, build_live_index, build_pipeline
from rag.pipeline import Pipeline
from rag.protocols import Embedder
from rag.results import Question
from rag.settings import Settings, load_settings
from rag.types import Chunk, Document, Filter, PassageVectors, Vector

_COLD = 50
_DIMENSION = 384
_HELP_RUNS = 5
_FLOORS = {"p50 [ms]": 5.0, "p95 [ms]": 20.0, "help [s]": 0.3, "ready [s]": 2.0}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure with."""

    data: Path
    chunks: int = 50_000
    questions: int = 500


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of one quantity over the questions [ms]."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Timed:
    """One series of questions: retrieval without the question's embedding, and that apart."""

    wall: Spread
    cpu: Spread
    embedding_wall: Spread | None
    embedding_cpu: Spread | None


@dataclass(frozen=True, slots=True)
class Result:
    """Everything of one tier; ``real_share`` is that of chunks with real vectors."""

    tier: str
    chunks: int
    real_share: float | None
    cold: Timed
    warm: Timed
    ready_seconds: float
    resident_mib: float
    peak_mib: float


class TimedEmbedder:
    """The real embedder with a stop-watch: (wall, CPU) seconds of the last question."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.last = (0.0, 0.0)

    @property
    def fingerprint(self) -> str:
        """That of the embedder."""
        return self._embedder.fingerprint

    def embed_passage(self, chunk: Chunk) -> PassageVectors:
        """Return the vectors of a chunk."""
        return self._embedder.embed_passage(chunk)

    def embed_question(self, text: str) -> Vector:
        """Return the vector of a question, timed."""
        wall, cpu = time.perf_counter(), time.process_time()
        vector = self._embedder.embed_question(text)
        self.last = (time.perf_counter() - wall, time.process_time() - cpu)
        return vector


def run(plan: Plan) -> None:
    """Measure both tiers, print tables, and leave ``latency.json``."""
    origin = provenance()
    help_seconds = _help_seconds()
    chunks = tuple(islice(chunk_stream(mixed_documents(plan.data), load_settings()), plan.chunks))
    cases = sampled(load_dataset(plan.data / "squad_v1_dev").cases, plan.questions + _COLD)
    questions = [case.text for case in cases]
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
        results = [
            _tier_result(load_settings(tier=tier, data_dir=Path(scratch) / tier), chunks, questions)
            for tier in ("lexical", "neural")
        ]
    print(_retrieval_table(results))
    print()
    print(_service_table(results, help_seconds))
    folder = RESULTS if plan == Plan(plan.data) else CACHE
    write_record("latency", origin | _record(plan, results, help_seconds), folder)


def _help_seconds() -> list[float]:
    seconds = []
    for _ in range(_HELP_RUNS):
        started = time.perf_counter()
        subprocess.run([script("rag"), "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    return seconds


def mixed_documents(data: Path) -> Iterator[Document]:
    """Yield SQuAD, Natural Questions, then documentation in a seeded order; ``data`` holds them."""
    squad, nq = load_dataset(data / "squad_v1_dev"), load_dataset(data / "nq_gold")
    yield from articles(squad.texts)
    yield from map(single, nq.texts)
    root = data / "docs_markup"
    files = sorted(path for path in root.rglob("*") if path.suffix in {".md", ".rst"})
    files = [path for path in files if path.parent != root]
    random.Random(SEED).shuffle(files)  # noqa: S311 -- not a secret
    yield from _parsed(root, files)


def _parsed(root: Path, files: Sequence[Path]) -> Iterator[Document]:
    with ParserPool(1, limits=ParseLimits()) as pool:
        for outcome in pool.load_many((path, str(path.relative_to(root))) for path in files):
            if outcome.document is not None:
                yield outcome.document


def _tier_result(settings: Settings, chunks: Sequence[Chunk], questions: Sequence[str]) -> Result:
    print(f"{settings.tier}: indexing {len(chunks)} chunks", file=sys.stderr)
    plain = build_embedder(settings)
    filled = FilledEmbedder(cached(plain), _DIMENSION) if plain else None
    published(settings, chunks, filled)
    cold, warm = _retrieval(settings, plain, questions)
    gc.collect()
    environment = {"RAG_DATA_DIR": str(settings.data_dir), "RAG_TIER": settings.tier}
    ready = []
    for _ in range(3):
        with serving(environment, settings.data_dir / "serve.log") as service:
            ready.append(service.ready_seconds)
            for question in questions[:100]:
                service.retrieve(question)
            resident, peak = service.resident_mib(), service.peak_mib()
    return Result(
        tier=settings.tier,
        chunks=len(chunks),
        real_share=filled.real / (filled.real + filled.random) if filled else None,
        cold=cold,
        warm=warm,
        ready_seconds=statistics.median(ready),
        resident_mib=resident,
        peak_mib=peak,
    )


def _retrieval(
    settings: Settings, plain: Embedder | None, questions: Sequence[str]
) -> tuple[Timed, Timed]:
    embedder = TimedEmbedder(plain) if plain else None
    if embedder:
        embedder.embed_question(
            "warm"
        )  # the model's first call is the service's start, not a question
    live = build_live_index(settings)
    live.refresh()
    try:
        pipeline = build_pipeline(settings, live, lambda: live.generation, embedder)
        with live.pinned():
            cold = _timed(pipeline, embedder, questions[:_COLD], settings)
            warm = _timed(pipeline, embedder, questions[_COLD:], settings)
    finally:
        live.close()
    return cold, warm


def _timed(
    pipeline: Pipeline,
    embedder: TimedEmbedder | None,
    questions: Sequence[str],
    settings: Settings,
) -> Timed:
    rows = []
    for text in questions:
        deadline = time.monotonic() + 60
        where = Filter(settings.tenant)
        budget, frugality = settings.budget_tokens, settings.frugality
        question = Question(text, where, budget, deadline, frugality)
        wall, cpu = time.perf_counter(), time.process_time()
        pipeline.retrieve(question)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        model_wall, model_cpu = embedder.last if embedder else (0.0, 0.0)
        rows.append((wall - model_wall, cpu - model_cpu, model_wall, model_cpu))
    columns = [_spread(column) for column in zip(*rows, strict=True)]
    model = columns[2:] if embedder else [None, None]
    return Timed(columns[0], columns[1], model[0], model[1])


def _spread(seconds: Sequence[float]) -> Spread:
    p50, p95, p99 = (1000 * percentile(seconds, percent) for percent in (50, 95, 99))
    return Spread(p50, p95, p99)


def _retrieval_table(results: Sequence[Result]) -> str:
    header = ("tier", "questions", "what", "p50 [ms]", "p95 [ms]", "p99 [ms]")
    rows = []
    for result in results:
        for name, timed in (("first 50", result.cold), ("warm", result.warm)):
            parts = {
                "retrieval, wall": timed.wall,
                "retrieval, CPU": timed.cpu,
                "embedding of the question, wall": timed.embedding_wall,
                "embedding of the question, CPU": timed.embedding_cpu,
            }
            for what, spread in parts.items():
                if spread is not None:
                    figures = (f"{p:.2f}" for p in (spread.p50, spread.p95, spread.p99))
                    rows.append((result.tier, name, what, *figures))
    return table(header, rows)


def _service_table(results: Sequence[Result], help_seconds: Sequence[float]) -> str:
    header = ("tier", "chunks", "real vectors", "rag --help [s]", "ready [s]", "RSS [MiB]", "peak")
    rows = [
        (
            r.tier,
            r.chunks,
            "none" if r.real_share is None else f"{r.real_share:.0%}",
            f"{statistics.median(help_seconds):.2f}",
            f"{r.ready_seconds:.2f}",
            f"{r.resident_mib:.0f}",
            f"{r.peak_mib:.0f}",
        )
        for r in results
    ]
    return table(header, rows)


def _record(plan: Plan, results: Sequence[Result], help_seconds: list[float]) -> dict[str, Any]:
    sets = ("squad_v1_dev", "nq_gold")
    return {
        "seed": SEED,
        "questions": plan.questions,
        "data": {name: load_dataset(plan.data / name).sha256 for name in sets},
        "exclusions": "documentation files in a seeded order until the chunks suffice; random "
        "unit vectors where none are cached (real_share)",
        "fingerprints": {r.tier: load_settings(tier=r.tier).fingerprint() for r in results},
        "floors": _FLOORS,
        "help_seconds": help_seconds,
        "tiers": [asdict(result) for result in results],
    }
