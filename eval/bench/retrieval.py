"""Retrieval quality of each leg alone, of reciprocal rank fusion and of the shipped fusion."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from eval.bench.corpora import SEED
from eval.bench.indexes import temporary_index
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.retrieval_sets import NAMES, JudgedSet, judged_sets
from eval.bench.vectors import cached
from eval.datasets import Case
from eval.metrics.retrieval import ndcg_at, recall_at
from eval.statistics import mean_estimate, paired_difference
from eval.systems.indexed import chunked
from eval.systems.subjects import neural
from eval.vectors import CachedEmbedder
from rag.bm25 import query_vector
from rag.build import build_analyzer
from rag.fuse import fuse
from rag.retrieve import Asked
from rag.settings import Settings, load_settings
from rag.types import Filter, Hit, SearchHits, SearchQuery

Rule: TypeAlias = Callable[[SearchHits], Sequence[Hit]]
METRICS = ("nDCG@10", "recall@5", "recall@20")
SHIPPED = "shipped fusion"
LEGS = ("BM25", "dense")
_NDCG_SETS = ("nfcorpus", "scifact")
_QUICK_SETS = ("squad_small", "limit_small", "clapnq_dev", "hotpotqa_400")
_QUICK_QUESTIONS = 200
# Source: Cormack et al. 2009, "Reciprocal Rank Fusion outperforms Condorcet ...", section 3.
_RRF_K = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """Which sets to measure, with up to so many questions of each."""

    data: Path
    sets: tuple[str, ...] = NAMES
    questions: int = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One system on one set; ``scores`` holds each metric question by question."""

    judged: str
    system: str
    scores: Mapping[str, tuple[float, ...]]


def bench(data: Path, *, quick: bool) -> None:
    """Measure everything, or the small sets with few questions."""
    run(Plan(data, _QUICK_SETS, _QUICK_QUESTIONS) if quick else Plan(data))


def run(plan: Plan) -> None:
    """Measure, print the tables, and leave ``retrieval.json``.

    A run of everything leaves it in ``eval/bench/results``, any other in the cache folder.
    """
    origin, settings = provenance(), load_settings(tier="neural")
    embedder = cached(neural(settings))
    rows: list[Row] = []
    about: list[dict[str, Any]] = []
    for name in plan.sets:
        judged = judged_sets(plan.data, plan.questions)[name]()
        about.append(_about(judged))
        rows += measured(judged, settings, embedder)
        embedder.flush()
        print(f"{name}: {len(judged.cases)} questions", file=sys.stderr, flush=True)
    print(_quality_table(rows))
    print()
    print(_against_legs_table(rows))
    folder = RESULTS if plan == Plan(plan.data) else CACHE
    write_record("retrieval", origin | _record(rows, about, settings), folder)


def measured(judged: JudgedSet, settings: Settings, embedder: CachedEmbedder) -> list[Row]:
    """Return a row for each system: all rank the hits of one and the same search."""
    chunks = chunked(judged.documents, settings)
    texts = {chunk.id: judged.texts_of(chunk) for chunk in chunks}
    rules = _rules(settings.dense_weight)
    with temporary_index(chunks, embedder, settings.tenant) as index:
        found = [index.search(query) for query in _queries(judged.cases, settings, embedder)]
    return [
        Row(judged.name, system, _scores(judged.cases, found, rule, texts))
        for system, rule in rules.items()
    ]


def reciprocal_rank_fusion(dense: Sequence[Hit], sparse: Sequence[Hit]) -> list[Hit]:
    """Return one ranking by ``sum of 1 / (60 + rank)``, best first, ties by id.

    Source: Cormack, Clarke and Buettcher 2009, section 2.
    """
    scores: dict[str, float] = {}
    for leg in (dense, sparse):
        for rank, hit in enumerate(leg, start=1):
            scores[hit.chunk_id] = scores.get(hit.chunk_id, 0.0) + 1 / (_RRF_K + rank)
    hits = [Hit(chunk_id, score) for chunk_id, score in scores.items()]
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))


def ranked_texts(hits: Iterable[Hit], texts: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return judged texts by their best chunk, each once."""
    return list(dict.fromkeys(text for hit in hits for text in texts[hit.chunk_id]))


def _rules(dense_weight: float) -> dict[str, Rule]:
    return {
        "BM25": lambda hits: hits.sparse,
        "dense": lambda hits: hits.dense,
        "RRF": lambda hits: reciprocal_rank_fusion(hits.dense, hits.sparse),
        SHIPPED: lambda hits: fuse(hits.dense, hits.sparse, dense_weight, hits.unembedded),
    }


def _queries(
    cases: Iterable[Case], settings: Settings, embedder: CachedEmbedder
) -> Iterator[SearchQuery]:
    analyzer, where = build_analyzer(), Filter(settings.tenant)
    for case in cases:
        asked = Asked.prepare(case.text, analyzer, embedder)
        yield SearchQuery(where, query_vector(asked.terms), asked.vector, settings.candidates)


def _scores(
    cases: Sequence[Case],
    found: Sequence[SearchHits],
    rule: Rule,
    texts: Mapping[str, tuple[str, ...]],
) -> Mapping[str, tuple[float, ...]]:
    rankings = [ranked_texts(rule(hits), texts) for hits in found]
    pairs = list(zip(rankings, cases, strict=True))
    return {
        "nDCG@10": tuple(ndcg_at(ranking, dict(case.gold), 10) for ranking, case in pairs),
        "recall@5": tuple(recall_at(ranking, case.gold_ids, 5) for ranking, case in pairs),
        "recall@20": tuple(recall_at(ranking, case.gold_ids, 20) for ranking, case in pairs),
    }


def _quality_table(rows: Sequence[Row]) -> str:
    cells = []
    for row in rows:
        estimates = [mean_estimate(row.scores[metric], SEED) for metric in METRICS]
        shown = (f"{e.mean:.3f} ({e.low:.3f} to {e.high:.3f})" for e in estimates)
        cells.append((row.judged, row.system, str(estimates[0].n), *shown))
    return table(("set", "ranking", "questions", *METRICS), cells)


def _against_legs_table(rows: Sequence[Row]) -> str:
    """Return, for each set, what the shipped fusion adds to the better leg and to RRF."""
    header = ("set", "metric", "better leg", SHIPPED, "difference", "difference to RRF")
    cells = []
    for name in dict.fromkeys(row.judged for row in rows):
        for metric in METRICS[:1] if name in _NDCG_SETS else METRICS[1:]:
            here = {row.system: row.scores[metric] for row in rows if row.judged == name}
            leg = max(LEGS, key=lambda system: sum(here[system]))
            means = (_mean(here[leg]), _mean(here[SHIPPED]))
            shown = (f"{leg} {means[0]:.3f}", f"{means[1]:.3f}")
            against = (_difference(here[SHIPPED], here[other]) for other in (leg, "RRF"))
            cells.append((name, metric, *shown, *against))
    return table(header, cells)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _difference(shipped: Sequence[float], other: Sequence[float]) -> str:
    paired = paired_difference(shipped, other, SEED)
    return f"{paired.mean:+.3f} ({paired.low:+.3f} to {paired.high:+.3f})"


def _about(judged: JudgedSet) -> dict[str, Any]:
    return {
        "set": judged.name,
        "documents": len(judged.documents),
        "questions": len(judged.cases),
        "sha256": judged.source,
        "exclusions": judged.exclusions,
    }


def _record(rows: Sequence[Row], about: list[dict[str, Any]], settings: Settings) -> dict[str, Any]:
    return {
        "seed": SEED,
        "fingerprint": settings.fingerprint(),
        "candidates": settings.candidates,
        "dense_weight": settings.dense_weight,
        "sets": about,
        "rows": [
            {
                "set": row.judged,
                "ranking": row.system,
                **{m: asdict(mean_estimate(row.scores[m], SEED)) for m in METRICS},
            }
            for row in rows
        ],
    }
