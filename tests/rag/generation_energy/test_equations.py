import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.generation_energy import equations as eq

tokens = st.integers(0, 100_000)
parameters = st.floats(1e8, 2e12)
batches = st.floats(1, 4096)


def test_reading_a_byte_on_an_h100_takes_two_tenths_of_a_nanojoule() -> None:
    assert eq.joules_per_byte(700, 3.35e12) == pytest.approx(2.09e-10, rel=1e-3)


def test_an_operation_at_full_load_takes_less_than_a_picojoule() -> None:
    assert eq.joules_per_flop(700, 989e12) == pytest.approx(7.08e-13, rel=1e-3)


def test_weights_at_sixteen_bits_take_two_bytes_each() -> None:
    assert eq.weight_bytes(8.03e9, 16) == pytest.approx(16.06e9)


@given(parameters, batches)
def test_a_dense_model_is_read_whole(total: float, batch: float) -> None:
    assert eq.touched_parameters(total, total, batch) == total


@given(parameters, st.floats(0.01, 0.99), batches)
def test_a_mixture_is_read_between_its_active_share_and_whole(
    total: float, share: float, batch: float
) -> None:
    touched = eq.touched_parameters(total, share * total, batch)
    assert share * total * (1 - 1e-9) <= touched <= total
    more = eq.touched_parameters(total, share * total, batch + 1)
    assert touched <= more
    # The share of each request falls, or larger batches would save nothing.
    assert more / (batch + 1) <= touched / batch * (1 + 1e-9)


def test_two_tokens_with_half_the_experts_each_read_three_quarters() -> None:
    assert eq.touched_parameters(100.0, 50.0, 2) == pytest.approx(75.0)


def test_the_cache_of_llama_8b_is_131072_bytes_a_token() -> None:
    assert eq.cache_bytes(8.03e9, 1.47) == pytest.approx(32 * 2 * 8 * 128 * 2, rel=0.01)


@pytest.mark.parametrize(
    ("active", "layers", "width"), [(8.03e9, 32, 4096), (70.6e9, 80, 8192), (405.9e9, 126, 16384)]
)
def test_attention_follows_layers_times_width(active: float, layers: int, width: int) -> None:
    assert eq.attention_flop(active, 1, 1) == pytest.approx(4 * layers * width, rel=0.15)


@given(parameters, tokens, tokens)
def test_computing_a_prompt_in_two_parts_takes_the_same(
    active: float, first: int, second: int
) -> None:
    whole = eq.prefill_flop(active, first + second, 0)
    parts = eq.prefill_flop(active, first, 0) + eq.prefill_flop(active, second, first)
    assert parts == pytest.approx(whole)


@given(parameters, tokens, tokens, tokens)
def test_generating_in_two_parts_takes_the_same(
    active: float, prompt: int, first: int, second: int
) -> None:
    whole = eq.decode_flop(active, first + second, prompt)
    parts = eq.decode_flop(active, first, prompt) + eq.decode_flop(active, second, prompt + first)
    assert parts == pytest.approx(whole)
    read = eq.context_reads(first + second, prompt, 1e5)
    halves = eq.context_reads(first, prompt, 1e5) + eq.context_reads(second, prompt + first, 1e5)
    assert halves == pytest.approx(read)


@given(tokens, batches)
def test_weights_are_shared_by_the_batch(completion: int, batch: float) -> None:
    alone = eq.weight_reads(completion, 16e9, 1)
    assert eq.weight_reads(completion, 16e9, batch) * batch == pytest.approx(alone)


def test_the_facility_draws_more_than_the_accelerators() -> None:
    assert math.isclose(eq.facility_energy(0.14, 1.57, 1.09), 0.24, rel_tol=0.01)
