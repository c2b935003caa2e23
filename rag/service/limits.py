"""The queue of questions: a bounded number of threads, with a bounded queue before them.

How long a question would wait is predicted from what was measured: the questions before it, times
the mean time that one takes, over the threads that work on them (Little's law, for a full service).
Source: J. D. C. Little, "A Proof for the Queuing Formula L = λW", Operations Research 9 (1961).

Threads that compute in Python take turns with the event loop, which reads, refuses and responds.
Where it comes late, fewer of them work at once, down to one; where they wait for a model's provider
it is in time, and all of them work.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from rag import access

_T = TypeVar("_T")
# Of a question's time, the part that it may spend waiting. Source: chosen; the rest is to work.
_SHARE_OF_DEADLINE: Final = 0.5
# Weight of the question that ended last in the mean time. Source: chosen; about the last 40 count.
_WEIGHT: Final = 0.05
# Questions whose callers left stay in the pool's queue until a thread passes them.
_LEFT_BEHIND: Final = 4
# How late the event loop may come [s] before one thread less works, and until one more does again
# after so many looks. Source: eval/bench/load.py: at ten times the load that it can answer, the
# service refuses within 3 ms (median) with one thread, and within a second with four.
_LATE_SECONDS: Final = 0.02
_IN_TIME_SECONDS: Final = 0.005
_LOOKS_BEFORE_MORE: Final = 20


class Gate:
    """Runs questions on a bounded number of threads, with a bounded queue before them."""

    def __init__(
        self,
        workers: int,
        queue: int,
        deadline_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="question")
        self._workers = workers
        self._turns = workers
        self._in_time = 0
        self._queue = queue
        self._patience = _SHARE_OF_DEADLINE * deadline_seconds
        self._clock = clock
        self._admitted = 0
        self._last, self._begun = 0, 0  # numbers of questions, in the order they came
        self._running: dict[int, float] = {}
        self._ended, self._mean = 0, 0.0
        self._counting = threading.Condition()

    @property
    def waiting(self) -> int:
        """Number of questions that wait for a thread."""
        return max(0, self._admitted - self._turns)

    @property
    def turns(self) -> int:
        """How many questions may be worked on at once now."""
        return self._turns

    @property
    def busy(self) -> bool:
        """Whether another question would have to wait."""
        return self._admitted >= self._turns

    @property
    def idle(self) -> bool:
        """Whether nothing is worked on."""
        return self._admitted == 0

    @property
    def full(self) -> bool:
        """Whether another question would be one too many."""
        return self.pressure >= 1

    @property
    def service_seconds(self) -> float:
        """Mean time a question takes on its thread [s]; 0 before any has ended.

        Where even the one that began last has taken longer, it is that: then all threads are held
        up, and the mean of what ended before says nothing any more.
        """
        with self._counting:
            youngest = max(self._running.values(), default=math.inf)
            held_up = len(self._running) >= self._turns
            return max(self._mean, self._clock() - youngest) if held_up else self._mean

    @property
    def wait_seconds(self) -> float:
        """How long another question would probably wait [s]."""
        if not self.busy:
            return 0.0
        return (self.waiting + 1) * self.service_seconds / self._turns

    @property
    def pressure(self) -> float:
        """How near another question is to being refused, in [0, 1]; 0 while a thread is free."""
        if not self.busy:
            return 0.0
        left_behind = (self._last - self._begun) / (_LEFT_BEHIND * self._queue)
        shares = (self.waiting / self._queue, self.wait_seconds / self._patience, left_behind)
        return min(1.0, max(shares))

    def begin(self, work: Callable[[], _T]) -> Future[_T]:
        """Return what will hold what ``work`` returns, run on a thread as soon as one is free."""
        carried = access.carried(work)
        with self._counting:
            self._admitted += 1
            self._last += 1
            number = self._last
        future = self._pool.submit(lambda: self._timed(number, carried))
        future.add_done_callback(self._leave)
        return future

    def looked(self, late_seconds: float) -> None:
        """Note how late the event loop came; fewer or more questions are worked on then."""
        with self._counting:
            if late_seconds > _LATE_SECONDS:
                self._turns, self._in_time = max(1, self._turns - 1), 0
            elif late_seconds < _IN_TIME_SECONDS:
                self._in_time += 1
            if self._in_time >= _LOOKS_BEFORE_MORE:
                self._turns, self._in_time = min(self._workers, self._turns + 1), 0
                self._counting.notify_all()

    def close(self) -> None:
        """Let running questions end and drop those that wait."""
        self._pool.shutdown(cancel_futures=True)

    def _timed(self, number: int, work: Callable[[], _T]) -> _T:
        with self._counting:
            self._counting.wait_for(lambda: len(self._running) < self._turns)
            started = self._clock()
            self._begun = max(self._begun, number)
            self._running[number] = started
        try:
            return work()
        finally:
            with self._counting:
                del self._running[number]
                self._ended += 1
                weight = max(_WEIGHT, 1 / self._ended)
                self._mean += weight * (self._clock() - started - self._mean)
                self._counting.notify()

    def _leave(self, _: Future[_T]) -> None:
        with self._counting:
            self._admitted -= 1
