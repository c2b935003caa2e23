"""One GET for JSON over HTTP with a hard deadline and a bounded body, by the standard library."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from rag.errors import BackendError, BackendRejectedError, BackendTimeoutError, SettingsError

_BODY_BYTES = 1_000_000  # bound on work: three days in steps of five minutes take 70 kB
_OK = 200  # the one status that brings data; a redirect could lead a key astray
_CONNECTIONS = {"http": HTTPConnection, "https": HTTPSConnection}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service: its address, such as ``https://api.example.com/v3``, and how long it may take.

    ``seconds`` bounds a whole call [s]: name resolution, connection, headers and body together.
    """

    url: str
    seconds: float

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise SettingsError("address cannot be used", repr(self.url), "use https://host/path")

    @property
    def host(self) -> str:
        """The host, for messages."""
        return urlsplit(self.url).netloc


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    return parts.scheme in _CONNECTIONS and bool(parts.hostname) and "@" not in parts.netloc


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked: a path below the endpoint, its query, and headers, which may hold secrets."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def get_json(endpoint: Endpoint, call: Call) -> dict[str, Any]:
    """Return the JSON object that a service answers with; no redirect is followed.

    The call runs on a thread of its own: a socket's time-out begins anew with every byte, and a
    name's resolution has none, so only leaving it behind keeps the deadline.

    Raises:
        BackendTimeoutError: The answer was not complete in time.
        BackendRejectedError: The status is not 200.
        BackendError: The service cannot be reached, or what it sent is no JSON object.
    """
    parts = urlsplit(endpoint.url)
    connection = _CONNECTIONS[parts.scheme](parts.netloc, timeout=endpoint.seconds)
    path = f"{parts.path.rstrip('/')}/{call.path}?{urlencode(call.query)}".rstrip("?")
    answers: queue.SimpleQueue[tuple[int, bytes] | Exception] = queue.SimpleQueue()

    sockets: list[socket.socket] = []  # the connection lets go of it before the body is read
    late = threading.Event()

    def work() -> None:
        try:
            connection.connect()
            sockets.append(connection.sock)
            if late.is_set():  # nobody waits any more: no key is sent, and the thread ends
                connection.close()
                return
            answers.put(_exchange(connection, path, call.headers))
        except (OSError, HTTPException, ValueError) as exc:
            answers.put(exc)

    threading.Thread(target=work, name="grid call", daemon=True).start()
    try:
        answer = answers.get(timeout=endpoint.seconds)
    except queue.Empty as exc:
        late.set()
        _abandon(sockets)
        raise _too_slow(endpoint) from exc
    return _object(endpoint, answer)


def _exchange(
    connection: HTTPConnection, path: str, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Accept": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read(_BODY_BYTES + 1)


def _abandon(sockets: list[socket.socket]) -> None:
    """End the exchange from outside, so that its thread does not wait on."""
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _object(endpoint: Endpoint, answer: tuple[int, bytes] | Exception) -> dict[str, Any]:
    if isinstance(answer, TimeoutError):
        raise _too_slow(endpoint) from answer
    if isinstance(answer, ValueError):  # its text would show the header, and so the key
        remedy = "check the key: letters, digits and signs on one line"
        raise BackendError(f"{endpoint.host} cannot be asked", type(answer).__name__, remedy)
    if isinstance(answer, Exception):
        remedy = "check its certificate" if isinstance(answer, ssl.SSLError) else "check grid_url"
        raise BackendError(f"{endpoint.host} cannot be reached", answer, remedy) from answer
    status, body = answer
    if status != _OK:
        raise BackendRejectedError(
            f"{endpoint.host} refused", f"status {status}", "check the key and the zone"
        )
    try:
        content = json.loads(body) if len(body) <= _BODY_BYTES else None
    except (ValueError, RecursionError) as exc:
        raise _nonsense(endpoint, body) from exc
    if not isinstance(content, dict):
        raise _nonsense(endpoint, body)
    return content


def _too_slow(endpoint: Endpoint) -> BackendTimeoutError:
    value = f"no answer in {endpoint.seconds:g} s"
    return BackendTimeoutError(f"{endpoint.host} is too slow", value, "try again later")


def _nonsense(endpoint: Endpoint, body: bytes) -> BackendError:
    return BackendError(
        f"{endpoint.host} sent no JSON object", f"{len(body)} bytes", "check grid_url"
    )
