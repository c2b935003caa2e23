from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.analysis import EnglishAnalyzer
from rag.results import Citation, Evidence
from rag.types import Chunk
from rag.verify import cite, groundedness

ANALYZER = EnglishAnalyzer()
words = st.lists(st.sampled_from("logs are kept for 30 days in the EU only".split()), max_size=9)


def citation(quote: str) -> Citation:
    return Citation("d", "", quote, 0, len(quote), None, (), ())


def test_a_citation_quotes_the_document(make_chunk: Callable[..., Chunk]) -> None:
    document = "Preface.  Logs are kept.\n They\nexpire."
    chunk = make_chunk(
        ["Logs are kept.", "They\nexpire."],
        separator="\n ",
        start=10,
        doc_id="handbook",
        title="Handbook",
        page=3,
        headings=("Retention",),
        also_in=("copy",),
    )
    cited = cite(Evidence(chunk, 1, 1.0, None, 0.0, source=1))
    assert document[cited.start : cited.end] == cited.quote == "They\nexpire."
    assert (cited.doc_id, cited.title, cited.page) == ("handbook", "Handbook", 3)
    assert (cited.headings, cited.also_in) == (("Retention",), ("copy",))


@pytest.mark.parametrize(
    ("answer", "quotes", "expected"),
    [
        ("Logs are kept.", ["Logs are kept."], 1.0),
        ("Logs keep.", ["The log is kept for long, keeping on."], 1.0),
        ("Logs are deleted.", ["Logs are kept."], 0.5),
        ("Logs are deleted.", ["Logs are kept.", "They are deleted."], 1.0),
        ("Nothing alike", ["Logs are kept."], 0.0),
        ("Logs are kept.", [], 0.0),
        ("It is.", ["It is."], 1.0),
        ("It is.", [], 0.0),
    ],
)
def test_the_share_of_an_answer_that_its_citations_hold(
    answer: str, quotes: list[str], expected: float
) -> None:
    assert groundedness(answer, [citation(q) for q in quotes], ANALYZER) == expected


@given(words, st.lists(words, max_size=3), words)
def test_another_citation_never_makes_an_answer_less_grounded(
    answer: list[str], quotes: list[list[str]], more: list[str]
) -> None:
    cited = [citation(" ".join(quote)) for quote in quotes]
    before = groundedness(" ".join(answer), cited, ANALYZER)
    after = groundedness(" ".join(answer), [*cited, citation(" ".join(more))], ANALYZER)
    assert 0 <= before <= after <= 1
