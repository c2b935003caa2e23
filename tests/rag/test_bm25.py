"""BM25 weights against the formula, and what must hold for any passage."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import bm25
from rag.errors import ValueRangeError

TERMS = st.lists(st.integers(0, 2**32 - 1), max_size=40)


def test_a_weight_worked_by_hand() -> None:
    # Term 7 twice among 4 terms, mean length 5: 2 * 2.2 / (2 + 1.2 * (.25 + .75 * .8)).
    vector = bm25.document_vector([7, 3, 7, 9], 5.0)
    assert vector.indices == (3, 7, 9)
    assert vector.values == pytest.approx((2.2 / 2.02, 4.4 / 3.02, 2.2 / 2.02))


def test_idf_worked_by_hand() -> None:
    assert bm25.idf(10, 3) == pytest.approx(math.log(1 + 7.5 / 3.5))
    assert bm25.idf(0, 0) == pytest.approx(math.log(2))


def test_a_query_counts_repeated_terms() -> None:
    vector = bm25.query_vector([5, 2, 5])
    assert (vector.indices, vector.values) == ((2, 5), (1.0, 2.0))


def test_no_terms_make_an_empty_vector() -> None:
    assert bm25.document_vector([], 5.0) == bm25.query_vector([])


@pytest.mark.parametrize("mean_length", [0.0, -1.0, math.nan, math.inf])
def test_a_mean_length_that_is_no_length_is_refused(mean_length: float) -> None:
    with pytest.raises(ValueRangeError, match="mean passage length"):
        bm25.document_vector([1], mean_length)


@pytest.mark.parametrize(("size", "held"), [(3, 4), (3, -1), (-1, 0)])
def test_an_impossible_document_frequency_is_refused(size: int, held: int) -> None:
    with pytest.raises(ValueRangeError, match="document frequency"):
        bm25.idf(size, held)


@given(terms=TERMS, mean_length=st.floats(0.5, 1e4))
def test_weights_are_positive_bounded_and_sorted_by_term(
    terms: list[int], mean_length: float
) -> None:
    vector = bm25.document_vector(terms, mean_length)
    assert vector.indices == tuple(sorted(set(terms)))
    assert all(0 < weight < bm25.K1 + 1 for weight in vector.values)


@given(terms=TERMS.filter(bool), mean_length=st.floats(0.5, 1e4))
def test_one_more_occurrence_in_place_of_another_term_weighs_more(
    terms: list[int], mean_length: float
) -> None:
    filler = 2**32
    before = bm25.document_vector([*terms, filler], mean_length)
    after = bm25.document_vector([*terms, terms[0]], mean_length)
    weight = before.values[before.indices.index(terms[0])]
    assert after.values[after.indices.index(terms[0])] > weight


@given(size=st.integers(1, 10**7), data=st.data())
def test_idf_is_positive_and_falls_with_frequency(size: int, data: st.DataObject) -> None:
    held = data.draw(st.integers(0, size - 1))
    assert bm25.idf(size, held) > bm25.idf(size, held + 1) > 0
