from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ValueRangeError
from rag.routing import Thresholds, extracted, route

SHARE = st.floats(0, 1)


def choice(confidence: float) -> Any:
    """Return all that a route reads of a choice."""
    return SimpleNamespace(confidence=confidence)


@st.composite
def thresholds(draw: st.DrawFn) -> Thresholds:
    low, high = sorted((draw(SHARE), draw(SHARE)))
    return Thresholds(answer=draw(SHARE), extract=high, generate=low)


@pytest.mark.parametrize(
    ("sure", "way", "why"),
    [
        (0.8, "extract", "sure enough without a model (0.80 >= 0.80)"),
        (0.79, "generate", "not sure enough (0.79 < 0.80)"),
        (0.2, "generate", "not sure enough (0.20 < 0.80)"),
        (0.19, "abstain", "no sentence answers it with enough confidence (0.19 < 0.20)"),
    ],
)
def test_the_way_by_confidence(sure: float, way: str, why: str) -> None:
    limits = Thresholds(extract=0.8, generate=0.2)
    assert route(choice(sure), "auto", limits) == (way, why)


def test_the_way_where_that_is_told() -> None:
    limits = Thresholds()
    assert route(choice(0.9), "always", limits) == ("generate", "a model was asked for")
    assert route(choice(0.0), "always", limits).way == "generate"
    assert route(choice(0.5), "never", limits) == ("extract", "the best sentence")
    assert route(choice(0.49), "never", limits).why.endswith("(0.49 < 0.50)")
    assert route(None, "always", limits).way == "abstain"


@given(SHARE, thresholds())
def test_a_model_never_costs_an_answer_nor_lets_an_unsure_one_through(
    sure: float, limits: Thresholds
) -> None:
    without, with_model = (route(choice(sure), how, limits).way for how in ("never", "auto"))
    assert without == ("extract" if sure >= limits.answer else "abstain")
    if without == "extract":
        assert with_model in ("extract", "generate")
    else:
        assert with_model in ("abstain", "generate")
    if with_model == "generate":
        assert sure >= limits.generate


@given(SHARE, SHARE, thresholds())
def test_who_is_surer_needs_a_model_no_sooner(one: float, two: float, limits: Thresholds) -> None:
    low, high = sorted((one, two))
    if limits.answer >= limits.generate:  # else a sentence may be an answer below what a model is
        rank = ["abstain", "generate", "extract"]
        ways = [rank.index(route(choice(sure), "auto", limits).way) for sure in (low, high)]
        assert ways == sorted(ways)


@given(SHARE, thresholds())
def test_every_refusal_states_a_comparison_that_is_true(sure: float, limits: Thresholds) -> None:
    found = route(choice(sure), "auto", limits)
    if found.way == "abstain":
        assert found == extracted(sure, min(limits.answer, limits.generate))


@pytest.mark.parametrize(
    "wrong",
    [
        {"generate": 0.9},
        {"extract": 1.1},
        {"generate": -0.1},
        {"answer": 1.1},
        {"answer": -0.1},
        {"extract": float("nan")},
        {"answer": float("nan")},
    ],
)
def test_thresholds_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueRangeError):
        Thresholds(**wrong)  # type: ignore[arg-type]  # names of numbers only
