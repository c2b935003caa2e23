"""What is marked is what is measured."""

from __future__ import annotations

import re

from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.words import answer_recall
from eval.report.marks import marked, places

WORDS = st.lists(
    st.sampled_from("the The art party 45 days, (days) % — a “x” l’a".split()), max_size=9
)


def found(text: str, wanted: str) -> list[str]:
    return [text[span.start : span.end] for span in places(text, wanted)]


def test_an_answer_is_found_by_its_words() -> None:
    text = "Hand it in within 45 Days, (art, not a party). The Art!"
    assert found(text, "45 days") == ["45 Days"]
    assert sorted(set(found(text, "the art"))) == ["Art", "art"]
    assert found(text, "arty") == []


def test_an_answer_of_signs_only_is_found_as_a_word() -> None:
    assert set(found("up by 3 % in May", "%")) == {"%"}
    assert found("100%", "A") == []


def test_a_quotation_is_marked_to_the_letter() -> None:
    quote = "The seal (red) was broken."
    assert quote in found(f"[1] A\n{quote} Next.", quote)


@given(context=WORDS, answer=WORDS)
def test_whatever_counts_as_recalled_is_marked(context: list[str], answer: list[str]) -> None:
    text, wanted = " ".join(context), " ".join(answer)
    if answer_recall(text, [wanted]):
        assert places(text, wanted)


@given(context=WORDS, answer=WORDS, cited=WORDS)
def test_marking_changes_no_letter(context: list[str], answer: list[str], cited: list[str]) -> None:
    text = " ".join(context)
    wanted = {"answer": [" ".join(answer)], "cited": [" ".join(cited)], "evidence": []}
    html = marked(text, wanted)
    assert "".join(ElementTree.fromstring(f"<p>{html}</p>").itertext()) == text


def test_marks_that_overlap_carry_both_names() -> None:
    html = marked("a 45 days b", {"answer": ["45 days"], "cited": ["a 45 days b"]})
    assert re.findall(r'<mark class="([^"]*)"[^>]*>([^<]*)', html) == [
        ("cited", "a "),
        ("answer cited", "45 days"),
        ("cited", " b"),
    ]
