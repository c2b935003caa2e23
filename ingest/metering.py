"""What a run costs: the CPU time of all its processes, and the energy, carbon, water it stands for.

Energy is CPU time times what a second of it costs by the machine's counters or by estimate, as for
a question (``rag.metering.power``). The processes of a run do nothing else, so both bounds have the
same CPU time. What runs elsewhere, such as a Qdrant server, is not in it.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ingest.report import StageCost
from rag.impact import carbon, cpu_energy, embodied_of_work, total, water
from rag.metering.power import CpuPower, EstimatedPower, PowerSource
from rag.place import Place
from rag.results import Impact
from rag.types import Basis, Interval

_NOTHING: Final = Interval(0.0, 0.0)
_NOWHERE: Final = Place(None, None, None, 1.0)
# A counter wraps around after minutes: long stages read it while they work.
# Source: ``rag.adapters.rapl``: 262 kJ at MOST_WATTS are 262 s; this is a hundredth of it.
_PERIOD_SECONDS: Final = 2.0


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended [s]."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def nowhere() -> Place:
    """Return a place of which nothing is known."""
    return _NOWHERE


@dataclass(frozen=True, slots=True)
class Used:
    """CPU time [s], and as much of it as was measured with its energy, without overhead [J]."""

    cpu_seconds: float = 0.0
    measured_seconds: float = 0.0
    measured_joules: Interval = _NOTHING

    def __add__(self, other: Used) -> Used:
        return Used(
            self.cpu_seconds + other.cpu_seconds,
            self.measured_seconds + other.measured_seconds,
            self.measured_joules + other.measured_joules,
        )


class RunMeter:
    """Meters the stages of one run.

    A stage too short for a reading of its own costs a second what the latest reading says, and so
    does the CPU time of a process that ended since.
    """

    def __init__(
        self,
        place: Callable[[], Place] = nowhere,
        power: PowerSource | None = None,
        used: Callable[[], float] = cpu_seconds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._power = power or EstimatedPower()
        self._latest = self._power.now()
        self.used = used
        self.clock = clock

    def read(self) -> CpuPower:
        """Return the power of one busy CPU since the last reading."""
        self._latest = self._power.now()
        return self._latest

    def joules(self, used: Used) -> tuple[Interval, Basis]:
        """Return the energy of CPU time, overhead included [J], and how it is known."""
        rest = max(0.0, used.cpu_seconds - used.measured_seconds)
        estimated = cpu_energy(Interval(rest, rest), watts=self._latest.watts)
        pue = self._place().pue
        joules = (used.measured_joules + estimated) * Interval(pue, pue)
        measured = self._latest.basis == "measured" or (used.measured_seconds > 0 and not rest)
        return joules, "measured" if measured else "estimated"

    def impact(self, stages: Iterable[StageCost]) -> Impact:
        """Return what stages cost together, where the run is."""
        parts, place = tuple(stages), self._place()
        joules = total(stage.joules for stage in parts)
        seconds = sum(stage.cpu_seconds for stage in parts)
        worked = Interval(seconds, seconds)
        measured = bool(parts) and all(stage.basis == "measured" for stage in parts)
        return Impact(
            joules=joules,
            gco2e=carbon(joules, place.gco2e_per_kwh),
            litres=water(joules, place.litres_per_kwh),
            cpu_seconds=worked,
            basis="measured" if measured else "estimated",
            region=place.region,
            grid=place.intensity,
            embodied_gco2e=embodied_of_work(worked, place.embodied),
            market_gco2e=carbon(joules, place.market.gco2e_per_kwh if place.market else None),
        )


class StageMeter:
    """Meters one stage while it lasts."""

    def __init__(self, meter: RunMeter) -> None:
        self._meter = meter
        meter.read()  # the window of its first reading begins with it
        self._since = meter.used()
        self._at = meter.clock()
        self._used = Used()

    def poll(self) -> None:
        """Read the counters if it is time."""
        if self._meter.clock() >= self._at + _PERIOD_SECONDS:
            self._take()

    def end(self) -> Used:
        """Return what the stage used."""
        self._take()
        return self._used

    def _take(self) -> None:
        now, power = self._meter.used(), self._meter.read()
        seconds, self._since, self._at = now - self._since, now, self._meter.clock()
        taken = Used(seconds)
        if power.basis == "measured":
            joules = cpu_energy(Interval(seconds, seconds), watts=power.watts)
            taken = Used(seconds, seconds, joules)
        self._used = self._used + taken
