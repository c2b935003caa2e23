"""One question under way: who asked it, what was said so far, and how it ended."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from rag.errors import DeadlineError
from rag.generating import Listener
from rag.service.asgi import Receive
from rag.service.limits import Gate

_T = TypeVar("_T")
QUIET_SECONDS: Final = 10.0  # after which proxies are shown that the connection is alive
_OVER: Final = object()


class Hearing(Generic[_T]):
    """The work on a question, on a thread of the gate, and the caller who waits for it.

    The work is given this as its ``Listener``. When the caller closes the connection, work that
    waits for a thread is dropped, and work under way is told that nobody listens. To be made on the
    event loop, and to be closed.
    """

    def __init__(
        self,
        gate: Gate,
        work: Callable[[Listener], _T],
        deadline: float,
        receive: Receive,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._notes: asyncio.Queue[object] = asyncio.Queue()
        self._held: list[object] = []
        self._left = threading.Event()
        self._deadline = deadline
        self._quiet_seconds = quiet_seconds
        self._future = gate.begin(lambda: work(self))
        self._future.add_done_callback(lambda _: self._hand(_OVER))
        self._watch = asyncio.ensure_future(self._watched(receive))

    def say(self, text: str) -> None:
        """Take the next piece of the answer; called by the work."""
        self._hand(text)

    def gone(self) -> bool:
        """Whether the caller has gone."""
        return self._left.is_set()

    async def begun(self) -> bool:
        """Wait for the first note, and return whether there is one before all is over."""
        self._held.append(await self._note())
        return self._held[0] is not _OVER

    async def notes(self) -> AsyncIterator[str | None]:
        """Yield each piece as it is said, and None after a quiet while.

        It ends when the work is over, when the caller has gone, and at the deadline.
        """
        while True:
            note = self._held.pop() if self._held else await self._note()
            if note is not None and not isinstance(note, str):
                return
            yield note

    def result(self) -> _T:
        """Return what came of the work.

        Raises:
            DeadlineError: The deadline passed; if it had not begun, it never will.
        """
        if self._future.done():
            return self._future.result()
        begun = "it was being answered" if self._future.running() else "it was still waiting"
        remedy = "ask again later or raise deadline_seconds"
        raise DeadlineError("the question's deadline passed", begun, remedy)

    def close(self) -> None:
        """Wait no longer; what has not ended yet is not needed any more."""
        self._watch.cancel()
        self._left.set()
        self._future.cancel()

    async def _note(self) -> object:
        if self.gone():
            return _OVER
        if not self._notes.empty():
            return self._notes.get_nowait()
        left = max(0.0, self._deadline - time.monotonic())
        try:
            return await asyncio.wait_for(self._notes.get(), min(left, self._quiet_seconds))
        except TimeoutError:
            return _OVER if time.monotonic() >= self._deadline else None

    def _hand(self, note: object) -> None:
        with suppress(RuntimeError):  # the loop has ended before the work
            self._loop.call_soon_threadsafe(self._notes.put_nowait, note)

    async def _watched(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._left.set()
        self._future.cancel()
        self._hand(_OVER)
