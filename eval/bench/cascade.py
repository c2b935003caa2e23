"""Steps that a question takes only if it needs them: what each finds, costs, and how often."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from eval.bench.corpora import SEED, Corpus, corpora
from eval.bench.footprint import Way
from eval.bench.indexes import temporary_index
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.vectors import cached
from eval.metrics.words import answer_recall
from eval.systems.indexed import chunked
from eval.systems.subjects import neural
from rag.build import build_pipeline
from rag.pipeline import Pipeline
from rag.protocols import IndexReader
from rag.results import Question, Retrieved
from rag.settings import load_settings
from rag.types import Filter

_CORPORA = ("squad_small", "nq_pooled", "hotpotqa_400")
_BUDGETS = (64, 128, 256)
_QUESTIONS = 1000
_HOP = Way("second hop", ())
WAYS = (
    Way("one hop", (("second_hop", "false"),)),
    _HOP,
    *(Way(f"words if ahead by {lead}", (("lexical_if_sure", lead),)) for lead in ("0.7", "0.5")),
    Way("one hop, lexical", (("tier", "lexical"), ("second_hop", "false"))),
    Way("second hop, lexical", (("tier", "lexical"),)),
)
_TAKEN = ("second hop", "by words alone", "read again")  # as the trace says it


@dataclass(frozen=True, slots=True)
class Row:
    """One way on one half of a corpus' questions at one budget.

    ``all_gold``: share of questions whose gold documents are all in the context; ``taken``: share
    for which a step was taken; ``cpu_seconds``: mean of a question, its embedding included.
    """

    corpus: str
    half: int
    way: str
    budget: int
    recall: float
    all_gold: float
    taken: float
    cpu_seconds: float


def bench(data: Path, *, quick: bool) -> None:
    """Measure the ways of this module."""
    compare("cascade", WAYS, data, quick=quick)


def compare(name: str, ways: Sequence[Way], data: Path, *, quick: bool) -> None:
    """Measure ways on halves of every corpus, print a table and leave ``<name>.json``.

    A quick run takes 100 questions of the smallest corpus.
    """
    origin, loaders = provenance(), corpora(data, 100 if quick else _QUESTIONS)
    rows: list[Row] = []
    for corpus in _CORPORA[:1] if quick else _CORPORA:
        rows += _measured(loaders[corpus](), ways)
    print(_table(rows))
    fingerprints = {way.label: way.settings().fingerprint() for way in ways}
    body = {"seed": SEED, "fingerprints": fingerprints, "exclusions": f"{_QUESTIONS} questions"}
    rest = {"rows": [asdict(row) for row in rows]}
    write_record(name, origin | body | rest, CACHE if quick else RESULTS)


def _measured(corpus: Corpus, ways: Sequence[Way]) -> list[Row]:
    settings = load_settings()
    embedder = cached(neural(settings))
    chunks = chunked(corpus.documents, settings)
    with temporary_index(chunks, embedder, settings.tenant) as index:
        embedder.flush()
        return [row for way in ways for row in _rows(corpus, way, index)]


def _rows(corpus: Corpus, way: Way, index: IndexReader) -> list[Row]:
    settings = way.settings()
    pipeline = build_pipeline(settings, index, lambda: None)
    where, middle = Filter(settings.tenant), len(corpus.cases) // 2
    rows = []
    for budget in _BUDGETS:
        ask = partial(_asked, pipeline, where, budget)
        asked = [ask(case.text) for case in corpus.cases]
        for half, part in ((1, slice(0, middle)), (2, slice(middle, None))):
            pairs = list(zip(corpus.cases[part], asked[part], strict=True))
            hits = [answer_recall(got.context.text, case.answers) for case, (got, _) in pairs]
            gold = [_documents(got).issuperset(case.gold_ids) for case, (got, _) in pairs]
            taken = [_took_a_step(got) for _, (got, _) in pairs]
            cpu = statistics.fmean(seconds for _, (_, seconds) in pairs)
            recall, all_gold, share = (statistics.fmean(map(float, x)) for x in (hits, gold, taken))
            rows.append(Row(corpus.name, half, way.label, budget, recall, all_gold, share, cpu))
            print(" | ".join(_cells(rows[-1])), file=sys.stderr, flush=True)
    return rows


def _asked(pipeline: Pipeline, where: Filter, budget: int, text: str) -> tuple[Retrieved, float]:
    started = time.process_time()
    got = pipeline.retrieve(Question(text, where, budget, time.monotonic() + 60))
    return got, time.process_time() - started


def _documents(got: Retrieved) -> set[str]:
    chunks = [evidence.chunk for evidence in got.context.evidence]
    return {doc_id for chunk in chunks for doc_id in (chunk.doc_id, *chunk.also_in)}


def _took_a_step(got: Retrieved) -> bool:
    said = " ".join(step.decision for step in got.receipt.trace)
    return any(taken in said for taken in _TAKEN)


def _table(rows: Sequence[Row]) -> str:
    header = ("corpus", "half", "way", "budget", "recall", "all gold", "taken", "CPU ms/question")
    return table(header, [_cells(row) for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    shares = (f"{row.recall:.3f}", f"{row.all_gold:.3f}", f"{row.taken:.2f}")
    cpu = f"{1000 * row.cpu_seconds:.2f}"
    return row.corpus, f"{row.half}", row.way, f"{row.budget}", *shares, cpu
