"""The answer cache: false hits and hits on paraphrases, what evidence adds, and a simulated day.

Beside it, caches that hit by the cosine of the same embedder alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from eval.bench.cache_day import DayRow, day_rows
from eval.bench.cache_evidence import EvidenceRow, evidence_rows
from eval.bench.cache_pairs import PairRow, RuleRow, Share, floors, pair_rows, pairs, rule_rows
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.vectors import cached
from eval.systems.subjects import neural
from rag.settings import load_settings


def bench(data: Path, *, quick: bool) -> None:
    """Measure, print the tables, and keep a record of a full run."""
    origin = provenance()
    settings = load_settings(tier="neural", tokenizer="cl100k_base")
    embedder = cached(neural(settings))
    every = pairs(data, embedder, quick=quick)
    found = list(pair_rows(every, embedder))
    rules = list(rule_rows(every, embedder))
    near = floors(every, embedder)
    embedder.flush()
    print(_pairs_table(found), _rules_table(rules), near, sep="\n\n", flush=True)
    evidence = list(evidence_rows(data, embedder, quick=quick))
    embedder.flush()
    print(_evidence_table(evidence), flush=True)
    days = list(day_rows(data, quick=quick))
    print(_day_table(days), flush=True)
    body = {
        "pairs": [asdict(row) for row in found],
        "rules": [asdict(row) for row in rules],
        "floors": near,
        "evidence": [asdict(row) for row in evidence],
        "day": [asdict(row) for row in days],
    }
    write_record("cache", origin | body, CACHE if quick else RESULTS)


def _pairs_table(rows: Sequence[PairRow]) -> str:
    header = (
        "set",
        "half",
        "cache",
        "false hits of pairs apart",
        "of hits",
        "paraphrases hit",
        "identical",
    )
    cells = [
        (
            *(row.source, row.half, row.cache),
            *map(_share, (row.false, row.false_of_hits, row.paraphrases)),
            row.exact,
        )
        for row in rows
    ]
    return table(header, cells)


def _rules_table(rows: Sequence[RuleRow]) -> str:
    cells = [(row.rule, row.paraphrases, row.false) for row in rows]
    return table(("rule", "paraphrases hit by it alone", "false hits by it"), cells)


def _evidence_table(rows: Sequence[EvidenceRow]) -> str:
    header = ("corpus", "tier", "pairs", "rule", "hits")
    cells = [(row.corpus, row.tier, row.pairs, row.rule, _share(row.hits)) for row in rows]
    return table(header, cells)


def _day_table(rows: Sequence[DayRow]) -> str:
    header = ("tier", "questions", "edits", "exact", "looked at again", "semantic", "hit rate")
    more = ("say something else", "quote what is gone", "fresh one unsure")
    naive = ("never looked at again: say something else", "quote what is gone")
    cells = [
        (
            *(row.tier, row.questions, row.edits, row.exact, row.revalidated, row.semantic),
            *(f"{row.hit_rate:.3f}", row.different, row.gone, row.unsure),
            *(row.naive_different, row.naive_gone),
            *(f"{row.joules_without:.1f}", f"{row.joules_saved:.1f}"),
        )
        for row in rows
    ]
    return table((*header, *more, *naive, "J without", "J saved"), cells)


def _share(share: Share) -> str:
    if share.low is None or share.high is None:
        return "none"
    percent = 100 * share.found / share.of
    interval = f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"
    return f"{percent:.1f} % {interval} ({share.found} of {share.of})"
