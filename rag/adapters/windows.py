"""Windows of use, counted in memory by the library ``limits`` (fixed windows).

The library's own memory reads the wall clock and starts a thread with each count; this one reads
the monotonic clock, so that a set clock neither opens nor closes a window.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from rag.windows import Window

# Windows that may have ended are looked for once there are so many more of them.
_SWEEP_EVERY: Final = 1000


class MonotonicStorage(Storage):
    """Counters that end, on a clock that only goes forward; threads may share it."""

    STORAGE_SCHEME = ["frugal-rag-monotonic"]  # noqa: RUF012 -- the library asks for a list

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._counts: dict[str, tuple[int, float]] = {}
        self._sweep_at = _SWEEP_EVERY
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """What may go wrong: nothing."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter, which ends ``expiry`` [s] after its first use; return what it holds."""
        with self._lock:
            now = self._clock()
            if len(self._counts) >= self._sweep_at:
                self._sweep(now)
            count, end = self._counts.get(key, (0, 0.0))
            if end <= now:
                count, end = 0, now + expiry
            self._counts[key] = count + amount, end
            return count + amount

    def get(self, key: str) -> int:
        """Return what a counter holds."""
        count, end = self._counts.get(key, (0, 0.0))
        return count if end > self._clock() else 0

    def get_expiry(self, key: str) -> float:
        """Return when a counter ends, on the clock [s]; now if there is none."""
        now = self._clock()
        return max(now, self._counts.get(key, (0, now))[1])

    def check(self) -> bool:
        """Return whether it works, which memory always does."""
        return True

    def reset(self) -> int:
        """Forget all counters; return how many there were."""
        with self._lock:
            held = len(self._counts)
            self._counts.clear()
            return held

    def clear(self, key: str) -> None:
        """Forget a counter."""
        with self._lock:
            self._counts.pop(key, None)

    def _sweep(self, now: float) -> None:
        self._counts = {key: held for key, held in self._counts.items() if held[1] > now}
        self._sweep_at = len(self._counts) + _SWEEP_EVERY


class MemoryWindows:
    """``rag.windows.Windows`` in the memory of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limiter = FixedWindowRateLimiter(MonotonicStorage(clock))
        self._items: dict[tuple[str, int], RateLimitItem] = {}

    def used(self, name: str, rate: str, unit: int, cost: int) -> bool:
        """Count a use and return whether it was within the amount."""
        return self._limiter.hit(self._item(rate, unit), name, cost=cost)

    def window(self, name: str, rate: str, unit: int) -> Window:
        """Return the window as it stands."""
        stats = self._limiter.get_window_stats(self._item(rate, unit), name)
        return Window(stats.remaining, max(0.0, stats.reset_time - self._clock()))

    def _item(self, rate: str, unit: int) -> RateLimitItem:
        """Return a rate such as ``600/minute`` as the library has it, its amount in parts."""
        known = self._items.get((rate, unit))
        if known is None:
            whole = parse(rate)
            known = type(whole)(whole.amount * unit, whole.multiples)
            self._items[rate, unit] = known
        return known
