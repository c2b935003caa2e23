"""What each tier of compute costs and finds: recall, CPU, memory and disk, tier by tier."""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

from eval.bench.corpora import SEED, Corpus, corpora
from eval.bench.footprint import Footprint, Way, footprint, footprints_table
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.vectors import kept_vectors
from eval.metrics.words import answer_recall
from eval.statistics import Estimate, mean_estimate
from eval.systems.indexed import built_index, chunked
from eval.vectors import CachedEmbedder, VectorCache
from ingest.load.registry import load_document
from rag.build import build_embedder, build_pipeline
from rag.errors import EmptyDocumentError
from rag.protocols import Embedder, IndexReader
from rag.results import Question
from rag.settings import Settings, load_settings
from rag.types import Chunk, Document, Filter, PassageVectors, Vector

_BUDGET = 128  # tokens
_EMBEDDED = 200  # chunks of each corpus embedded anew, to measure what that costs
_WARMING = 5  # questions before the clock is read: the first ones open the index's files
_SERVED = 100  # questions before a service's memory is read
_LOG_FOLDER = "wal"
_T = TypeVar("_T")


# What is no tier of its own but a setting on top of one, such as escalation question by question.
_MORE_WAYS: tuple[Way, ...] = ()


def ways() -> tuple[Way, ...]:
    """Return every tier that the settings know, and ``_MORE_WAYS``."""
    tiers = get_args(Settings.model_fields["tier"].annotation)
    return (*(Way(tier, (("tier", tier),)) for tier in tiers), *_MORE_WAYS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: corpora, each with up to so many questions, and documentation."""

    data: Path
    corpora: tuple[str, ...] = ("squad_small", "squad_full", "nq_pooled", "hotpotqa_400")
    questions: int = 1000
    files_of_each: int = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """All questions of one corpus at 128 tokens; CPU seconds include the question's embedding."""

    recall: Estimate
    tokens: float
    cpu_mean_seconds: float
    cpu_median_seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One way on one corpus; ``asked`` is None where there are no questions.

    CPU seconds are per chunk: ``chunking``, ``indexing`` (terms, writing, commit) and
    ``embedding``. ``disk_bytes`` are what the index takes of the disk after a commit, with its
    write-ahead log, ``log_bytes``.
    """

    corpus: str
    way: str
    chunks: int
    asked: Asked | None
    chunking: float
    indexing: float
    embedding: float
    disk_bytes: int
    log_bytes: int

    @property
    def ingest(self) -> float:
        """CPU seconds per chunk, from a parsed document to an index that answers."""
        return self.chunking + self.indexing + self.embedding


@dataclass(frozen=True, slots=True)
class Cut:
    """A corpus in chunks, and the CPU seconds that cutting took per chunk."""

    corpus: Corpus
    chunks: tuple[Chunk, ...]
    seconds_per_chunk: float


class MeteredEmbedder:
    """Another embedder with the CPU seconds that its passages took, ``cpu_seconds``."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.cpu_seconds = 0.0

    @property
    def fingerprint(self) -> str:
        """That of the embedder."""
        return self._embedder.fingerprint

    def embed_passage(self, chunk: Chunk) -> PassageVectors:
        """Return the vectors of a chunk."""
        vectors, seconds = _timed(lambda: self._embedder.embed_passage(chunk))
        self.cpu_seconds += seconds
        return vectors

    def embed_question(self, text: str) -> Vector:
        """Return the vector of a question."""
        return self._embedder.embed_question(text)


def bench(data: Path, *, quick: bool) -> None:
    """Measure every way on every corpus; a quick run takes 200 questions of the smallest."""
    run(Plan(data, ("squad_small",), 200, 3) if quick else Plan(data))


def run(plan: Plan) -> None:
    """Measure, print both tables, and leave ``tiers.json``."""
    origin = provenance()
    cache = kept_vectors()
    loaders = corpora(plan.data, plan.questions)
    loaded = [loaders[name]() for name in plan.corpora]
    loaded.append(_documentation(plan.data, plan.files_of_each))
    rows: list[Row] = []
    for corpus in loaded:
        cut = _cut(corpus)
        for way in ways():
            rows.append(_measured(way, cut, cache))
            print(" | ".join(_cells(rows[-1])), file=sys.stderr, flush=True)
        cache.commit()
    first = _cut(loaded[0])
    some = [case.text for case in first.corpus.cases[:_SERVED]]
    footprints = [footprint(way, first.chunks, some, cache) for way in ways()]
    print(_table(rows))
    print()
    print(footprints_table(footprints))
    folder = RESULTS if plan == Plan(plan.data) else CACHE
    write_record("tiers", origin | _record(plan, loaded, rows, footprints), folder)


def _documentation(data: Path, of_each: int) -> Corpus:
    """Return so many files of each documentation project; they come without questions."""
    root = data / "docs_markup"
    documents: list[Document] = []
    for project in sorted(path for path in root.iterdir() if path.is_dir()):
        files = sorted(path for path in project.rglob("*") if path.suffix in {".md", ".rst"})
        drawn = random.Random(SEED).sample(files, of_each)  # noqa: S311 -- not a secret
        for file in drawn:
            with suppress(EmptyDocumentError):
                documents.append(load_document(file, file.relative_to(root).as_posix()))
    about = f"{of_each} files of each project, drawn with seed {SEED}, without those that are empty"
    return Corpus("docs", tuple(documents), (), "docs_markup", about)


def _cut(corpus: Corpus) -> Cut:
    settings = load_settings()
    chunked(corpus.documents[:1], settings)  # the vocabulary is loaded on first use
    chunks, seconds = _timed(lambda: chunked(corpus.documents, settings))
    return Cut(corpus, chunks, seconds / len(chunks))


def _measured(way: Way, cut: Cut, cache: VectorCache) -> Row:
    settings, chunks = way.settings(), cut.chunks
    print(f"{cut.corpus.name}: {way.label}, {len(chunks)} chunks", file=sys.stderr, flush=True)
    plain = build_embedder(settings)
    metered = MeteredEmbedder(CachedEmbedder(plain, cache)) if plain else None
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
        path = Path(scratch) / "index"
        index, seconds = _timed(lambda: built_index(path, chunks, metered, settings.tenant))
        with index:
            disk, log = _allocated(path), _allocated(path, _LOG_FOLDER)
            asked = _asked(index, settings, cut.corpus) if cut.corpus.cases else None
    return Row(
        corpus=cut.corpus.name,
        way=way.label,
        chunks=len(chunks),
        asked=asked,
        chunking=cut.seconds_per_chunk,
        indexing=(seconds - (metered.cpu_seconds if metered else 0.0)) / len(chunks),
        embedding=_embedding_seconds(plain, chunks),
        disk_bytes=disk,
        log_bytes=log,
    )


def _asked(index: IndexReader, settings: Settings, corpus: Corpus) -> Asked:
    """Ask every question of a pipeline with the model itself: no vector comes from a cache."""
    pipeline = build_pipeline(settings, index, lambda: None)
    where = Filter(settings.tenant)

    def context(text: str) -> tuple[str, int]:
        question = Question(text, where, _BUDGET, time.monotonic() + 60)
        found = pipeline.retrieve(question).context
        return found.text, found.tokens

    for case in corpus.cases[:_WARMING]:
        context(case.text)
    hits, tokens, seconds = [], [], []
    for case in corpus.cases:
        (text, count), spent = _timed(partial(context, case.text))
        hits.append(float(answer_recall(text, case.answers)))
        tokens.append(count)
        seconds.append(spent)
    return Asked(
        recall=mean_estimate(hits, SEED),
        tokens=statistics.fmean(tokens),
        cpu_mean_seconds=statistics.fmean(seconds),
        cpu_median_seconds=statistics.median(seconds),
    )


def _embedding_seconds(plain: Embedder | None, chunks: Sequence[Chunk]) -> float:
    """Return the mean CPU seconds of embedding a chunk, from a sample; 0 without an embedder."""
    if plain is None:
        return 0.0
    count = min(_EMBEDDED, len(chunks))
    sample = random.Random(SEED).sample(list(chunks), count)  # noqa: S311 -- not a secret
    plain.embed_passage(sample[0])  # the model's first call is its start
    metered = MeteredEmbedder(plain)
    for chunk in sample:
        metered.embed_passage(chunk)
    return metered.cpu_seconds / count


def _allocated(path: Path, folder: str | None = None) -> int:
    """Return the bytes that files take of the disk, those below a ``folder`` if one is named.

    Not their lengths: the engine's files are sparse, most of their 32 MiB is never written.
    """
    files = [file for file in path.rglob("*") if file.is_file()]
    if folder is not None:
        files = [file for file in files if folder in file.relative_to(path).parts]
    return sum(512 * file.stat().st_blocks for file in files)


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    """Return what the work gives and its CPU seconds, in all threads of this process."""
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def _table(rows: Sequence[Row]) -> str:
    header = ("corpus", "tier", "chunks", f"recall at {_BUDGET}", "95 %", "tokens")
    question = ("CPU ms/question", "median")
    ingest = ("CPU s/1,000 chunks", "of it embedding", "bytes/chunk", "of it log")
    return table((*header, *question, *ingest), [_cells(row) for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.corpus,
        row.way,
        f"{row.chunks}",
        *_asked_cells(row.asked),
        f"{1000 * row.ingest:.2f}",
        f"{1000 * row.embedding:.2f}",
        f"{row.disk_bytes / row.chunks:.0f}",
        f"{row.log_bytes / row.chunks:.0f}",
    )


def _asked_cells(asked: Asked | None) -> tuple[str, ...]:
    if asked is None:
        return ("",) * 5
    return (
        f"{asked.recall.mean:.3f}",
        f"{asked.recall.low:.3f} to {asked.recall.high:.3f}",
        f"{asked.tokens:.0f}",
        f"{1000 * asked.cpu_mean_seconds:.2f}",
        f"{1000 * asked.cpu_median_seconds:.2f}",
    )


def _record(
    plan: Plan, loaded: Sequence[Corpus], rows: Sequence[Row], footprints: Sequence[Footprint]
) -> dict[str, Any]:
    return {
        "seed": SEED,
        "budget_tokens": _BUDGET,
        "fingerprints": {way.label: way.settings().fingerprint() for way in ways()},
        "corpora": [corpus.about() for corpus in loaded],
        "questions_at_most": plan.questions,
        "exclusions": f"embedding is timed on {_EMBEDDED} chunks of each corpus; reading files is "
        "not part of ingest here",
        "rows": [{**asdict(row), "ingest": row.ingest} for row in rows],
        "footprints": [asdict(one) for one in footprints],
    }
