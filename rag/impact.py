"""What work costs: energy, carbon and water as intervals, one equation a function.

Energy is in joules, carbon in gCO2e, water in litres. What depends on something unknown is
unknown: None in, None out, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from rag.place import Embodied
from rag.types import Interval

# Source: BIPM, The International System of Units, 9th edition (2019), table 8: 1 h = 3600 s.
JOULES_PER_KWH = 3.6e6
# Source: Wilkins, IAU Style Manual (1989, IAU Transactions XXB): a Julian year of 365.25 days.
SECONDS_PER_YEAR = 365.25 * 86_400
# Source: BIPM, The International System of Units, 9th edition (2019), table 7: kilo is 1000.
GRAMS_PER_KILOGRAM = 1000.0

# Power that one fully busy virtual CPU draws [W].
# Source: Cloud Carbon Footprint, microsite/docs/Methodology.md (commit 1559c18), appendix I, from
# SPECpower: least dynamic share AWS 3.5 - 0.74 (averages), greatest total GCP 4.26 (median).
WATTS_PER_BUSY_CPU = Interval(3.5 - 0.74, 4.26)


def kilowatt_hours(joules: float) -> float:
    """Return energy in kilowatt-hours: ``E / 3.6e6``."""
    return joules / JOULES_PER_KWH


def joules_of(kilowatt_hours: float) -> float:
    """Return energy in joules: ``E * 3.6e6``."""
    return kilowatt_hours * JOULES_PER_KWH


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


def carbon(joules: Interval | None, gco2e_per_kwh: float | None) -> Interval | None:
    """Return operational emissions [gCO2e]: ``O = E / 3.6e6 * I``.

    Args:
        joules: Energy, the overhead of the place included [J].
        gco2e_per_kwh: Carbon intensity, by location or by market [gCO2e/kWh].

    Source: Green Software Foundation, SCI specification (ISO/IEC 21031:2024), ``O = E * I``.
    """
    return _per_kwh(joules, gco2e_per_kwh)


def water(joules: Interval | None, litres_per_kwh: float | None) -> Interval | None:
    """Return water use [L]: ``V = E / 3.6e6 * w``, w as of `litres_per_kwh`."""
    return _per_kwh(joules, litres_per_kwh)


def litres_per_kwh(site: float | None, grid: float | None, pue: float) -> float | None:
    """Return all water per electricity used [L/kWh]: ``w = w_site / PUE + w_grid``.

    The site's figure is per energy of the machines, ours are with the overhead: so the division.

    Args:
        site: Water used on site per energy of the machines (WUE) [L/kWh].
        grid: Water used off site to make the electricity [L/kWh].
        pue: Power usage effectiveness of the place, 1 or more [-].

    Source: Li et al., Making AI Less "Thirsty" (arXiv 2304.03271, 2023): operational water is
    ``e * (WUE_on + PUE * WUE_off)``, e the energy of the machines; the same in EcoLogits 0.11.3,
    ecologits/impacts/llm.py; The Green Grid, WUE (2011).
    """
    if site is None or grid is None:
        return None
    return site / pue + grid


def embodied_carbon(seconds: Interval | None, machine: Embodied | None) -> Interval | None:
    """Return the share of the machine's making [gCO2e]: ``M = TE * TiR / EL * RR / ToR``.

    Args:
        seconds: How long the machine is reserved, used or not (TiR) [s].
        machine: Its emissions (TE), lifetime (EL) and the share reserved (RR / ToR).

    Source: Green Software Foundation, SCI specification (ISO/IEC 21031:2024), ``M = TE * TS * RS``
    with ``TS = TiR / EL`` and ``RS = RR / ToR``.
    """
    if seconds is None or machine is None:
        return None
    lifetime = machine.lifetime_years * SECONDS_PER_YEAR
    return _times(seconds, machine.kgco2e * GRAMS_PER_KILOGRAM * machine.share / lifetime)


def embodied_of_work(cpu_seconds: Interval | None, machine: Embodied | None) -> Interval | None:
    """Return what work is charged of the machine's making [gCO2e]: ``M = TE * t / n / EL * share``.

    As with idle power, time in which the machine stands idle is nobody's: the operator's.

    Args:
        cpu_seconds: CPU time of the work (t), summed over the CPUs [s].
        machine: Its emissions (TE), lifetime (EL), share, and the CPUs that the service has (n).

    Source: as for `embodied_carbon`; n CPUs that work for a second reserve one second.
    """
    if cpu_seconds is None or machine is None:
        return None
    return embodied_carbon(_times(cpu_seconds, 1 / machine.cpus), machine)


def sci(
    operational: Interval | None, embodied: Interval | None, units: float | None
) -> Interval | None:
    """Return the software carbon intensity [gCO2e per unit]: ``SCI = (E * I + M) / R``.

    Args:
        operational: Emissions of the energy, ``E * I`` [gCO2e].
        embodied: Share of the hardware's making, ``M`` [gCO2e].
        units: How many of what was asked for (R): questions, grounded answers, or thousands of
            chunks. Without one there is no rate: None.

    Source: Green Software Foundation, SCI specification (ISO/IEC 21031:2024).
    """
    emissions = total((operational, embodied))
    if emissions is None or not units:
        return None
    return Interval(emissions.low / units, emissions.high / units)


def total(parts: Iterable[Interval | None]) -> Interval | None:
    """Return the sum of costs; unknown where a part is, as the sum would be too low without it."""
    added = Interval(0.0, 0.0)
    for part in parts:
        if part is None:
            return None
        added = added + part
    return added


def _per_kwh(joules: Interval | None, rate: float | None) -> Interval | None:
    if joules is None or rate is None:
        return None
    return _times(joules, rate / JOULES_PER_KWH)


def _times(quantity: Interval, factor: float) -> Interval:
    return quantity * Interval(factor, factor)
