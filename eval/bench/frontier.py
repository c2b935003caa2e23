"""Answer recall against context tokens: frugal-rag beside the usual ways, in one run."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.bench import limits, ours
from eval.bench.corpora import SEED, Corpus, corpora
from eval.bench.limits import Limit
from eval.bench.plot import Curve, drawn
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.shown import Shown, System
from eval.bench.vectors import cached
from eval.bench.wholes import WholeSystem, ranked
from eval.metrics.words import answer_recall
from eval.statistics import Estimate, mean_estimate, paired_difference
from eval.systems.indexed import built_index, chunked
from eval.systems.subjects import neural
from eval.vectors import CachedEmbedder
from rag.build import build_analyzer, build_tokenizer
from rag.settings import Settings, load_settings
from rag.types import Chunk

BUDGETS = (32, 64, 96, 128, 192, 256, 512)
# Of the dial, at the largest budget: the curve of stopping early beside that of the budgets.
FRUGALITIES = (0.5, 0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.04, 0.03, 0.02)
_FIXED = "budget 256"  # what stopping early is held against
TOKENIZER = "cl100k_base"
FAMILIES = ("frugal", "llama", "bm25")
# LlamaIndex's default cut and two smaller ones, each with its numbers of nodes. The last fits the
# embedder, which reads 256 tokens; it costs one embedding a passage, so the small corpora get it.
_CUTS = ((1024, 200, (1, 2)), (512, 50, (2, 5)), (256, 20, (1, 2, 5)))
_FITTING_CUT_FOR = ("squad_small",)
# Qdrant's local mode compares a sparse query with every vector in Python: with more nodes than
# this, 1,000 questions take longer than all else together.
_LARGEST_HYBRID = 6000


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: ``families`` of systems on ``corpora``, with up to so many questions."""

    data: Path
    corpora: tuple[str, ...] = ("squad_small", "squad_full", "nq_pooled", "hotpotqa_400")
    families: tuple[str, ...] = FAMILIES
    questions: int = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One point of the frontier.

    ``hits`` and ``all_gold`` stand in the order of the corpus's questions: whether the context
    holds an answer, and whether it quotes every gold document.
    """

    corpus: str
    system: str
    setting: str
    tokens: Estimate
    hits: tuple[bool, ...]
    all_gold: tuple[bool, ...]
    seconds: float

    @property
    def recall(self) -> float:
        """The share of questions whose context holds an answer."""
        return sum(self.hits) / len(self.hits)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all systems share."""

    settings: dict[str, Settings]
    embedder: CachedEmbedder
    scratch: Path


def run(plan: Plan) -> None:
    """Measure, print the tables, and leave ``frontier.json`` and ``frontier.svg``.

    A run of everything leaves them in ``eval/bench/results``, any other in the cache folder.
    """
    origin = provenance()
    settings = {
        tier: load_settings(tier=tier, tokenizer=TOKENIZER) for tier in ("lexical", "neural")
    }
    embedder = cached(neural(settings["neural"]))
    loaders = corpora(plan.data, plan.questions)
    rows: list[Row] = []
    lost: list[Limit] = []
    about: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
        bench = Bench(settings, embedder, Path(scratch))
        for name in plan.corpora:
            corpus = loaders[name]()
            about.append(corpus.about())
            points, losses = _measured_all(corpus, plan, bench)
            rows += points
            lost += losses
            bench.embedder.flush()
    print(_frontier_table(rows))
    print()
    print(_savings_table(rows))
    print()
    print(f"Stopping early, at no less recall than with a fixed {_FIXED}:\n")
    print(_stopping_table(rows))
    print()
    print(limits.limits_table(lost))
    # A part of it is for looking at, not for the record.
    folder = RESULTS if plan == Plan(plan.data) else CACHE
    record = _record(rows, about, settings, plan) | {"limits": [asdict(one) for one in lost]}
    write_record("frontier", origin | record, folder)
    (folder / "frontier.svg").write_text(_plot(rows), encoding="utf-8")


def _measured_all(corpus: Corpus, plan: Plan, bench: Bench) -> tuple[list[Row], list[Limit]]:
    chunks = chunked(corpus.documents, bench.settings["neural"])
    rows: list[Row] = []
    lost: list[Limit] = []
    if "frugal" in plan.families:
        rows, lost = _frugal(corpus, chunks, bench)
    rows += [_measured(corpus, system) for system in _others(corpus, chunks, plan, bench)]
    return rows, lost


def _frugal(corpus: Corpus, chunks: Sequence[Chunk], bench: Bench) -> tuple[list[Row], list[Limit]]:
    """Return the points of both tiers, and where they lose the rest."""
    rows: list[Row] = []
    lost: list[Limit] = []
    for tier, settings in bench.settings.items():
        embedder = bench.embedder if tier == "neural" else None
        path = bench.scratch / f"{corpus.name}-{tier}"
        with built_index(path, chunks, embedder, settings.tenant) as index:
            systems = ours.systems(index, settings, embedder, BUDGETS)
            systems += ours.stopping(systems[-1:], FRUGALITIES)
            rows += [_measured(corpus, system) for system in systems]
            lost += limits.measured(corpus, index, settings, embedder)
    return rows, lost


def _measured(corpus: Corpus, system: System) -> Row:
    started = time.perf_counter()
    shown = [system.show(case) for case in corpus.cases]
    seconds = time.perf_counter() - started
    pairs = list(zip(corpus.cases, shown, strict=True))
    row = Row(
        corpus=corpus.name,
        system=system.name,
        setting=system.setting,
        tokens=mean_estimate([s.tokens for s in shown], SEED),
        hits=tuple(answer_recall(s.text, case.answers) for case, s in pairs),
        all_gold=tuple(s.documents.issuperset(case.gold_ids) for case, s in pairs),
        seconds=seconds,
    )
    _keep_questions(corpus, row, shown)
    line = f"{row.corpus}: {row.system} {row.setting}: {row.recall:.3f} at"
    print(f"{line} {row.tokens.mean:.0f} tokens, {row.seconds:.1f} s", file=sys.stderr)
    return row


def _keep_questions(corpus: Corpus, row: Row, shown: Sequence[Shown]) -> None:
    """Leave a line a question in the cache folder, to look into single failures."""
    slug = "".join(c if c.isalnum() else "-" for c in f"{row.corpus}-{row.system}-{row.setting}")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"frontier-{slug}.jsonl").open("w", encoding="utf-8") as file:
        for case, hit, context in zip(corpus.cases, row.hits, shown, strict=True):
            line = {"id": case.id, "question": case.text, "answers": case.answers, "hit": hit}
            file.write(json.dumps({**line, "tokens": context.tokens, "text": context.text}) + "\n")


def _others(corpus: Corpus, chunks: Sequence[Chunk], plan: Plan, bench: Bench) -> Iterator[System]:
    """Yield the other systems one after the other; each index lives only while it is measured."""
    if "bm25" in plan.families:
        tools = ranked(chunks, build_analyzer(), build_tokenizer(bench.settings["neural"]))
        yield from (WholeSystem(tools, budget) for budget in BUDGETS if budget >= 256)
    if "llama" in plan.families:
        yield from _llama_systems(corpus, bench)


def _llama_systems(corpus: Corpus, bench: Bench) -> Iterator[System]:
    from eval.systems import llama_index as llama

    tokenizer = build_tokenizer(bench.settings["neural"])
    for size, overlap, counts in _CUTS:
        if size <= 256 and corpus.name not in _FITTING_CUT_FOR:
            continue
        nodes = llama.split(corpus.documents, size, overlap)
        index = llama.vector_index(nodes, bench.embedder)
        label = f"{size}/{overlap}"
        yield from (llama.dense_system(label, index, k, tokenizer) for k in counts)
        if size != 512 and len(nodes) <= _LARGEST_HYBRID:
            hybrid = llama.hybrid_index(nodes, bench.embedder, build_analyzer())
            yield from (llama.hybrid_system(label, hybrid, k, tokenizer) for k in counts[1:])


def _frontier_table(rows: Sequence[Row]) -> str:
    header = ("corpus", "system", "setting", "answer recall", "95 %", "tokens", "all gold")
    return table(header, [_cells(row) for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    recall = mean_estimate([float(hit) for hit in row.hits], SEED)
    gold = sum(row.all_gold) / len(row.all_gold)
    return (
        row.corpus,
        row.system,
        row.setting,
        f"{recall.mean:.3f}",
        f"{recall.low:.3f} to {recall.high:.3f}",
        f"{row.tokens.mean:.0f}",
        f"{gold:.3f}",
    )


def _savings_table(rows: Sequence[Row]) -> str:
    """Return, for each other system, what frugal-rag needs for no less recall, or its best."""
    header = ("corpus", "instead of", "recall / tokens", "frugal-rag", "recall / tokens")
    more = ("difference of recall", "tokens")
    return table(
        (*header, *more),
        [cells for row in rows if not _is_ours(row) for cells in _saving(row, rows)],
    )


def _saving(theirs: Row, rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    for tier in ("lexical", "neural"):
        names = f"frugal-rag {tier}", f"frugal-rag {tier}{ours.STOPPING}"
        same = [r for r in rows if r.corpus == theirs.corpus and r.system in names]
        if not same:
            continue
        enough = _cheapest(same, theirs.recall)
        row = enough or max(same, key=lambda r: r.recall)
        paired = paired_difference(row.hits, theirs.hits, SEED)
        yield (
            theirs.corpus,
            f"{theirs.system}, {theirs.setting}",
            f"{theirs.recall:.3f} / {theirs.tokens.mean:.0f}",
            f"{tier}, {row.setting}",
            f"{row.recall:.3f} / {row.tokens.mean:.0f}",
            f"{paired.mean:+.3f} ({paired.low:+.3f} to {paired.high:+.3f})",
            f"1 : {theirs.tokens.mean / row.tokens.mean:.1f}" if enough else "not reached",
        )


def _cheapest(rows: Sequence[Row], recall: float) -> Row | None:
    """Return the row with the fewest tokens that has this recall; None if none has."""
    enough = [row for row in rows if row.recall >= recall]
    return min(enough, key=lambda row: row.tokens.mean) if enough else None


def _stopping_table(rows: Sequence[Row]) -> str:
    """Return, for each fixed budget of 256, the dial with the fewest tokens and no less recall."""
    header = ("corpus", "system", "fixed: recall / tokens", "frugality", "recall / tokens")
    more = ("difference of recall", "fewer tokens")
    return table(
        (*header, *more),
        [_stopped(row, rows) for row in rows if row.setting == _FIXED and _is_ours(row)],
    )


def _stopped(fixed: Row, rows: Sequence[Row]) -> tuple[str, ...]:
    name = f"{fixed.system}{ours.STOPPING}"
    same = [row for row in rows if (row.corpus, row.system) == (fixed.corpus, name)]
    row = _cheapest(same, fixed.recall)
    start = (fixed.corpus, fixed.system, f"{fixed.recall:.3f} / {fixed.tokens.mean:.0f}")
    if row is None:
        return (*start, "none", "not reached", "", "")
    paired = paired_difference(row.hits, fixed.hits, SEED)
    return (
        *start,
        row.setting.rpartition(" ")[2],
        f"{row.recall:.3f} / {row.tokens.mean:.0f}",
        f"{paired.mean:+.3f} ({paired.low:+.3f} to {paired.high:+.3f})",
        f"{1 - row.tokens.mean / fixed.tokens.mean:.0%}",
    )


def _is_ours(row: Row) -> bool:
    return row.system.startswith("frugal-rag")


def _record(
    rows: Sequence[Row], about: list[dict[str, Any]], settings: dict[str, Settings], plan: Plan
) -> dict[str, Any]:
    return {
        "seed": SEED,
        "tokenizer": TOKENIZER,
        "fingerprints": {tier: s.fingerprint() for tier, s in settings.items()},
        "corpora": about,
        "questions_at_most": plan.questions,
        "exclusions": f"hybrid by LlamaIndex only up to {_LARGEST_HYBRID} nodes",
        "rows": [
            {
                "corpus": row.corpus,
                "system": row.system,
                "setting": row.setting,
                "answer_recall": asdict(mean_estimate([float(h) for h in row.hits], SEED)),
                "tokens": asdict(row.tokens),
                "all_gold_documents": sum(row.all_gold) / len(row.all_gold),
                "seconds": round(row.seconds, 2),
            }
            for row in rows
        ],
    }


def _plot(rows: Sequence[Row]) -> str:
    panels = {}
    for name in dict.fromkeys(row.corpus for row in rows):
        here = [row for row in rows if row.corpus == name]
        panels[name] = [
            Curve(system, tuple((r.tokens.mean, r.recall) for r in here if r.system == system))
            for system in dict.fromkeys(row.system for row in here)
        ]
    return drawn(panels)
