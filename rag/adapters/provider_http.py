"""HTTP to providers of models, in calls that can be cut from outside at any moment."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final

import httpx

_PLAIN: Final = "identity"
_MOST_BYTES: Final = 16_000_000  # of one reply; chosen: 32,768 tokens take about 8 MB of events
# Source: WHATWG HTML, server-sent events, 9.2.5: one at the begin of a stream is no part of it.
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Call:
    """One call: its connection while there is one, and whether it was cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._response: httpx.Response | None = None
        self._cut = False

    def cut(self) -> None:
        """End the connection, now or as soon as there is one; whoever reads from it wakes up."""
        with self._lock:
            self._cut = True
            self._shut()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of the connection once it is made; called by the HTTP library."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self._cut:
                    self._shut()

    def answered(self, response: httpx.Response) -> None:
        """Take note of the response, to be closed at the end."""
        self._response = response

    def close(self) -> None:
        """Close what was opened; only for the thread that made the call."""
        if self._response is not None:
            self._response.close()

    def _shut(self) -> None:
        if self._socket is not None:
            # It may have been closed in the meantime. What TLS would say first could block.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class ProviderHttp:
    """An HTTP client for calls that can be cut: ``client`` is what a connector is given.

    Redirects are not followed, for the key would go with them; nor are proxies used. Each call has
    a connection of its own, so that one can be cut without another's harm, and none is found dead.
    """

    def __init__(self) -> None:
        self._calls = threading.local()
        self.client = httpx.Client(
            trust_env=False,
            follow_redirects=False,
            verify=ssl.create_default_context(),
            # What is compressed has no bound once it is unpacked, and comes late.
            headers={"accept-encoding": _PLAIN},
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            event_hooks={"request": [self._watch], "response": [self._take]},
        )

    @contextlib.contextmanager
    def during(self, call: Call) -> Iterator[None]:
        """Let the requests that this thread makes meanwhile belong to the call, and end with it.

        The connector's own end may be left to the garbage collector.
        """
        self._calls.current = call
        try:
            yield
        finally:
            self._calls.current = None
            call.close()

    def _watch(self, request: httpx.Request) -> None:
        call: Call | None = getattr(self._calls, "current", None)
        if call is not None:
            request.extensions = {**request.extensions, "trace": call.trace}

    def _take(self, response: httpx.Response) -> None:
        call: Call | None = getattr(self._calls, "current", None)
        if call is not None:
            call.answered(response)
        encoding = response.headers.get("content-encoding", _PLAIN)
        if encoding.strip().lower() != _PLAIN:
            raise httpx.DecodingError("the reply is compressed, which was not asked for")
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _BoundedStream(response.stream)


class _BoundedStream(httpx.SyncByteStream):
    """The body of a reply, up to a size, without a byte order mark."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        left = _MOST_BYTES
        for part in _without_mark(self._stream):
            left -= len(part)
            if left < 0:
                raise httpx.DecodingError(f"the reply is longer than {_MOST_BYTES} bytes")
            yield part

    def close(self) -> None:
        self._stream.close()


def _without_mark(parts: Iterable[bytes]) -> Iterator[bytes]:
    left, begin = iter(parts), b""
    for part in left:
        begin += part
        if not _BYTE_ORDER_MARK.startswith(begin):
            break
    yield begin.removeprefix(_BYTE_ORDER_MARK)
    yield from left


def broke_off(exc: BaseException | None) -> bool:
    """Return whether an error comes from a connection that failed, whoever wrapped it."""
    while exc is not None:
        if isinstance(exc, httpx.TransportError | OSError):
            return True
        exc = exc.__cause__
    return False
