"""Where the service runs: what turns joules into carbon and water."""

from __future__ import annotations

from dataclasses import dataclass

from rag.errors import ValueRangeError
from rag.grid.intensity import GridWater, Intensity


@dataclass(frozen=True, slots=True)
class Embodied:
    """What making the machine emitted, and over what that is spread.

    Attributes:
        kgco2e: Emissions of making, moving and disposing of the machine [kgCO2e].
        lifetime_years: How long the machine is used [years].
        share: Part of the machine that is reserved for this service, over 0 to 1 [-].
        source: Who said so.
        cpus: CPUs that the service may use in its part, over which that is spread.
    """

    kgco2e: float
    lifetime_years: float
    share: float = 1.0
    source: str = "settings"
    cpus: float = 1.0

    def __post_init__(self) -> None:
        if not (self.kgco2e >= 0 and self.lifetime_years > 0 and 0 < self.share <= 1):
            given = f"{self.kgco2e} kg, {self.lifetime_years} years, share {self.share}"
            raise ValueRangeError(
                "embodied carbon", given, "use kg >= 0, years > 0, 0 < share <= 1"
            )
        if not self.cpus > 0:
            raise ValueRangeError("CPUs of the service", self.cpus, "give more than 0")


@dataclass(frozen=True, slots=True)
class Place:
    """Grid, water and overhead of the place; None is unknown.

    Attributes:
        gco2e_per_kwh: Location-based intensity, that of ``intensity`` where it is given.
        litres_per_kwh: All water per electricity used, on site and off [L/kWh].
        region: Its name in receipts.
        pue: Power usage effectiveness, 1 or more [-].
        intensity: The location-based intensity with its source and date.
        market: The market-based intensity; never used in place of the other.
        grid_water: Water used off site, with its source and date.
        site_litres_per_kwh: Water used on site per electricity of the machines (WUE) [L/kWh].
        embodied: The machine's own making.
    """

    gco2e_per_kwh: float | None
    litres_per_kwh: float | None
    region: str | None
    pue: float
    intensity: Intensity | None = None
    market: Intensity | None = None
    grid_water: GridWater | None = None
    site_litres_per_kwh: float | None = None
    embodied: Embodied | None = None

    def __post_init__(self) -> None:
        if self.intensity is not None and self.intensity.gco2e_per_kwh != self.gco2e_per_kwh:
            given = f"{self.gco2e_per_kwh} and {self.intensity.gco2e_per_kwh}"
            raise ValueRangeError("two intensities", given, "give the one of `intensity`")
        if self.intensity is not None and self.intensity.kind != "location":
            raise ValueRangeError("kind of intensity", self.intensity.kind, "use `market` for it")
        if self.market is not None and self.market.kind != "market":
            raise ValueRangeError("kind of market", self.market.kind, "use `intensity` for it")
