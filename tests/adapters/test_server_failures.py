"""What becomes of a server's failures: errors of ours, bounded retries, one deadline."""

import json
import socket
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from rag.adapters.server_index import QdrantServerIndex
from rag.errors import BackendError, BackendRejectedError, BackendTimeoutError, SettingsError
from rag.types import Filter

Connect = Callable[..., QdrantServerIndex]
WHERE = Filter("a")


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failing_server_is_asked_again(qdrant: Any, connect: Connect, status: int) -> None:
    qdrant.replies = [qdrant.error(status)] * 2
    assert connect().count(WHERE) == 3
    assert len(qdrant.requests) == 3


def test_a_write_is_repeated_too(qdrant: Any, connect: Connect) -> None:
    qdrant.replies = [qdrant.error(500)] * 1
    connect().delete("a", ["0" * 32])
    first, second = qdrant.asked("POST", "/points/delete")
    assert first.body == second.body


def test_attempts_are_bounded(qdrant: Any, connect: Connect) -> None:
    qdrant.replies = [qdrant.error(500)] * 9
    with pytest.raises(BackendError, match="told so"):
        connect().count(WHERE)
    assert len(qdrant.requests) == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_final(qdrant: Any, connect: Connect, status: int) -> None:
    qdrant.replies = [qdrant.error(status)]
    with pytest.raises(BackendRejectedError, match=str(status)):
        connect().count(WHERE)
    assert len(qdrant.requests) == 1


def test_retry_after_is_honoured(qdrant: Any, connect: Connect) -> None:
    qdrant.replies = [qdrant.error(429, **{"Retry-After": "1"})]
    started = time.monotonic()
    assert connect().count(WHERE) == 3
    assert time.monotonic() - started >= 1


def test_retry_after_past_the_deadline_fails_at_once(qdrant: Any, connect: Connect) -> None:
    qdrant.replies = [qdrant.error(429, **{"Retry-After": "30"})]
    started = time.monotonic()
    with pytest.raises(BackendError, match="30 s"):
        connect().count(WHERE)
    assert time.monotonic() - started < 4
    assert len(qdrant.requests) == 1


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "Sun, 06 Nov 2094 08:49:37 GMT"}])
def test_a_busy_server_without_a_usable_delay_is_no_crash(
    qdrant: Any, connect: Connect, headers: dict[str, str]
) -> None:
    qdrant.replies = [qdrant.error(429, **headers)] * 9
    with pytest.raises(BackendError):
        connect().count(WHERE)
    assert 1 <= len(qdrant.requests) <= 5


def test_one_deadline_covers_all_attempts(qdrant: Any, connect: Connect) -> None:
    slow = qdrant.reply(500, delay_seconds=0.4)
    qdrant.replies = [slow] * 9
    index = connect(timeout_seconds=0.6, attempts=9)
    started = time.monotonic()
    with pytest.raises(BackendError):
        index.count(WHERE)
    assert time.monotonic() - started < 0.9
    assert len(qdrant.requests) == 2


def test_a_silent_server_is_a_timeout(qdrant: Any, connect: Connect) -> None:
    qdrant.replies = [qdrant.result({"count": 3}, delay_seconds=0.8)]
    index = connect(timeout_seconds=0.2)
    started = time.monotonic()
    with pytest.raises(BackendTimeoutError, match="in time"):
        index.count(WHERE)
    assert time.monotonic() - started < 0.6


@pytest.mark.parametrize("status", [408, 504])
def test_a_time_out_on_the_other_side_is_one_too(
    qdrant: Any, connect: Connect, status: int
) -> None:
    qdrant.replies = [qdrant.error(status)] * 9
    with pytest.raises(BackendTimeoutError):
        connect().count(WHERE)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"result": null}', b'{"result": 7}', b"\xff"]
)
def test_an_answer_that_makes_no_sense_is_an_error(
    qdrant: Any, connect: Connect, body: bytes
) -> None:
    qdrant.replies = [qdrant.reply(200, body)]
    with pytest.raises(BackendError):
        connect().count(WHERE)


def test_nobody_at_the_address_is_an_error(connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(BackendError, match="no connection"):
        connect(url=url).count(WHERE)


@pytest.mark.parametrize("status", [200, 403, 429, 500, 504])
def test_a_key_that_is_said_back_is_not_shown(
    qdrant: Any, connect: Connect, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    key = "hu" + "sh"  # in one piece it would stand in the traceback, as this line
    told = {"result": {"count": key}, "status": {"error": f"you sent {key}"}}
    headers = {"Retry-After": "9"} if status == 429 else {}
    qdrant.replies = [qdrant.reply(status, json.dumps(told).encode(), headers=headers)] * 9
    with pytest.raises(BackendError) as raised:
        connect(api_key=key).count(WHERE)
    shown = "".join(traceback.format_exception(raised.value)) + caplog.text
    assert key not in shown


@pytest.mark.parametrize("key", ["a\nb", "a\x00", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused(connect: Connect, key: str) -> None:
    with pytest.raises(SettingsError, match="printable") as raised:
        connect(api_key=key)
    assert key not in str(raised.value)
