"""Responses that people judged against their evidence: four sets, and planted errors as a fifth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from eval.bench.planted import planted
from rag.protocols import SentenceSplitter

# A left-out set takes its relatives with it: both are dialogues over the same sources.
FAMILIES = {
    "begin": "dialogue",
    "faithdial_audit": "dialogue",
    "scifact": "claims",
    "mtrag": "answers",
    "planted": "planted",
}
FAITHFUL = 3.0  # mean of the annotators' ratings from 1 to 4 from which on a response is supported
_PASSAGES = 300  # a half, in which errors are planted
_QUICK_DIVISOR = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """One response, its evidence, and what people said of it.

    ``supported`` is None where they called it neither; ``slices`` are the names of the kinds that
    it belongs to; ``group`` ties together what shares a context or claim: no group is on both
    halves. ``rating`` is the mean of several, where there are some.
    """

    name: str
    response: str
    evidence: tuple[str, ...]
    supported: bool | None
    slices: tuple[str, ...]
    group: str
    rating: float | None = None

    @property
    def half(self) -> int:
        """0 to be fitted on, 1 to be reported on."""
        return hashlib.sha256(self.group.encode()).digest()[0] % 2


def judged(data: Path, splitter: SentenceSplitter, *, quick: bool) -> list[Judged]:
    """Return all responses; with ``quick`` about an eighth of them."""
    natural = [
        *_dialogues(data / "begin", "begin"),
        *_dialogues(data / "faithdial_audit", "faithdial_audit"),
        *_claims(data / "scifact"),
        *_answers(data / "mtrag"),
    ]
    if quick:
        natural = natural[::_QUICK_DIVISOR]
    made = _planted(data / "squad_v1_dev", splitter, _PASSAGES // (_QUICK_DIVISOR if quick else 1))
    return [*natural, *made]


def _dialogues(folder: Path, name: str) -> Iterator[Judged]:
    for row in _rows(folder / "items.jsonl"):
        label = row["label"].replace("hallucinated", "hallucination").replace(",", " and ")
        source = row["source"].split("_")[-1].removesuffix("chat")
        yield Judged(
            name,
            row["response"],
            (row["context"],),
            row.get("grounded", label == "Fully attributable"),
            (label, f"{label}, {row['model']}", f"{label}, {source}"),
            _letters(row["context"]),
        )


def _claims(folder: Path) -> Iterator[Judged]:
    rows = list(_rows(folder / "claims_evidence.jsonl"))
    groups = joined([(f"abstract {row['doc_id']}", f"claim {row['claim']}") for row in rows])
    for row, group in zip(rows, groups, strict=True):
        label = row["label"]
        evidence = " ".join((f"{row['title'].rstrip('.')}.", *row["sentences"]))
        yield Judged("scifact", row["claim"], (evidence,), label == "SUPPORT", (label,), group)


def _answers(folder: Path) -> Iterator[Judged]:
    for row in _rows(folder / "human_eval.jsonl"):
        rating = fmean(row["faithfulness"])
        supported = rating >= FAITHFUL
        verdict = "supported" if supported else "not supported"
        question = ", ".join(row["answerability"]).lower()
        yield Judged(
            "mtrag",
            row["response"],
            tuple(map(str, row["contexts"])),
            supported,
            (verdict, f"{verdict}, {row['model']}", f"{verdict}, {question}"),
            row["id"].split("<")[0],
            rating,
        )


def _planted(folder: Path, splitter: SentenceSplitter, passages: int) -> Iterator[Judged]:
    """Yield what is planted in so many passages of each half; no article is on both."""
    rows = sorted(
        _rows(folder / "corpus.jsonl"), key=lambda r: hashlib.sha256(r["_id"].encode()).digest()
    )
    titles = {row["text"]: row["title"] for row in rows}
    probe = Judged("planted", "", (), None, (), "")
    for half in (0, 1):
        texts = [t for t, title in titles.items() if replace(probe, group=title).half == half]
        for p in planted(texts[:passages], splitter):
            made = replace(probe, response=p.statement, evidence=(p.passage,), supported=p.true)
            yield replace(made, slices=(p.kind,), group=titles[p.passage])


def joined(keys: Sequence[tuple[str, str]]) -> list[str]:
    """Return one name for all pairs that are tied together by a key in common, over any steps."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = key = parent[above]
        return key

    for one, other in keys:
        parent[root(one)] = root(other)
    return [root(one) for one, _ in keys]


def _letters(text: str) -> str:
    """Return the text's letters and digits: sets tokenise and case the same contexts otherwise."""
    return "".join(c for c in text.lower() if c.isalnum())


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
