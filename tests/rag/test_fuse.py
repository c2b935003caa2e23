import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.fuse import fuse, min_max
from rag.types import Hit

cosines = st.floats(-1, 1)
bm25_scores = st.floats(0.01, 1e3)
weights = st.floats(0, 1)
IDS = "abcdefgh"


@st.composite
def rankings(draw: st.DrawFn, scores: st.SearchStrategy[float]) -> list[Hit]:
    ids = draw(st.lists(st.sampled_from(IDS), unique=True))
    hits = [Hit(chunk_id, draw(scores)) for chunk_id in ids]
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))


dense_rankings, sparse_rankings = rankings(cosines), rankings(bm25_scores)
id_sets = st.frozensets(st.sampled_from(IDS))


def as_dict(hits: Sequence[Hit]) -> dict[str, float]:
    return {hit.chunk_id: hit.score for hit in hits}


def order(hits: Sequence[Hit]) -> list[str]:
    return [hit.chunk_id for hit in hits]


@given(dense_rankings, sparse_rankings, weights, id_sets)
def test_every_chunk_once_with_a_score_within_the_unit_interval(
    dense: list[Hit], sparse: list[Hit], weight: float, unembedded: frozenset[str]
) -> None:
    fused = fuse(dense, sparse, weight, unembedded)
    assert sorted(order(fused)) == sorted(as_dict(dense).keys() | as_dict(sparse).keys())
    assert all(0 <= hit.score <= 1 for hit in fused)
    assert not fused or fused[0].score == 1


@given(dense_rankings, sparse_rankings, weights, id_sets)
def test_best_first_and_ties_by_id(
    dense: list[Hit], sparse: list[Hit], weight: float, unembedded: frozenset[str]
) -> None:
    fused = fuse(dense, sparse, weight, unembedded)
    assert fused == sorted(fused, key=lambda hit: (-hit.score, hit.chunk_id))


@given(dense_rankings, sparse_rankings, weights, st.randoms(use_true_random=False))
def test_the_order_of_the_hits_does_not_matter(
    dense: list[Hit], sparse: list[Hit], weight: float, draw: random.Random
) -> None:
    shuffled = [draw.sample(dense, len(dense)), draw.sample(sparse, len(sparse))]
    assert fuse(shuffled[0], shuffled[1], weight) == fuse(dense, sparse, weight)


@given(dense_rankings, sparse_rankings, weights)
def test_a_leg_that_found_nothing_leaves_all_to_the_other(
    dense: list[Hit], sparse: list[Hit], weight: float
) -> None:
    assert as_dict(fuse(dense, [], weight)) == min_max(dense)
    assert as_dict(fuse([], sparse, weight)) == min_max(sparse)


@given(dense_rankings, sparse_rankings)
def test_weights_of_one_and_zero_rank_by_one_leg(dense: list[Hit], sparse: list[Hit]) -> None:
    if dense and sparse:
        fused = as_dict(fuse(dense, sparse, 1.0))
        assert {key: fused[key] for key in as_dict(dense)} == pytest.approx(min_max(dense))
        fused = as_dict(fuse(dense, sparse, 0.0))
        scaled = min_max(sparse)
        assert {key: fused[key] for key in scaled} == pytest.approx(scaled, abs=1e-6)


@given(sparse_rankings, st.floats(0.1, 100))
def test_the_scale_of_bm25_does_not_matter(sparse: list[Hit], factor: float) -> None:
    dense = [Hit("a", 0.5), Hit("x", 0.4)]
    whole = [Hit(hit.chunk_id, float(round(hit.score) + 1)) for hit in sparse]
    scaled = [Hit(hit.chunk_id, hit.score * factor) for hit in whole]
    assert as_dict(fuse(dense, scaled, 0.6)) == pytest.approx(as_dict(fuse(dense, whole, 0.6)))


@given(dense_rankings, sparse_rankings, weights)
def test_first_in_both_legs_is_first_in_both_fused(
    dense: list[Hit], sparse: list[Hit], weight: float
) -> None:
    best = "0 best"
    fused = fuse([Hit(best, 1.0), *dense], [Hit(best, 1e3), *sparse], weight)
    assert fused[0] == Hit(best, 1.0)


@given(dense_rankings, sparse_rankings, weights, st.sampled_from(IDS))
def test_being_ranked_by_a_leg_is_never_a_loss(
    dense: list[Hit], sparse: list[Hit], weight: float, chunk_id: str
) -> None:
    others = [hit for hit in dense if hit.chunk_id != chunk_id]
    if not others or all(hit.chunk_id == chunk_id for hit in sparse):
        return
    inside = max(hit.score for hit in others)
    ranked = order(fuse([*others, Hit(chunk_id, inside)], sparse, weight))
    unranked = order(fuse(others, sparse, weight))
    if chunk_id in unranked:
        assert ranked.index(chunk_id) <= unranked.index(chunk_id)


def test_a_worked_example() -> None:
    dense = [Hit("a", 0.8), Hit("b", 0.7), Hit("c", 0.6)]
    sparse = [Hit("b", 12.0), Hit("d", 9.0), Hit("a", 6.0)]  # shares: 1, 0.75, 0.5
    # a: .6*.8 + .4*.5, b: .6*.7 + .4*1, c: .6*.6 + .4*.5 (the least share), d: .6*.6 + .4*.75
    sums = {"b": 0.82, "a": 0.68, "d": 0.66, "c": 0.56}
    fused = fuse(dense, sparse, 0.6)
    assert order(fused) == ["b", "a", "d", "c"]
    expected = {key: (value - 0.56) / (0.82 - 0.56) for key, value in sums.items()}
    assert as_dict(fused) == pytest.approx(expected)


def test_words_decide_where_no_cosine_stands_out_and_do_not_where_one_does() -> None:
    sparse = [Hit("word", 10.0), Hit("sense", 5.0)]
    flat = [Hit("sense", 0.32), Hit("word", 0.30)]
    clear = [Hit("sense", 0.70), Hit("word", 0.30)]
    assert order(fuse(flat, sparse, 0.7)) == ["word", "sense"]
    assert order(fuse(clear, sparse, 0.7)) == ["sense", "word"]


def test_a_chunk_without_a_vector_is_unknown_to_the_dense_leg_not_far_from_the_question() -> None:
    dense = [Hit("a", 0.6), Hit("b", 0.2)]
    sparse = [Hit("new", 10.0), Hit("a", 9.0), Hit("b", 8.0)]
    assert order(fuse(dense, sparse, 0.7)) == ["a", "new", "b"]
    assert order(fuse(dense, sparse, 0.7, {"new"})) == ["new", "a", "b"]


@given(dense_rankings, sparse_rankings, st.floats(0, 0.99))
def test_chunks_without_vectors_keep_the_order_of_the_lexical_leg(
    dense: list[Hit], sparse: list[Hit], weight: float
) -> None:
    apart = [Hit(f"{hit.chunk_id}0", float(round(hit.score))) for hit in sparse]
    waiting = {hit.chunk_id for hit in apart}
    ranked = [i for i in order(fuse(dense, apart, weight, waiting)) if i in waiting]
    assert ranked == order(sorted(apart, key=lambda hit: (-hit.score, hit.chunk_id)))


@given(dense_rankings, sparse_rankings, weights)
def test_embedding_changes_nothing_for_chunks_that_no_leg_found(
    dense: list[Hit], sparse: list[Hit], weight: float
) -> None:
    assert fuse(dense, sparse, weight, {"elsewhere"}) == fuse(dense, sparse, weight)


def test_equal_scores_are_all_ones() -> None:
    assert min_max([Hit("a", 3.0), Hit("b", 3.0)]) == {"a": 1.0, "b": 1.0}
    assert min_max([]) == {}
    assert fuse([], [], 0.5) == []


def test_ties_go_to_the_smaller_id() -> None:
    fused = fuse([Hit("z", 1.0), Hit("m", 1.0), Hit("a", 1.0)], [], 0.5)
    assert order(fused) == ["a", "m", "z"]
