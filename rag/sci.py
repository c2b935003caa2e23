"""What is said beside a software carbon intensity: its standard, and what is missing for it."""

from __future__ import annotations

from typing import Final, Protocol

from rag.types import Interval

STANDARD: Final = "ISO/IEC 21031:2024"
EMBODIED_SETTINGS: Final = "embodied_kgco2e and machine_lifetime_years"
GRID_SETTINGS: Final = "grid_gco2e_per_kwh or grid_source"


class Emitting(Protocol):
    """What has the parts of the intensity: energy [J], operation and making [gCO2e]."""

    @property
    def joules(self) -> Interval | None:
        """Energy [J]."""

    @property
    def gco2e(self) -> Interval | None:
        """Operational emissions, by location [gCO2e]."""

    @property
    def embodied_gco2e(self) -> Interval | None:
        """Share of making the machine [gCO2e]."""


def missing(spent: Emitting) -> tuple[str, ...]:
    """Return what has to be known first, each with the settings that say it; none if all is."""
    said = []
    if spent.joules is None:
        said.append("energy")
    elif spent.gco2e is None:
        said.append(f"carbon intensity of the grid ({GRID_SETTINGS})")
    if spent.embodied_gco2e is None:
        said.append(f"embodied carbon of the machine ({EMBODIED_SETTINGS})")
    return tuple(said)
