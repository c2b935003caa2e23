import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import bm25
from rag.acronyms import expanded
from rag.adapters.analysis import EnglishAnalyzer
from rag.adapters.memory_index import MemoryIndex
from rag.finding import Finder
from rag.meter import RequestMeter
from rag.place import Place
from rag.results import Passage, Question
from rag.retrieve import Retrieval
from rag.types import Chunk, Filter, Point

MakeChunk = Callable[..., Chunk]
Passages = Callable[..., list[Passage]]


@pytest.fixture(scope="session")
def passages(make_chunk: MakeChunk) -> Passages:
    def made(*texts: str) -> list[Passage]:
        return [Passage(make_chunk([text]), 1.0, ()) for text in texts]

    return made


@pytest.mark.parametrize(
    ("text", "question", "other"),
    [
        (
            "The Ministry of National Defence (MND) was founded in 1962.",
            "Who heads the MND today?",
            "Who heads the MND (Ministry of National Defence) today?",
        ),
        (
            "The Ministry of National Defence (MND) was founded in 1962.",
            "who heads the ministry of national defence?",
            "who heads the ministry of national defence (MND)?",
        ),
        (
            "Use cross-site request forgery (CSRF) tokens.",
            "What stops CSRF?",
            "What stops CSRF (cross-site request forgery)?",
        ),
        (
            "Put access control lists (ACLs) on it.",
            "What is an ACL for?",
            "What is an ACL (access control lists) for?",
        ),
    ],
)
def test_the_other_form_is_added(text: str, question: str, other: str, passages: Passages) -> None:
    assert expanded(question, passages("Nothing here.", text)) == other


@pytest.mark.parametrize(
    "question",
    [
        "Who heads it?",
        "who heads the mnd?",  # not as it is written
        "Who heads the MNDX?",
        "Who heads the Ministry of National Defence (MND)?",  # both are there
        "Who heads the Ministry of Defence?",
        "",
    ],
)
def test_all_else_is_left_as_it_is(question: str, passages: Passages) -> None:
    defining = "The Ministry of National Defence (MND) was founded in 1962."
    assert expanded(question, passages(defining)) is None


@pytest.mark.parametrize(
    "text",
    ["It ran for years (XYZ).", "See below (NB).", "(ABC) stands first.", "Of one (A) kind."],
)
def test_brackets_that_define_nothing(text: str, passages: Passages) -> None:
    assert expanded("What are XYZ, NB, ABC and A?", passages(text)) is None


def test_the_first_passage_decides_and_each_form_counts_once(passages: Passages) -> None:
    found = passages(
        "The Australian Broadcasting Corporation (ABC) airs it.",
        "The American Broadcasting Company (ABC) airs it.",
        "The National Football League (NFL) plays.",
    )
    assert expanded("Does ABC show the NFL?", found) == (
        "Does ABC (Australian Broadcasting Corporation) show the NFL (National Football League)?"
    )


@given(question=st.text(max_size=40), text=st.text(max_size=80))
def test_any_text_is_taken_and_the_question_stays_within(
    question: str, text: str, passages: Passages
) -> None:
    other = expanded(question, passages(text or "x"))
    assert other is None or len(other) > len(question)


def test_what_is_written_in_the_other_form_is_found(make_chunk: MakeChunk) -> None:
    texts = (
        "The Ministry of Public Works (MPW) was founded early.",
        "A ministry of public works builds harbours with stone.",
        "Ferries cross at noon.",
    )
    analyzer, index = EnglishAnalyzer(), MemoryIndex()
    for number, text in enumerate(texts):
        sparse = bm25.document_vector(analyzer.terms(text), 6.0)
        chunk = make_chunk([text], doc_id=f"doc{number}")
        index.upsert([Point("here", chunk, sparse, None)])
    finder = Finder(analyzer, None, index, Retrieval(50, 20, 0.5, second_hop=False))
    meter = RequestMeter(Place(None, None, None, 1.0))
    question = Question("What is the MPW?", Filter("here"), 64, math.inf)
    finding = finder.find(question, meter)
    assert [p.chunk.doc_id for p in finding.found.passages] == ["doc0", "doc1"]
    assert finding.question.text == question.text
    assert finding.found.idf.keys() == set(analyzer.terms("MPW"))
    assert "acronyms spelled out" in meter.trace()[0].decision
