"""Where the service runs: what turns joules into carbon and water."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Grid, water and overhead of the place; None is unknown."""

    gco2e_per_kwh: float | None
    litres_per_kwh: float | None
    region: str | None
    pue: float
