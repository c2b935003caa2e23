"""Carbon intensity and water of electricity, each with where it comes from and of when it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from rag.errors import ValueRangeError

# Location: what the grid there emits. Market: what the contract for the power says.
# Source: GHG Protocol Scope 2 Guidance (2015), chapter 4: both are reported, and kept apart.
Kind: TypeAlias = Literal["location", "market"]


@dataclass(frozen=True, slots=True)
class Intensity:
    """Carbon intensity of electricity.

    Attributes:
        gco2e_per_kwh: Emissions per electricity used, 0 or more [gCO2e/kWh].
        kind: By location or by market; the two are never mixed.
        source: What said it, in words for a receipt.
        at: When it holds: an ISO 8601 time or a release of the data; None where nobody said.
        fallback: Whether it stands in for a source that had nothing to say.
    """

    gco2e_per_kwh: float
    kind: Kind
    source: str
    at: str | None = None
    fallback: bool = False

    def __post_init__(self) -> None:
        _check("gCO2e per kWh", self.gco2e_per_kwh)


@dataclass(frozen=True, slots=True)
class GridWater:
    """Water used off site to make electricity [L/kWh], and where the figure comes from."""

    litres_per_kwh: float
    source: str
    at: str | None = None

    def __post_init__(self) -> None:
        _check("litres per kWh", self.litres_per_kwh)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a live source said, and until when it holds [POSIX s]."""

    intensity: Intensity
    expires: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.expires):
            raise ValueRangeError("time until which a reading holds", self.expires, "give POSIX s")


class LiveGrid(Protocol):
    """A source that has to be asked again and again."""

    @property
    def name(self) -> str:
        """What it is called in receipts and warnings."""

    def latest(self) -> Reading:
        """Return the present intensity.

        Raises:
            BackendError: It did not answer in time, refused, or answered nonsense.
        """


def _check(what: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ValueRangeError(what, value, "give a finite number, 0 or more")
