"""Citations against results worked out by hand: each kind of damage has to cost something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.citations import CitationQuality, citation_quality, is_true
from eval.outcomes import Quote

TEXTS = {
    "a": "The pump is blue. It is covered for 24 months.",
    "b": "Ask Ada about the valve.",
}
BLUE = Quote("a", "The pump is blue.", 0, 17)
COVERED = Quote("a", "It is covered for 24 months.", 18, 46)
ASK = Quote("b", "Ask Ada about the valve.", 0, 24)


class Words:
    """Supports a statement with the share of its words that the evidence holds."""

    def score(self, statements: Sequence[str], evidence: Sequence[str]) -> tuple[float, ...]:
        held = set(" ".join(evidence).lower().replace(".", "").split())
        said = [set(statement.lower().replace(".", "").split()) for statement in statements]
        return tuple(float(words <= held) for words in said)


def judged(sentences: Sequence[str], quotes: Sequence[Quote]) -> tuple[float | None, float | None]:
    found = citation_quality(sentences, quotes, TEXTS, Words())
    return found.recall, found.precision


def test_true_quotes() -> None:
    assert all(is_true(quote, TEXTS) for quote in (BLUE, COVERED, ASK))


@pytest.mark.parametrize(
    ("damaged", "other"),
    [
        (replace(BLUE, doc_id="b"), ASK),
        (replace(BLUE, doc_id="c"), ASK),
        (replace(BLUE, start=1), ASK),
        (replace(BLUE, start=1, end=18), ASK),
        (replace(BLUE, start=-46, end=-29), ASK),
        (replace(BLUE, text="The pump is red!!"), ASK),
        (replace(BLUE, text="", start=3, end=3), ASK),
        (replace(BLUE, text=" ", start=3, end=4), ASK),
        (replace(ASK, end=99), BLUE),
    ],
)
def test_damaged_quotes(damaged: Quote, other: Quote) -> None:
    assert not is_true(damaged, TEXTS)
    sentences = ["The pump is blue.", "Ask Ada."]
    # Whole: both sentences supported, both citations needed. Damaged: one of two is left.
    assert judged(sentences, [BLUE, ASK]) == (1, 1)
    assert judged(sentences, [damaged, other]) == (0.5, 0.5)


def test_a_citation_that_nothing_needs_costs_precision() -> None:
    assert judged(["The pump is blue."], [BLUE, ASK]) == (1, 0.5)


def test_citations_that_support_only_together_are_all_needed() -> None:
    # "Ask Ada about 24 months": neither quote alone, both together.
    assert judged(["Ask Ada about 24 months."], [COVERED, ASK]) == (1, 1)


def test_a_third_that_adds_nothing_is_not_needed() -> None:
    assert judged(["Ask Ada about 24 months."], [COVERED, ASK, BLUE]) == (1, pytest.approx(2 / 3))


def test_citations_of_what_they_do_not_support_are_not_needed() -> None:
    assert judged(["The pump is green."], [BLUE, ASK]) == (0, 0)


def test_citing_the_same_twice_is_no_error() -> None:
    # As in ALCE: each of them alone supports the sentence.
    assert judged(["The pump is blue."], [BLUE, BLUE]) == (1, 1)


def test_nothing_cited_and_nothing_said() -> None:
    assert judged(["The pump is blue."], []) == (0, None)
    assert citation_quality([], [BLUE], TEXTS, Words()) == CitationQuality(None, 0)


@given(
    sentences=st.lists(
        st.sampled_from(["The pump is blue.", "Ask Ada.", "It is green.", "Blue Ada."]), min_size=1
    ),
    quotes=st.lists(st.sampled_from([BLUE, COVERED, ASK, replace(BLUE, start=1)]), max_size=4),
)
def test_shares_are_shares_and_order_is_no_matter(
    sentences: list[str], quotes: list[Quote]
) -> None:
    recall, precision = judged(sentences, quotes)
    assert recall is not None
    assert 0 <= recall <= 1
    assert (precision is None) == (not quotes)
    assert precision is None or 0 <= precision <= 1
    assert judged(sentences[::-1], quotes[::-1]) == (recall, precision)
