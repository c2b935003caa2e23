"""Windows in memory: the clock goes only forward, and what has ended takes no room."""

from __future__ import annotations

import threading

from rag.adapters.windows import MemoryWindows, MonotonicStorage
from rag.windows import Window


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_begins_with_its_first_use() -> None:
    clock = Clock()
    windows = MemoryWindows(clock)
    assert windows.window("a", "3/minute", 1) == Window(3, 0.0)
    assert windows.used("a", "3/minute", 1, 2)
    clock.now = 59.0
    assert windows.window("a", "3/minute", 1) == Window(1, 1.0)
    assert not windows.used("a", "3/minute", 1, 2)
    assert windows.window("a", "3/minute", 1) == Window(0, 1.0)
    clock.now = 60.0
    assert windows.window("a", "3/minute", 1) == Window(3, 0.0)


def test_parts_of_a_unit_and_rates_are_apart() -> None:
    windows = MemoryWindows(Clock())
    assert windows.used("a", "2/hour", 1000, 1999)
    assert windows.window("a", "2/hour", 1000).left == 1
    assert windows.window("a", "2/day", 1000).left == 2000


def test_what_has_ended_takes_no_room() -> None:
    clock = Clock()
    storage = MonotonicStorage(clock)
    for number in range(10_000):
        clock.now = float(number)
        storage.incr(f"tenant {number}", 60)
    assert (storage.reset() or 0) < 2_000
    assert storage.get("tenant 9999") == 0


def test_no_use_is_lost_between_threads() -> None:
    storage = MonotonicStorage()
    threads = [
        threading.Thread(target=lambda: [storage.incr("a", 3600) for _ in range(2_000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.get("a") == 8_000
    storage.clear("a")
    assert (storage.get("a"), storage.check()) == (0, True)
