"""Text from a thread of its own to whoever waits for it, until a deadline and no longer.

Neither a socket's time-out nor a library's is a deadline: both begin anew with every byte. So the
work is left behind when the time is up, or when nobody wants the rest, and told to end.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from rag.errors import BackendError, BackendTimeoutError
from rag.generating import Ended

Piece: TypeAlias = str | Ended

_MOST_WAITING: Final = 64  # pieces written and not yet taken; the writer waits beyond
_LOOK_SECONDS: Final = 0.2  # between two looks, of either side, at whether the rest is wanted


class Outlet:
    """Where the work puts its pieces; it is closed at the deadline, or when the taker leaves."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._pieces: queue.Queue[Piece | Exception] = queue.Queue(_MOST_WAITING)
        self._left = threading.Event()

    def wanted(self) -> bool:
        """Return whether anybody waits for more; nobody does once the process ends."""
        alive = threading.main_thread().is_alive() and not self._left.is_set()
        return alive and time.monotonic() < self._deadline

    def put(self, piece: Piece | Exception) -> bool:
        """Hand on a piece; False if nobody wants more."""
        while self.wanted():
            left = max(0.0, self._deadline - time.monotonic())
            with contextlib.suppress(queue.Full):
                self._pieces.put(piece, timeout=min(left, _LOOK_SECONDS))
                return self.wanted()
        return False

    def take(self) -> Piece:
        """Return the next piece, an empty one if there is none yet; or raise what the work raised.

        Raises:
            BackendTimeoutError: There was none before the deadline.
            BackendError: The process ends.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise too_late()
        try:
            piece = self._pieces.get(timeout=min(left, _LOOK_SECONDS))
        except queue.Empty:
            if threading.main_thread().is_alive():
                return ""
            # Who waits on another thread would keep the process from its end until the deadline.
            raise _broke_off("the process ends") from None
        if isinstance(piece, Exception):
            raise piece
        return piece

    def leave(self) -> None:
        """Want no more; a writer that waits for room goes on, and learns it."""
        self._left.set()
        while True:
            try:
                self._pieces.get_nowait()
            except queue.Empty:
                return


@dataclass(frozen=True, slots=True)
class Work:
    """What writes to an outlet, and how it is made to end early.

    ``abandon`` is called once the pieces are not wanted any more, from another thread; it must
    return at once. ``daemon``: the process may end while the work still runs.
    """

    write: Callable[[Outlet], None]
    abandon: Callable[[], None]
    daemon: bool = True


def relayed(work: Work, deadline: float) -> Iterator[Piece]:
    """Yield what the work writes, ``Ended`` last; closing the iterator ends the work.

    While nothing is written, empty pieces come, so that whoever waits can leave.

    Raises:
        BackendTimeoutError: The deadline passed (monotonic clock [s]).
        BackendError: The work ended without saying why it did; and whatever else it raised.
    """
    if time.monotonic() >= deadline:
        raise too_late()
    outlet = Outlet(deadline)
    run = threading.Thread(target=_run, args=(work, outlet), name="generation", daemon=work.daemon)
    run.start()
    try:
        while True:
            piece = outlet.take()
            yield piece
            if isinstance(piece, Ended):
                return
    finally:
        outlet.leave()
        work.abandon()


def _run(work: Work, outlet: Outlet) -> None:
    try:
        work.write(outlet)
    except Exception as exc:  # noqa: BLE001 - a thread's end: whoever waits must hear of anything
        outlet.put(exc)
        return
    outlet.put(_broke_off("no end was sent"))


def _broke_off(why: str) -> BackendError:
    return BackendError("the generation broke off", why, "ask again")


def too_late() -> BackendTimeoutError:
    """Return the error of a generation that was not done in its time."""
    remedy = "ask for fewer tokens, or allow more seconds"
    return BackendTimeoutError("the generation passed its deadline", "not done in time", remedy)
