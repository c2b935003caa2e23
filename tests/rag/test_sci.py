"""What is missing for a software carbon intensity, in words that name the settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.impact import sci
from rag.results import Impact
from rag.sci import EMBODIED_SETTINGS, GRID_SETTINGS, missing
from rag.settings import Settings
from rag.types import Interval

ONE = Interval(1.0, 2.0)
WHOLE = Impact(ONE, ONE, None, ONE, "estimated", None, embodied_gco2e=ONE)


@pytest.mark.parametrize(
    "parts", [(), ("gco2e",), ("embodied_gco2e",), ("gco2e", "embodied_gco2e")]
)
def test_something_is_missing_exactly_where_the_intensity_is_unknown(
    parts: tuple[str, ...],
) -> None:
    impact = replace(WHOLE, **dict.fromkeys(parts))
    assert len(missing(impact)) == len(parts)
    assert bool(missing(impact)) == (sci(impact.gco2e, impact.embodied_gco2e, 1) is None)


def test_without_energy_the_grid_is_not_to_blame() -> None:
    assert missing(replace(WHOLE, joules=None, gco2e=None)) == ("energy",)


def test_the_settings_that_are_named_exist() -> None:
    named = f"{EMBODIED_SETTINGS} {GRID_SETTINGS}".replace(" and ", " ").replace(" or ", " ")
    assert set(named.split()) <= set(Settings.model_fields)
