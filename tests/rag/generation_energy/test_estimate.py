from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ValueRangeError
from rag.generation_energy.estimate import Estimate, Tokens, estimate, generation_energy
from rag.generation_energy.hardware import A100, H100, KNOWN, Hardware
from rag.generation_energy.models import Model, Models
from rag.generation_energy.serving import Serving
from rag.results import Usage
from rag.types import Interval

ONE = Interval(1.0, 1.0)


@st.composite
def intervals(draw: st.DrawFn, low: float, high: float) -> Interval:
    ends = sorted((draw(st.floats(low, high)), draw(st.floats(low, high))))
    return Interval(*ends)


@st.composite
def models(draw: st.DrawFn) -> Models:
    total = draw(intervals(2e8, 2e12))
    share = draw(st.sampled_from((1.0, 0.5, 0.05)))
    active = Interval(total.low * share, total.high * share)
    return Models((Model("m", total, active, draw(intervals(4, 16)), "a test"),))


calls = st.builds(
    lambda cached, fresh, completion: Tokens(cached + fresh, cached, completion),
    st.integers(0, 50_000),
    st.integers(0, 50_000),
    st.integers(0, 20_000),
)
servings = st.builds(
    Serving,
    st.lists(st.sampled_from(tuple(KNOWN.values())), min_size=1).map(tuple),
    intervals(1, 2048),
    st.none() | intervals(4, 16),
    intervals(1, 2),
    intervals(1, 2),
)


def energy(tokens: Tokens, known: Models, serving: Serving) -> Interval:
    found = generation_energy("m", tokens, serving=serving, models=known)
    assert found is not None
    return found


@given(calls, models(), servings)
def test_intervals_never_invert(tokens: Tokens, known: Models, serving: Serving) -> None:
    parts = estimate("m", tokens, serving=serving, models=known)
    for part in (parts.prefill, parts.cached, parts.decode, parts.joules):
        assert part is not None
        assert 0 <= part.low <= part.high


@given(models(), servings)
def test_no_tokens_take_no_energy(known: Models, serving: Serving) -> None:
    assert energy(Tokens(0, 0, 0), known, serving) == Interval(0.0, 0.0)


@given(calls, models(), servings, st.sampled_from(("prompt", "completion")))
def test_more_tokens_take_more_energy(
    tokens: Tokens, known: Models, serving: Serving, kind: str
) -> None:
    more = replace(tokens, **{kind: getattr(tokens, kind) + 1})
    less, greater = energy(tokens, known, serving), energy(more, known, serving)
    assert less.low < greater.low
    assert less.high < greater.high


@given(st.lists(calls, max_size=5), models(), servings)
def test_calls_add_up_phase_by_phase(tokens: list[Tokens], known: Models, serving: Serving) -> None:
    parts = [estimate("m", each, serving=serving, models=known) for each in tokens]
    total = sum((energy(each, known, serving) for each in tokens), Interval(0.0, 0.0))
    low = sum(p.low for e in parts for p in (e.prefill, e.cached, e.decode) if p)
    high = sum(p.high for e in parts for p in (e.prefill, e.cached, e.decode) if p)
    assert (total.low, total.high) == pytest.approx((low, high))


@given(calls, calls, models(), servings)
def test_two_calls_never_take_more_than_one_with_the_tokens_of_both(
    first: Tokens, second: Tokens, known: Models, serving: Serving
) -> None:
    both = Tokens(
        first.prompt + second.prompt,
        first.cached + second.cached,
        first.completion + second.completion,
    )
    apart = energy(first, known, serving) + energy(second, known, serving)
    joined = energy(both, known, serving)
    assert apart.low <= joined.low * (1 + 1e-9)
    assert apart.high <= joined.high * (1 + 1e-9)


@given(st.integers(1, 50_000), st.integers(0, 5_000), models(), servings)
def test_a_cached_prompt_is_cheaper_than_a_fresh_one(
    prompt: int, completion: int, known: Models, serving: Serving
) -> None:
    fresh = energy(Tokens(prompt, 0, completion), known, serving)
    cached = energy(Tokens(prompt, prompt, completion), known, serving)
    assert cached.low < fresh.low
    assert cached.high < fresh.high
    kept = estimate("m", Tokens(prompt, prompt, 0), serving=serving, models=known)
    assert kept.cached is not None
    assert kept.cached.low > 0


@given(calls, models(), servings)
def test_knowing_more_never_widens_the_interval(
    tokens: Tokens, known: Models, serving: Serving
) -> None:
    told = replace(serving, hardware=serving.hardware[:1], batch=Interval(*2 * [serving.batch.low]))
    wide, narrow = energy(tokens, known, serving), energy(tokens, known, told)
    assert wide.low <= narrow.low * (1 + 1e-9)
    assert narrow.high <= wide.high * (1 + 1e-9)


def test_halving_the_prompt_saves_energy_at_both_ends() -> None:
    whole = generation_energy("Llama-3.1-8B", Tokens(2000, 0, 100))
    half = generation_energy("Llama-3.1-8B", Tokens(1000, 0, 100))
    assert whole is not None
    assert half is not None
    assert 1 - half.low / whole.low > 0.4
    assert 1 - half.high / whole.high > 0.25


def test_an_unknown_model_is_unknown_and_asks_for_its_size() -> None:
    found = estimate("my-own-model", Tokens(100, 0, 10))
    assert found.joules is None
    assert found.reason is not None
    assert "'my-own-model'" in found.reason
    assert "parameter count" in found.reason
    assert generation_energy("my-own-model", Tokens(100, 0, 10)) is None


def test_a_known_model_has_no_reason() -> None:
    assert estimate("gpt-oss-20b", Tokens(100, 0, 10)).reason is None


def test_one_token_of_llama_8b_by_hand() -> None:
    told = Serving((H100,), Interval(8, 8), Interval(16, 16), ONE, ONE)
    found = estimate("Llama-3.1-8B", Tokens(0, 0, 1), serving=told).decode
    assert found is not None
    weights = 0.74 * 8.03e9 * 2 / 8 * 700 / 3.35e12
    computing = 0.75 * 2 * 8.03e9 * 700 / 989e12
    assert found.low == pytest.approx(weights + computing, rel=1e-3)


def test_usage_becomes_tokens() -> None:
    assert Tokens.of(Usage(50, 64, 120, 30, 9, "t")) == Tokens(120, 30, 9)
    assert Tokens.of(Usage(50, 64, 120, 130, 9, "t")) == Tokens(120, 120, 9)
    assert Tokens.of(Usage(50, 64, 120, None, 9, "t")) == Tokens(120, 0, 9)
    assert Tokens.of(Usage(50, 64, None, None, None, "t")) is None


@pytest.mark.parametrize("wrong", [(-1, 0, 0), (10, 11, 0), (10, 0, -1), (10, -1, 0)])
def test_impossible_tokens_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueRangeError):
        Tokens(*wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hardware": ()},
        {"batch": Interval(0.5, 2)},
        {"pue": Interval(0.9, 1.2)},
        {"server": Interval(0, 1)},
        {"bits": Interval(0, 16)},
    ],
)
def test_impossible_serving_is_refused(wrong: dict[str, Interval]) -> None:
    with pytest.raises(ValueRangeError):
        Serving(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("power", [0, -1, float("nan"), float("inf")])
def test_hardware_without_a_finite_power_is_refused(power: float) -> None:
    with pytest.raises(ValueRangeError):
        Hardware("x", power, 1e12, 1e12)


def test_a_part_that_is_unknown_makes_the_whole_unknown() -> None:
    assert Estimate(ONE, None, ONE, "because").joules is None


def test_one_accelerator_is_a_narrower_range_than_two() -> None:
    tokens = Tokens(1000, 0, 100)
    both = generation_energy("Qwen3-8B", tokens, serving=Serving((A100, H100)))
    alone = generation_energy("Qwen3-8B", tokens, serving=Serving((H100,)))
    assert both is not None
    assert alone is not None
    assert alone.high < both.high
