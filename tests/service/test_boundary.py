"""The body's bounds, met before the application sees anything of a request."""

from __future__ import annotations

import asyncio
import logging

import pytest

from rag.service.asgi import Message, Receive, Send
from rag.service.boundary import Bodies


async def _never_called(_scope: Message, _receive: Receive, _send: Send) -> None:
    raise AssertionError("the application was called")


def refusal(receive: Receive) -> int:
    """Return the status that a request of this body gets."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/v1/query"}
    asyncio.run(
        Bodies(_never_called, limit_bytes=lambda _: 10, limit_seconds=0.05)(scope, receive, send)
    )
    status: int = sent[0]["status"]
    return status


async def too_large() -> Message:
    return {"type": "http.request", "body": b"pumpernickel", "more_body": True}


async def too_slow() -> Message:
    await asyncio.sleep(60)
    return {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("receive", "status", "problem"),
    [(too_large, 413, "body-too-large"), (too_slow, 408, "body-too-slow")],
)
def test_a_refused_body_is_logged_like_every_refusal(
    receive: Receive, status: int, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rag")
    assert refusal(receive) == status
    [record] = caplog.records
    assert record.getMessage() == "refused"
    assert record.__dict__["fields"] == {"status": status, "problem": problem}
