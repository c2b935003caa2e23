"""What protects the service: the size and time of a body, faults, and the queue of questions."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

from rag.service import problems
from rag.service.problems import Problem
from rag.service.refusals import fault_of, response_to

_T = TypeVar("_T")
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

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
    """ASGI wrapper: notes the arrival, bounds the body, and turns faults into problems.

    The body is read before the application runs, so it never parses more than the limit, which
    depends on the path. The request's state gets ``arrived`` on the monotonic clock [s].
    ``refused`` is told each problem.
    """

    def __init__(
        self,
        app: App,
        limit_bytes: Callable[[str], int],
        limit_seconds: float,
        refused: Callable[[Problem], object] = lambda _: None,
    ) -> None:
        self._app = app
        self._refused = refused
        self._limit_bytes = limit_bytes
        self._limit_seconds = limit_seconds

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
            await self._serve(scope, receive, tracked)
        except Exception:  # noqa: BLE001  # the boundary: a fault must not end in a stack trace
            problem = fault_of(scope["path"])
            self._refused(problem)
            if not started.is_set():
                await response_to(scope["path"], problem)(scope, receive, send)

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        limit_bytes = self._limit_bytes(scope["path"])
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


class Gate:
    """Runs questions on a bounded number of threads, with a bounded queue before them."""

    def __init__(self, workers: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="question")
        self._workers = workers
        self._queue = queue
        self._admitted = 0
        self._counting = threading.Lock()

    @property
    def waiting(self) -> int:
        """Number of questions that wait for a thread."""
        return max(0, self._admitted - self._workers)

    @property
    def full(self) -> bool:
        """Whether another question would be one too many."""
        return self._admitted >= self._workers + self._queue

    def begin(self, work: Callable[[], _T]) -> Future[_T]:
        """Return what will hold what ``work`` returns, run on a thread as soon as one is free."""
        with self._counting:
            self._admitted += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._leave)
        return future

    def close(self) -> None:
        """Let running questions end and drop those that wait."""
        self._pool.shutdown(cancel_futures=True)

    def _leave(self, _: Future[_T]) -> None:
        with self._counting:
            self._admitted -= 1


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
