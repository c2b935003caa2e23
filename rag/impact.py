"""What work costs: energy, carbon and water as intervals, one equation a function."""

from __future__ import annotations

from rag.types import Interval

JOULES_PER_KWH = 3.6e6

# Power that one fully busy virtual CPU draws [W].
# Source: Cloud Carbon Footprint, Methodology (commit 1559c18), averages per cloud provider from
# SPECpower: lowest dynamic share AWS 3.5 - 0.74, highest total GCP 4.26.
WATTS_PER_BUSY_CPU = Interval(3.5 - 0.74, 4.26)


def cpu_energy(
    seconds: Interval, *, watts: Interval = WATTS_PER_BUSY_CPU, pue: float = 1.0
) -> Interval:
    """Return the energy of CPU work [J]: ``E = t * P * PUE``.

    Args:
        seconds: CPU time, summed over cores [s].
        watts: Power of one busy core [W].
        pue: Power usage effectiveness of the place, 1 or more [-].
    """
    return seconds * watts * Interval(pue, pue)


def carbon(joules: Interval, gco2e_per_kwh: float | None) -> Interval | None:
    """Return operational emissions [gCO2e]: ``m = E / 3.6e6 * I``; None if I is unknown.

    Source: Green Software Foundation, SCI specification (ISO/IEC 21031:2024), ``O = E * I``.
    """
    if gco2e_per_kwh is None:
        return None
    return joules * Interval(gco2e_per_kwh, gco2e_per_kwh) * Interval(*(2 * [1 / JOULES_PER_KWH]))


def water(joules: Interval, litres_per_kwh: float | None) -> Interval | None:
    """Return water use [L]: ``V = E / 3.6e6 * w``; None if w is unknown."""
    return carbon(joules, litres_per_kwh)
