"""What spelling out acronyms wins and costs: questions in the form that the passage lacks."""

from __future__ import annotations

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from eval.bench.corpora import Corpus
from rag.acronyms import definitions, expanded
from rag.build import build_analyzer
from rag.protocols import Embedder, IndexReader
from rag.results import Question
from rag.retrieve import Asked, Found, Retrieval, retrieve
from rag.settings import Settings
from rag.types import Chunk, Filter

_BUDGET = 128
_AT = 5
_OF_EACH = 3  # questions a form and a direction
_MOST = 100  # acronyms: each is looked for in every chunk
_WORD = re.compile(r"[A-Za-z]{4,}")


@dataclass(frozen=True, slots=True)
class Asking:
    """A question in one form of an acronym, and the id of a chunk that holds the other only."""

    text: str
    gold: str


@dataclass(frozen=True, slots=True)
class FormsRow:
    """One tier on one corpus.

    ``plain`` and ``spelled_out`` are the recall at 5 passages of ``questions`` made for this;
    ``changed`` counts the corpus's own questions that are searched a second time;
    ``milliseconds`` is the CPU time of looking for definitions, a question.
    """

    corpus: str
    tier: str
    questions: int
    plain: float
    spelled_out: float
    changed: int
    milliseconds: float


class Forms:
    """Finds passages in one tier, with and without the other form of acronyms."""

    def __init__(self, index: IndexReader, embedder: Embedder | None, settings: Settings) -> None:
        self._index, self._embedder, self._settings = index, embedder, settings
        self._analyzer = build_analyzer()

    def row(self, corpus: Corpus, askings: Sequence[Asking]) -> FormsRow:
        """Return what is found for questions made for this, and how often it changes others."""
        pairs = [(each.gold, self._found(each.text)) for each in askings]
        plain, spelled_out = (fmean(_holds(p[i], gold) for gold, p in pairs) for i in (0, 1))
        looks = [self._look(case.text)[1] for case in corpus.cases]
        started = time.process_time()
        changed = sum(
            expanded(case.text, found.passages) is not None
            for case, found in zip(corpus.cases, looks, strict=True)
        )
        spent = 1000 * (time.process_time() - started) / len(looks)
        tier = "neural" if self._embedder else "lexical"
        return FormsRow(corpus.name, tier, len(askings), plain, spelled_out, changed, spent)

    def _found(self, text: str) -> tuple[Found, Found]:
        asked, found = self._look(text)
        longer = expanded(text, found.passages)
        if longer is None:
            return found, found
        return found, self._search(replace(asked, terms=tuple(self._analyzer.terms(longer))))

    def _look(self, text: str) -> tuple[Asked, Found]:
        asked = Asked.prepare(text, self._analyzer, self._embedder)
        return asked, self._search(asked)

    def _search(self, asked: Asked) -> Found:
        where = Filter(self._settings.tenant)
        question = Question(asked.text, where, _BUDGET, time.monotonic() + 60)
        s = self._settings
        width = Retrieval(s.candidates, s.offered_passages, s.dense_weight)
        return retrieve(asked, question, self._index, width)


def questions(chunks: Sequence[Chunk], draw: random.Random) -> list[Asking]:
    """Return questions in the short form about chunks with the long one only, and vice versa."""
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for short, long in definitions(chunk.text for chunk in chunks):
        forms[short][long.lower()] += 1
    askings = []
    for short in draw.sample(sorted(forms), min(_MOST, len(forms))):
        long = forms[short].most_common(1)[0][0]
        for held, asked in ((short, long), (long, short)):
            fitting = [c for c in chunks if _has(c.text, held) and not _has(c.text, asked)]
            for chunk in draw.sample(fitting, min(_OF_EACH, len(fitting))):
                askings += _worded(held, asked, chunk, draw)
    return askings


def _worded(held: str, asked: str, chunk: Chunk, draw: random.Random) -> list[Asking]:
    sentences = map(chunk.sentence, range(len(chunk.sentences)))
    beside = " ".join(sentence for sentence in sentences if _has(sentence, held))
    words = sorted(set(_WORD.findall(beside)) - set(_WORD.findall(f"{held} {held.title()}")))
    if len(words) < 2:
        return []
    return [Asking(f"What of the {asked} and {' '.join(draw.sample(words, 2))}?", chunk.id)]


def _has(text: str, form: str) -> bool:
    if form.isupper():
        return form in text and re.search(rf"\b{form}\b", text) is not None
    return form in text.lower()


def _holds(found: Found, chunk_id: str) -> bool:
    return chunk_id in [passage.chunk.id for passage in found.passages[:_AT]]
