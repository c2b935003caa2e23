"""Bodies to the disk: as they come, and no slower than they may."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request

from rag.service.receiving import NotReceived, Receiving, receive, require_type

LIMITS = Receiving(limit_bytes=100_000, idle_seconds=0.4)


def request(pieces: Iterator[tuple[float, bytes]], **headers: str) -> Request:
    """Return a request whose pieces come after so many seconds each."""
    end: list[Any] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def come() -> Any:
        for seconds, piece in pieces:
            await asyncio.sleep(seconds)
            return {"type": "http.request", "body": piece, "more_body": True}
        return end.pop() if end else {"type": "http.disconnect"}

    named = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "headers": named}, come)


def refused(path: Path, pieces: list[tuple[float, bytes]], **headers: str) -> int:
    with pytest.raises(NotReceived) as caught:
        asyncio.run(receive(request(iter(pieces), **headers), path, LIMITS))
    assert caught.value.problem.remedy
    return int(caught.value.problem.status)


def test_it_is_what_was_sent(tmp_path: Path) -> None:
    sent = [(0.0, b"x" * 60_000), (0.1, b""), (0.0, b"y" * 40_000)]
    size = asyncio.run(receive(request(iter(sent)), tmp_path / "a", LIMITS))
    assert (tmp_path / "a").read_bytes() == b"x" * 60_000 + b"y" * 40_000
    assert size == 100_000


def test_a_large_body_is_never_whole_in_memory(tmp_path: Path) -> None:
    most = [0]
    block = b"z" * 65_536

    def pieces() -> Iterator[tuple[float, bytes]]:
        for number in range(200):
            written = (tmp_path / "a").stat().st_size
            most[0] = max(most[0], number * len(block) - written)
            yield 0.0, block

    limits = Receiving(200 * len(block), 5)
    asyncio.run(receive(request(pieces()), tmp_path / "a", limits))
    assert (tmp_path / "a").stat().st_size == 200 * len(block)
    assert most[0] < 2.5e6  # of 13 million


def test_what_is_too_much_is_refused_as_soon_as_it_is_known(tmp_path: Path) -> None:
    assert refused(tmp_path / "a", [(9.0, b"never")], content_length="100001") == 413
    assert refused(tmp_path / "b", [(0.0, b"x" * 70_000)] * 2 + [(9.0, b"never")]) == 413
    assert refused(tmp_path / "c", [(9.0, b"never")], content_length="9" * 5000) == 413


def test_who_stops_sending_or_only_drips_is_refused(tmp_path: Path) -> None:
    started = time.monotonic()
    assert refused(tmp_path / "a", [(0.0, b"x"), (9.0, b"never")]) == 408
    assert refused(tmp_path / "b", [(0.1, b"x")] * 100) == 408  # ten bytes a second
    assert time.monotonic() - started < 3


def test_who_has_gone_is_not_waited_for(tmp_path: Path) -> None:
    gone = request(iter([(0.0, b"x")]))

    async def come() -> Any:
        return {"type": "http.disconnect"}

    gone._receive = come
    with pytest.raises(NotReceived) as caught:
        asyncio.run(receive(gone, tmp_path / "a", LIMITS))
    assert caught.value.problem.status == 499


def test_a_folder_that_is_not_there_is_told_without_its_place(tmp_path: Path) -> None:
    with pytest.raises(NotReceived) as caught:
        asyncio.run(receive(request(iter([(0.0, b"x")])), tmp_path / "no" / "a", LIMITS))
    problem = caught.value.problem
    assert (problem.status, problem.headers["Connection"]) == (503, "close")
    assert str(tmp_path) not in problem.body().decode()


@pytest.mark.parametrize("given", ["application/jsonl", "Application/JSONL; charset=utf-8"])
def test_declared_types(given: str) -> None:
    require_type(request(iter(()), content_type=given), ("application/jsonl",))
    with pytest.raises(NotReceived):
        require_type(request(iter(()), content_type=given), ("application/pdf",))
