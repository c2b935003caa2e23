"""Down the ladder: what a question does without, in order, through the real pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from rag import bm25
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.memory_index import MemoryIndex
from rag.adapters.overlap_reranker import OverlapReranker
from rag.adapters.scripted_generator import Script, ScriptedGenerator
from rag.budgets import sparing
from rag.build import build_analyzer, build_groundedness, build_splitter, build_tokenizer
from rag.cache.answer_cache import AnswerCache
from rag.cache.values import Limits
from rag.caching import CacheStage
from rag.cited import CitedReader, Demands
from rag.errors import OverloadedError
from rag.pack import Packer
from rag.pipeline import Parts, Pipeline, Policy
from rag.place import Place
from rag.prompting import Prompts
from rag.provider_calls import Bounds
from rag.results import SPARED, Answer, Question, Spared, Sparing
from rag.retrieve import Retrieval
from rag.routing import Thresholds
from rag.settings import load_settings
from rag.terms import indexed_text
from rag.types import Chunk, Filter, Point, Vector
from rag.writing import Author, Desk, Writer

ANALYZER, SPLITTER, TOKENIZER = (
    build_analyzer(),
    build_splitter(),
    build_tokenizer(load_settings()),
)
TEXTS = {
    "logs": "Audit logs are kept for seven years because the regulator asks for them.",
    "leave": "Every employee has 28 days of paid leave a year.",
    "office": "The office in Bern opens at half past seven on weekdays.",
}
ASKED = "How long are audit logs kept?"
BUSY = "many questions are waiting"


class Embedding(HashEmbedder):
    """Counts the questions that it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def embed_question(self, text: str) -> Vector:
        self.asked += 1
        return super().embed_question(text)


@dataclass
class World:
    """A pipeline with all that can be left out; ``generation`` is that of the documents."""

    pipeline: Pipeline
    embedder: Embedding
    cache: AnswerCache
    generation: str = "one"

    def answer(self, upto: Spared | None = None, **more: object) -> Answer:
        known = Question(ASKED, Filter("here"), 128, time.monotonic() + 60)
        asked = replace(known, **more)  # type: ignore[arg-type]
        return self.pipeline.answer(asked.spared(Sparing(upto, BUSY)) if upto else asked)


@pytest.fixture
def world(tmp_path: Path, make_chunk: Callable[..., Chunk]) -> Iterator[World]:
    index, embedder = MemoryIndex(64), Embedding()
    for doc_id, text in TEXTS.items():
        chunk = make_chunk([text], doc_id=doc_id, tokens=TOKENIZER.count(text))
        vector = bm25.document_vector(ANALYZER.terms(indexed_text(chunk)), 12.0)
        index.upsert([Point("here", chunk, vector, embedder.embed_passage(chunk))])
    with closing(AnswerCache(tmp_path, Limits(shadow_share=1.0))) as cache:
        stage = CacheStage(cache, "f00", lambda: kept.generation)
        kept = World(pipeline(index, embedder, stage), embedder, cache)
        yield kept


def pipeline(index: MemoryIndex, embedder: Embedding, cache: CacheStage) -> Pipeline:
    scorer = build_groundedness(None)
    script = Script("Audit logs are kept for seven years [1].")
    desk = Desk(
        Prompts().load("answer-1"),
        None,
        lambda context: CitedReader(scorer, context, SPLITTER, Demands()),
        TOKENIZER,
    )
    author = Author("m1", ScriptedGenerator(script), Bounds(30.0, 512, 2048), lambda _: None)
    parts = Parts(
        Packer(TOKENIZER, ANALYZER),
        ANALYZER,
        embedder,
        index,
        lambda: 7,
        reranker=OverlapReranker(),
        writer=Writer([author], desk),
        cache=cache,
    )
    wide = Retrieval(candidates=50, passages=20, dense_weight=0.5, rerank_below=1.0)
    always = Thresholds(answer=0.0, extract=1.0, generate=0.0)
    nowhere = Place(None, None, None, 1.0)
    return Pipeline(parts, Policy(wide, always, 200, lambda: nowhere, "f00"))


def steps(answer: Answer, world: World, before: int) -> set[str]:
    """Return which of the steps that can be left out were taken."""
    taken = {step.stage for step in answer.receipt.trace} & {"rerank", "generate"}
    return taken | ({"vectors"} if world.embedder.asked > before else set())


def test_each_rung_leaves_out_one_more_step_in_the_stated_order(world: World) -> None:
    assert SPARED == ("rerank", "vectors", "generate", "search")
    taken = []
    for upto in (None, "rerank", "vectors", "generate"):
        before = world.embedder.asked
        answer = world.answer(upto, budget_tokens=100 + len(taken))  # not from the cache
        taken.append(steps(answer, world, before))
        admitted = answer.receipt.trace[0].decision
        assert admitted.startswith("admitted sparingly: many questions" if upto else "admitted")
    assert taken == [
        {"rerank", "vectors", "generate"},
        {"vectors", "generate"},
        {"generate"},
        set(),
    ]
    with pytest.raises(OverloadedError, match="only what is in the cache"):
        world.answer("search")
    for fewer, more in pairwise(reversed(taken)):
        assert fewer < more


def test_from_the_cache_alone_what_was_answered_whole_is_given(world: World) -> None:
    whole = world.answer()
    again = world.answer("search")
    assert (again.text, again.receipt.cache) == (whole.text, "exact")


def test_a_context_is_never_looked_up_where_there_is_time_for_the_cache_alone(
    world: World,
) -> None:
    asked = Question(ASKED, Filter("here"), 128, time.monotonic() + 60)
    with pytest.raises(OverloadedError):
        world.pipeline.retrieve(asked.spared(Sparing("search", BUSY)))
    assert world.pipeline.retrieve(asked.spared(Sparing("generate", BUSY))).context.tokens


@pytest.mark.parametrize("upto", ["rerank", "vectors", "generate"])
def test_an_answer_with_less_is_never_given_to_a_whole_question(world: World, upto: Spared) -> None:
    assert world.answer(upto).receipt.cache == "miss"
    assert world.answer(upto).receipt.cache == "miss"
    whole = world.answer()
    assert (whole.receipt.cache, whole.receipt.model) == ("miss", "scripted")
    assert world.answer().receipt.cache == "exact"
    assert world.answer(upto).receipt.cache == "exact"  # more than was asked for


def test_a_question_with_less_settles_nothing_about_answers_of_before(world: World) -> None:
    world.answer()
    world.generation = "two"
    assert world.answer("vectors").receipt.cache == "miss"
    with pytest.raises(OverloadedError):
        world.answer("search")  # it is known from before the documents changed
    assert world.answer().receipt.cache == "exact"  # held against a whole search, and still there


def test_a_question_with_less_checks_no_other_wording(world: World) -> None:
    world.answer()
    asked = "how long are audit logs kept"
    assert world.answer("generate", text=asked).receipt.cache in {"exact", "semantic", "miss"}
    state = world.cache.state()
    assert state is not None
    assert state.shadow.checked + state.shadow.undecided == 0


def test_a_budget_and_the_load_leave_out_what_either_does() -> None:
    asked = Question(ASKED, Filter("here"), 128, 0.0)
    for upto in SPARED:
        loaded = sparing(asked.spared(Sparing(upto, BUSY)), "the budget is spent")
        budget_goes_further = SPARED.index("generate") > SPARED.index(upto)
        assert loaded.sparing is not None
        assert loaded.sparing.upto == ("generate" if budget_goes_further else upto)
        assert [loaded.without(step) for step in SPARED[:3]] == [True] * 3
        assert loaded.without("search") == (upto == "search")
    assert [asked.without(step) for step in SPARED] == [False] * 4
