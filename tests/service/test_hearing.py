"""A question under way, and the caller who waits for it; without HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from rag.errors import DeadlineError
from rag.generating import Listener
from rag.service.asgi import Message
from rag.service.hearing import Hearing
from rag.service.limits import Gate
from rag.service.streaming import EventStream


def hearing_of(
    gate: Gate, work: Callable[[Listener], str], seconds: float, left: asyncio.Event
) -> Hearing[str]:
    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    return Hearing(gate, work, time.monotonic() + seconds, receive, quiet_seconds=0.05)


async def notes(hearing: Hearing[str]) -> list[str | None]:
    return [note async for note in hearing.notes()]


def test_a_quiet_while_is_noted_so_that_the_connection_is_kept_open() -> None:
    def work(listener: Listener) -> str:
        time.sleep(0.2)
        listener.say("a")
        listener.say("b")
        return "ab"

    async def heard() -> tuple[bool, list[str | None], str]:
        hearing = hearing_of(Gate(1, 1), work, 20, asyncio.Event())
        begun, said = await hearing.begun(), await notes(hearing)
        result = hearing.result()
        hearing.close()
        return begun, said, result

    begun, said, result = asyncio.run(heard())
    assert begun
    assert said[0] is None
    assert [note for note in said if note is not None] == ["a", "b"]
    assert result == "ab"


def test_work_that_waits_is_never_begun_once_its_caller_has_left() -> None:
    go, begun = threading.Event(), []
    gate = Gate(1, 8)

    async def heard() -> bool:
        first = hearing_of(gate, lambda _: str(go.wait(10)), 20, asyncio.Event())
        left = asyncio.Event()
        second = hearing_of(gate, lambda _: str(begun.append(2)), 20, left)
        assert gate.waiting == 1
        left.set()
        assert await notes(second) == []
        assert second.gone()
        waiting = gate.waiting
        go.set()
        await notes(first)
        for hearing in (first, second):
            hearing.close()
        return waiting == 0

    assert asyncio.run(heard())
    gate.close()
    assert begun == []


def test_the_deadline_is_an_error_that_says_how_far_it_came() -> None:
    go = threading.Event()
    gate = Gate(1, 8)

    async def heard() -> None:
        both = [
            hearing_of(gate, lambda _: str(go.wait(10)), 0.2, asyncio.Event()) for _ in range(2)
        ]
        for hearing, how in zip(both, ("being answered", "still waiting"), strict=True):
            await notes(hearing)
            with pytest.raises(DeadlineError, match=how):
                hearing.result()
            hearing.close()
        go.set()

    asyncio.run(heard())
    gate.close()


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"data: {}\n\n"


@pytest.mark.parametrize("broken", [True, False])
def test_a_caller_who_takes_nothing_is_left(*, broken: bool) -> None:
    closed: list[bool] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            if broken:
                raise BrokenPipeError
            await asyncio.sleep(60)

    async def receive() -> Message:
        raise AssertionError("who makes the events watches the caller")

    stream = EventStream(_endless(), 0.1, lambda: closed.append(True))
    started = time.monotonic()
    asyncio.run(stream({"type": "http"}, receive, send))
    assert time.monotonic() - started < 5
    assert closed == [True]
