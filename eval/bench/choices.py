"""The question sets on which answers are judged, asked by the path that a question really takes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from eval.bench.corpora import articles, sampled
from eval.bench.indexes import temporary_index
from eval.bench.vectors import cached
from eval.datasets import Case, Dataset, Text, load_dataset
from eval.systems.indexed import chunked, single
from ingest.load.registry import load_document
from rag.answer import Choice
from rag.build import build_embedder, build_pipeline
from rag.pipeline import Pipeline
from rag.results import Question
from rag.settings import Settings, load_settings
from rag.types import Document, Filter

BUDGET = 256
TIERS: tuple[str, ...] = get_args(Settings.model_fields["tier"].annotation)
_SAMPLES = Path(__file__).parents[2] / "samples"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what the service would answer it with, and whether its answer was there.

    ``hidden``: what answers it may not be looked at.
    """

    case: Case
    choice: Choice | None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents and the questions that are asked over them."""

    name: str
    documents: tuple[Document, ...]
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """A corpus, indexed in one tier."""

    corpus: Corpus
    pipeline: Pipeline
    tenant: str

    def everywhere(self) -> list[Asked]:
        """Ask each question over all documents."""
        return [Asked(case, self._choice(case, ())) for case in self.corpus.cases]

    def at_gold(self) -> list[Asked]:
        """Ask each question over the documents that answer it."""
        return [Asked(case, self._choice(case, case.gold_ids)) for case in self.corpus.cases]

    def hidden(self) -> list[Asked]:
        """Ask each question over all other documents."""
        every = [document.id for document in self.corpus.documents]
        return [
            Asked(case, self._choice(case, [d for d in every if d not in case.gold_ids]), True)
            for case in self.corpus.cases
        ]

    def _choice(self, case: Case, documents: Sequence[str]) -> Choice | None:
        where = Filter(self.tenant, documents=tuple(documents))
        return self.pipeline.choice(Question(case.text, where, BUDGET, deadline=math.inf))


@contextmanager
def asking(corpus: Corpus, tier: str) -> Iterator[Asking]:
    """Hold the index of a corpus in one tier; vectors are kept for the next run."""
    settings = load_settings(tier=tier)
    plain = build_embedder(settings)
    embedder = cached(plain) if plain else None
    chunks = chunked(corpus.documents, settings)
    with temporary_index(chunks, embedder, settings.tenant) as index:
        pipeline = build_pipeline(settings, index, lambda: None, embedder)
        yield Asking(corpus, pipeline, settings.tenant)
    if embedder:
        embedder.flush()


def squad(data: Path, questions: int) -> Corpus:
    """Return the small configuration of SQuAD: 48 articles."""
    whole = load_dataset(data / "squad_v1_dev")
    texts = [text for text in whole.texts if text.split == "dev"]
    cases = tuple(_on_articles(sampled(whole.cases, questions)))
    return Corpus("squad", articles(texts), cases)


def passages(data: Path, name: str, questions: int) -> Corpus:
    """Return a set whose passages are documents of their own."""
    whole = load_dataset(data / name)
    documents = tuple(single(text) for text in whole.texts)
    return Corpus(name, documents, sampled(whole.cases, questions))


def concluded(data: Path, questions: int) -> Corpus:
    """Return the abstracts of PubMedQA that questions stand on, each with its own conclusion."""
    whole = load_dataset(data / "pubmedqa")
    ends = {case.gold_ids[0]: str(case.meta["long_answer"]) for case in whole.cases}
    documents = tuple(
        single(replace(text, text=f"{text.text}\nCONCLUSION: {ends[text.id]}"))
        for text in whole.texts
        if text.id in ends
    )
    return Corpus("pubmedqa, concluded", documents, sampled(whole.cases, questions))


def checklist(data: Path, questions: int) -> Corpus:
    """Return the reading tests; each is asked of its own lines (``Asking.at_gold``)."""
    lines = (data / "checklist_squad" / "items.jsonl").read_text(encoding="utf-8").splitlines()
    items = [json.loads(line) for line in lines]
    cases = [Case(i["id"], i["question"], (i["answer"],), ((i["id"], 1),), True, {}) for i in items]
    documents = tuple(single(Text(item["id"], "", item["context"])) for item in items)
    return Corpus("checklist_squad", documents, sampled(cases, questions))


def samples() -> Corpus:
    """Return the project's own documents and questions."""
    whole: Dataset = load_dataset(_SAMPLES)
    folder = _SAMPLES / "docs"
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    documents = (load_document(path, path.relative_to(folder).as_posix()) for path in paths)
    return Corpus("samples", tuple(documents), whole.cases)


def _on_articles(cases: Iterable[Case]) -> Iterator[Case]:
    for case in cases:
        gold = {gold_id.rpartition("#")[0]: score for gold_id, score in case.gold}
        yield replace(case, gold=tuple(gold.items()))
