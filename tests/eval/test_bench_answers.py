import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bench.calibrate import Judged, fit
from eval.bench.logistic import (
    auroc,
    calibration_error,
    fit_binary,
    fit_choice,
    reliability,
)

DRAW = np.random.default_rng(7)


def test_a_binary_fit_finds_the_weights_that_made_the_labels() -> None:
    x = DRAW.normal(size=(4000, 2))
    p = 1 / (1 + np.exp(-(0.5 + x @ [2.0, -1.0])))
    y = (DRAW.random(4000) < p).astype(float)
    assert fit_binary(x, y, np.ones(4000)) == pytest.approx([0.5, 2.0, -1.0], abs=0.2)


def test_weights_count_like_copies() -> None:
    x = DRAW.normal(size=(60, 2))
    y = (x[:, 0] + DRAW.normal(size=60) > 0).astype(float)
    twice = fit_binary(np.vstack([x, x]), np.r_[y, y], np.ones(120))
    assert fit_binary(x, y, np.full(60, 2.0)) == pytest.approx(twice)


def test_a_choice_fit_finds_the_weights_that_made_the_choices() -> None:
    groups = []
    for _ in range(1500):
        x = DRAW.normal(size=(6, 2))
        odds = np.exp(x @ [1.5, -1.0])
        right = np.zeros(6)
        right[DRAW.choice(6, p=odds / odds.sum())] = 1.0
        groups.append((x, right))
    assert fit_choice(groups) == pytest.approx([1.5, -1.0], abs=0.15)


def test_either_of_two_right_candidates_will_do() -> None:
    signs = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    weights = fit_choice([(signs, np.array([1.0, 1.0, 0.0]))] * 20)
    assert weights[0] > 1


def test_auroc_by_hand() -> None:
    p = np.array([0.9, 0.8, 0.8, 0.1])
    assert auroc(p, np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx(3.5 / 4)
    assert auroc(p, np.ones(4)) is None


def test_calibration_error_by_hand() -> None:
    p = np.array([0.05, 0.05, 0.95, 1.0])
    right = np.array([0.0, 0.0, 1.0, 0.0])
    bins = reliability(p, right)
    assert list(bins[0]) == pytest.approx([2, 0.05, 0.0])
    assert list(bins[9]) == pytest.approx([2, 0.975, 0.5])
    assert bins[5] == (0, 0.0, 0.0)
    assert calibration_error(p, right) == pytest.approx(0.5 * 0.05 + 0.5 * 0.475)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_calibration_error_is_a_share(pairs: list[tuple[float, bool]]) -> None:
    p, right = np.array([p for p, _ in pairs]), np.array([float(y) for _, y in pairs])
    assert 0 <= calibration_error(p, right) <= 1
    assert sum(n for n, _, _ in reliability(p, right)) == len(pairs)


def judged(name: str, right: list[float]) -> Judged:
    y = np.array(right)
    return Judged(name, y[:, None] + DRAW.normal(size=(len(y), 1)), y, np.ones(len(y)))


def test_only_even_questions_of_named_sets_are_fitted_on() -> None:
    labels = [float(n % 3 == 0) for n in range(60)]
    squad, nq = judged("squad", labels), judged("nq_gold", labels)
    assert len(squad.unseen().right) == 30
    assert len(nq.unseen().right) == 60
    alone = fit([squad])
    squad.signals[1::2] = 100.0
    nq.signals[:] = -100.0
    assert fit([squad, nq]) == alone
    assert alone.weights[0] > 0
