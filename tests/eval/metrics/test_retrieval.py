"""Rankings against results worked out by hand and against trec_eval itself."""

from __future__ import annotations

import math

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import retrieval
from rag.errors import ValueRangeError

DOCUMENTS = [f"d{i:02}" for i in range(30)]
RANKINGS = st.lists(st.sampled_from(DOCUMENTS), unique=True, min_size=1, max_size=25)
GRADES = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(1, 4), min_size=1, max_size=15)


@given(ranking=RANKINGS, grades=GRADES)
def test_trec_eval_says_the_same(ranking: list[str], grades: dict[str, int]) -> None:
    measures = {"recall.5,10", "ndcg_cut.10", "recip_rank", "map"}
    run = {doc: float(len(ranking) - rank) for rank, doc in enumerate(ranking)}
    oracle = pytrec_eval.RelevanceEvaluator({"q": grades}, measures).evaluate({"q": run})["q"]
    assert retrieval.recall_at(ranking, grades, 5) == pytest.approx(oracle["recall_5"])
    assert retrieval.recall_at(ranking, grades, 10) == pytest.approx(oracle["recall_10"])
    assert retrieval.ndcg_at(ranking, grades) == pytest.approx(oracle["ndcg_cut_10"])
    assert retrieval.reciprocal_rank(ranking, grades) == pytest.approx(oracle["recip_rank"])
    assert retrieval.average_precision(ranking, grades) == pytest.approx(oracle["map"])


@given(ranking=RANKINGS, grades=GRADES, again=st.lists(st.integers(0, 24), max_size=5))
def test_a_document_that_stands_again_changes_nothing(
    ranking: list[str], grades: dict[str, int], again: list[int]
) -> None:
    repeated = list(ranking)
    for place in again:
        later = min(place, len(ranking) - 1)
        repeated.insert(repeated.index(ranking[later]) + 1, ranking[later])
    for k in (1, 5, 10):
        assert retrieval.recall_at(repeated, grades, k) == retrieval.recall_at(ranking, grades, k)
    assert retrieval.ndcg_at(repeated, grades) == retrieval.ndcg_at(ranking, grades)
    assert retrieval.reciprocal_rank(repeated, grades) == retrieval.reciprocal_rank(ranking, grades)
    precisions = [retrieval.average_precision(r, grades) for r in (repeated, ranking)]
    assert precisions[0] == precisions[1]


def test_average_precision_worked_by_hand() -> None:
    # Found at ranks 2 and 4, precisions 1/2 and 2/4; z is never found: (1/2 + 1/2 + 0) / 3.
    ranking, gold = ["a", "b", "c", "d"], {"b", "d", "z"}
    assert retrieval.average_precision(ranking, gold) == pytest.approx(1 / 3)
    assert retrieval.average_precision(["b", "d", "z", "a"], gold) == 1
    assert retrieval.average_precision([], gold) == 0


def test_duplicates_worked_by_hand() -> None:
    # As if the ranking were x, b: b has rank 2.
    ranking, gold = ["x", "x", "x", "b", "b"], {"b", "z"}
    assert retrieval.recall_at(ranking, gold, 2) == 0.5
    assert retrieval.reciprocal_rank(ranking, gold) == 0.5
    assert retrieval.average_precision(ranking, gold) == (1 / 2) / 2


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
        lambda: retrieval.average_precision(["a"], ()),
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


def test_a_gold_document_that_is_not_relevant_is_refused() -> None:
    with pytest.raises(ValueRangeError, match="grade"):
        retrieval.ndcg_at(["a"], {"a": 1, "b": 0})
