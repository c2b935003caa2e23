"""How much of a corpus traffic ever needs, and what is lost if only that is embedded.

A document that was ingested without vectors is found by its words. Here questions are asked so,
one after the other, and it is counted which chunks ever became one of the 20 best candidates, were
offered to the packer, or were packed. Then those that were offered get their vectors, as
``rag-ingest embed --asked-only`` would give them, and other questions are asked of that index.
"""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from eval.bench.corpora import SEED, Corpus, corpora
from eval.bench.ours import systems
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.vectors import cached
from eval.bench.watched import WatchedIndex
from eval.datasets import Case
from eval.metrics.words import answer_recall
from eval.statistics import Estimate, mean_estimate, paired_difference
from eval.systems.indexed import chunked
from eval.systems.subjects import neural
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.edge_layout import IndexConfig
from rag.adapters.minilm import DIMENSION
from rag.bm25 import document_vector
from rag.build import build_analyzer, build_pipeline
from rag.protocols import Embedder
from rag.results import Question
from rag.settings import Settings, load_settings
from rag.terms import indexed_text
from rag.types import Chunk, Filter, Point, SparseVector

_BUDGET = 128  # tokens
_CANDIDATES = 20
_ALL = 10**9
_TIMED = 100  # chunks whose embedding is timed
_BATCH = 500
# Source: Breslau et al. 1999, "Web Caching and Zipf-like Distributions", INFOCOM, table 2: the
# exponents of six traces of requests are 0.64 to 0.83.
_SKEW = 0.8


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: demand after so many questions, recall on so many others."""

    data: Path
    corpora: tuple[str, ...] = ("squad_small", "squad_full", "nq_pooled")
    growth: tuple[int, ...] = (100, 300, 1000, 5000)
    judged: int = 300


@dataclass(frozen=True, slots=True)
class Needs:
    """The chunks that a question needed by the words alone, by id."""

    candidates: frozenset[str]
    offered: frozenset[str]
    packed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Demand:
    """Shares of a corpus's chunks that traffic needed; ``distinct`` of the questions differ."""

    corpus: str
    traffic: str
    questions: int
    distinct: int
    candidates: float
    offered: float
    packed: float


@dataclass(frozen=True, slots=True)
class Filled:
    """An index in which only what was offered in ``questions`` has vectors.

    ``new`` and ``again`` are the answer recalls at 128 tokens of questions that were not, and were,
    part of the traffic; ``loss`` is the paired difference of ``new`` to the fully embedded index.
    """

    corpus: str
    state: str
    embedded: float
    new: Estimate
    again: Estimate | None
    loss: Estimate
    cpu_seconds_saved: float


class Shelf:
    """A corpus in an index whose chunks get their vectors when they are asked to."""

    def __init__(self, path: Path, chunks: Sequence[Chunk], embedder: Embedder) -> None:
        self.chunks = {chunk.id: chunk for chunk in chunks}
        self.embedded: set[str] = set()
        self.embedder = embedder
        self._sparse = _sparse(chunks)
        self.index = EdgeIndex.create(path, IndexConfig(DIMENSION))
        self._write(self.chunks, embedder=None)

    @property
    def share(self) -> float:
        """The share of chunks that have vectors."""
        return len(self.embedded) / len(self.chunks)

    def embed(self, chunk_ids: Iterable[str]) -> None:
        """Give chunks their vectors."""
        missing = sorted(set(chunk_ids) - self.embedded)
        self._write(missing, self.embedder)
        self.embedded.update(missing)

    def _write(self, chunk_ids: Iterable[str], embedder: Embedder | None) -> None:
        remaining = iter(chunk_ids)
        while batch := [self.chunks[i] for i in itertools.islice(remaining, _BATCH)]:
            self.index.upsert(
                [
                    Point(
                        _settings("neural").tenant,
                        chunk,
                        self._sparse[chunk.id],
                        embedder.embed_passage(chunk) if embedder else None,
                    )
                    for chunk in batch
                ]
            )
        self.index.commit()


def bench(data: Path, *, quick: bool) -> None:
    """Measure, print the tables, and leave ``demand.json``."""
    run(Plan(data, ("squad_small",), (100, 300), 100) if quick else Plan(data))


def run(plan: Plan) -> None:
    """Measure what ``plan`` says; a full run leaves its record in ``eval/bench/results``."""
    origin = provenance()
    plain = neural(_settings("neural"))
    embedder = cached(plain)
    demands: list[Demand] = []
    filled: list[Filled] = []
    seconds: dict[str, float] = {}
    for name in plan.corpora:
        corpus = corpora(plan.data, _ALL)[name]()
        chunks = chunked(corpus.documents, _settings("neural"))
        seconds[name] = _seconds_per_chunk(plain, chunks)
        with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
            shelf = Shelf(Path(scratch) / "index", chunks, embedder)
            with shelf.index:
                trial = _Trial(plan, corpus, shelf)
                demands += trial.demands()
                filled += trial.filled(seconds[name])
        embedder.flush()
    print(_demand_table(demands), _filled_table(filled), sep="\n\n")
    body = {
        "seed": SEED,
        "skew": _SKEW,
        "fingerprint": _settings("neural").fingerprint(),
        "judged": plan.judged,
        "exclusions": "none",
        "cpu_seconds_per_chunk": seconds,
        "demand": [asdict(row) for row in demands],
        "filled": [asdict(row) for row in filled],
    }
    write_record("demand", origin | body, RESULTS if plan == Plan(plan.data) else CACHE)


def repeated(count: int, draws: int) -> list[int]:
    """Return ``draws`` numbers below ``count``, the n-th as likely as ``1 / (n + 1) ** skew``."""
    weights = [1 / (rank + 1) ** _SKEW for rank in range(count)]
    return random.Random(SEED).choices(range(count), weights, k=draws)  # noqa: S311 -- no secret


class _Trial:
    """One corpus: traffic, and questions that are kept out of it to judge by."""

    def __init__(self, plan: Plan, corpus: Corpus, shelf: Shelf) -> None:
        cases = list(corpus.cases)
        random.Random(SEED).shuffle(cases)  # noqa: S311 -- not a secret
        self._judged = cases[: plan.judged]
        self._traffic = cases[plan.judged :][: max(plan.growth)]
        self._plan, self._name, self._shelf = plan, corpus.name, shelf
        self._needs = self._all_needs()

    def demands(self) -> list[Demand]:
        """Return what traffic of each size needs: without and with repeated questions."""
        asked = len(self._traffic)
        rows = [self._demand("unique", range(n)) for n in self._plan.growth if n <= asked]
        draws = repeated(asked, max(self._plan.growth))
        return rows + [self._demand("repeated", draws[:n]) for n in self._plan.growth]

    def filled(self, seconds_per_chunk: float) -> list[Filled]:
        """Return the recall with no vectors, with those of what was offered, and with all."""
        sizes = [n for n in self._plan.growth if n <= len(self._traffic)]
        states = [self._state(size) for size in (0, *sizes, _ALL)]
        complete = states[-1].new
        chunks = len(self._shelf.chunks)
        return [
            Filled(
                corpus=self._name,
                state=state.name,
                embedded=state.share,
                new=_recall(state.new),
                again=_recall(state.again) if state.again else None,
                loss=paired_difference(state.new, complete, SEED),
                cpu_seconds_saved=(1 - state.share) * chunks * seconds_per_chunk,
            )
            for state in states
        ]

    def _demand(self, traffic: str, draws: Sequence[int]) -> Demand:
        asked = [self._needs[number] for number in set(draws)]
        chunks = len(self._shelf.chunks)
        return Demand(
            corpus=self._name,
            traffic=traffic,
            questions=len(draws),
            distinct=len(asked),
            candidates=len({i for needs in asked for i in needs.candidates}) / chunks,
            offered=len({i for needs in asked for i in needs.offered}) / chunks,
            packed=len({i for needs in asked for i in needs.packed}) / chunks,
        )

    def _state(self, size: int) -> _State:
        """Embed what the first ``size`` questions were offered, and ask."""
        offered = {i for needs in self._needs[:size] for i in needs.offered}
        self._shelf.embed(self._shelf.chunks if size == _ALL else offered)
        asked = self._traffic[:size] if size < _ALL else []
        again = random.Random(SEED).sample(asked, min(len(asked), self._plan.judged))  # noqa: S311
        names = {0: "nothing", _ALL: "everything"}
        name = names.get(size, f"offered in {size:,} questions")
        state = _State(name, self._shelf.share, self._hits(self._judged), self._hits(again))
        recall = sum(state.new) / len(state.new)
        print(f"{self._name}: {name}: {state.share:.3f}, {recall:.3f}", file=sys.stderr)
        return state

    def _all_needs(self) -> list[Needs]:
        """Return what each question of the traffic needs of an index without any vector."""
        settings = _settings("lexical").model_copy(update={"candidates": _CANDIDATES})
        watched = WatchedIndex(self._shelf.index)
        pipeline = build_pipeline(settings, watched, lambda: None)
        needs = []
        for case in self._traffic:
            watched.forget()
            where = Filter(settings.tenant)
            question = Question(case.text, where, settings.budget_tokens, time.monotonic() + 60)
            packed = {e.chunk.id for e in pipeline.retrieve(question).context.evidence}
            found = frozenset(watched.candidates), frozenset(watched.offered)
            needs.append(Needs(*found, frozenset(packed)))
        return needs

    def _hits(self, cases: Sequence[Case]) -> tuple[bool, ...]:
        index, embedder = self._shelf.index, self._shelf.embedder
        (system,) = systems(index, _settings("neural"), embedder, [_BUDGET])
        return tuple(answer_recall(system.show(case).text, case.answers) for case in cases)


@dataclass(frozen=True, slots=True)
class _State:
    """A shelf with a share of its chunks embedded, and whose answers it then showed."""

    name: str
    share: float
    new: tuple[bool, ...]
    again: tuple[bool, ...]


def _settings(tier: str) -> Settings:
    return load_settings(tier=tier)


def _recall(hits: Sequence[bool]) -> Estimate:
    return mean_estimate([float(hit) for hit in hits], SEED)


def _sparse(chunks: Sequence[Chunk]) -> dict[str, SparseVector]:
    analyzer = build_analyzer()
    terms = {chunk.id: analyzer.terms(indexed_text(chunk)) for chunk in chunks}
    mean_length = max(1.0, sum(map(len, terms.values())) / max(1, len(terms)))
    return {chunk_id: document_vector(words, mean_length) for chunk_id, words in terms.items()}


def _seconds_per_chunk(embedder: Embedder, chunks: Sequence[Chunk]) -> float:
    """Return the mean CPU time of embedding a chunk [s], measured on some of them."""
    some = random.Random(SEED).sample(list(chunks), min(_TIMED, len(chunks)))  # noqa: S311
    started = time.process_time()
    for chunk in some:
        embedder.embed_passage(chunk)
    return (time.process_time() - started) / len(some)


def _demand_table(rows: Sequence[Demand]) -> str:
    header = ("corpus", "traffic", "questions", "distinct", "candidates", "offered", "packed")
    return table(
        header,
        [
            (
                *(row.corpus, row.traffic, f"{row.questions:,}", f"{row.distinct:,}"),
                *(f"{share:.3f}" for share in (row.candidates, row.offered, row.packed)),
            )
            for row in rows
        ],
    )


def _filled_table(rows: Sequence[Filled]) -> str:
    header = ("corpus", "embedded", "share", "recall, new", "against all", "recall, asked before")
    return table(
        (*header, "CPU saved [s]"),
        [
            (
                *(row.corpus, row.state, f"{row.embedded:.3f}", f"{row.new.mean:.3f}"),
                f"{row.loss.mean:+.3f} ({row.loss.low:+.3f} to {row.loss.high:+.3f})",
                f"{row.again.mean:.3f}" if row.again else "",
                f"{row.cpu_seconds_saved:,.0f}",
            )
            for row in rows
        ],
    )
