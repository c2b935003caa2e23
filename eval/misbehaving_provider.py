"""A provider of a language model that can be told to misbehave, on the loopback.

It speaks OpenAI's chat completions over HTTP/1.1 and streams what it is told. A behaviour is a
function of a ``Wire``; those that providers are known for are below.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Behaviour: TypeAlias = Callable[["Wire"], None]

_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 8},
}


class Wire:
    """The connection of one request, as a behaviour writes to it."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def head(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send status and headers; the body is chunked."""
        self._handler.send_response(status)
        usual = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
        for name, value in (usual | dict(headers or {})).items():
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def send(self, data: bytes) -> None:
        """Send a chunk of the body; an empty one ends it."""
        self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    def raw(self, data: bytes) -> None:
        """Send bytes as they are, headers or body."""
        self._handler.wfile.write(data)

    def event(self, value: Mapping[str, Any] | str) -> None:
        """Send one event: an object, or text as it is."""
        text = value if isinstance(value, str) else json.dumps(value)
        self.send(f"data: {text}\n\n".encode())

    def say(self, text: str) -> None:
        """Send a piece of the answer."""
        self.event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})

    def end(self, reason: str = "stop", usage: object = _USAGE) -> None:
        """Send the reason of the end, the usage where there is one, and the end itself."""
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if usage is not None:
            self.event({"choices": [], "usage": usage})
        self.event("[DONE]")
        self.send(b"")

    def pause(self, seconds: float) -> None:
        """Wait, unless the client goes away.

        Raises:
            ConnectionError: It did.
        """
        connection = self._handler.connection
        if select.select([connection], [], [], seconds)[0] and not connection.recv(
            1, socket.MSG_PEEK
        ):
            raise ConnectionAbortedError

    def cut(self) -> None:
        """Close the connection before the body is complete."""
        self._handler.wfile.flush()
        self._handler.close_connection = True
        self._handler.connection.shutdown(socket.SHUT_RDWR)


@dataclass
class Provider:
    """What a running provider was asked, and what it will do: each of ``next``, then ``always``.

    ``left`` is set once a client went away before its answer was complete.
    """

    url: str
    always: Behaviour
    next: list[Behaviour] = field(default_factory=list)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running_provider(always: Behaviour | None = None) -> Iterator[Provider]:
    """Yield a provider on a free port of the loopback; by default it answers well."""
    provider = Provider("", always or answering(["Thirty", "-three", " metres", "."]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    server.daemon_threads = True
    provider.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        # Not waiting for the threads of requests: some behave as if they never ended.
        server.socket.close()
        thread.join()


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 0

        def handle(self) -> None:
            """Serve a connection until either side closes it."""
            with suppress(ConnectionError):
                super().handle()

        def do_POST(self) -> None:
            """Record what is asked, and behave."""
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            provider.headers.append({name.lower(): value for name, value in self.headers.items()})
            provider.asked.append(json.loads(body))
            behaviour = provider.next.pop(0) if provider.next else provider.always
            try:
                behaviour(Wire(self))
            except ConnectionError:
                provider.left.set()
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


def answering(
    pieces: Iterable[str], *, usage: object = _USAGE, reason: str = "stop", first: float = 0.0
) -> Behaviour:
    """Answer with these pieces, the first of them after so many seconds."""
    said = tuple(pieces)

    def behave(wire: Wire) -> None:
        wire.pause(first)
        wire.head()
        for piece in said:
            wire.say(piece)
        wire.end(reason, usage)

    return behave


def dripping(every: float) -> Behaviour:
    """Answer with an event that never ends, a byte every so many seconds."""

    def behave(wire: Wire) -> None:
        wire.head()
        wire.send(b"data: ")
        while True:
            wire.pause(every)
            wire.send(b" ")

    return behave


def dripping_head(every: float) -> Behaviour:
    """Answer with a header that never ends, a byte every so many seconds."""

    def behave(wire: Wire) -> None:
        wire.raw(b"HTTP/1.1 200 OK\r\nX-Patience: ")
        while True:
            wire.pause(every)
            wire.raw(b"a")

    return behave


def cut_after(pieces: Iterable[str]) -> Behaviour:
    """Close the connection after these pieces."""
    said = tuple(pieces)

    def behave(wire: Wire) -> None:
        wire.head()
        for piece in said:
            wire.say(piece)
        wire.cut()

    return behave


def refusing(
    status: int, headers: Mapping[str, str] | None = None, error: Mapping[str, Any] | None = None
) -> Behaviour:
    """Answer with a status and OpenAI's form of an error."""

    def behave(wire: Wire) -> None:
        wire.head(status, {"Content-Type": "application/json"} | dict(headers or {}))
        wire.send(json.dumps({"error": error or {"message": "told so", "code": "told"}}).encode())
        wire.send(b"")

    return behave


def sending(*events: str) -> Behaviour:
    """Answer with these lines as they are."""

    def behave(wire: Wire) -> None:
        wire.head()
        for event in events:
            wire.send(event.encode())
        wire.send(b"")

    return behave


def endless(piece: str = " and", every: float = 0.0) -> Behaviour:
    """Answer with the same piece until the client goes away."""

    def behave(wire: Wire) -> None:
        wire.head()
        while True:
            wire.say(piece)
            wire.pause(every)

    return behave
