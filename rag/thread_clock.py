"""Processor time of threads that a library started, each on its own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

_TASKS: Final = Path("/proc/self/task")


def native_threads() -> frozenset[int]:
    """Return the threads of this process; none where the system does not list them."""
    try:
        return frozenset(int(name) for name in os.listdir(_TASKS))  # noqa: PTH208 - names, not paths
    except OSError:
        return frozenset()


def thread_seconds(thread: int) -> float | None:
    """Return the processor time of a thread [s]; None if it is gone or cannot be asked.

    Source: Linux, include/linux/posix-timers_types.h, MAKE_THREAD_CPUCLOCK: the clock of thread t
    is ~t << 3, with 4 for "one thread" and 2 for the scheduler's exact time.
    """
    try:
        return time.clock_gettime(~thread << 3 | 4 | 2)
    except (OSError, AttributeError, OverflowError):
        return None


def busiest(threads: frozenset[int]) -> int | None:
    """Return the thread that took the most processor time so far; None of none."""
    taken = {thread: thread_seconds(thread) for thread in threads}
    known = {thread: seconds for thread, seconds in taken.items() if seconds is not None}
    return max(known, key=known.__getitem__, default=None)
