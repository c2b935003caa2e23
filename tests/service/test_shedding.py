"""Questions that are refused before anything is read of them."""

from __future__ import annotations

import asyncio
import logging

import pytest

from rag.errors import OverloadedError
from rag.service.asgi import Message, Receive, Send
from rag.service.problems import Problem
from rag.service.shedding import Shedding


async def _app(scope: Message, receive: Receive, send: Send) -> None:  # noqa: ARG001
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def _unread() -> Message:
    raise AssertionError("the body was read")


def overloaded() -> OverloadedError:
    error = OverloadedError("too many questions are waiting", "64 waiting", "ask again later")
    error.retry_after = 2.1
    return error


def sent_to(shedding: Shedding, path: str) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(shedding({"type": "http", "path": path, "method": "POST"}, _unread, send))
    return sent


@pytest.mark.parametrize("path", ["/v1/query", "/v1/retrieve", "/v1/chat/completions"])
def test_a_question_is_refused_unread_and_counted(path: str) -> None:
    told: list[Problem] = []
    start, *_ = sent_to(Shedding(_app, overloaded, told.append), path)
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"3"
    assert [problem.kind for problem in told] == ["overloaded"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/impact", "/v1/batch"])
def test_what_asks_nothing_is_let_through(path: str) -> None:
    [start] = sent_to(Shedding(_app, overloaded), path)
    assert start["status"] == 200


def test_questions_are_let_through_while_there_are_not_too_many() -> None:
    [start] = sent_to(Shedding(_app, lambda: None), "/v1/query")
    assert start["status"] == 200


def test_a_flood_of_questions_is_none_of_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rag")
    shedding = Shedding(_app, overloaded)
    for _ in range(200):
        sent_to(shedding, "/v1/query")
    told = [record.__dict__["fields"] for record in caplog.records]
    assert 1 <= len(told) < 20
    assert told[0] == {"status": 503, "problem": "overloaded", "requests": 1}
