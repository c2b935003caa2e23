"""How far a run is: a bar on a terminal, one line a stage elsewhere. Only importer of tqdm."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, TypeAlias

from ingest.metering import RunMeter, StageMeter, Used
from ingest.report import StageCost
from rag.results import Impact
from rag.types import Interval

Advance: TypeAlias = Callable[[int], object]


class Progress:
    """Shows stages on a stream and keeps what each cost.

    Args:
        stream: Where to show them; None shows nothing.
        meter: What says their energy; None estimates it, at a place of which nothing is known.
    """

    def __init__(self, stream: TextIO | None = None, meter: RunMeter | None = None) -> None:
        self._stream = stream
        self._meter = meter or RunMeter()
        self._used: dict[str, tuple[float, Used]] = {}

    @property
    def costs(self) -> tuple[StageCost, ...]:
        """What the stages cost so far, in their order."""
        return tuple(self._cost(name, *used) for name, used in self._used.items())

    def impact(self) -> Impact:
        """Return what the stages cost together so far, where the run is."""
        return self._meter.impact(self.costs)

    def joules_of(self, cpu_seconds: float) -> Interval:
        """Return what so much CPU time would cost now [J]."""
        return self._meter.joules(Used(cpu_seconds))[0]

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
        """Run one stage; yields what to call with the number of units done.

        A stage that is run twice is counted as one. CPU time includes that of child processes
        that ended within the stage.
        """
        started, meter = time.perf_counter(), StageMeter(self._meter)
        done = 0

        def count(units: int) -> None:
            nonlocal done
            done += units

        try:
            if self._stream is not None and self._stream.isatty():
                with _bar(self._stream, name, total, unit) as advance:
                    yield _metered(advance, meter)
            else:
                yield _metered(count, meter)
        finally:
            self._add(name, time.perf_counter() - started, meter.end())
        if self._stream is not None and not self._stream.isatty():
            amount = f"{done:,} {unit}, " if unit else ""
            self._say(f"{name}: {amount}{time.perf_counter() - started:.2f} s\n")

    def _say(self, line: str) -> None:
        """Write a line; once nobody reads any more, as behind ``head``, show nothing further."""
        try:
            if self._stream is not None:
                self._stream.write(line)
                self._stream.flush()
        except OSError:
            _silence(self._stream)
            self._stream = None

    def _add(self, name: str, seconds: float, used: Used) -> None:
        earlier_seconds, earlier = self._used.get(name, (0.0, Used()))
        self._used[name] = earlier_seconds + seconds, earlier + used

    def _cost(self, name: str, seconds: float, used: Used) -> StageCost:
        joules, basis = self._meter.joules(used)
        return StageCost(name, round(seconds, 6), round(used.cpu_seconds, 6), joules, basis)


def _metered(advance: Advance, meter: StageMeter) -> Advance:
    def advanced(units: int) -> None:
        advance(units)
        meter.poll()

    return advanced


def _silence(stream: TextIO | None) -> None:
    """Let what a broken stream still buffers go nowhere: starting a process flushes it again."""
    with suppress(OSError):
        if stream is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


@contextmanager
def _bar(stream: TextIO, name: str, total: int | None, unit: str) -> Iterator[Advance]:
    from tqdm import tqdm

    with tqdm(
        total=total, desc=f"{name:8}", unit=f" {unit}", file=stream, dynamic_ncols=True
    ) as bar:
        yield bar.update
