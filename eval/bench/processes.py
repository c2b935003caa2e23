"""What a process takes while it is measured from outside: processor time and memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_EVERY_SECONDS: Final = 2.0
# Fields of /proc/PID/stat after the name in brackets. Source: proc(5): utime is 14, stime 15.
_UTIME, _STIME = 11, 12


@dataclass(slots=True)
class Sample:
    """Processor time [s] over a wall time [s], and resident memory [MiB] as it went."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    resident: list[tuple[float, float]] = field(default_factory=list)


@contextmanager
def sampling(pid: int) -> Iterator[Sample]:
    """Sample a process for as long as the block lasts; the sums are there at its end."""
    sample, over = Sample(), threading.Event()
    started, cpu = time.monotonic(), _cpu_seconds(pid)

    def watch() -> None:
        while True:
            sample.resident.append((time.monotonic() - started, _resident_mib(pid)))
            if over.wait(_EVERY_SECONDS):
                return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield sample
    finally:
        over.set()
        watching.join()
        sample.cpu_seconds = _cpu_seconds(pid) - cpu
        sample.wall_seconds = time.monotonic() - started


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
