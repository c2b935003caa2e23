import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bench.attributed import Judged, joined, judged
from eval.bench.discrimination import (
    at_share,
    balanced_accuracy,
    best_threshold,
    equal_weights,
    fit_signed,
    interval,
    rank_correlation,
    ranked_auroc,
    ranks,
)
from eval.bench.grounding_scores import responses, rouge_l_precision
from eval.bench.logistic import auroc, fit_binary, reliability
from eval.bench.planted import planted
from eval.bench.reliability_plot import drawn
from rag.build import build_groundedness, build_splitter
from rag.claims import grounded_share, statements
from rag.errors import ValueRangeError
from rag.grounding import LEXICAL

DRAW = np.random.default_rng(11)
PASSAGES = [
    (
        "Maria Keller founded the company in Hamburg in March 1998, and it has 1,000 employees. "
        "The first pump was not sold before 2001 because the valve of Peter Braun failed."
    ),
    (
        "The river rises in the northern hills near Oslo and flows for 300 kilometres to the sea. "
        "In May the water is high, which makes it hard for boats to pass under the old bridge."
    ),
]


def test_balanced_accuracy_by_hand() -> None:
    p, right = np.array([0.9, 0.4, 0.6, 0.1, 0.2]), np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    assert balanced_accuracy(p, right) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert balanced_accuracy(p, right, 0.4) == pytest.approx((1 + 2 / 3) / 2)
    with pytest.raises(ValueRangeError):
        balanced_accuracy(p, np.ones(5))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2))
def test_the_area_from_ranks_is_that_of_all_pairs(rows: list[tuple[int, bool]]) -> None:
    p, right = np.array([float(a) for a, _ in rows]), np.array([float(b) for _, b in rows])
    if 0 < right.sum() < len(right):
        assert ranked_auroc(p, right) == pytest.approx(auroc(p, right))
    by_pairs = [(p < value).sum() + ((p == value).sum() + 1) / 2 for value in p]
    assert ranks(p) == pytest.approx(by_pairs)


def test_rank_correlation_by_hand() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([10.0, 40.0, 20.0, 50.0, 30.0])
    # Without ties it is 1 - 6 sum d^2 / (n (n^2 - 1)), here with d = 0, 2, 1, 1, 2.
    assert rank_correlation(a, b) == pytest.approx(1 - 6 * 10 / (5 * 24))
    assert rank_correlation(a, np.exp(a)) == pytest.approx(1.0)
    assert rank_correlation(np.array([1.0, 1.0, 2.0]), np.array([3.0, 3.0, 7.0])) == pytest.approx(
        1
    )


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_is_better_than_the_best(rows: list[tuple[int, bool]]) -> None:
    score, right = np.array([float(a) for a, _ in rows]), np.array([float(b) for _, b in rows])
    weight = np.arange(1.0, len(rows) + 1)

    def gain(threshold: float) -> float:
        return float(weight[(score >= threshold) == (right == 1)].sum())

    assert gain(best_threshold(score, right, weight)) == max(gain(t) for t in np.unique(score))


def test_each_set_and_class_counts_the_same() -> None:
    names, right = ["a", "a", "a", "b", "b"], np.array([1.0, 0.0, 0.0, 1.0, 0.0])
    weight = equal_weights(names, right, {"b": 0.5})
    assert list(weight) == [250.0, 125.0, 125.0, 125.0, 125.0]


def test_a_signed_fit_drops_what_speaks_the_wrong_way() -> None:
    x = DRAW.normal(size=(500, 2))
    y = (x @ [1.5, -1.0] + DRAW.normal(size=500) > 0).astype(float)
    free, one = fit_binary(x, y, np.ones(500)), fit_binary(x[:, :1], y, np.ones(500))
    assert fit_signed(x, y, np.ones(500), [1, -1]) == pytest.approx(free)
    assert fit_signed(x, y, np.ones(500), [1, 1]) == pytest.approx([*one, 0.0])
    assert list(fit_signed(x, y, np.ones(500), [-1, 1])[1:]) == [0.0, 0.0]


def test_probabilities_move_to_another_share() -> None:
    p = np.array([0.2, 0.5, 0.9])
    assert at_share(p, 0.5) == pytest.approx(p)
    assert at_share(p, 0.1)[1] == pytest.approx(0.1)


def test_an_interval_resamples_whole_groups() -> None:
    score, right = DRAW.normal(size=200), (DRAW.random(200) < 0.4).astype(float)
    score += right
    alone = interval(ranked_auroc, score, right, [str(i) for i in range(200)], 200)
    copies = interval(
        ranked_auroc,
        np.tile(score, 4),
        np.tile(right, 4),
        [str(i) for i in range(200)] * 4,
        200,
    )
    assert alone.low < alone.value < alone.high
    # Four copies of everything tell nothing new.
    assert copies.high - copies.low == pytest.approx(alone.high - alone.low, rel=0.3)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1))
def test_what_shares_a_key_is_in_one_group(pairs: list[tuple[str, str]]) -> None:
    groups = joined(pairs)
    for (one, a), (other, b) in pairwise(zip(pairs, groups, strict=True)):
        if set(one) & set(other):
            assert a == b


def test_what_shares_nothing_is_not() -> None:
    assert len(set(joined([("a", "x"), ("b", "x"), ("b", "y"), ("c", "z")]))) == 2


def test_rouge_l_precision_by_hand() -> None:
    assert rouge_l_precision("the cat sat down", "the black cat then sat") == 3 / 4
    assert rouge_l_precision("sat cat", "cat sat") == 1 / 2
    assert rouge_l_precision("", "cat") == 0.0


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_rouge_l_against_the_textbook_table(said: list[str], known: list[str]) -> None:
    best = [[0] * (len(known) + 1) for _ in range(len(said) + 1)]
    for i, a in enumerate(said):
        for j, b in enumerate(known):
            same = best[i][j] + 1 if a == b else 0
            best[i + 1][j + 1] = max(same, best[i][j + 1], best[i + 1][j])
    expected = best[-1][-1] / len(said) if said else 0.0
    assert rouge_l_precision(" ".join(said), " ".join(known)) == pytest.approx(expected)


def test_planted_errors_are_errors_and_true_statements_are_true() -> None:
    made = list(planted(PASSAGES, build_splitter()))
    assert made == list(planted(PASSAGES, build_splitter()))
    by_kind = {p.kind: p for p in made}
    assert {"number", "date", "name", "negation", "opposite", "unit"} <= set(by_kind)
    assert all(p.statement not in p.passage for p in made if not p.true)
    assert all(p.statement in p.passage for p in made if p.kind == "verbatim")
    shortened = by_kind["cut short"]
    assert shortened.true
    assert shortened.statement.removesuffix(".") in shortened.passage


def test_the_product_calls_planted_errors_less_likely() -> None:
    scorer = build_groundedness(None)
    rows = [
        (p, scorer.score([p.statement], [p.passage])[0])
        for p in planted(PASSAGES, build_splitter())
    ]
    true = min(value for p, value in rows if p.kind in ("verbatim", "cut short", "lower case"))
    assert max(v for p, v in rows if p.kind in ("number", "unit", "date", "negation")) < true


def test_a_response_is_scored_as_the_product_does() -> None:
    evidence = (PASSAGES[0],)
    said = "Maria Keller founded the company. It has 900 employees and a lake."
    item = Judged("begin", said, evidence, True, (), "g")
    empty = Judged("begin", said, (), False, (), "g")
    weights = np.array([LEXICAL.intercept, *LEXICAL.signals])
    found = responses([item, empty, item], "lexical").share(weights)
    parts = statements(said, build_splitter())
    expected = grounded_share(parts, build_groundedness(None).score(parts, evidence))
    assert found == pytest.approx([expected, 0.0, expected])


def test_sets_are_read_with_their_verdicts(tmp_path: Path) -> None:
    dialogue = {"context": "A b.", "response": "A.", "model": "m", "source": "cmu"}
    write(tmp_path / "begin/items.jsonl", [{**dialogue, "label": "Generic"}])
    both = [{**dialogue, "label": "generic", "grounded": g} for g in (None, True)]
    write(tmp_path / "faithdial_audit/items.jsonl", both)
    claim = {"claim": "C.", "doc_id": 1, "title": "T", "sentences": ["S."], "label": "SUPPORT"}
    write(tmp_path / "scifact/claims_evidence.jsonl", [claim])
    answer = {"id": "c<::>1", "response": "R.", "contexts": ["K."], "model": "m"}
    rated = {**answer, "faithfulness": [2, 3, 3], "answerability": ["PARTIAL"]}
    write(tmp_path / "mtrag/human_eval.jsonl", [rated])
    texts = [{"_id": str(i), "title": str(i), "text": text} for i, text in enumerate(PASSAGES * 4)]
    write(tmp_path / "squad_v1_dev/corpus.jsonl", texts)
    items = judged(tmp_path, build_splitter(), quick=False)
    natural = [(item.name, item.supported) for item in items if item.name != "planted"]
    assert natural == [
        ("begin", False),
        ("faithdial_audit", None),
        ("faithdial_audit", True),
        ("scifact", True),
        ("mtrag", False),
    ]
    assert items[0].group == items[1].group, "one context is on one half, in any set"
    assert items[3].evidence == ("T. S.",)
    assert items[4].rating == pytest.approx(8 / 3)


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_the_plot_is_a_picture_with_a_point_a_bin() -> None:
    bins = reliability(np.array([0.05, 0.95, 0.9]), np.array([0.0, 1.0, 1.0]))
    tree = ET.fromstring(drawn({"a & b": ("3 responses", bins)}))  # noqa: S314 -- our own text
    circles = [node for node in tree.iter() if node.tag.endswith("circle")]
    assert len(circles) == 2
    assert "a & b" in "".join(tree.itertext())
