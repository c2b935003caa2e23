import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.fuse import fuse, min_max
from rag.types import Hit

scores = st.floats(-1e6, 1e6, allow_nan=False)
weights = st.floats(0, 1)


@st.composite
def rankings(draw: st.DrawFn) -> list[Hit]:
    ids = draw(st.lists(st.sampled_from("abcdefgh"), unique=True))
    hits = [Hit(chunk_id, draw(scores)) for chunk_id in ids]
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))


def as_dict(hits: Sequence[Hit]) -> dict[str, float]:
    return {hit.chunk_id: hit.score for hit in hits}


@given(rankings(), rankings(), weights)
def test_every_chunk_once_with_a_score_within_the_unit_interval(
    dense: list[Hit], sparse: list[Hit], weight: float
) -> None:
    fused = fuse(dense, sparse, weight)
    assert sorted(as_dict(fused)) == sorted(as_dict(dense).keys() | as_dict(sparse).keys())
    assert len(fused) == len(as_dict(fused))
    assert all(0 <= hit.score <= 1 + 1e-12 for hit in fused)


@given(rankings(), rankings(), weights)
def test_best_first_and_ties_by_id(dense: list[Hit], sparse: list[Hit], weight: float) -> None:
    fused = fuse(dense, sparse, weight)
    assert fused == sorted(fused, key=lambda hit: (-hit.score, hit.chunk_id))


@given(rankings(), rankings(), weights, st.randoms(use_true_random=False))
def test_the_order_of_the_hits_does_not_matter(
    dense: list[Hit], sparse: list[Hit], weight: float, order: random.Random
) -> None:
    shuffled = [order.sample(dense, len(dense)), order.sample(sparse, len(sparse))]
    assert fuse(shuffled[0], shuffled[1], weight) == fuse(dense, sparse, weight)


@given(rankings(), rankings(), weights)
def test_swapping_the_legs_mirrors_the_weight(
    dense: list[Hit], sparse: list[Hit], weight: float
) -> None:
    mirrored = as_dict(fuse(sparse, dense, 1 - weight))
    assert mirrored == pytest.approx(as_dict(fuse(dense, sparse, weight)), abs=1e-9)


@given(rankings(), weights)
def test_a_leg_that_found_nothing_leaves_the_weight_to_the_other(
    hits: list[Hit], weight: float
) -> None:
    assert as_dict(fuse(hits, [], weight)) == as_dict(fuse([], hits, weight)) == min_max(hits)


@given(rankings(), rankings())
def test_weights_of_one_and_zero_rank_by_one_leg(dense: list[Hit], sparse: list[Hit]) -> None:
    if dense and sparse:
        fused = as_dict(fuse(dense, sparse, 1.0))
        assert {key: fused[key] for key in as_dict(dense)} == min_max(dense)
        fused = as_dict(fuse(dense, sparse, 0.0))
        assert {key: fused[key] for key in as_dict(sparse)} == min_max(sparse)


@given(rankings(), st.floats(0.1, 100), scores)
def test_min_max_forgets_the_scale_of_a_leg(hits: list[Hit], factor: float, shift: float) -> None:
    whole = [Hit(hit.chunk_id, float(round(hit.score))) for hit in hits]
    scaled = [Hit(hit.chunk_id, hit.score * factor + shift) for hit in whole]
    assert min_max(scaled) == pytest.approx(min_max(whole), abs=1e-4)


@given(rankings(), rankings(), weights)
def test_first_in_both_legs_is_first_in_both_fused(
    dense: list[Hit], sparse: list[Hit], weight: float
) -> None:
    if dense and sparse:
        best = Hit("0 best", 2e6)
        first = fuse([best, *dense], [best, *sparse], weight)[0]
        assert first.chunk_id == "0 best"
        assert first.score == pytest.approx(1.0)


def test_a_worked_example() -> None:
    dense = [Hit("a", 0.9), Hit("b", 0.7), Hit("c", 0.5)]  # scaled: 1, 0.5, 0
    sparse = [Hit("b", 12.0), Hit("d", 9.0), Hit("a", 6.0)]  # scaled: 1, 0.5, 0
    fused = fuse(dense, sparse, 0.6)
    assert [hit.chunk_id for hit in fused] == ["b", "a", "d", "c"]
    assert as_dict(fused) == pytest.approx({"b": 0.7, "a": 0.6, "d": 0.2, "c": 0.0})


def test_equal_scores_are_all_ones() -> None:
    assert min_max([Hit("a", 3.0), Hit("b", 3.0)]) == {"a": 1.0, "b": 1.0}
    assert min_max([]) == {}
    assert fuse([], [], 0.5) == []


def test_ties_go_to_the_smaller_id() -> None:
    fused = fuse([Hit("z", 1.0), Hit("m", 1.0), Hit("a", 1.0)], [], 0.5)
    assert [hit.chunk_id for hit in fused] == ["a", "m", "z"]
