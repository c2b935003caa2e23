import re
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from rag.adapters.analysis import EnglishAnalyzer
from rag.terms import compounds, embedded_prefix, indexed_text, source_line
from rag.types import Chunk

MakeChunk = Callable[..., Chunk]
ANALYZER = EnglishAnalyzer()


def test_compounds_are_the_terms_beside_those_of_the_parts() -> None:
    (joined,) = compounds("restart the kube-apiserver", ANALYZER)
    assert [joined] == ANALYZER.terms("kubeapiserver")
    assert compounds("restart - the. kube_ apiserver", ANALYZER) == frozenset()


@given(st.text(alphabet="ab1-_. ", max_size=20))
def test_all_terms_but_compounds_are_those_of_the_words_apart(text: str) -> None:
    every, optional = set(ANALYZER.terms(text)), compounds(text, ANALYZER)
    apart = set(ANALYZER.terms(re.sub("[-_.]", " ", text)))
    assert every == apart | optional
    assert optional == every - apart


def test_the_source_line_holds_what_the_text_does_not_show(make_chunk: MakeChunk) -> None:
    chunk = make_chunk(
        ["Retention", "Logs are kept."], title="Handbook", headings=("Data", "Retention")
    )
    assert source_line(chunk) == "Handbook, Data"
    assert indexed_text(chunk) == "Handbook, Data\nRetention Logs are kept."
    assert embedded_prefix(chunk) == "Handbook, Data: "


def test_a_name_stands_once_and_an_empty_one_not_at_all(make_chunk: MakeChunk) -> None:
    chunk = make_chunk(["x"], title="Data", headings=("Data", "", "Logs"))
    assert source_line(chunk) == "Data, Logs"


def test_without_names_there_is_no_prefix(make_chunk: MakeChunk) -> None:
    assert embedded_prefix(make_chunk(["Logs are kept."])) == ""
    assert indexed_text(make_chunk(["Logs are kept."])) == "\nLogs are kept."


@example(title="x" * 150, headings=["y" * 150])
@given(title=st.text(max_size=300), headings=st.lists(st.text(max_size=300), max_size=4))
def test_the_prefix_is_bounded(make_chunk: MakeChunk, title: str, headings: list[str]) -> None:
    chunk = make_chunk(["Logs are kept."], title=title, headings=tuple(headings))
    assert len(embedded_prefix(chunk)) <= 202
    assert indexed_text(chunk).endswith(chunk.text)
