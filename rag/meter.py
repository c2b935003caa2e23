"""Metering one request: wall and CPU time by stage, and the energy they stand for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rag.impact import carbon, cpu_energy, water
from rag.place import Place
from rag.results import Impact, Stage, TraceStep
from rag.types import Interval


@dataclass(slots=True)
class _Step:
    decision: str = ""


@dataclass(slots=True)
class RequestMeter:
    """CPU and wall time of one request, stage by stage, read on the thread that works on it.

    The low bound is the CPU time of this thread; the high bound that of the whole process in the
    meantime, which also holds work that libraries do on threads of their own (and, under load,
    other requests' work): the truth lies between.
    """

    place: Place
    _steps: list[TraceStep] = field(default_factory=list)
    _start: float = field(default_factory=time.monotonic)
    _thread: float = field(default_factory=time.thread_time)
    _process: float = field(default_factory=time.process_time)

    @contextmanager
    def stage(self, name: Stage) -> Iterator[_Step]:
        """Measure one stage; set ``decision`` on what it yields to say what was decided."""
        step = _Step()
        start, thread, process = time.monotonic(), time.thread_time(), time.process_time()
        yield step
        joules = self._energy(_used(thread, process))
        seconds = time.monotonic() - start
        self._steps.append(TraceStep(name, step.decision, seconds, joules))

    def seconds(self) -> float:
        """Return the wall time since the request began [s]."""
        return time.monotonic() - self._start

    def trace(self) -> tuple[TraceStep, ...]:
        """Return the stages so far."""
        return tuple(self._steps)

    def impact(self) -> Impact:
        """Return the cost so far, estimated from CPU time."""
        used = _used(self._thread, self._process)
        joules = self._energy(used)
        return Impact(
            joules=joules,
            gco2e=carbon(joules, self.place.gco2e_per_kwh),
            litres=water(joules, self.place.litres_per_kwh),
            cpu_seconds=used,
            basis="estimated",
            region=self.place.region,
        )

    def _energy(self, used: Interval) -> Interval:
        return cpu_energy(used, pue=self.place.pue)


def _used(thread: float, process: float) -> Interval:
    low = time.thread_time() - thread
    return Interval(low, max(low, time.process_time() - process))
