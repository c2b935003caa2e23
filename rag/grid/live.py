"""The present intensity without waiting: held while it is valid, asked for again on the side."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from rag.errors import RagError
from rag.grid.intensity import Intensity, LiveGrid, Reading

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 60.0  # between attempts after a failure: a source that is down is not hammered
_GRACE_SECONDS = 600.0  # how long a value serves on after its time, while it is asked for again


@dataclass(frozen=True, slots=True)
class _Held:
    """A reading, and when it was asked for [POSIX s]."""

    reading: Reading
    since: float

    def at(self, now: float) -> bool:
        """Return whether it serves; not where the clock was set back to long before it."""
        return self.since - _GRACE_SECONDS <= now < self.reading.expires + _GRACE_SECONDS


class LiveIntensity:
    """The latest intensity of a source; safe to use from any thread.

    ``now`` never waits: a value past its time is asked for again on a thread that lives for that
    one call, so that a service without questions asks nobody. Past its grace, or where the source
    failed, the fallback stands in and says so.
    """

    def __init__(
        self,
        source: LiveGrid,
        fallback: Intensity | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._fallback = _standing_in(fallback, source.name)
        self._clock = clock
        self._held: _Held | None = None
        self._due = 0.0
        self._asked = 0.0
        self._failing = False
        self._asking = threading.Lock()

    def now(self) -> Intensity | None:
        """Return the intensity at hand, without waiting; None is unknown."""
        now = self._clock()
        # A clock that was set back has made the due time a promise of another time.
        due = now >= self._due or now < self._asked - _RETRY_SECONDS
        if due and self._asking.acquire(blocking=False):
            self._on_the_side()
        held = self._held
        return held.reading.intensity if held and held.at(now) else self._fallback

    def refresh(self) -> None:
        """Ask the source and wait for it; what fails is logged once until it works again."""
        with self._asking:
            self._ask()

    def _on_the_side(self) -> None:
        """Start the call; the lock, taken by the caller, is given back when it has ended."""

        def work() -> None:
            try:
                self._ask()
            finally:
                self._asking.release()

        try:
            threading.Thread(target=work, name="grid intensity", daemon=True).start()
        except RuntimeError:  # no thread to be had: the next question tries again
            self._asking.release()

    def _ask(self) -> None:
        self._asked = asked = self._clock()
        try:
            reading = self._source.latest()
        except RagError as error:
            self._due = asked + _RETRY_SECONDS
            if not self._failing:
                _LOG.warning("no intensity from %s: %s", self._source.name, error)
            self._failing = True
            return
        self._held, self._failing = _Held(reading, asked), False
        self._due = max(reading.expires, asked + _RETRY_SECONDS)


def _standing_in(fallback: Intensity | None, name: str) -> Intensity | None:
    if fallback is None:
        return None
    return replace(fallback, fallback=True, source=f"{fallback.source}, in place of {name}")
