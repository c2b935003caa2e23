"""What an answer saved: differences of intervals, unknown where a side is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import SettingsError, ValueRangeError
from rag.results import Impact, Saved, Usage
from rag.saved import (
    Baseline,
    Comparison,
    baseline_json,
    difference,
    machine_name,
    read_comparison,
)
from rag.types import Interval

BASELINE = Baseline(
    system="llama-index",
    record="0123456789ab",
    data="samples",
    questions=120,
    machine="Some CPU, 8 CPUs",
    tokenizer="cl100k_base",
    context_tokens=1500.5,
    prompt_tokens=None,
    joules=Interval(0.2, 0.4),
)
USAGE = Usage(200, 256, None, None, None, "cl100k_base")
IMPACT = Impact(
    joules=Interval(0.1, 0.3),
    gco2e=Interval(1e-5, 3e-5),
    litres=None,
    cpu_seconds=Interval(0.05, 0.07),
    basis="estimated",
    region=None,
)


def saved(baseline: Baseline = BASELINE, *, here: bool = True, impact: Impact = IMPACT) -> Saved:
    return Comparison(baseline, here).saved(USAGE, impact)


def test_a_saving_is_the_baseline_less_the_answer() -> None:
    found = saved()
    assert found.context_tokens == 1300.5
    assert found.joules is not None
    assert (found.joules.low, found.joules.high) == pytest.approx((-0.1, 0.3))
    assert found.gco2e is not None
    assert (found.gco2e.low, found.gco2e.high) == pytest.approx((-1e-5, 3e-5))
    assert (found.system, found.record, found.machine) == (
        "llama-index",
        "0123456789ab",
        "Some CPU, 8 CPUs",
    )


def test_what_cost_more_saved_less_than_nothing() -> None:
    found = saved(replace(BASELINE, context_tokens=100.0, joules=Interval(0.01, 0.02)))
    assert found.context_tokens == -100
    assert found.joules is not None
    assert found.joules.high < 0


def test_on_another_machine_only_tokens_are_saved() -> None:
    found = saved(here=False)
    assert (found.joules, found.gco2e, found.litres) == (None, None, None)
    assert (found.context_tokens, found.same_machine) == (1300.5, False)


def test_tokens_of_another_tokenizer_are_not_compared() -> None:
    found = saved(replace(BASELINE, tokenizer="o200k_base"))
    assert found.context_tokens is None
    assert found.joules is not None


@pytest.mark.parametrize(
    "impact",
    [
        replace(IMPACT, gco2e=None),
        replace(IMPACT, joules=None),
        replace(IMPACT, joules=Interval(0, 0), gco2e=Interval(0, 0)),
    ],
)
def test_unknown_stays_unknown(impact: Impact) -> None:
    found = saved(impact=impact)
    assert found.gco2e is None
    assert found.litres is None
    assert (found.joules is None) == (impact.joules is None)
    assert found.prompt_tokens is None


def test_prompt_tokens_are_compared_where_both_sent_a_prompt() -> None:
    comparison = Comparison(replace(BASELINE, prompt_tokens=900.0), same_machine=True)
    assert comparison.saved(replace(USAGE, prompt_tokens=300), IMPACT).prompt_tokens == 600
    assert comparison.saved(USAGE, IMPACT).prompt_tokens is None


finite = st.floats(0, 1e9)
intervals = st.tuples(finite, finite).map(lambda ends: Interval(min(ends), max(ends)))


@given(intervals, intervals, st.floats(0, 1), st.floats(0, 1))
def test_a_difference_never_inverts_and_holds_every_difference(
    a: Interval, b: Interval, s: float, t: float
) -> None:
    found = difference(a, b)
    assert found is not None
    x = min(a.high, a.low + s * (a.high - a.low))
    y = min(b.high, b.low + t * (b.high - b.low))
    assert found.low <= x - y <= found.high


@given(intervals, intervals, st.floats(0, 2000))
def test_carbon_is_counted_at_the_answers_own_grid(a: Interval, b: Interval, grid: float) -> None:
    rate = grid / 3.6e6
    impact = replace(IMPACT, joules=b, gco2e=Interval(b.low * rate, b.high * rate))
    found = saved(replace(BASELINE, joules=a), impact=impact)
    if b.high and b.high * rate > 1e-12:  # below that, what is left of a product is its rounding
        assert found.gco2e is not None
        assert found.gco2e.low == pytest.approx((a.low - b.high) * rate)
        assert found.gco2e.high == pytest.approx((a.high - b.low) * rate)


@pytest.mark.parametrize("joules", [Interval(0.2, 0.4), None])
def test_a_baseline_is_read_as_it_was_written(tmp_path: Path, joules: Interval | None) -> None:
    path = tmp_path / "b.json"
    written = replace(BASELINE, joules=joules, prompt_tokens=3.5)
    path.write_text(baseline_json(written))
    assert read_comparison(path) == Comparison(written, same_machine=False)
    here = replace(written, machine=machine_name())
    path.write_text(baseline_json(here))
    assert read_comparison(path).same_machine


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"context_tokens": -1},
        {"context_tokens": "many"},
        {"context_tokens": float("nan")},
        {"joules": {"low": 2, "high": 1}},
        {"joules": 3},
        {"system": ...},
    ],
)
def test_what_is_no_baseline_is_refused_with_what_to_do(
    tmp_path: Path, change: dict[str, object]
) -> None:
    state = json.loads(baseline_json(BASELINE))
    for name, value in change.items():
        if value is ...:
            del state[name]
        else:
            state[name] = value
    path = tmp_path / "b.json"
    path.write_text(json.dumps(state))
    with pytest.raises(SettingsError, match="rag-eval saved-baseline"):
        read_comparison(path)


@pytest.mark.parametrize("text", ["", "[]", "3", "\ud800".encode("utf-16", "surrogatepass")])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError):
        read_comparison(path)
    with pytest.raises(SettingsError, match="No such file"):
        read_comparison(tmp_path / "none.json")


def test_a_baseline_of_fewer_than_no_tokens_is_refused() -> None:
    with pytest.raises(ValueRangeError):
        replace(BASELINE, prompt_tokens=-1.0)
