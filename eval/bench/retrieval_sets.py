"""Question sets that judge retrieval: which texts are relevant, and by which metric they count."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from eval.bench.corpora import SEED, article_id, articles, sampled
from eval.datasets import Case, Text, load_dataset
from eval.systems.indexed import single
from rag.errors import LoadError
from rag.types import Chunk, Document

_PLAIN = (
    "nfcorpus",
    "hotpotqa_400",
    "clapnq_dev",
    "limit_small",
    "mtrag",
    "anthropic_docs_qa",
    "pubmedqa",
)
_SQUAD = ("squad_small", "squad_full")
_XQUAD = ("xquad_de", "xquad_es")
# nDCG@10 is what these two are compared by in the literature, so that comes first.
NAMES = ("nfcorpus", "scifact", *_SQUAD, "nq_pooled", *_PLAIN[1:], *_XQUAD)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a judged text lies in the document that holds it."""

    start: int
    end: int
    text_id: str


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Documents, and questions whose gold ids are judged texts.

    ``places`` holds the judged texts of documents that are made of several; any other document is
    one judged text itself.
    """

    name: str
    documents: tuple[Document, ...]
    cases: tuple[Case, ...]
    places: Mapping[str, tuple[Place, ...]]
    source: str
    exclusions: str

    def texts_of(self, chunk: Chunk) -> tuple[str, ...]:
        """Return the judged texts that a chunk shows at least half of, most of it first.

        Half of either: of the text, or of the chunk where the text is longer than chunks are.
        """
        if chunk.doc_id not in self.places:
            return (chunk.doc_id,)
        held = []
        for place in self.places[chunk.doc_id]:
            shared = min(chunk.end, place.end) - max(chunk.start, place.start)
            if 2 * shared >= min(place.end - place.start, chunk.end - chunk.start):
                held.append((-shared, place.text_id))
        return tuple(text_id for _, text_id in sorted(held))


def judged_sets(data: Path, questions: int) -> dict[str, Callable[[], JudgedSet]]:
    """Return the sets by name, each loaded on call, with up to so many questions."""

    def loader(name: str) -> Callable[[], JudgedSet]:
        if name == "scifact":
            return lambda: _scifact(data / name, questions)
        if name in _SQUAD:
            return lambda: _squad(data, questions, small=name == "squad_small")
        if name == "nq_pooled":
            return lambda: _nq_pooled(data, questions)
        if name in _XQUAD:
            return lambda: _xquad(data / "xquad", name, questions)
        return lambda: _plain(data / name, questions)

    return {name: loader(name) for name in NAMES}


def _plain(folder: Path, questions: int) -> JudgedSet:
    dataset = load_dataset(folder)
    judged, exclusions = _chosen(dataset.cases, questions)
    documents = tuple(single(text) for text in dataset.texts)
    return JudgedSet(folder.name, documents, judged, {}, dataset.sha256, exclusions)


def _squad(data: Path, questions: int, *, small: bool) -> JudgedSet:
    squad = load_dataset(data / "squad_v1_dev")
    texts = [text for text in squad.texts if text.split == "dev"] if small else squad.texts
    judged, exclusions = _chosen(squad.cases, questions)
    name = "squad_small" if small else "squad_full"
    documents = articles(texts)
    return JudgedSet(name, documents, judged, _places(documents, texts), squad.sha256, exclusions)


def _nq_pooled(data: Path, questions: int) -> JudgedSet:
    squad, nq = load_dataset(data / "squad_v1_dev"), load_dataset(data / "nq_gold")
    judged, exclusions = _chosen(nq.cases, questions)
    documents = articles(squad.texts) + tuple(single(text) for text in nq.texts)
    source = f"{nq.sha256} {squad.sha256}"
    return JudgedSet("nq_pooled", documents, judged, {}, source, exclusions)


def _scifact(folder: Path, questions: int) -> JudgedSet:
    """Return the claims with the abstracts that their authors cite, as BEIR judges them."""
    corpus, claims = folder / "corpus.jsonl", folder / "claims_evidence.jsonl"
    rows = list(_rows(corpus))
    texts = [Text(row["_id"], row["title"], row["text"]) for row in rows]
    known = {text.id for text in texts}
    cited: dict[str, dict[str, int]] = {}
    for row in _rows(claims):
        if str(row["doc_id"]) in known:
            cited.setdefault(row["claim"], {})[str(row["doc_id"])] = 1
    cases = [_case(str(n), claim, gold) for n, (claim, gold) in enumerate(cited.items())]
    judged, exclusions = _chosen(cases, questions)
    documents = tuple(single(text) for text in texts)
    return JudgedSet("scifact", documents, judged, {}, _hash(corpus, claims), exclusions)


def _xquad(folder: Path, name: str, questions: int) -> JudgedSet:
    path = folder / f"xquad.{name.removeprefix('xquad_')}.json"
    texts, cases = [], []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for number, paragraph in enumerate(article["paragraphs"]):
            text_id = f"{article['title']}#{number}"
            title = article["title"].replace("_", " ")
            texts.append(Text(text_id, title, paragraph["context"]))
            asked = [(qa["id"], qa["question"]) for qa in paragraph["qas"]]
            cases += [_case(case_id, question, {text_id: 1}) for case_id, question in asked]
    judged, exclusions = _chosen(cases, questions)
    documents = tuple(single(text) for text in texts)
    return JudgedSet(name, documents, judged, {}, _hash(path), exclusions)


def _case(case_id: str, text: str, gold: Mapping[str, int]) -> Case:
    return Case(case_id, text, (), tuple(gold.items()), answerable=True, meta={})


def _chosen(cases: Sequence[Case], questions: int) -> tuple[tuple[Case, ...], str]:
    judged = [case for case in cases if case.gold]
    chosen = sampled(judged, questions)
    said = f"{len(chosen)} of {len(judged)} questions with a relevant text, drawn with seed {SEED}"
    return chosen, f"{said}; {len(cases) - len(judged)} without one left out"


def _places(
    documents: Iterable[Document], texts: Iterable[Text]
) -> Mapping[str, tuple[Place, ...]]:
    ids = {doc_id: [text.id for text in group] for doc_id, group in groupby(texts, key=article_id)}
    return {
        document.id: tuple(
            Place(block.start, block.end, text_id)
            for block, text_id in zip(document.blocks, ids[document.id], strict=True)
        )
        for document in documents
    }


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise LoadError("data set file cannot be read", path, f"mend it ({exc})") from exc
    return (json.loads(line) for line in lines if line.strip())


def _hash(*paths: Path) -> str:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return " ".join(digests)
