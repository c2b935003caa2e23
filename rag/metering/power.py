"""What a second of CPU time costs now, from counters that all requests share.

A counter counts the machine, not a request, so its energy is handed out by this rule:

* Of what the processors' counters say, a request gets the share of its CPU time in the busy CPU
  time of the machine in the window between two readings.
* Idle power stands apart. Low: none of it, only what work adds. High: for each busy CPU second
  also that CPU's own part of the idle power. The idle power of CPUs that nobody used is no
  request's: a service that waits is the operator's cost, not the next question's.
* Of what a counter attributes to this process already (a GPU's), a request gets the share of its
  CPU time in that of the process.
* Work for several requests at once (a batch) is the CPU time of the thread that does it: it is in
  the low bound of the request on whose thread it runs, and in the high bound of those that wait.

So a window's CPU seconds together are never charged more than what the counters counted, nor are
the low bounds of its requests. The high bounds of requests at the same time overlap, for each holds
all that the process did meanwhile: they are not to be added up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from rag.impact import WATTS_PER_BUSY_CPU
from rag.metering.machine import busy_cpu_seconds
from rag.metering.processor import IDLE_SHARE
from rag.protocols import EnergyCounter
from rag.types import Basis, Interval

# A window in which the CPUs were busy for less than this share says more about idling than about
# work.
# Source: `machine_watts` with IDLE_SHARE: its bounds are a factor of 5 apart there, 2 at full load.
LEAST_BUSY_SHARE: Final = 0.05
# A process that worked less than this share of a window while a GPU worked for it only waited: a
# request's part of so little CPU time says nothing.
# Source: our choice: 2.5 ms of a window of 250 ms, a tenth of a question's CPU time.
LEAST_OWN_SHARE: Final = 0.01

# The counters are read at most this often [s].
# Source: our choice: the steps of a RAPL counter (1 ms) are less than 1 % of it, and a reading
# (61 us, eval/bench/results/metering.json) takes 0.02 % of a CPU.
PERIOD_SECONDS: Final = 0.25
# The same where GPUs are read [s]: in a shorter window their driver may not have looked yet.
# Source: NVML API reference, nvmlDeviceGetUtilizationRates: "the sample period may be between 1
# second and 1/6 second, depending on the product".
GPU_PERIOD_SECONDS: Final = 1.0
# What a window said stands for this long without another [s].
# Source: our choice: a tenth of the ten minutes that a live grid value may be late.
STALE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class CpuPower:
    """Power of one busy CPU [W], and how it is known."""

    watts: Interval
    basis: Basis


class PowerSource(Protocol):
    """Says what a second of CPU time costs."""

    def now(self) -> CpuPower:
        """Return the power of one busy CPU, cheap enough to ask for each request."""


@dataclass(frozen=True, slots=True)
class EstimatedPower:
    """The same range always: what is known without a counter."""

    watts: Interval = WATTS_PER_BUSY_CPU

    def now(self) -> CpuPower:
        """Return the range."""
        return CpuPower(self.watts, "estimated")


@dataclass(frozen=True, slots=True)
class Window:
    """What passed between two readings of the counters, all in seconds and joules.

    ``seconds``: wall time. ``busy``: CPU time of all work on the machine. ``own``: CPU time of this
    process. ``machine_joules``: energy of the processors. ``own_joules``: energy elsewhere that is
    this process's alone.
    """

    seconds: float
    busy: float
    own: float
    machine_joules: float
    own_joules: float


def full_watts(window: Window, cpus: int, idle_share: float) -> float:
    """Return what the processors would draw with all CPUs busy [W].

    ``P(u) = P_full * (s + (1 - s) * u)`` with utilisation u and idle share s, solved for P_full.
    Source: Fan, Weber, Barroso, "Power Provisioning for a Warehouse-sized Computer", ISCA 2007, on
    estimating a server's power: it is nearly linear in CPU utilisation.
    """
    used = min(1.0, window.busy / (window.seconds * cpus))
    return window.machine_joules / window.seconds / (idle_share + (1 - idle_share) * used)


def machine_watts(window: Window, cpus: int) -> Interval | None:
    """Return what a second of CPU time cost in the processors [W] by the rule above.

    Low: ``(1 - s) * P_full(s) / n`` with the highest idle share s; high: ``P_full(s) / n`` with the
    lowest. None if the window says too little.
    """
    if window.seconds <= 0 or window.busy < LEAST_BUSY_SHARE * window.seconds * cpus:
        return None
    low = (1 - IDLE_SHARE.high) * full_watts(window, cpus, IDLE_SHARE.high) / cpus
    return Interval(low, full_watts(window, cpus, IDLE_SHARE.low) / cpus)


def own_watts(window: Window) -> float | None:
    """Return what a second of this process's CPU time cost elsewhere [W]: ``E_own / t_own``.

    None if there was energy but next to no CPU time to share it by.
    """
    if not window.own_joules:
        return 0.0
    if window.seconds <= 0 or window.own < LEAST_OWN_SHARE * window.seconds:
        return None
    return window.own_joules / window.own


@dataclass(frozen=True, slots=True)
class Sources:
    """What is read: the machine's counters, those of this process alone, CPU times and a clock.

    Counters must not overlap: each joule stands in one of them. Without a counter of the machine
    its part stays estimated, and what a process draws elsewhere comes on top.
    """

    cpus: int
    machine: tuple[EnergyCounter, ...]
    own: tuple[EnergyCounter, ...] = ()
    busy: Callable[[], float | None] = busy_cpu_seconds
    process: Callable[[], float] = time.process_time
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    busy: float
    own: float
    machine_joules: float
    own_joules: float

    def since(self, before: _Reading) -> Window:
        return Window(
            self.at - before.at,
            self.busy - before.busy,
            self.own - before.own,
            self.machine_joules - before.machine_joules,
            self.own_joules - before.own_joules,
        )


class PowerSampler:
    """Measured power: reads the counters at most once a period, however many requests ask.

    What a window says stands until the next good one, for ``stale_seconds`` at most; before the
    first and after that, and while a counter cannot be read, the estimate stands in.
    """

    def __init__(
        self,
        sources: Sources,
        estimate: Interval = WATTS_PER_BUSY_CPU,
        period_seconds: float = PERIOD_SECONDS,
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        self._sources = sources
        self._estimated = CpuPower(estimate, "estimated")
        self._period = period_seconds
        self._stale = stale_seconds
        self._lock = threading.Lock()
        self._last: _Reading | None = None
        self._next = float("-inf")
        self._measured: CpuPower | None = None
        self._until = float("-inf")

    def now(self) -> CpuPower:
        """Return the power of one busy CPU; one caller a period pays for the reading."""
        at = self._sources.clock()
        # Who finds the lock taken goes on with what there is: nobody waits for a counter.
        if at >= self._next and self._lock.acquire(blocking=False):
            try:
                self._sample(at)
            finally:
                self._lock.release()
        measured = self._measured
        return measured if measured is not None and at < self._until else self._estimated

    def _sample(self, at: float) -> None:
        if at < self._next:  # another thread has read since this one looked at the time
            return
        self._next = at + self._period
        before, self._last = self._last, self._read(at)
        if before is not None and self._last is not None:
            power = self._power(self._last.since(before))
            if power is not None:
                self._measured, self._until = power, at + self._stale

    def _power(self, window: Window) -> CpuPower | None:
        machine = self._estimated
        if self._sources.machine:
            watts = machine_watts(window, self._sources.cpus)
            if watts is None:
                return None
            machine = CpuPower(watts, "measured")
        own = own_watts(window)
        return None if own is None else CpuPower(machine.watts + Interval(own, own), machine.basis)

    def _read(self, at: float) -> _Reading | None:
        sources = self._sources
        busy, machine, own = sources.busy(), _total(sources.machine), _total(sources.own)
        if busy is None or machine is None or own is None:
            return None
        return _Reading(at, busy, sources.process(), machine, own)


def _total(counters: tuple[EnergyCounter, ...]) -> float | None:
    # Every counter is read, also after one that failed: each must see the time pass.
    readings = [counter.read() for counter in counters]
    return None if None in readings else sum(r for r in readings if r is not None)
