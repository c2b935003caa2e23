"""What the evidence condition adds, where there is a corpus to retrieve from.

Pairs: real questions and rewordings by rule (one answer may serve both); each question with the
nearest of the others whose answers are none of its own, and with itself about another name (it may
not).
"""

from __future__ import annotations

import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from eval.bench.cache_pairs import COSINES, Pair, Reader, Share, identical, matrix
from eval.bench.cache_wordings import reworded
from eval.bench.corpora import SEED, Corpus, corpora
from eval.systems.indexed import built_index, chunked
from eval.vectors import CachedEmbedder
from rag.build import build_pipeline
from rag.cache.grounds import Grounds, grounds_of
from rag.cache.values import Said
from rag.pipeline import Pipeline
from rag.results import Question
from rag.settings import Settings, load_settings
from rag.types import Filter

_SAME, _APART = "the same, reworded", "the nearest other question"
_SWAPPED = "the same about another name"
_NAME = re.compile(r"(?<=[a-z] )[A-Z][a-z]{3,}")
_PATIENCE_SECONDS = 60.0


_Rule: TypeAlias = Callable[[Grounds, Grounds], bool]


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """Hits of one rule on pairs of one kind; ``pairs`` says which kind."""

    corpus: str
    tier: str
    pairs: str
    rule: str
    hits: Share


def evidence_rows(data: Path, embedder: CachedEmbedder, *, quick: bool) -> Iterator[EvidenceRow]:
    """Yield all rules on all corpora and tiers."""
    questions = 150 if quick else 600
    for name in ("squad_small",) if quick else ("squad_small", "nq_pooled"):
        corpus = corpora(data, questions)[name]()
        pairs = (*_reworded(corpus), *_others(corpus, embedder), *_swapped(corpus))
        neural = load_settings(tier="neural", tokenizer="cl100k_base")
        with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
            chunks = chunked(corpus.documents, neural)
            with built_index(Path(scratch), chunks, embedder, neural.tenant) as index:
                for settings in (neural.model_copy(update={"tier": "lexical"}), neural):
                    model = embedder if settings.tier == "neural" else None
                    pipeline = build_pipeline(settings, index, lambda: 1, model)
                    looked = _Looked(pipeline, settings)
                    yield from _rows((name, settings.tier), pairs, Reader(embedder), looked)


class _Looked:
    """What each question retrieves and packs, looked up once."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._known: dict[str, Grounds | None] = {}

    def agree(self, pair: Pair, rule: _Rule) -> bool:
        """Return whether the asked one's evidence carries the cached one's answer."""
        kept, found = self._of(pair.cached), self._of(pair.asked)
        return kept is not None and found is not None and rule(kept, found)

    def _of(self, text: str) -> Grounds | None:
        if text not in self._known:
            where, deadline = Filter(self._settings.tenant), time.monotonic() + _PATIENCE_SECONDS
            asked = Question(text, where, self._settings.budget_tokens, deadline)
            said = Said.of(self._pipeline.answer(asked))
            self._known[text] = grounds_of(said.context, said)
        return self._known[text]


def _carries(kept: Grounds, found: Grounds, *, same_index: bool) -> bool:
    return found.carry(kept, same_index=same_index)


_PARTS: Final[dict[str, _Rule]] = {
    "the same best chunk and what is cited": partial(_carries, same_index=True),
    "the same chunks": lambda kept, found: kept.packed == found.packed,
    "the same context": partial(_carries, same_index=False),
}


def _rows(
    names: tuple[str, str], pairs: Sequence[Pair], reader: Reader, looked: _Looked
) -> Iterator[EvidenceRow]:
    levels: dict[str, Callable[[Pair], bool]] = {"verifier": reader.same}
    for least in COSINES:
        levels[f"cosine {least}"] = partial(reader.near, least)
    for kind in dict.fromkeys(pair.kind for pair in pairs):
        held = [pair for pair in pairs if pair.kind == kind]
        for level, hits in levels.items():
            hit = [pair for pair in held if hits(pair)]
            yield EvidenceRow(*names, kind, level, Share.count(len(hit), len(held)))
            for what, carried in _PARTS.items():
                both = sum(looked.agree(pair, carried) for pair in hit)
                rule = f"{level}, {what}"
                yield EvidenceRow(*names, kind, rule, Share.count(both, len(held)))


def _reworded(corpus: Corpus) -> Iterator[Pair]:
    draw = random.Random(SEED)  # noqa: S311 -- not a secret
    for case in corpus.cases:
        pair = Pair(corpus.name, _SAME, case.text, reworded(case.text, draw), same=True)
        if not identical(pair):
            yield pair


def _others(corpus: Corpus, embedder: CachedEmbedder) -> Iterator[Pair]:
    vectors = matrix([case.text for case in corpus.cases], embedder)
    answers = [{answer.lower() for answer in case.answers} for case in corpus.cases]
    for at, case in enumerate(corpus.cases):
        cosines = vectors @ vectors[at]
        apart = np.array([answers[at].isdisjoint(other) for other in answers])
        nearest = int(np.argmax(np.where(apart, cosines, -1)))
        yield Pair(corpus.name, _APART, corpus.cases[nearest].text, case.text, same=False)


def _swapped(corpus: Corpus) -> Iterator[Pair]:
    draw = random.Random(SEED)  # noqa: S311 -- not a secret
    named = [case.text for case in corpus.cases if _NAME.search(case.text)]
    names = sorted({match[0] for text in named for match in _NAME.finditer(text)})
    for text in named:
        other = draw.choice(names)
        if other not in text:
            yield Pair(corpus.name, _SWAPPED, text, _NAME.sub(other, text, count=1), same=False)
