"""Retries under one deadline, on a clock that only moves when told."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.server_calls import Deadline, Failure, Health, Retries
from rag.errors import BackendError


class VendorError(Exception):
    """What a client library raises."""


@dataclass
class Clock:
    """Time that passes by sleeping and working only."""

    now: float = 0.0
    starts: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def run(clock: Clock, failures: int, *, cost: float, wait: float = 0.0, attempts: int = 5) -> str:
    """Run an operation that fails so many times before it succeeds, within 10 s."""

    def operation() -> str:
        clock.starts.append(clock.now)
        clock.now += cost
        if len(clock.starts) <= failures:
            raise VendorError
        return "done"

    def classify(_: Exception, __: Deadline) -> Failure:
        return Failure(BackendError("failed", "x", "wait"), retryable=True, wait_seconds=wait)

    retries = Retries(attempts, (VendorError,), classify, clock.sleep, lambda: 1.0)
    return retries.run(operation, Deadline(10.0, clock.read))


def test_success_needs_no_pause() -> None:
    clock = Clock()
    assert run(clock, 0, cost=1.0) == "done"
    assert clock.now == 1.0


def test_pauses_double() -> None:
    clock = Clock()
    assert run(clock, 3, cost=0.0) == "done"
    assert clock.starts == pytest.approx([0.0, 0.2, 0.6, 1.4])


def test_the_server_s_own_pause_is_kept() -> None:
    clock = Clock()
    assert run(clock, 2, cost=0.0, wait=3.0) == "done"
    assert clock.starts == pytest.approx([0.0, 3.0, 6.0])


def test_without_a_number_of_attempts_it_goes_on_to_the_deadline() -> None:
    clock = Clock()

    def operation() -> None:
        clock.starts.append(clock.now)
        raise VendorError

    def classify(_: Exception, __: Deadline) -> Failure:
        return Failure(BackendError("failed", "x", "wait"), retryable=True)

    retries = Retries(None, (VendorError,), classify, clock.sleep, lambda: 1.0)
    retries.health.down = True
    with pytest.raises(BackendError):
        retries.run(operation, Deadline(30.0, clock.read))
    assert [round(at, 1) for at in clock.starts] == [
        0,
        0.2,
        0.6,
        1.4,
        3,
        6.2,
        11.2,
        16.2,
        21.2,
        26.2,
    ]


@pytest.mark.parametrize(("retryable", "down"), [(True, True), (False, False)])
def test_only_what_could_have_been_repeated_tells_of_health(retryable: bool, down: bool) -> None:
    def operation() -> None:
        raise VendorError

    def classify(_: Exception, __: Deadline) -> Failure:
        return Failure(BackendError("failed", "x", "wait"), retryable=retryable)

    health = Health()
    retries = Retries(2, (VendorError,), classify, lambda _: None, health=health)
    with pytest.raises(BackendError):
        retries.run(operation, Deadline(9.0))
    assert health.down is down
    assert retries.run(lambda: "done", Deadline(9.0)) == "done"
    assert health.down is False


def test_the_last_error_is_raised_with_its_cause() -> None:
    with pytest.raises(BackendError, match="failed") as raised:
        run(Clock(), 9, cost=0.0)
    assert isinstance(raised.value.__cause__, VendorError)


def test_what_is_no_vendor_error_passes_through() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    def classify(_: Exception, __: Deadline) -> Failure:
        raise AssertionError

    with pytest.raises(ZeroDivisionError):
        Retries(3, (VendorError,), classify).run(broken, Deadline(1.0))


@given(
    failures=st.integers(0, 30),
    cost=st.floats(0, 12),
    wait=st.floats(0, 12),
    attempts=st.integers(1, 20),
)
def test_no_attempt_starts_after_the_deadline(
    failures: int, cost: float, wait: float, attempts: int
) -> None:
    clock = Clock()
    try:
        assert run(clock, failures, cost=cost, wait=wait, attempts=attempts) == "done"
        assert len(clock.starts) == failures + 1
    except BackendError:
        assert failures > 0
    assert len(clock.starts) <= attempts
    assert all(start < 10.0 for start in clock.starts)
