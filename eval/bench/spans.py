"""Relevant characters against retrieved ones, on chroma_chunking: packing beside whole chunks."""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eval.bench import cuts
from eval.bench.corpora import SEED
from eval.bench.overlap import Overlap, Places, overlap, shared, size
from eval.bench.ranked_cuts import RANKINGS, RankedCuts
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.vectors import cached
from eval.bench.watched import WatchedIndex
from eval.statistics import mean_estimate
from eval.systems.indexed import built_index, chunked
from eval.systems.subjects import neural
from eval.vectors import CachedEmbedder
from ingest.load.registry import FORMATS, load_document
from rag.build import build_analyzer, build_pipeline, build_tokenizer
from rag.errors import LoadError
from rag.pipeline import Pipeline
from rag.protocols import Tokenizer
from rag.results import Question
from rag.settings import Settings, load_settings
from rag.types import Chunk, Document, Filter, Span

BUDGETS = (64, 128, 256, 512)
SCOPES = ("own corpus", "all corpora")
_SHOWN_BUDGET = 256  # for the table by corpus
_COUNTS = (1, 2, 5)  # chunks, as in the report
_QUICK_QUESTIONS = 60
STAGES = ("packed", "offered, not packed", "candidate, not offered", "not retrieved")


@dataclass(frozen=True, slots=True)
class Ask:
    """One question, the corpus that it is about, and where its relevant text stands there."""

    text: str
    corpus: str
    relevant: Places


@dataclass(frozen=True, slots=True)
class Data:
    """The five corpora, each one document whose text is the file's, and the questions."""

    documents: tuple[Document, ...]
    asks: tuple[Ask, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Got:
    """What one way retrieved for one question; ``tokens`` are those of the text it shows.

    ``reached`` are the shares of the relevant characters that got as far as each of ``STAGES``,
    None where that is not known.
    """

    scope: str
    system: str
    setting: str
    corpus: str
    tokens: int
    overlap: Overlap
    reached: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """What all ways share."""

    embedder: CachedEmbedder
    tokenizer: Tokenizer
    scratch: Path


def bench(data: Path, *, quick: bool) -> None:
    """Measure, print the tables, and leave ``spans.json``; a quick run asks 60 questions."""
    origin = provenance()
    loaded = load(data / "chroma_chunking")
    if quick:
        step = len(loaded.asks) // _QUICK_QUESTIONS
        loaded = replace(loaded, asks=loaded.asks[::step])
    embedder = cached(neural(load_settings(tier="neural")))
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
        tools = Tools(embedder, build_tokenizer(load_settings()), Path(scratch))
        got = [*_frugal(loaded, tools), *_baselines(loaded, tools)]
    embedder.flush()
    print(_about(loaded, tools.tokenizer))
    print()
    print(_table(got))
    print()
    print(_reached_table(got, by_corpus=False))
    print()
    shown = [one for one in got if one.setting == f"budget {_SHOWN_BUDGET}"]
    print(_reached_table(shown, by_corpus=True))
    write_record("spans", origin | _record(loaded, got), CACHE if quick else RESULTS)


def load(folder: Path) -> Data:
    """Return the corpora and the questions.

    Raises:
        LoadError: A reference is not what stands at its place.
    """
    texts = {p.stem: p.read_text("utf-8") for p in folder.glob("*.md") if p.stem != "README"}
    documents = tuple(_document(folder / f"{name}.md", texts[name]) for name in sorted(texts))
    lines = (folder / "queries.jsonl").read_text("utf-8").split("\n")
    asks = tuple(_ask(json.loads(line), texts) for line in lines if line.strip())
    digest = hashlib.sha256()
    for path in [folder / "queries.jsonl", *(folder / f"{name}.md" for name in sorted(texts))]:
        digest.update(path.read_bytes())
    return Data(documents, asks, digest.hexdigest())


def _document(path: Path, raw: str) -> Document:
    """Return the file as plain text (it is none of Markdown), its blocks in the raw text."""
    loaded = load_document(path, path.stem, formats={".md": FORMATS[".txt"]})
    blocks, at = [], 0
    for block in loaded.blocks:
        start = raw.index(loaded.text[block.start : block.end], at)
        at = start + block.end - block.start
        blocks.append(replace(block, start=start, end=at))
    return replace(loaded, text=raw, blocks=tuple(blocks))


def _ask(row: dict[str, Any], texts: dict[str, str]) -> Ask:
    corpus = row["corpus_id"]
    spans = []
    for reference in row["references"]:
        span = Span(reference["start_index"], reference["end_index"])
        if texts[corpus][span.start : span.end] != reference["content"]:
            raise LoadError("reference is not at its place", row["_id"], "get the data set again")
        spans.append(span)
    return Ask(row["text"], corpus, {corpus: spans})


def _frugal(data: Data, tools: Tools) -> Iterator[Got]:
    for tier in ("lexical", "neural"):
        print(f"frugal-rag {tier}", file=sys.stderr, flush=True)
        settings = load_settings(tier=tier)
        chunks = chunked(data.documents, settings)
        embedder = tools.embedder if tier == "neural" else None
        built = built_index(tools.scratch / tier, chunks, embedder, settings.tenant)
        with built as index:
            watched = WatchedIndex(index)
            pipeline = build_pipeline(settings, watched, lambda: None, embedder)
            asking = _Asking(pipeline, watched, settings)
            for ask in data.asks:
                for scope in SCOPES:
                    yield from (asking.got(ask, scope, budget) for budget in BUDGETS)


@dataclass(frozen=True, slots=True)
class _Asking:
    """frugal-rag over all corpora, watched; a corpus of its own is a filter."""

    pipeline: Pipeline
    watched: WatchedIndex
    settings: Settings

    def got(self, ask: Ask, scope: str, budget: int) -> Got:
        """Return what one question retrieves."""
        tenant = self.settings.tenant
        where = Filter(tenant, documents=(ask.corpus,) if scope == SCOPES[0] else ())
        self.watched.forget()
        question = Question(ask.text, where, budget, time.monotonic() + 60)
        context = self.pipeline.retrieve(question).context
        packed = by_document((e.chunk.doc_id, e.span) for e in context.evidence)
        offered = list(self.watched.offered.values())
        return Got(
            scope=scope,
            system=f"frugal-rag {self.settings.tier}",
            setting=f"budget {budget}",
            corpus=ask.corpus,
            tokens=context.tokens,
            overlap=overlap(packed, ask.relevant),
            reached=reached(ask.relevant, packed, offered, self.watched.left_out(tenant)),
        )


def reached(
    relevant: Places, packed: Places, offered: Sequence[Chunk], left_out: Sequence[Chunk]
) -> tuple[float, ...]:
    """Return the shares of the relevant characters that got as far as each of ``STAGES``."""
    chunks = [(chunk.doc_id, Span(chunk.start, chunk.end)) for chunk in (*offered, *left_out)]
    wanted = size(relevant)
    kept = shared(packed, relevant)
    seen = max(kept, shared(by_document(chunks[: len(offered)]), relevant))
    found = max(seen, shared(by_document(chunks), relevant))
    return (kept / wanted, (seen - kept) / wanted, (found - seen) / wanted, 1 - found / wanted)


def by_document(places: Iterable[tuple[str, Span]]) -> dict[str, list[Span]]:
    """Return the spans of each document."""
    found: dict[str, list[Span]] = {}
    for doc_id, span in places:
        found.setdefault(doc_id, []).append(span)
    return found


def _baselines(data: Data, tools: Tools) -> Iterator[Got]:
    tokenizer = tools.tokenizer
    ways = (("fixed 256", cuts.fixed, 256), ("fixed 512", cuts.fixed, 512))
    for name, cut, length in (*ways, ("recursive 200", cuts.recursive, 200)):
        print(name, file=sys.stderr, flush=True)
        chunks = [
            chunk
            for document in data.documents
            for chunk in cuts.passages(document, cut(document.text, length, tokenizer), tokenizer)
        ]
        ranked = RankedCuts.over(chunks, tools.embedder, build_analyzer(), tokenizer)
        for ask in data.asks:
            yield from _ranked(ask, name, ranked, tokenizer)


def _ranked(ask: Ask, name: str, ranked: RankedCuts, tokenizer: Tokenizer) -> Iterator[Got]:
    for scope in SCOPES:
        corpus = ask.corpus if scope == SCOPES[0] else None
        for ranking in RANKINGS:
            best = ranked.best(ask.text, ranking, corpus)
            for count in _COUNTS:
                chosen = best[:count]
                places = by_document((c.doc_id, Span(c.start, c.end)) for c in chosen)
                yield Got(
                    scope=scope,
                    system=f"{name}, {ranking}",
                    setting=f"k={count}",
                    corpus=ask.corpus,
                    tokens=tokenizer.count("\n\n".join(chunk.text for chunk in chosen)),
                    overlap=overlap(places, ask.relevant),
                )


def _about(data: Data, tokenizer: Tokenizer) -> str:
    texts = {document.id: document.text for document in data.documents}
    tokens = [
        sum(tokenizer.count(texts[ask.corpus][s.start : s.end]) for s in ask.relevant[ask.corpus])
        for ask in data.asks
    ]
    mean, median = statistics.fmean(tokens), statistics.median(tokens)
    return f"{len(tokens)} questions; relevant tokens of a question: mean {mean:.0f}, {median:.0f}"


def _groups(got: Iterable[Got], *, by_corpus: bool) -> dict[tuple[str, ...], list[Got]]:
    groups: dict[tuple[str, ...], list[Got]] = {}
    for one in got:
        corpus = (one.corpus,) if by_corpus else ()
        groups.setdefault((one.scope, *corpus, one.system, one.setting), []).append(one)
    return groups


def _table(got: Sequence[Got]) -> str:
    header = ("searched", "system", "setting", "tokens", "recall", "precision", "IoU")
    rows = []
    for key, group in _groups(got, by_corpus=False).items():
        tokens = statistics.fmean(one.tokens for one in group)
        measures = (_written([getattr(one.overlap, m) for one in group]) for m in _MEASURES)
        rows.append((*key, f"{tokens:.0f}", *measures))
    return table(header, sorted(rows, key=lambda row: SCOPES.index(row[0])))


_MEASURES = ("recall", "precision", "iou")


def _written(values: Sequence[float]) -> str:
    estimate = mean_estimate(values, SEED)
    return f"{estimate.mean:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _reached_table(got: Sequence[Got], *, by_corpus: bool) -> str:
    rows = []
    for key, group in _groups(got, by_corpus=by_corpus).items():
        shares = [one.reached for one in group if one.reached is not None]
        if shares:
            means = (statistics.fmean(column) for column in zip(*shares, strict=True))
            rows.append((*key, *(f"{mean:.3f}" for mean in means)))
    corpus = ("corpus",) if by_corpus else ()
    return table(("searched", *corpus, "system", "setting", *STAGES), rows)


def _record(data: Data, got: Sequence[Got]) -> dict[str, Any]:
    rows = []
    for (scope, system, setting), group in _groups(got, by_corpus=False).items():
        estimates = {
            measure: asdict(mean_estimate([getattr(one.overlap, measure) for one in group], SEED))
            for measure in _MEASURES
        }
        tokens = statistics.fmean(one.tokens for one in group)
        row = {"scope": scope, "system": system, "setting": setting, "tokens": tokens}
        rows.append({**row, **estimates})
    return {
        "seed": SEED,
        "data": {"chroma_chunking": data.sha256},
        "fingerprints": {
            tier: load_settings(tier=tier).fingerprint() for tier in ("lexical", "neural")
        },
        "questions": len(data.asks),
        "exclusions": "none; headers that name a source count as tokens, not as characters",
        "rows": rows,
    }
