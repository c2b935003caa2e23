import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.generating import TokensUsed
from rag.generation_energy.estimate import Tokens, generation_energy
from rag.impact import JOULES_PER_KWH
from rag.remote import Elsewhere, Remote
from rag.types import Interval

MODEL = "Llama-3.1-8B-Instruct"
COUNTS = st.integers(0, 5000)


def used(prompt: int, cached: int | None, completion: int) -> TokensUsed:
    return TokensUsed(prompt, cached, completion, reported=True)


def test_energy_carbon_and_water_of_a_call() -> None:
    remote = Elsewhere(MODEL, 56.0, 0.5).cost(used(400, 100, 50))
    joules = generation_energy(MODEL, Tokens(400, 100, 50))
    assert joules is not None
    assert remote.joules == joules
    assert 0 < joules.low < joules.high
    assert remote.gco2e is not None
    assert remote.litres is not None
    assert remote.gco2e.low == pytest.approx(joules.low / JOULES_PER_KWH * 56)
    assert remote.litres.high == pytest.approx(joules.high / JOULES_PER_KWH * 0.5)


def test_what_is_not_known_is_not_zero() -> None:
    unknown = Elsewhere("nobody-knows-it", 56.0, 0.5).cost(used(400, None, 50))
    assert unknown == Remote(None, None, None)
    assert unknown.at_most() == unknown
    somewhere = Elsewhere(MODEL).cost(used(400, None, 50))
    assert somewhere.joules is not None
    assert (somewhere.gco2e, somewhere.litres) == (None, None)


@given(COUNTS, st.none() | COUNTS, COUNTS)
def test_any_report_has_a_cost_and_the_most_begins_at_nothing(
    prompt: int, cached: int | None, completion: int
) -> None:
    cost = Elsewhere(MODEL, 100.0, 1.0).cost(used(prompt, cached, completion))
    most = cost.at_most()
    for whole, bound in zip(
        (cost.joules, cost.gco2e, cost.litres), (most.joules, most.gco2e, most.litres), strict=True
    ):
        assert whole is not None
        assert bound == Interval(0.0, whole.high)


def test_nothing_cached_is_assumed_where_nobody_says() -> None:
    place = Elsewhere(MODEL)
    assert place.cost(used(400, None, 50)) == place.cost(used(400, 0, 50))
    assert place.cost(used(400, 900, 50)) == place.cost(used(400, 400, 50))
