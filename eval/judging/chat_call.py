"""One JSON request to an HTTP endpoint: bounded in time, size and tries; the key never shown.

Redirects are not followed, for the key would go with them; nor are proxies used.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from rag.errors import BackendError, BackendRejectedError, BackendTimeoutError

_TRIES = 3
_WAIT_SECONDS = 1.0  # before the second try, doubled before the third, where none is named
_MOST_BYTES = 1_000_000
_PASSING = {429, 500, 502, 503, 504}
_LONGEST_COMPLAINT = 200  # characters
_SHORTEST_PIECE = 6  # characters of a key that a complaint may not hold


@dataclass(frozen=True, slots=True)
class Reply:
    """The JSON object that came back, and how long its try took [s]."""

    body: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    wait: str | None
    body: bytes


def post(url: str, body: Mapping[str, Any], key: str | None, deadline: float) -> Reply:
    """Return the reply to one request, tried up to three times before the deadline.

    A try is repeated where the endpoint is busy or failed (429, 500, 502 to 504), after the seconds
    that its ``Retry-After`` names if they fit before the deadline.

    Args:
        url: Where to, http or https.
        body: What is sent, as JSON.
        key: Sent as a bearer token, if there is one.
        deadline: On the monotonic clock [s].

    Raises:
        BackendTimeoutError: The deadline passed, or would before the next try.
        BackendRejectedError: Another status than 200.
        BackendError: No connection, a reply that is too large or no JSON object, or every try
            failed.
    """
    parts = urlsplit(url)
    for attempt in range(1, _TRIES + 1):
        started = time.monotonic()
        response = _sent(parts, json.dumps(body).encode(), key, deadline)
        if response.status == 200:
            return Reply(_object(response.body, url), time.monotonic() - started)
        if response.status not in _PASSING:
            complaint = _complaint(response, key)
            remedy = "check address, model and key"
            raise BackendRejectedError("the judge refused", f"{complaint} ({url})", remedy)
        if attempt < _TRIES:
            _wait(response, attempt, deadline, url)
    complaint = f"{_complaint(response, key)} ({url})"
    raise BackendError("the judge failed on every try", complaint, "try again later")


def _wait(response: _Response, attempt: int, deadline: float, url: str) -> None:
    named = response.wait or ""
    seconds = float(named) if named.isdecimal() else _WAIT_SECONDS * 2 ** (attempt - 1)
    if time.monotonic() + seconds >= deadline:
        late = f"status {response.status}, {seconds:g} s to wait ({url})"
        raise BackendTimeoutError("the judge is busy past the deadline", late, "try again later")
    time.sleep(seconds)


def _sent(parts: SplitResult, body: bytes, key: str | None, deadline: float) -> _Response:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    where = f"{parts.scheme}://{parts.netloc}{parts.path}"
    try:
        with _connected(parts, deadline) as connection:
            connection.request("POST", parts.path or "/", body, headers)
            response = connection.getresponse()
            read = response.read(_MOST_BYTES + 1)
    except (OSError, UnicodeError, http.client.HTTPException) as exc:
        if time.monotonic() >= deadline:
            what = "the judge did not answer before the deadline"
            raise BackendTimeoutError(what, where, "raise the deadline or ask later") from exc
        found = f"{where} ({type(exc).__name__}: {exc})"
        raise BackendError("the judge cannot be reached", found, "check the address") from exc
    if time.monotonic() >= deadline:
        what = "the judge did not answer before the deadline"
        raise BackendTimeoutError(what, where, "raise the deadline or ask later")
    if len(read) > _MOST_BYTES:
        remedy = "check that the address is a chat endpoint"
        raise BackendError("the judge's reply is too large", f"over {_MOST_BYTES} bytes", remedy)
    return _Response(response.status, response.headers.get("Retry-After"), read)


@contextmanager
def _connected(parts: SplitResult, deadline: float) -> Iterator[http.client.HTTPConnection]:
    """Yield a connection that is cut at the deadline, however slowly its bytes still come."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    host = parts.hostname or ""
    connection = (
        http.client.HTTPSConnection(
            host, parts.port, timeout=left, context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=left)
    )
    connection.connect()
    watch = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, (connection.sock,))
    watch.daemon = True
    watch.start()
    try:
        yield connection
    finally:
        watch.cancel()
        connection.close()


def _cut(sock: socket.socket) -> None:
    # It may have been closed in the meantime.
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _object(body: bytes, url: str) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as exc:
        remedy = "check that the address is a chat endpoint"
        raise BackendError("the judge's reply is not JSON", url, remedy) from exc
    if not isinstance(value, dict):
        remedy = "check that the address is a chat endpoint"
        raise BackendError("the judge's reply is not a JSON object", url, remedy)
    return value


def _complaint(response: _Response, key: str | None) -> str:
    """Return the status with the endpoint's own words, unless they hold a piece of the key."""
    try:
        said = json.loads(response.body)["error"]["message"]
    except (ValueError, RecursionError, KeyError, IndexError, TypeError):
        said = None
    if not isinstance(said, str) or (key is not None and _holds_piece(said, key)):
        return f"status {response.status}"
    return f"status {response.status}: {' '.join(said[:_LONGEST_COMPLAINT].split())}"


def _holds_piece(said: str, key: str) -> bool:
    length = min(_SHORTEST_PIECE, len(key))
    return any(key[at : at + length] in said for at in range(len(key) - length + 1))
