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
_LONGEST_PAUSE_SECONDS = 5.0  # a node that restarts is back within some seconds of its being so


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

    ``wait_seconds`` is what the server asked for before the next attempt. What is not ``tellable``
    must not even stand in a traceback.
    """

    error: BackendError
    retryable: bool
    wait_seconds: float = 0.0
    tellable: bool = True


class Health:
    """Whether the last call failed for good; while that is so, the next ones are not repeated.

    So a server that is gone costs each question one attempt, and nobody besieges one that comes
    back. Shared by the threads of a connection: one that reads it late tries too often by one.
    """

    def __init__(self) -> None:
        self.down = False


@dataclass(frozen=True, slots=True)
class Retries:
    """How often to try, and what counts as a failure; clock and chance can be injected.

    ``attempts`` None tries until the deadline, whatever the ``health``.
    """

    attempts: int | None
    vendor_errors: tuple[type[Exception], ...]
    classify: Callable[[Exception, Deadline], Failure]
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[], float] = field(default=random.random)
    health: Health = field(default_factory=Health)

    def run(self, operation: Callable[[], Result], deadline: Deadline) -> Result:
        """Return the operation's result, trying again while attempts and time are left.

        The pause doubles with every attempt up to 5 s, is drawn evenly below that, and is never
        shorter than the server asked for. No attempt starts after the deadline.

        Raises:
            BackendError: The last failure.
        """
        attempt = 1
        while True:
            try:
                result = operation()
            except self.vendor_errors as exc:
                failure = self.classify(exc, deadline)
                pause = self._pause(attempt, failure)
                last = self._is_last(attempt) or pause >= deadline.remaining()
                if last or not failure.retryable:
                    self.health.down = self.health.down or failure.retryable
                    raise failure.error from (exc if failure.tellable else None)
            else:
                self.health.down = False
                return result
            self.sleep(pause)
            attempt += 1

    def _pause(self, attempt: int, failure: Failure) -> float:
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0**attempt)
        return max(self.uniform() * longest, failure.wait_seconds)

    def _is_last(self, attempt: int) -> bool:
        if self.attempts is None:
            return False
        return self.health.down or attempt >= self.attempts
