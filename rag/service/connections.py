"""Connections: how many there may be, and how long each may take to ask and to read.

No thread waits for a caller: heads and bodies are read, and responses written, on the event loop.
What a slow caller holds is a connection, so their number and their time are bounded here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from rag.service import problems
from rag.service.asgi import App, Message, Receive, Send
from rag.service.problems import MEDIA_TYPE, Problem
from rag.service.refusals import response_to

# For a whole request line and its headers, from the connection or its first byte on [s].
# Source: nginx and Apache have 60 and 20; callers here are programs beside the service.
_HEAD_SECONDS: Final = 10.0
# For a caller to take anything of a response that is ready [s]. Source: as for streams.
_READING_SECONDS: Final = 30.0
# Beyond the most, for probes alone, so that a flood of connections does not look like a dead
# process; and how long each may take to ask [s]. Source: chosen.
_SPARE: Final = 8
_SPARE_SECONDS: Final = 1.0
_PROBES: Final = frozenset(("/healthz", "/readyz"))
_LOG = logging.getLogger(__name__)


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 for callers who may be slow, or too many.

    A connection without a whole head in time is closed, and so is one whose caller reads nothing.
    ``most`` connections are served. Of a few more only probes are answered; each further one is
    told so and closed at once.
    """

    most = 1000
    refused: Callable[[Problem], None] | None = None
    head_seconds = _HEAD_SECONDS
    reading_seconds = _READING_SECONDS

    _head: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it."""
        super().connection_made(transport)
        beyond = len(self.connections) - self.most
        if beyond > _SPARE:
            transport.write(_response(self._refusal()))
            transport.close()
            return
        if beyond > 0:
            self.head_seconds = min(self.head_seconds, _SPARE_SECONDS)
            self.app = _Probed(self.app, self._refusal)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take what came; the head of a request has to be whole in time."""
        if self._idle():
            self._expect_head()
            self._forget_reading()
        super().data_received(data)
        if not self._idle():
            self._forget_head()

    def pause_writing(self) -> None:
        """Note that the caller does not keep up."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        """Note that the caller keeps up again."""
        super().resume_writing()
        self._forget_reading()

    def on_response_complete(self) -> None:
        """Give the caller time to read the rest."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._expect_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_head()
        self._forget_reading()
        super().connection_lost(exc)

    def _refusal(self) -> Problem:
        """Return the problem of a connection too many, counted and logged."""
        problem = problems.too_many_connections(self.most)
        _LOG.info("refused", extra={"fields": problem.log_fields()})
        if self.refused is not None:
            self.refused(problem)
        return problem

    def _idle(self) -> bool:
        """Whether no request is being served."""
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        if self._head is None:
            self._head = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _expect_reading(self) -> None:
        self._forget_reading()
        self._unread = self.loop.call_later(self.reading_seconds, self._leave_unread)

    def _forget_reading(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _leave_unread(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()


def bounded(most: int, refused: Callable[[Problem], None] | None = None) -> type[BoundedProtocol]:
    """Return the protocol for so many connections; ``refused`` is told of each further one."""
    told = None if refused is None else staticmethod(refused)
    return type("ServedProtocol", (BoundedProtocol,), {"most": most, "refused": told})


class _Probed:
    """ASGI wrapper that answers probes alone, one on each connection."""

    def __init__(self, app: App, refusal: Callable[[], Problem]) -> None:
        self._app = app
        self._refusal = refusal

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"] not in _PROBES:
            await response_to(scope["path"], self._refusal())(scope, receive, send)
            return

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, closing)


def _response(problem: Problem) -> bytes:
    """Return a whole response, to a connection that is one too many."""
    body = problem.body()
    headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), **problem.headers}
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return "".join(["HTTP/1.1 503 Service Unavailable\r\n", *lines, "\r\n"]).encode() + body
