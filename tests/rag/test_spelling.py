from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import bm25
from rag.adapters.analysis import EnglishAnalyzer
from rag.adapters.memory_index import MemoryIndex
from rag.spelling import Speller, edits
from rag.types import Chunk, Filter, Point, SearchHits, SearchQuery, StoredChunk

MakeChunk = Callable[..., Chunk]
ANALYZER = EnglishAnalyzer()
HERE = Filter("here")
TEXTS = (
    "The government of Norway publishes its budget every October.",
    "Access logs of the gateway are kept for thirty days and then deleted.",
    "A backup of every database is made at night and kept for a year.",
    "The parental leave policy covers adoption as well as birth.",
    "Parcels leave the warehouse in Zurich before noon.",
    "The warranty of a dishwasher covers its motor for ten years.",
    "The restart policy of kube-apiserver is set in its manifest.",
)


class Counting:
    """An index that counts how often it is asked."""

    def __init__(self, index: MemoryIndex) -> None:
        self._index = index
        self.calls = 0

    def search(self, query: SearchQuery) -> SearchHits:
        self.calls += 1
        return self._index.search(query)

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        self.calls += 1
        return self._index.fetch(tenant, chunk_ids)

    def count(self, where: Filter) -> int:
        return self._index.count(where)


@pytest.fixture(scope="session")
def index(make_chunk: MakeChunk) -> MemoryIndex:
    index = MemoryIndex()
    for tenant, texts in (("here", TEXTS), ("there", ("The orchid policy covers orchids.",))):
        chunks = [make_chunk([text], doc_id=f"doc{n}") for n, text in enumerate(texts)]
        terms = [ANALYZER.terms(chunk.text) for chunk in chunks]
        vectors = [bm25.document_vector(words, 8.0) for words in terms]
        index.upsert([Point(tenant, c, v, None) for c, v in zip(chunks, vectors, strict=True)])
    return index


def unknown(text: str, index: MemoryIndex) -> frozenset[int]:
    terms = ANALYZER.terms(text)
    held = index.search(SearchQuery(HERE, bm25.query_vector(terms), None, 1)).idf if terms else {}
    return frozenset(terms) - held.keys()


def mended(text: str, index: MemoryIndex, where: Filter = HERE) -> str:
    return Speller(ANALYZER, index).mended(text, unknown(text, index), where)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("When does the goverment publish its budget?", "government"),  # left out
        ("When does the govermnent publish its budget?", "government"),  # swapped
        ("When does the govirnment publish its budget?", "government"),  # changed
        ("When does the goveernment publish its budget?", "government"),  # added
        ("When does the xgovernment publish its budget?", "government"),  # first letter
        ("Budget of Norwya", "Norway"),  # the case stays
        ("norwya's budget", "norway's"),
        ("How long are acces logs of the gatway kept?", "access logs of the gateway"),
        ("the wareHOUSE", "wareHOUSE"),  # no typo
    ],
)
def test_one_edit_is_mended(index: MemoryIndex, typed: str, meant: str) -> None:
    assert meant in mended(typed, index)


def test_all_else_of_the_question_stays_as_it_is(index: MemoryIndex) -> None:
    typed = "  How long (in days!) are the acces-free logs, or LOGS, of the gatway kept?? "
    assert mended(typed, index) == typed.replace("gatway", "gateway")


@pytest.mark.parametrize(
    "text",
    [
        "How long are access logs of the gateway kept?",  # nothing unknown
        "Who invented the telephone?",  # new, and nothing near
        "Budget of Norwya_2, x/Norwya, norwya.no, a@norwya, norwya-x and NORWYA",  # identifiers
        "Which kupe-apiserver has a restart policy?",
        "the government couldn't publish",
        "Logs of the wat",  # too short
        "",
    ],
)
def test_what_is_no_typo_is_left_alone(index: MemoryIndex, text: str) -> None:
    assert mended(text, index) == text


def test_a_new_word_does_not_become_a_word_of_another_matter(index: MemoryIndex) -> None:
    """Zurich is held, but nowhere beside what the question is about."""
    assert mended("Does the parental leave policy cover Zurick?", index).endswith("Zurick?")
    assert mended("Which parcels leave the warehouse in Zurick?", index).endswith("Zurich?")


def test_of_several_words_the_one_that_fits_the_rest_is_taken(make_chunk: MakeChunk) -> None:
    index = MemoryIndex()
    texts = ["The weather of the marsh is mild.", "The lather of the soap is mild."]
    texts += ["The leather of the saddle is brown."] * 3
    for n, text in enumerate(texts):
        sparse = bm25.document_vector(ANALYZER.terms(text), 4.0)
        index.upsert([Point("here", make_chunk([text], doc_id=f"d{n}"), sparse, None)])
    assert mended("xeather of the marsh", index) == "weather of the marsh"
    assert mended("xeather of the saddle", index) == "leather of the saddle"


def test_a_word_of_another_tenant_is_no_candidate(index: MemoryIndex) -> None:
    assert mended("Which policy covers orchidz?", index) == "Which policy covers orchidz?"
    assert mended("Which policy covers orchidz?", index, Filter("there")).endswith("orchids?")


def test_words_without_a_topic_are_never_guessed(index: MemoryIndex) -> None:
    for text in ("whcih logs are kept", "logs of the wound", "logs about heir"):
        assert mended(text, index) == text


def test_where_no_word_is_held_nothing_is_guessed(index: MemoryIndex) -> None:
    assert mended("orchidz", index) == "orchidz"


def test_a_clean_question_costs_nothing(index: MemoryIndex) -> None:
    counting = Counting(index)
    speller = Speller(ANALYZER, counting)
    assert speller.mended("logs of the gateway", frozenset(), HERE) == "logs of the gateway"
    assert counting.calls == 0


def test_the_work_for_one_question_is_bounded(index: MemoryIndex) -> None:
    text = " ".join(f"qxz{a}{b}vkq" for a in "abcdefgh" for b in "abcdefgh")
    counting = Counting(index)
    assert Speller(ANALYZER, counting).mended(text, unknown(text, index), HERE) == text
    assert counting.calls <= 3 * 13


@given(st.text("abcxyz", min_size=1, max_size=12))
def test_edits_are_all_at_one_edit_and_the_way_back_is_one_too(word: str) -> None:
    near = edits(word)
    assert word not in near
    assert all(abs(len(other) - len(word)) <= 1 for other in near)
    assert len(near) <= 54 * len(word) + 26
    assert all(word in edits(other) for other in list(near)[:20])


@given(st.text(st.characters(), max_size=40))
def test_any_text_comes_back_with_its_other_characters(index: MemoryIndex, text: str) -> None:
    result = mended(text, index)
    kept = "".join(c for c in text if not c.isalpha())
    assert "".join(c for c in result if not c.isalpha()) == kept
