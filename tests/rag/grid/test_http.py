import threading
import time
from http.client import HTTPConnection
from typing import Any

import pytest

from rag.errors import BackendError, BackendRejectedError, BackendTimeoutError, SettingsError
from rag.grid.http import Call, Endpoint, get_json


def test_an_object_is_returned_and_asked_for_as_told(service: Any) -> None:
    service.says("/v3/x/y", {"a": 1})
    call = Call("x/y", {"zone": "DE", "more": "a b&c"}, {"auth-token": "secret"})
    assert get_json(Endpoint(f"{service.url}/v3/", 5), call) == {"a": 1}
    (asked,) = service.asked
    assert asked.query == {"zone": "DE", "more": "a b&c"}
    assert asked.headers["auth-token"] == "secret"
    assert "secret" not in repr(call)


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_any_other_status_is_a_refusal(service: Any, status: Any) -> None:
    service.says("/x", {"a": 1}, status)
    with pytest.raises(BackendRejectedError, match=f"refused: status {status}"):
        get_json(Endpoint(service.url, 5), Call("x"))


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[1]", b'"x"', b"[" * 100_000])
def test_what_is_no_json_object_is_told(service: Any, body: Any) -> None:
    service.says("/x", body)
    with pytest.raises(BackendError, match="sent no JSON object"):
        get_json(Endpoint(service.url, 5), Call("x"))


def test_a_body_without_end_is_not_read_to_it(service: Any) -> None:
    for body in (b'{"a": "' + b"x" * 1_000_001 + b'"}', b"{}" + b" " * 1_000_000):
        service.says("/x", body)
        with pytest.raises(BackendError, match="sent no JSON object: 1000001 bytes"):
            get_json(Endpoint(service.url, 5), Call("x"))


def test_a_body_that_trickles_ends_at_the_deadline(service: Any, settled: Any) -> None:
    """Every byte comes well within a socket's time-out; the whole would take 10 s."""
    service.says("/x", {"a": "x" * 200})
    service.trickle_seconds = 0.05
    started = time.monotonic()
    with pytest.raises(BackendTimeoutError, match=r"too slow: no answer in 0\.3 s"):
        get_json(Endpoint(service.url, 0.3), Call("x"))
    assert time.monotonic() - started < 2
    settled()


def test_a_service_that_says_nothing_is_too_slow(service: Any, settled: Any) -> None:
    silent = threading.Event()

    def answer(_: Any) -> Any:
        silent.wait(5)
        return 200, {}

    service.answers["/x"] = answer
    with pytest.raises(BackendTimeoutError):
        get_json(Endpoint(service.url, 0.2), Call("x"))
    silent.set()
    settled()


def test_nobody_there() -> None:
    with pytest.raises(BackendError, match="cannot be reached"):
        get_json(Endpoint("http://127.0.0.1:1", 5), Call("x"))


def test_a_key_that_no_header_can_hold_is_not_shown(service: Any) -> None:
    for key in ("two\nlines", "schlüssel-…"):
        with pytest.raises(BackendError, match="cannot be asked") as raised:
            get_json(Endpoint(service.url, 5), Call("x", {}, {"auth-token": key}))
        assert "lines" not in str(raised.value)
        assert "schl" not in str(raised.value)
    assert service.asked == []


@pytest.mark.parametrize(
    "url",
    ["", "ftp://host", "host/v3", "https://", "https://a:b@host", "http://host:x", "http://["],
)
def test_an_address_that_cannot_be_used(url: Any) -> None:
    with pytest.raises(SettingsError, match="address cannot be used"):
        Endpoint(url, 1)


def test_a_call_that_connects_too_late_sends_nothing(
    service: Any, settled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, given_up = HTTPConnection.connect, threading.Event()

    def slowly(connection: HTTPConnection) -> None:
        assert given_up.wait(5)
        connect(connection)

    monkeypatch.setattr(HTTPConnection, "connect", slowly)
    service.says("/x", {})
    with pytest.raises(BackendTimeoutError):
        get_json(Endpoint(service.url, 0.05), Call("x", {}, {"auth-token": "secret"}))
    given_up.set()
    settled()
    assert service.asked == []
