"""Server-sent events: pieces of an answer while it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

from fastapi.responses import StreamingResponse

from rag.service.asgi import Message, Receive, Send

MEDIA_TYPE: Final = "text/event-stream"
# Proxies that buffer would hold the pieces back until the end.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
COMMENT: Final = b": still working\n\n"  # so that proxies do not cut a quiet connection


def event(name: str | None, data: str) -> bytes:
    """Return one server-sent event; ``data`` is one line, as JSON is.

    Source: WHATWG HTML Standard, section 9.2, "Server-sent events".
    """
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data}\n\n".encode()


class EventStream(StreamingResponse):
    """Events as they come; whoever makes them watches the caller, and ends when it has gone.

    A caller who does not read is left after ``limit_seconds``. ``close`` is called in any case.
    """

    def __init__(
        self, events: AsyncIterator[bytes], limit_seconds: float, close: Callable[[], None]
    ) -> None:
        super().__init__(events, media_type=MEDIA_TYPE, headers=dict(_HEADERS))
        self._limit_seconds = limit_seconds
        self._close = close

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the events."""
        try:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(self._limit_seconds):
                    await self.stream_response(send)
        finally:
            self._close()
