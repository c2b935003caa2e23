"""Bodies that are brought to the disk as they come, without ever being whole in memory."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final

from fastapi import Request

from rag.errors import RagError
from rag.jobs.room import mapped
from rag.service import problems
from rag.service.problems import Problem

# After the first ``idle_seconds`` a body comes at least as fast as this [bytes/s], so that nobody
# holds a connection for long by sending slowly. Source: chosen; a hundredth of a slow line's rate.
_LEAST_RATE: Final = 10_000.0
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Receiving:
    """How much of a body is taken [bytes], and how long it may stand still [s]."""

    limit_bytes: int
    idle_seconds: float


class NotReceived(Exception):  # noqa: N818  # what went wrong is the problem that it holds
    """A body was not taken, for the reason that the client is told."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)


def require_type(request: Request, allowed: Collection[str]) -> None:
    """Check the media type of a body.

    Pages of other sites can send some types, and bodies without one, to a service on this machine
    without being asked whether they may; so none of those may be allowed.

    Raises:
        NotReceived: It is another one.
    """
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() not in allowed:
        raise NotReceived(
            Problem(
                "unsupported-media-type",
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "the body is not declared as what is taken here",
                f"send Content-Type: {next(iter(allowed))}",
                field="Content-Type",
                value=given[:120],
                headers={"Connection": "close"},
            )
        )


async def receive(request: Request, path: Path, limits: Receiving) -> int:
    """Write a request's body to a new file; return its size [bytes]. It is on the disk then.

    Raises:
        NotReceived: It is too large or too slow, there is no room, or the client has gone.
    """
    body = _Body(request, limits)
    try:
        with mapped(path), path.open("xb") as file:
            while block := await body.block():
                await asyncio.to_thread(file.write, block)
            await asyncio.to_thread(_flushed, file)
    except RagError as exc:
        problem = problems.from_error(exc)
        # The rest of the body is not read, so nothing can follow it.
        headers = {**problem.headers, "Connection": "close"}
        raise NotReceived(replace(problem, headers=headers)) from exc
    return body.size


class _Body:
    def __init__(self, request: Request, limits: Receiving) -> None:
        self.size = 0
        self._request = request
        self._limits = limits
        self._began = time.monotonic()
        self._more = True
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared[:20]) > limits.limit_bytes:
            raise NotReceived(_too_large(limits))

    async def block(self) -> bytes:
        """Return the next part of the body, empty at its end."""
        block = bytearray()
        while self._more and len(block) < _BLOCK_BYTES:
            block += await self._next()
            if self.size + len(block) > self._limits.limit_bytes:
                raise NotReceived(_too_large(self._limits))
        self.size += len(block)
        return bytes(block)

    async def _next(self) -> bytes:
        came = self.size / _LEAST_RATE
        late = self._began + came + self._limits.idle_seconds - time.monotonic()
        try:
            left = max(0.0, min(late, self._limits.idle_seconds))
            message = await asyncio.wait_for(self._request.receive(), left)
        except TimeoutError as exc:
            raise NotReceived(problems.body_too_slow(self._limits.idle_seconds)) from exc
        if message["type"] == "http.disconnect":
            raise NotReceived(problems.caller_left())
        self._more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


def _flushed(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _too_large(limits: Receiving) -> Problem:
    return Problem(
        "body-too-large",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {limits.limit_bytes} bytes",
        "send it in smaller parts, or have the limit raised",
        headers={"Connection": "close"},
    )
