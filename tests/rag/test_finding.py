import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from rag import bm25
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.memory_index import MemoryIndex
from rag.adapters.overlap_reranker import OverlapReranker
from rag.build import build_analyzer
from rag.finding import Finder, Finding
from rag.meter import RequestMeter
from rag.place import Place
from rag.results import Question, Sparing
from rag.retrieve import Retrieval
from rag.terms import indexed_text
from rag.types import Chunk, Filter, PassageVectors, Point, Vector

MakeChunk = Callable[..., Chunk]
ANALYZER = build_analyzer()
WIDE = Retrieval(candidates=50, passages=20, dense_weight=0.5)
TEXTS = (
    ("Retention", "Access logs are kept for 30 days."),
    ("Audit", "Audit logs are kept for seven years."),
    ("Canteen", "The canteen opens at noon and soup is free."),
    ("Office", "The office in Bern opens at half past seven."),
)
CLEAR = "Is soup free in the canteen at noon?"
TIED = "Which logs are kept?"


class Counting:
    """An embedder that remembers the questions it embedded."""

    def __init__(self) -> None:
        self._embedder = HashEmbedder()
        self.questions: list[str] = []

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    def embed_passage(self, chunk: Chunk) -> PassageVectors:
        return self._embedder.embed_passage(chunk)

    def embed_question(self, text: str) -> Vector:
        self.questions.append(text)
        return self._embedder.embed_question(text)


@pytest.fixture
def finder(make_chunk: MakeChunk) -> Finder:
    index, embedder = MemoryIndex(64), Counting()
    for n, (title, text) in enumerate(TEXTS):
        chunk = make_chunk([text], title=title, doc_id=f"doc{n}")
        sparse = bm25.document_vector(ANALYZER.terms(indexed_text(chunk)), 8.0)
        index.upsert([Point("here", chunk, sparse, embedder.embed_passage(chunk))])
    return Finder(ANALYZER, embedder, index, WIDE)


def find(
    finder: Finder, text: str, sparing: Sparing | None = None
) -> tuple[Finding, list[str], list[str]]:
    """Return the finding, the decisions in the trace, and what was embedded."""
    meter = RequestMeter(Place(None, None, None, 1.0))
    asked = Question(text, Filter("here"), 128, time.monotonic() + 60, sparing=sparing)
    finding = finder.find(asked, meter)
    assert isinstance(finder.embedder, Counting)
    return finding, [step.decision for step in meter.trace()], finder.embedder.questions


def test_a_question_is_embedded_once(finder: Finder) -> None:
    finding, decisions, embedded = find(finder, CLEAR)
    assert embedded == [CLEAR]
    assert finding.question.text == CLEAR
    assert finding.found.passages[0].cosines
    assert decisions == [f"{len(TEXTS)} passages"]


def test_a_sparing_question_is_looked_up_by_words_alone(finder: Finder) -> None:
    spared = replace(finder, reranker=OverlapReranker(), retrieval=replace(WIDE, rerank_below=1.0))
    finding, decisions, embedded = find(
        spared, CLEAR, sparing=Sparing("vectors", "the budget is spent")
    )
    assert embedded == []
    assert finding.found.passages[0].cosines == ()
    assert finding.found.passages[0].chunk.title == "Canteen"
    assert len(decisions) == 1  # nothing was reranked


def test_words_that_are_sure_enough_spare_the_embedding(finder: Finder) -> None:
    words = replace(finder, retrieval=replace(WIDE, lexical_if_sure=0.5))
    finding, decisions, embedded = find(words, CLEAR)
    assert embedded == []
    assert finding.found.passages[0].chunk.title == "Canteen"
    assert finding.found.passages[0].cosines == ()
    assert decisions == [f"{len(finding.found.passages)} passages, by words alone"]


def test_words_that_are_not_escalate(finder: Finder) -> None:
    words = replace(finder, retrieval=replace(WIDE, lexical_if_sure=0.5))
    escalated, decisions, embedded = find(words, TIED)
    assert embedded == [TIED]
    assert decisions == [f"{len(TEXTS)} passages"]
    assert escalated.found == find(finder, TIED)[0].found


@pytest.mark.parametrize("sure", [0.5, 1.0])
def test_what_was_mended_is_what_was_asked_from_then_on(finder: Finder, sure: float) -> None:
    words = replace(finder, retrieval=replace(WIDE, lexical_if_sure=sure))
    finding, decisions, embedded = find(words, "Which loggs are kept?")
    assert finding.question.text == TIED
    assert decisions == [f"{len(TEXTS)} passages, read as logs for loggs"]
    typed = finder.analyzer.terms("loggs")[0]
    assert finding.found.idf[typed] > 0  # stays uncovered: what is answered is not what was typed
    # Words look first where they may suffice, so that the typo is never embedded.
    assert embedded == ([TIED] if sure < 1 else ["Which loggs are kept?", TIED])


def test_reranking_is_a_step_of_its_own(finder: Finder) -> None:
    judged = replace(finder, reranker=OverlapReranker())
    _, decisions, _ = find(judged, TIED)
    assert decisions[1] == f"{len(TEXTS)} passages read again"
    never = replace(judged, retrieval=replace(WIDE, rerank_below=0.0))
    finding, decisions, _ = find(never, CLEAR)
    assert decisions[1].startswith("first passage ahead by")
    assert finding.found == find(finder, CLEAR)[0].found


def test_the_hop_is_told_and_can_be_left_out(make_chunk: MakeChunk) -> None:
    texts = (
        ("Night Ferry", "Night Ferry is a film directed by Ada Brunel for Atlas Pictures."),
        ("Ada Brunel", "Brunel grew up in Lisbon and was born in 1932."),
    )
    index = MemoryIndex()
    for n, (title, text) in enumerate(texts):
        chunk = make_chunk([text], title=title, doc_id=f"doc{n}")
        sparse = bm25.document_vector(ANALYZER.terms(indexed_text(chunk)), 8.0)
        index.upsert([Point("here", chunk, sparse, None)])
    asked = Question("Where does the film Night Ferry's author study?", Filter("here"), 128, 0.0)
    asked = replace(asked, deadline=time.monotonic() + 60)
    for second_hop, decision in ((True, "2 passages, 1 of them by a second hop"), (False, None)):
        meter = RequestMeter(Place(None, None, None, 1.0))
        finder = Finder(ANALYZER, None, index, replace(WIDE, second_hop=second_hop))
        finder.find(asked, meter)
        assert meter.trace()[0].decision == (decision or "1 passages")
