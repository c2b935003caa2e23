"""Slow callers and too many of them, on real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
import uvicorn

from rag.service.asgi import Message, Receive, Send
from rag.service.connections import BoundedProtocol, bounded
from rag.service.problems import Problem
from rag.service.server import listen

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = HEAD[:-6]
LARGE = 30_000_000


async def _app(scope: Message, receive: Receive, send: Send) -> None:  # noqa: ARG001
    """Answer shortly, or at /large with more than any buffer takes."""
    size = LARGE if scope["path"] == "/large" else 2
    headers = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    piece = b"ok" if size == 2 else bytes(100_000)
    for number in range(size // len(piece)):
        more = (number + 1) * len(piece) < size
        await send({"type": "http.response.body", "body": piece, "more_body": more})


class Quick(BoundedProtocol):
    head_seconds = 0.3
    reading_seconds = 0.5


@contextmanager
def served(protocol: type[BoundedProtocol]) -> Iterator[tuple[uvicorn.Server, int]]:
    bound = listen("127.0.0.1", 0)
    config = uvicorn.Config(_app, http=protocol, ws="none", log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server, bound.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def quick() -> Iterator[tuple[uvicorn.Server, int]]:
    with served(Quick) as running:
        yield running


def connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.settimeout(10)
    return connection


def asked(connection: socket.socket) -> None:
    """Send a request and read the whole response."""
    connection.sendall(HEAD)
    answer = b""
    while not answer.endswith(b"ok"):
        piece = connection.recv(1000)
        assert piece
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200")


def seconds_until_closed(connection: socket.socket) -> float:
    started = time.monotonic()
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - started


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


@pytest.mark.parametrize("sent", [b"", HALF])
def test_a_head_that_does_not_come_is_not_waited_for(
    quick: tuple[uvicorn.Server, int], sent: bytes
) -> None:
    with connected(quick[1]) as connection:
        connection.sendall(sent)
        assert 0.2 < seconds_until_closed(connection) < 5


def test_a_head_that_drips_is_not_waited_for_longer(quick: tuple[uvicorn.Server, int]) -> None:
    with connected(quick[1]) as connection:
        started = time.monotonic()
        sent = 0
        with suppress(OSError):
            while sent < 200:
                connection.sendall(HEAD[sent % 10 : sent % 10 + 1])
                sent += 1
                time.sleep(0.05)
        assert sent < 100
        assert time.monotonic() - started < 5


def test_the_next_head_on_a_connection_is_bounded_too(quick: tuple[uvicorn.Server, int]) -> None:
    with connected(quick[1]) as connection:
        asked(connection)
        time.sleep(0.4)  # longer than a head may take: nothing was begun
        asked(connection)
        connection.sendall(HALF)
        assert 0.2 < seconds_until_closed(connection) < 4


def test_who_reads_nothing_is_left_and_who_reads_gets_all(
    quick: tuple[uvicorn.Server, int],
) -> None:
    server, port = quick
    ask = HEAD.replace(b"/ ", b"/large ", 1)
    with connected(port) as idle, connected(port) as reading:
        idle.sendall(ask)
        reading.sendall(ask)
        received = 0
        while received < LARGE:
            received += len(reading.recv(1_000_000))
            time.sleep(0.005)
        assert eventually(lambda: len(server.server_state.connections) <= 1)
        assert not server.server_state.tasks


def whole(port: int, request: bytes) -> bytes:
    """Return all that is said until the connection is closed."""
    answer = b""
    with connected(port) as connection, suppress(ConnectionResetError):
        connection.sendall(request)
        while piece := connection.recv(65536):
            answer += piece
    return answer


def refused(answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    head = head.lower()
    assert head.startswith(b"http/1.1 503 ")
    assert b"retry-after: 1" in head
    assert b"connection: close" in head
    assert b":too-many-connections" in body
    assert f"content-length: {len(body)}".encode() in head


def test_connections_beyond_the_most_are_told_so_and_closed() -> None:
    told: list[Problem] = []
    with served(bounded(3, told.append)) as (_, port), ExitStack() as kept:
        for _ in range(3):
            connection = kept.enter_context(connected(port))
            asked(connection)
        for probe in (b"/healthz", b"/readyz"):
            assert whole(port, HEAD.replace(b"/", probe, 1)).startswith(b"HTTP/1.1 200")
        refused(whole(port, HEAD))
        assert len(told) == 1
        for _ in range(8):  # who says nothing takes the places of probes, but not for long
            kept.enter_context(connected(port))
        refused(whole(port, b""))
        assert eventually(lambda: b" 200 " in whole(port, HEAD.replace(b"/", b"/healthz", 1)))
        assert {problem.kind for problem in told} == {"too-many-connections"}
        kept.close()

        def taken() -> bool:
            with connected(port) as again:
                again.sendall(HEAD)
                return again.recv(1000).startswith(b"HTTP/1.1 200")

        assert eventually(taken)
