"""Metering one request: wall and CPU time by stage, and the energy they stand for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

from rag.impact import carbon, cpu_energy, embodied_of_work, total, water
from rag.metering.power import EstimatedPower, PowerSource
from rag.place import Place
from rag.remote import Remote
from rag.results import Impact, Stage, TraceStep
from rag.types import Basis, Interval


# Tuples and one interval a stage: making the values is most of what metering costs.
class _Clocks(NamedTuple):
    """Wall time, CPU time of this thread and of this process [s]."""

    wall: float
    thread: float
    process: float

    def joined(self, seconds: float) -> _Clocks:
        """Return the same with CPU time of other threads as the request's own, as it is."""
        if not seconds:
            return self
        thread = self.thread + seconds
        return _Clocks(self.wall, thread, max(self.process, thread))


def _clocks() -> _Clocks:
    return _Clocks(time.monotonic(), time.thread_time(), time.process_time())


class _Stage(NamedTuple):
    name: Stage
    decision: str
    used: _Clocks
    threads: float  # of that, CPU time of other threads that is known to be its own [s]
    remote: tuple[Remote, ...]


class _Settled(NamedTuple):
    """What a second of CPU time costs [J/s], settled when there were so many stages."""

    stages: int
    per_second: Interval
    basis: Basis

    def of(self, used: _Clocks) -> Interval:
        """Return the energy of CPU time [J]: that of the thread, at most that of the process."""
        second = self.per_second
        return Interval(used.thread * second.low, used.process * second.high)


class Step:
    """A stage while it lasts; set ``decision`` to say what was decided."""

    __slots__ = ("_name", "_remote", "_stages", "_start", "_threads", "decision")

    def __init__(self, name: Stage, stages: list[_Stage]) -> None:
        self.decision = ""
        self._name = name
        self._stages = stages
        self._remote: tuple[Remote, ...] = ()
        self._threads = 0.0
        self._start = _clocks()

    def elsewhere(self, remote: Remote | None, cpu_seconds: float = 0.0) -> None:
        """Add what the stage made others work.

        Args:
            remote: What it took on machines of others, None where nothing.
            cpu_seconds: CPU time on other threads of this process that is known to be its own [s].
        """
        self._remote += () if remote is None else (remote,)
        self._threads += cpu_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            used = _since(self._start).joined(self._threads)
            stage = _Stage(self._name, self.decision, used, self._threads, self._remote)
            self._stages.append(stage)


@dataclass(slots=True)
class RequestMeter:
    """CPU and wall time of one request, stage by stage, read on the thread that works on it.

    The low bound is the CPU time of this thread; the high bound that of the whole process in the
    meantime, which also holds work that libraries do on threads of their own (and, under load,
    other requests' work): the truth lies between. Waiting costs nothing, however long it takes.

    Energy is CPU time times what a second of it costs by ``power``: measured where the machine's
    counters can be read, else estimated (how shared and idle energy is attributed:
    ``rag.metering.power``). It is settled when it is first asked for after a stage, so stages and
    whole agree.
    """

    place: Place
    power: PowerSource = field(default_factory=EstimatedPower)
    _stages: list[_Stage] = field(default_factory=list)
    _settled: _Settled | None = None
    _start: _Clocks = field(default_factory=_clocks)

    def __post_init__(self) -> None:
        # The window in which a long request is measured begins with it.
        self.power.now()

    def stage(self, name: Stage) -> Step:
        """Measure what is done inside ``with``; a stage that fails is not traced."""
        return Step(name, self._stages)

    def seconds(self) -> float:
        """Return the wall time since the request began [s]."""
        return time.monotonic() - self._start.wall

    def trace(self) -> tuple[TraceStep, ...]:
        """Return the stages so far."""
        cost = self._cost()
        return tuple(
            TraceStep(each.name, each.decision, each.used.wall, _whole(cost.of(each.used), each))
            for each in self._stages
        )

    def impact(self) -> Impact:
        """Return the cost so far, and whether it is measured or estimated.

        What machines of others took is in joules, gco2e and litres; of their making, and of their
        contracts for power, nothing is known.
        """
        used, cost = self._used(), self._cost()
        joules, cpu_seconds = cost.of(used), Interval(used.thread, used.process)
        place, market = self.place, self.place.market
        remote = [each for stage in self._stages for each in stage.remote]
        return Impact(
            joules=total((joules, *(each.joules for each in remote))),
            gco2e=total((carbon(joules, place.gco2e_per_kwh), *(each.gco2e for each in remote))),
            litres=total((water(joules, place.litres_per_kwh), *(each.litres for each in remote))),
            cpu_seconds=cpu_seconds,
            basis="estimated" if remote else cost.basis,
            region=place.region,
            grid=place.intensity,
            embodied_gco2e=None if remote else embodied_of_work(cpu_seconds, place.embodied),
            market_gco2e=None if remote or not market else carbon(joules, market.gco2e_per_kwh),
        )

    def _used(self) -> _Clocks:
        return _since(self._start).joined(sum(stage.threads for stage in self._stages))

    def _cost(self) -> _Settled:
        if self._settled is None or self._settled.stages != len(self._stages):
            power = self.power.now()
            second = cpu_energy(Interval(1.0, 1.0), watts=power.watts, pue=self.place.pue)
            self._settled = _Settled(len(self._stages), second, power.basis)
        return self._settled


def _whole(joules: Interval, stage: _Stage) -> Interval | None:
    if not stage.remote:
        return joules
    return total((joules, *(each.joules for each in stage.remote)))


def _since(start: _Clocks) -> _Clocks:
    """Return what has passed; the process has worked at least as long as its thread."""
    # In this order what is read later has also seen what was read before.
    thread = time.thread_time() - start.thread
    process = time.process_time() - start.process
    return _Clocks(time.monotonic() - start.wall, thread, max(thread, process))
