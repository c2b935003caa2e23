"""What the frontier is measured on: documents, and questions whose answers they hold."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from eval.datasets import Case, Dataset, Text, load_dataset
from eval.systems.indexed import single
from rag.types import Block, Document

SEED = 0


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents and questions; the cases' gold ids are document ids.

    ``source`` is the SHA-256 of the files it was made from; ``exclusions`` says in words what
    was left out of them.
    """

    name: str
    documents: tuple[Document, ...]
    cases: tuple[Case, ...]
    source: str
    exclusions: str

    def about(self) -> dict[str, str | int]:
        """Return what a benchmark's record says of it."""
        return {
            "corpus": self.name,
            "documents": len(self.documents),
            "questions": len(self.cases),
            "sha256": self.source,
            "exclusions": self.exclusions,
        }


def corpora(data: Path, questions: int) -> dict[str, Callable[[], Corpus]]:
    """Return the corpora by name, each loaded on call, with up to so many questions."""
    return {
        "squad_small": lambda: _squad(data, questions, small=True),
        "squad_full": lambda: _squad(data, questions, small=False),
        "nq_pooled": lambda: _nq_pooled(data, questions),
        "hotpotqa_400": lambda: _hotpot(data, questions),
    }


def article_id(text: Text) -> str:
    """Return the id of the article that a SQuAD passage belongs to."""
    return text.id.rpartition("#")[0]


def articles(texts: Sequence[Text]) -> tuple[Document, ...]:
    """Return one document per article: its passages joined by blank lines."""
    grouped = groupby(texts, key=article_id)
    return tuple(_joined(doc_id, list(passages)) for doc_id, passages in grouped)


def sampled(cases: Sequence[Case], count: int) -> tuple[Case, ...]:
    """Return ``count`` cases drawn without replacement, the same for the same cases; or all."""
    if count >= len(cases):
        return tuple(cases)
    return tuple(random.Random(SEED).sample(list(cases), count))  # noqa: S311 -- not a secret


def _joined(doc_id: str, passages: Sequence[Text]) -> Document:
    blocks: list[Block] = []
    at = 0
    for passage in passages:
        blocks.append(Block(at, at + len(passage.text), "paragraph"))
        at = blocks[-1].end + 2
    text = "\n\n".join(passage.text for passage in passages)
    return Document(doc_id, passages[0].title, text, tuple(blocks), "text/plain")


def _squad(data: Path, questions: int, *, small: bool) -> Corpus:
    squad = load_dataset(data / "squad_v1_dev")
    texts = [t for t in squad.texts if t.split == "dev"] if small else squad.texts
    cases = sampled(squad.cases, questions)
    return Corpus(
        name="squad_small" if small else "squad_full",
        documents=articles(texts),
        cases=tuple(_on_articles(cases)),
        source=squad.sha256,
        exclusions=_left_out(squad, cases),
    )


def _nq_pooled(data: Path, questions: int) -> Corpus:
    squad, nq = load_dataset(data / "squad_v1_dev"), load_dataset(data / "nq_gold")
    cases = sampled(nq.cases, questions)
    return Corpus(
        name="nq_pooled",
        documents=articles(squad.texts) + tuple(single(text) for text in nq.texts),
        cases=cases,
        source=f"{nq.sha256} {squad.sha256}",
        exclusions=_left_out(nq, cases),
    )


def _hotpot(data: Path, questions: int) -> Corpus:
    hotpot = load_dataset(data / "hotpotqa_400")
    cases = sampled(hotpot.cases, questions)
    return Corpus(
        name="hotpotqa_400",
        documents=tuple(single(text) for text in hotpot.texts),
        cases=cases,
        source=hotpot.sha256,
        exclusions=_left_out(hotpot, cases),
    )


def _on_articles(cases: Iterable[Case]) -> Iterable[Case]:
    for case in cases:
        gold = {gold_id.rpartition("#")[0]: score for gold_id, score in case.gold}
        yield replace(case, gold=tuple(gold.items()))


def _left_out(dataset: Dataset, cases: Sequence[Case]) -> str:
    return f"{len(cases)} of {len(dataset.cases)} questions, drawn with seed {SEED}"
