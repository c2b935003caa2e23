"""Traffic for a service on this machine: an open loop, in which nobody waits for anybody.

Arrivals are a Poisson process; a latency counts from when a request was due, not from when it was
sent, so that a service that stands still does not look fast. Source: G. Tene, "How NOT to Measure
Latency" (2013), on coordinated omission.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast

Ending: TypeAlias = Literal["read", "leave"]

_GONE: Final = 0  # in place of a status: no response came
_LEAVES_AFTER: Final = 0.005  # [s]


@dataclass(frozen=True, slots=True)
class Sending:
    """One request: its kind in the tables, its bytes, and whether its answer is waited for."""

    kind: str
    request: bytes
    ending: Ending = "read"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request that was due at ``due``: status (0 none), latency [s]."""

    kind: str
    due: float
    status: int
    seconds: float


@dataclass(slots=True)
class Flow:
    """What came of a stretch of traffic; ``unsent`` found all connections taken."""

    rate: float
    seconds: float
    outcomes: list[Outcome] = field(default_factory=list)
    unsent: int = 0


class _Connection(asyncio.Protocol):
    """One connection, kept open; one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._received = bytearray()

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if _whole(self._received):
            status = int(self._received[9:12])
            closing = b"connection: close" in self._received[:1000].lower()
            self._received.clear()
            if closing and self.transport is not None:
                self.transport.close()
            self._settle(status)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._settle(_GONE)

    async def ask(self, request: bytes) -> int:
        """Return the status of the response; 0 if none came."""
        if self.transport is None:
            return _GONE
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer

    def leave(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _settle(self, status: int) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)


def _whole(received: bytearray) -> bool:
    head, found, body = bytes(received).partition(b"\r\n\r\n")
    if not found:
        return False
    head = head.lower()
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or 0)


class Clients:
    """Callers of one address; at most so many connections at once."""

    def __init__(self, host: str, port: int, most: int) -> None:
        self._host, self._port, self._most = host, port, most
        self._idle: deque[_Connection] = deque()
        self._busy = 0

    async def ask(self, sending: Sending, due: float) -> Outcome | None:
        """Send a request; None where no connection was free."""
        if self._busy >= self._most:
            return None
        self._busy += 1
        try:
            status = await self._sent(sending)
        finally:
            self._busy -= 1
        return Outcome(sending.kind, due, status, time.monotonic() - due)

    async def _sent(self, sending: Sending) -> int:
        connection = await self._connection()
        if connection is None:
            return _GONE
        if sending.ending == "leave":
            with suppress(TimeoutError):
                await asyncio.wait_for(connection.ask(sending.request), _LEAVES_AFTER)
            connection.leave()
            return _GONE
        status = await connection.ask(sending.request)
        if connection.open:
            self._idle.append(connection)
        return status

    async def _connection(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
        except OSError:
            return None
        return connection

    def close(self) -> None:
        """Close all connections that are idle."""
        for connection in self._idle:
            connection.leave()


async def open_loop(
    clients: Clients, rate: Callable[[float], float], seconds: float, next_one: Iterator[Sending]
) -> Flow:
    """Send for so long; ``rate`` [1/s] may change with the time since the start [s]."""
    drawn = random.Random(1)  # noqa: S311 -- arrivals that are the same each time
    flow = Flow(rate(0.0), seconds)
    open_ones: set[asyncio.Task[None]] = set()

    async def one(sending: Sending, due: float) -> None:
        outcome = await clients.ask(sending, due)
        if outcome is None:
            flow.unsent += 1
        else:
            flow.outcomes.append(outcome)

    started = due = time.monotonic()
    while due < started + seconds:
        due += drawn.expovariate(rate(due - started))
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(one(next(next_one), due))
        open_ones.add(task)
        task.add_done_callback(open_ones.discard)
    await asyncio.gather(*open_ones)
    return flow


async def closed_loop(
    clients: Clients, callers: int, seconds: float, ones: Iterator[Sending]
) -> Flow:
    """Let so many callers each ask again as soon as they are answered."""
    flow = Flow(0.0, seconds)
    until = time.monotonic() + seconds

    async def caller() -> None:
        while time.monotonic() < until:
            outcome = await clients.ask(next(ones), time.monotonic())
            if outcome is not None:
                flow.outcomes.append(outcome)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return flow
