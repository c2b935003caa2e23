"""Metrics against results worked out by hand, and what must hold for any input."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import statistics
from eval.metrics import answers, retrieval, words
from rag.errors import ValueRangeError

WORDS = st.text(alphabet="abc the, .'\"XY1-", max_size=40)
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  U.S. Army's\nHQ!", "us armys hq"),
        ("An answer, a question; the end.", "answer question end"),
        ("theatre", "theatre"),
        ("", ""),
    ],
)
def test_normalised_follows_the_squad_script(text: str, expected: str) -> None:
    assert words.normalised(text) == expected


@pytest.mark.parametrize(
    ("context", "answers", "expected"),
    [
        ("It was held in Santa Clara, California.", ["Santa Clara California"], True),
        ("The party was over.", ["art"], False),
        ("In 1998 it rose.", ["98"], False),
        ("the   golden\nanniversary of it", ['"golden anniversary"'], True),
        ("He was called “Spurs”.", ["Spurs"], True),
        ("nothing here", ["missing", "here"], True),
        ("anything", [], False),
        ("golden, then an anniversary", ["golden anniversary"], False),
        ("golden age, anniversary", ["golden anniversary"], False),
        ("grade: the", ["The"], True),
        ("grade: B", ["The"], False),
    ],
)
def test_answer_recall(context: str, answers: list[str], expected: bool) -> None:
    assert words.answer_recall(context, answers) is expected


@given(before=WORDS, answer=WORDS, after=WORDS)
def test_an_answer_with_space_around_it_is_found(before: str, answer: str, after: str) -> None:
    found = words.answer_recall(f"{before} {answer} {after}", [answer])
    assert found or not answer.strip()


@given(context=WORDS, answer=WORDS, more=WORDS)
def test_more_context_never_loses_an_answer(context: str, answer: str, more: str) -> None:
    if words.answer_recall(context, [answer]):
        assert words.answer_recall(f"{context}\n{more}", [answer])


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "f1"),
    [
        ("the 45 days", ["45 days."], True, 1.0),
        ("45 days", ["30 days", "45"], False, 2 * 1 / 3),
        ("big big dog", ["big dog dog"], False, 2 * 2 / 6),
        ("cat", ["dog"], False, 0.0),
        ("the", ["a"], True, 1.0),
        ("", ["dog"], False, 0.0),
        ("dog", [], False, 0.0),
    ],
)
def test_exact_match_and_f1(answer: str, golds: list[str], exact: bool, f1: float) -> None:
    assert answers.exact_match(answer, golds) is exact
    assert answers.token_f1(answer, golds) == pytest.approx(f1)


@given(answer=WORDS, gold=WORDS)
def test_f1_is_symmetric_and_one_for_exact_matches(answer: str, gold: str) -> None:
    f1 = answers.token_f1(answer, [gold])
    assert 0 <= f1 <= 1
    assert f1 == answers.token_f1(gold, [answer])
    if answers.exact_match(answer, [gold]):
        assert f1 == 1


def test_recall_at_k() -> None:
    ranking, gold = ["a", "b", "c", "d"], {"b", "d", "z"}
    assert retrieval.recall_at(ranking, gold, 1) == 0
    assert retrieval.recall_at(ranking, gold, 2) == pytest.approx(1 / 3)
    assert retrieval.recall_at(ranking, gold, 10) == pytest.approx(2 / 3)


def test_ndcg_worked_by_hand() -> None:
    # Gains 0, 3, 0, 1 at ranks 1 to 4; ideal 3, 2, 1.
    grades = {"b": 3, "d": 1, "z": 2}
    dcg = 3 / math.log2(3) + 1 / math.log2(5)
    ideal = 3 + 2 / math.log2(3) + 1 / 2
    assert retrieval.ndcg_at(["a", "b", "c", "d"], grades) == pytest.approx(dcg / ideal)


def test_ndcg_cuts_both_rankings_and_counts_a_repeated_document_once() -> None:
    grades = {"a": 1, "b": 1}
    assert retrieval.ndcg_at(["a", "b"], grades, k=1) == 1
    assert retrieval.ndcg_at(["x", "b"], grades, k=1) == 0
    assert retrieval.ndcg_at(["a", "a", "b"], grades) == 1


def test_reciprocal_rank() -> None:
    assert retrieval.reciprocal_rank(["a", "b", "c"], {"b", "c"}) == 0.5
    assert retrieval.reciprocal_rank(["a"], {"z"}) == 0


@pytest.mark.parametrize("k", [0, -1])
def test_a_cutoff_below_one_is_refused(k: int) -> None:
    with pytest.raises(ValueRangeError, match="cutoff"):
        retrieval.recall_at(["a"], {"a"}, k)


def test_questions_without_gold_are_refused() -> None:
    for metric in (
        lambda: retrieval.ndcg_at(["a"], {}),
        lambda: retrieval.reciprocal_rank(["a"], ()),
    ):
        with pytest.raises(ValueRangeError, match="gold"):
            metric()


@given(
    order=st.permutations([f"d{i}" for i in range(12)]),
    grades=st.dictionaries(
        st.sampled_from([f"d{i}" for i in range(12)]), st.integers(1, 3), min_size=1
    ),
)
def test_ndcg_is_one_exactly_for_a_best_order(order: list[str], grades: dict[str, int]) -> None:
    ideal = sorted(order, key=lambda doc: -grades.get(doc, 0))
    assert retrieval.ndcg_at(ideal, grades) == pytest.approx(1)
    assert 0 <= retrieval.ndcg_at(order, grades) <= 1 + 1e-12


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 10), (25, 10), (26, 20), (50, 20), (95, 40), (100, 40)]
)
def test_percentile_by_nearest_rank(percent: float, expected: float) -> None:
    assert statistics.percentile([40, 10, 30, 20], percent) == expected


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_percentile_refuses(values: list[float], percent: float) -> None:
    with pytest.raises(ValueRangeError, match="percentile"):
        statistics.percentile(values, percent)


@given(values=VALUES, percent=st.floats(0.1, 100))
def test_percentile_is_a_value_that_enough_do_not_exceed(
    values: list[float], percent: float
) -> None:
    found = statistics.percentile(values, percent)
    assert found in values
    assert sum(v <= found for v in values) >= len(values) * percent / 100 - 1e-9


@given(values=VALUES)
def test_the_interval_holds_the_mean_and_is_reproducible(values: list[float]) -> None:
    found = statistics.mean_estimate(values, seed=3, resamples=50)
    assert found.low <= found.mean <= found.high
    assert found.n == len(values)
    assert found == statistics.mean_estimate(values, seed=3, resamples=50)


def test_the_interval_is_about_two_standard_errors_wide() -> None:
    values = [0.0, 1.0] * 200  # standard error 0.5 / sqrt(400) = 0.025
    found = statistics.mean_estimate(values)
    assert found.mean == 0.5
    assert 0.5 - found.low == pytest.approx(1.96 * 0.025, rel=0.15)
    assert found.high - 0.5 == pytest.approx(1.96 * 0.025, rel=0.15)


def test_equal_values_have_no_spread() -> None:
    assert statistics.mean_estimate([0.1] * 7) == statistics.Estimate(
        pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1), 7
    )


def test_paired_difference_is_narrower_than_the_two_apart() -> None:
    theirs = [0.0, 1.0] * 100
    ours = [min(1.0, value + (i % 10 == 0)) for i, value in enumerate(theirs)]
    paired = statistics.paired_difference(ours, theirs)
    assert paired.mean == pytest.approx(0.1)
    assert 0 < paired.low < paired.high < 0.2


def test_paired_values_need_one_length() -> None:
    with pytest.raises(ValueRangeError, match="paired"):
        statistics.paired_difference([1.0], [1.0, 2.0])
