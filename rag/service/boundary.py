"""The layers around the application: faults become problems, and bodies are bounded.

From the outside in: ``rag.service.shedding``, ``rag.service.traced``, ``Boundary``, the door
(``rag.service.door``), ``Bodies``, the application.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from rag.service import problems
from rag.service.asgi import App, Message, Receive, Send
from rag.service.problems import Problem
from rag.service.refusals import fault_of, response_to

_LOG = logging.getLogger(__name__)
_SMALLEST_LIMIT_BYTES = 64 * 1024
# Clients of chat send the whole conversation with each question. Source: chosen; 200,000 words.
_CONVERSATION_LIMIT_BYTES = 1024 * 1024
# One character outside the basic plane is twelve bytes of JSON when it is escaped.
_BYTES_PER_CHARACTER = 12


def body_limit(question_chars: int, *, conversation: bool) -> int:
    """Return the largest body to read [bytes] for questions of a length, however escaped."""
    least = _CONVERSATION_LIMIT_BYTES if conversation else _SMALLEST_LIMIT_BYTES
    return max(least, _BYTES_PER_CHARACTER * question_chars + 8192)


class Boundary:
    """ASGI wrapper: notes the arrival, and turns faults into problems.

    The request's state gets ``arrived`` on the monotonic clock [s]. ``refused`` is told each
    problem.
    """

    def __init__(self, app: App, refused: Callable[[Problem], object] = lambda _: None) -> None:
        self._app = app
        self._refused = refused

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["arrived"] = time.monotonic()
        started = threading.Event()

        async def tracked(message: Message) -> None:
            started.set()
            await send(message)

        try:
            await self._app(scope, receive, tracked)
        except Exception:  # noqa: BLE001  # the boundary: a fault must not end in a stack trace
            problem = fault_of(scope["path"])
            self._refused(problem)
            if not started.is_set():
                await response_to(scope["path"], problem)(scope, receive, send)


class Bodies:
    """ASGI wrapper that bounds the size and the time of bodies.

    A body is read before the application runs, so it never parses more than the limit [bytes],
    which depends on the path. Where that is None the application reads it piece by piece, and
    bounds it itself. ``refused`` is told each problem.
    """

    def __init__(
        self,
        app: App,
        limit_bytes: Callable[[str], int | None],
        limit_seconds: float,
        refused: Callable[[Problem], object] = lambda _: None,
    ) -> None:
        self._app = app
        self._refused = refused
        self._limit_bytes = limit_bytes
        self._limit_seconds = limit_seconds

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        limit_bytes = self._limit_bytes(scope["path"]) if scope["type"] == "http" else None
        if limit_bytes is None:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._limit_seconds):
                body = await _read(receive, limit_bytes)
        except TimeoutError:
            problem = problems.body_too_slow(self._limit_seconds)
        else:
            if body is not None:
                await self._app(scope, _replay(body, receive), send)
                return
            problem = problems.body_too_large(limit_bytes)
        self._refused(problem)
        _LOG.info("refused", extra={"fields": problem.log_fields()})
        await response_to(scope["path"], problem)(scope, receive, send)


async def _read(receive: Receive, limit_bytes: int) -> bytes | None:
    """Return the whole body, or None as soon as it is over the limit."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > limit_bytes:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return unread.pop() if unread else await receive()

    return replayed
