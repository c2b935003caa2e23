"""How far a run is: a bar on a terminal, one line a stage elsewhere. Only importer of tqdm."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, TypeAlias

from ingest.report import StageCost
from rag.impact import cpu_energy
from rag.types import Interval

Advance: TypeAlias = Callable[[int], object]


class Progress:
    """Shows stages on a stream and keeps what each cost.

    Args:
        stream: Where to show them; None shows nothing.
        pue: Power usage effectiveness of the place [-].
    """

    def __init__(self, stream: TextIO | None = None, pue: float = 1.0) -> None:
        self._stream = stream
        self._pue = pue
        self._costs: dict[str, StageCost] = {}

    @property
    def costs(self) -> tuple[StageCost, ...]:
        """What the stages cost so far, in their order."""
        return tuple(self._costs.values())

    @contextmanager
    def stage(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Advance]:
        """Run one stage; yields what to call with the number of units done.

        A stage that is run twice is counted as one. CPU time includes that of child processes
        that ended within the stage.
        """
        started, cpu = time.perf_counter(), _cpu_seconds()
        done = 0

        def count(units: int) -> None:
            nonlocal done
            done += units

        try:
            if self._stream is not None and self._stream.isatty():
                with _bar(self._stream, name, total, unit) as advance:
                    yield advance
            else:
                yield count
        finally:
            self._add(name, time.perf_counter() - started, _cpu_seconds() - cpu)
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

    def _add(self, name: str, seconds: float, cpu: float) -> None:
        earlier = self._costs.get(name)
        if earlier is not None:
            seconds, cpu = seconds + earlier.seconds, cpu + earlier.cpu_seconds
        joules = cpu_energy(Interval(cpu, cpu), pue=self._pue)
        self._costs[name] = StageCost(name, round(seconds, 6), round(cpu, 6), joules)


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


def _cpu_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
