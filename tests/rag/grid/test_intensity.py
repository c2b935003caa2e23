import math

import pytest

from rag.errors import ValueRangeError
from rag.grid.intensity import GridWater, Intensity, Reading
from rag.place import Embodied, Place


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_what_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(ValueRangeError, match="gCO2e per kWh"):
        Intensity(value, "location", "a test")
    with pytest.raises(ValueRangeError, match="litres per kWh"):
        GridWater(value, "a test")


def test_a_place_keeps_location_and_market_apart() -> None:
    there = Intensity(380.0, "location", "a test")
    bought = Intensity(0.0, "market", "a contract")
    place = Place(380.0, None, None, 1.0, intensity=there, market=bought)
    assert place.gco2e_per_kwh == 380.0
    with pytest.raises(ValueRangeError, match="kind of intensity: market"):
        Place(0.0, None, None, 1.0, intensity=bought)
    with pytest.raises(ValueRangeError, match="kind of market: location"):
        Place(380.0, None, None, 1.0, intensity=there, market=there)


def test_a_place_has_one_intensity() -> None:
    there = Intensity(380.0, "location", "a test")
    for other in (None, 381.0):
        with pytest.raises(ValueRangeError, match="two intensities"):
            Place(other, None, None, 1.0, intensity=there)


@pytest.mark.parametrize(
    ("kilograms", "years", "share"),
    [(-1, 4, 1), (1, 0, 1), (1, -4, 1), (1, 4, 0), (1, 4, 1.1), (math.nan, 4, 1)],
)
def test_a_machine_that_cannot_be(kilograms: float, years: float, share: float) -> None:
    with pytest.raises(ValueRangeError, match="embodied carbon"):
        Embodied(kilograms, years, share)


@pytest.mark.parametrize("expires", [math.nan, math.inf])
def test_no_reading_holds_for_ever(expires: float) -> None:
    with pytest.raises(ValueRangeError, match="until which a reading holds"):
        Reading(Intensity(1.0, "location", "a test"), expires)
