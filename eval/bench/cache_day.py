"""A simulated day: Zipf traffic in varying words over a corpus that is edited meanwhile.

Every answer from the cache is compared with a fresh one. Beside it, a cache that never looks
whether anything changed.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Final

from eval.bench.cache_edits import EditedCorpus
from eval.bench.cache_wordings import reworded
from eval.bench.corpora import SEED, corpora
from eval.bench.vectors import cached
from eval.systems.frugal import place_of
from eval.systems.subjects import neural
from rag.build import build_analyzer, build_pipeline
from rag.cache.answer_cache import AnswerCache
from rag.cache.keys import normalised
from rag.cache.shadow import agrees
from rag.cache.values import Asked, Cached, Clue, Cost, Said, Scope
from rag.meter import RequestMeter
from rag.pipeline import Pipeline
from rag.protocols import Embedder
from rag.results import Question
from rag.settings import Settings, load_settings
from rag.types import Filter, Interval

# Source: Breslau et al. 1999, Web Caching and Zipf-like Distributions: Evidence and Implications,
# IEEE INFOCOM, table 2: exponents of 0.64 to 0.83 in six traces of requests.
_EXPONENT: Final = 0.8
_REWORDED: Final = 0.3  # share of requests; a guess, stated with the results
_PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class DayRow:
    """What a day came to.

    ``different``: hits that say something else than a fresh answer; ``unsure``: hits that answer
    where a fresh one abstains, or the other way round; ``gone``: hits that quote what no document
    holds any more. ``naive_*``: the same where nothing is ever looked at again.
    ``joules_*`` [J], estimated, of all questions.
    """

    tier: str
    questions: int
    reworded: float
    edits: int
    exact: int
    revalidated: int
    dropped: int
    semantic: int
    different: int
    unsure: int
    gone: int
    naive_hits: int
    naive_different: int
    naive_gone: int
    joules_without: float
    joules_saved: float
    examples: tuple[str, ...]

    @property
    def hit_rate(self) -> float:
        """Share of the questions that were answered from the cache."""
        return (self.exact + self.revalidated + self.semantic) / max(self.questions, 1)


def day_rows(data: Path, *, quick: bool) -> Iterator[DayRow]:
    """Yield days in the lexical and in the neural tier, with many edits and with few."""
    requests, often = (400, (8,)) if quick else (5000, (100, 10))
    corpus = corpora(data, 150 if quick else 1500)["squad_small"]()
    whole = load_settings(tier="neural", tokenizer="cl100k_base")
    model = neural(whole)
    kept = cached(model)
    lexical = whole.model_copy(update={"tier": "lexical"})
    for settings, edits in product((lexical, whole), often):
        with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
            edited = EditedCorpus(corpus, Path(scratch) / "index", kept, settings)
            embedder = model if settings.tier == "neural" else None
            folder = Path(scratch) / "cache"
            yield run_day(edited, settings, embedder, folder, (requests, requests // edits))
    kept.flush()


def run_day(
    corpus: EditedCorpus,
    settings: Settings,
    embedder: Embedder | None,
    folder: Path,
    length: tuple[int, int],
) -> DayRow:
    """Return what a day came to, with a cache in ``folder``.

    Args:
        corpus: What is asked and edited.
        settings: Of the pipeline.
        embedder: Of its questions; None in the lexical tier.
        folder: Where the cache is kept.
        length: Number of requests, and after how many there is an edit.
    """
    return _Day(corpus, settings, embedder, folder).run(*length)


@dataclass(slots=True)
class _Given:
    """What one question got, by which level, and what that took [J]."""

    said: Said
    level: str
    joules: float


@dataclass(slots=True)
class _Asker:
    """The way of a question with a cache, over a pipeline without one."""

    pipeline: Pipeline
    cache: AnswerCache
    settings: Settings
    embedder: Embedder | None
    dropped: int = 0

    def answer(self, question: Question, generation: str) -> _Given:
        """Return what the cache or else the pipeline says."""
        scope = Scope(question.where, question.budget_tokens, question.frugality, "bench")
        asked = Asked(question.text, scope, generation)
        meter = self._meter()
        found = self.cache.exact(asked)
        if found is not None and found.fresh:
            return self._hit(found, "exact", _joules(meter))
        spent, looking = _joules(meter), self._meter()
        context = self.pipeline.retrieve(question).context
        looked = _joules(looking)
        # The pipeline has the question's vector and terms from looking: they are not paid again.
        clue = self._clue(question.text)
        meter = self._meter()
        if found is not None and self.cache.revalidate(found, context, generation):
            return self._hit(found, "revalidated", spent + looked + _joules(meter))
        self.dropped += found is not None
        similar = self.cache.similar(asked, clue, context)
        spent += _joules(meter)
        if similar is not None:
            return self._hit(similar, "semantic", spent + looked)
        return self._new(question, asked, clue, spent)

    def _new(self, question: Question, asked: Asked, clue: Clue, spent: float) -> _Given:
        meter = self._meter()
        said = Said.of(self.pipeline.answer(question))
        joules = _joules(meter)
        meter = self._meter()
        self.cache.keep(asked, clue, said, Cost(Interval(joules, joules)))
        return _Given(said, "miss", spent + joules + _joules(meter))

    def _hit(self, found: Cached, level: str, spent: float) -> _Given:
        self.cache.used(found, spent)
        return _Given(found.said, level, spent)

    def _clue(self, text: str) -> Clue:
        if self.embedder is not None:
            return Clue(self.embedder.embed_question(text))
        return Clue(None, tuple(build_analyzer().terms(text)))

    def _meter(self) -> RequestMeter:
        return RequestMeter(place_of(self.settings))


@dataclass(slots=True)
class _Day:
    """One day over one corpus."""

    corpus: EditedCorpus
    settings: Settings
    embedder: Embedder | None
    folder: Path
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def run(self, requests: int, between: int) -> DayRow:
        """Return what so many requests came to, with an edit after each ``between`` of them."""
        draw = random.Random(SEED)  # noqa: S311 -- not a secret
        pipeline = build_pipeline(
            self.settings, self.corpus.index, lambda: self.corpus.generation, self.embedder
        )
        cache = AnswerCache(self.folder)
        asker = _Asker(pipeline, cache, self.settings, self.embedder)
        cases = self.corpus.cases
        weights = [1 / rank**_EXPONENT for rank in range(1, len(cases) + 1)]
        naive: dict[str, Said] = {}
        without = within = 0.0
        for number in range(requests):
            if number and number % between == 0:
                self.corpus.edit(draw, cases)
            (case,) = draw.choices(cases, weights)
            text = reworded(case.text, draw) if draw.random() < _REWORDED else case.text
            meter = RequestMeter(place_of(self.settings))
            fresh = Said.of(pipeline.answer(self._question(text)))
            without += _joules(meter)
            given = asker.answer(self._question(text), f"{self.corpus.generation:06d}")
            within += given.joules
            self._compare(text, given, fresh)
            self._compare_naive(naive, text, fresh)
        cache.close()
        return self._row(requests, asker.dropped, (without, without - within))

    def _question(self, text: str) -> Question:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        where = Filter(self.settings.tenant)
        return Question(text, where, self.settings.budget_tokens, deadline, self.settings.frugality)

    def _compare(self, text: str, given: _Given, fresh: Said) -> None:
        self.counts[given.level] += 1
        if given.level == "miss":
            return
        self.counts["unsure"] += given.said.abstained != fresh.abstained
        if agrees(given.said, fresh) is False:
            self.counts["different"] += 1
            self.examples.append(f"{given.level}: {text} | {given.said.text} | {fresh.text}")
        self.counts["gone"] += not self.corpus.holds(given.said)

    def _compare_naive(self, naive: dict[str, Said], text: str, fresh: Said) -> None:
        held = naive.setdefault(normalised(text), fresh)
        self.counts["naive_hits"] += held is not fresh
        self.counts["naive_different"] += agrees(held, fresh) is False
        self.counts["naive_gone"] += not self.corpus.holds(held)

    def _row(self, requests: int, dropped: int, joules: tuple[float, float]) -> DayRow:
        counts = self.counts
        return DayRow(
            tier=self.settings.tier,
            questions=requests,
            reworded=_REWORDED,
            edits=self.corpus.edits,
            exact=counts["exact"],
            revalidated=counts["revalidated"],
            dropped=dropped,
            semantic=counts["semantic"],
            different=counts["different"],
            unsure=counts["unsure"],
            gone=counts["gone"],
            naive_hits=counts["naive_hits"],
            naive_different=counts["naive_different"],
            naive_gone=counts["naive_gone"],
            joules_without=joules[0],
            joules_saved=joules[1],
            examples=tuple(self.examples[:10]),
        )


def _joules(meter: RequestMeter) -> float:
    joules = meter.impact().joules
    return (joules.low + joules.high) / 2 if joules else 0.0
