"""The gate: what it predicts, when it is full, and how many it lets work at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from rag.service.limits import Gate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not holds() and time.monotonic() < until:
        time.sleep(0.002)
    return holds()


@contextmanager
def stuck(gate: Gate, count: int) -> Iterator[list[Future[bool]]]:
    """Fill a gate with questions that end with the block."""
    go = threading.Event()
    try:
        yield [gate.begin(lambda: go.wait(20)) for _ in range(count)]
    finally:
        go.set()
        gate.close()


def ended(gate: Gate, clock: Clock, *seconds: float) -> None:
    """Let questions take so long, one after the other."""
    for each in seconds:

        def work(each: float = each) -> None:
            clock.now += each

        gate.begin(work).result(10)
    assert eventually(lambda: gate.idle)


def test_the_mean_is_that_of_what_ended_and_the_last_ones_weigh_most() -> None:
    clock = Clock()
    gate = Gate(1, 8, 10.0, clock)
    assert gate.service_seconds == 0
    ended(gate, clock, 1.0, 2.0, 3.0)
    assert gate.service_seconds == pytest.approx(2.0)
    ended(gate, clock, *[0.5] * 200)
    assert gate.service_seconds == pytest.approx(0.5, abs=0.01)
    gate.close()


def test_a_failed_question_took_its_time_too() -> None:
    clock = Clock()
    gate = Gate(1, 8, 10.0, clock)

    def fails() -> None:
        clock.now += 4.0
        raise LookupError

    with pytest.raises(LookupError):
        gate.begin(fails).result(10)
    assert gate.service_seconds == pytest.approx(4.0)
    gate.close()


def test_the_wait_is_the_queue_before_it_over_the_threads() -> None:
    clock = Clock()
    gate = Gate(2, 8, 100.0, clock)
    ended(gate, clock, 3.0)
    assert (gate.wait_seconds, gate.pressure) == (0.0, 0.0)
    with stuck(gate, 2):
        assert eventually(lambda: gate.busy)
        assert gate.wait_seconds == pytest.approx(1.5)
        with_three = gate.begin(lambda: None)
        assert gate.waiting == 1
        assert gate.wait_seconds == pytest.approx(3.0)
        assert with_three.cancel()
        assert gate.waiting == 0


def test_it_is_full_once_the_queue_is_or_the_wait_takes_half_of_the_deadline() -> None:
    clock = Clock()
    fast = Gate(1, 4, 100.0, clock)
    with stuck(fast, 5):
        assert fast.waiting == 4
        assert (fast.pressure, fast.full) == (1.0, True)
    slow = Gate(1, 4, 10.0, clock)
    ended(slow, clock, 2.0)
    with stuck(slow, 2):
        assert slow.waiting == 1
        assert slow.wait_seconds == pytest.approx(4.0)
        assert slow.pressure == pytest.approx(0.8)
        slow.begin(lambda: None)
        assert slow.full  # 6 s are over half of 10 s, with two of four places left


def test_threads_that_are_all_held_up_count_for_what_they_have_taken() -> None:
    clock = Clock()
    gate = Gate(2, 8, 10.0, clock)
    ended(gate, clock, *[0.01] * 20)
    with stuck(gate, 2):
        assert eventually(lambda: gate.wait_seconds > 0)
        clock.now += 4.0
        assert gate.service_seconds == pytest.approx(4.0)
        gate.begin(lambda: None)
        gate.begin(lambda: None)
        assert gate.full


def test_callers_who_leave_at_once_cannot_fill_the_pool() -> None:
    gate = Gate(1, 4, 1000.0)
    with stuck(gate, 1):
        left = 0
        while not gate.full and left < 1000:
            assert gate.begin(lambda: None).cancel()
            left += 1
        assert 4 <= left <= 20
        assert gate.waiting == 0
    assert eventually(lambda: not gate.full)


def test_fewer_work_while_the_event_loop_comes_late_and_all_again_later() -> None:
    gate, at_once, most = Gate(4, 100, 1000.0), 0, []
    counting = threading.Lock()

    def work() -> None:
        nonlocal at_once
        with counting:
            at_once += 1
            most.append(at_once)
        time.sleep(0.02)
        with counting:
            at_once -= 1

    def highest() -> int:
        most.clear()
        for future in [gate.begin(work) for _ in range(12)]:
            future.result(10)
        return max(most)

    assert highest() == 4
    for _ in range(10):
        gate.looked(0.5)
    assert gate.turns == 1
    assert highest() == 1
    for _ in range(19):
        gate.looked(0.001)
    assert gate.turns == 1
    for _ in range(41):
        gate.looked(0.001)
    assert gate.turns == 4
    assert highest() == 4
    gate.close()
