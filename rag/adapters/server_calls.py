"""One deadline for a call to a server, however often it is tried."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from rag.errors import BackendError

Result = TypeVar("Result")

# Source: M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog (2015): full jitter
# does the least work of the variants compared.
_FIRST_PAUSE_SECONDS = 0.1


class Deadline:
    """A moment after which nothing more is tried."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def remaining(self) -> float:
        """Return the time left [s], 0 or less once it has passed."""
        return self._end - self._clock()


@dataclass(frozen=True, slots=True)
class Failure:
    """What to make of a vendor's exception.

    ``wait_seconds`` is what the server asked for before the next attempt.
    """

    error: BackendError
    retryable: bool
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often to try, and what counts as a failure; clock and chance can be injected."""

    attempts: int
    vendor_errors: tuple[type[Exception], ...]
    classify: Callable[[Exception, Deadline], Failure]
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[], float] = field(default=random.random)

    def run(self, operation: Callable[[], Result], deadline: Deadline) -> Result:
        """Return the operation's result, trying again while attempts and time are left.

        The pause doubles with every attempt, is drawn evenly below that, and is never shorter
        than the server asked for. No attempt starts after the deadline.

        Raises:
            BackendError: The last failure.
        """
        attempt = 1
        while True:
            try:
                return operation()
            except self.vendor_errors as exc:
                failure = self.classify(exc, deadline)
                pause = self.uniform() * _FIRST_PAUSE_SECONDS * 2**attempt
                pause = max(pause, failure.wait_seconds)
                last = attempt == self.attempts or pause >= deadline.remaining()
                if last or not failure.retryable:
                    raise failure.error from exc
            self.sleep(pause)
            attempt += 1
