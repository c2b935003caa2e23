"""Bodies that no client of ours sends: each is refused in words, and the service answers on."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATHS = ("/v1/query", "/v1/retrieve", "/v1/sources", "/v1/chat/completions")
ASKED = b'{"question": "How long is the pump covered?"}'
_JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client(served: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=20) as made:
        yield made


@pytest.fixture(autouse=True)
def _alive(client: httpx.Client) -> Iterator[None]:
    yield
    answer = client.post("/v1/query", content=ASKED, headers=_JSON)
    assert answer.status_code == 200
    assert "24 months" in answer.json()["answer"]


def refused(response: httpx.Response) -> str:
    """Check that a request was refused in words that a client can read; return them."""
    assert 400 <= response.status_code < 500, response.text
    problem = response.json()
    if "error" in problem:  # as OpenAI's clients read it
        assert problem["error"]["message"]
        return str(problem["error"]["message"])
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["detail"]
    assert problem["remedy"]
    return f"{problem['detail']} {problem['remedy']}"


HOSTILE = {
    "deep lists": b"[" * 30_000 + b"]" * 30_000,
    "deep objects": b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    "deep in a field": b'{"question": "x", "filter": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "many digits": b'{"question": "x", "budget_tokens": ' + b"9" * 20_000 + b"}",
    "large exponent": b'{"question": "x", "budget_tokens": 1e99999}',
    "not a number": b'{"question": "x", "frugality": NaN}',
    "infinite": b'{"question": "x", "frugality": Infinity}',
    "twice": b'{"question": "x", "question": 5}',
    "cut": b'{"question": "x',
    "bytes": b'{"question": "\xff\xfe\x00"}',
    "overlong": b'{"question": "\xc0\xaf"}',
    "half a pair": b'{"question": "\\ud800"}',
    "half a pair as a name": b'{"\\udc00": 1}',
    "mark": b'\xef\xbb\xbf{"question": 5}',
    "wide": '{"question": 5}'.encode("utf-16"),
    "nothing": b"",
    "null": b"null",
    "zeros": b"\0" * 1000,
    "a list": b"[1, 2]",
    "comment": b'{"question": 5 /* x */}',
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", PATHS)
def test_hostile_json_is_refused_in_words(client: httpx.Client, path: str, name: str) -> None:
    started = time.monotonic()
    said = refused(client.post(path, content=HOSTILE[name], headers=_JSON))
    assert len(said) < 600
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("length", ["declared", "chunked"])
def test_a_body_without_end_is_cut_off(served: Any, path: str, length: str) -> None:
    """What is over the limit is not read: the connection is closed, or says 413."""
    where = urlsplit(served.url)
    head = "Content-Length: 9999999999" if length == "declared" else "Transfer-Encoding: chunked"
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n" if length == "chunked" else b" " * 0x10000
    sent = 0
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        start = (
            f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
        )
        connection.sendall(f"{start}{head}\r\n\r\n".encode())
        with suppress(OSError):
            while sent < 200 * len(piece):
                connection.sendall(piece)
                sent += len(piece)
        said = b""
        with suppress(OSError):
            said = connection.recv(1000)
    assert not said or b" 413 " in said
    assert sent < 200 * len(piece)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=utf-7",
        "",
        "\x7f",
        "a" * 5000,
    ],
)
def test_other_media_types_are_refused(client: httpx.Client, content_type: str) -> None:
    """A page of another site can send the first three without asking the browser's leave."""
    response = client.post("/v1/query", content=ASKED, headers={"Content-Type": content_type})
    if response.status_code != 200:
        refused(response)
    assert (response.status_code == 200) is content_type.startswith("application/json")


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["../../etc/passwd", "\r\nX: y", "\u202e", "' OR 1=1 --", "${x}", "%s%n"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    "question budget_tokens frugality filter tenant trace history generate sampling stream "
    "include_context doc_id quote start end messages model documents".split()
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(PATHS), body=st.dictionaries(_FIELDS, _VALUES, max_size=6))
def test_no_body_is_a_fault_of_ours(client: httpx.Client, path: str, body: object) -> None:
    content = json.dumps(body).encode()
    response = client.post(path, content=content, headers=_JSON)
    assert response.status_code < 500, (body, response.text)


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /" + "a" * 70_000 + " HTTP/1.1",
        "GET /%00 HTTP/1.1",
        "GET /%ff%fe HTTP/1.1",
        "GET /..%2f..%2fetc/passwd HTTP/1.1",
        "GET //etc/passwd HTTP/1.1",
        "GET http://example.com/healthz HTTP/1.1",
        "TRACE / HTTP/1.1",
        "CONNECT example.com:80 HTTP/1.1",
        "GET / HTTP/9.9",
        "\x00\x01\x02",
    ],
    ids=lambda line: line[:24].strip("\x00\x01\x02"),
)
def test_odd_request_lines(served: Any, request_line: str) -> None:
    said = talk(served.url, f"{request_line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert b"root:" not in said
    status = said.split(b" ", 2)[1:2]
    assert status in ([], [b"200"], [b"400"], [b"403"], [b"404"], [b"405"], [b"414"], [b"431"])


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x10\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: " + "a" * 100_000 + "\r\n",
        "A: b\r\n" * 5_000,
        "X: a\r\n\tfolded\r\n",
        "X\0Y: z\r\n",
    ],
    ids=lambda text: text[:30].strip(),
)
def test_requests_that_could_be_read_in_two_ways(served: Any, headers: str) -> None:
    """Two servers in a row that read these differently would let one request hide in another."""
    hidden = "GET /v1/impact HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    said = talk(
        served.url,
        f"POST /v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Connection: close\r\n\r\n{hidden}",
    )
    assert said.count(b"HTTP/1.1 ") <= 1
    assert b" 200 " not in said.split(b"\r\n", 1)[0]


def talk(url: str, request: str) -> bytes:
    where, said = urlsplit(url), b""
    # It may hang up while we are speaking.
    with (
        suppress(OSError),
        socket.create_connection((where.hostname, where.port), 10) as connection,
    ):
        connection.sendall(request.encode("latin-1"))
        while piece := connection.recv(65536):
            said += piece
    return said


def test_the_log_stayed_readable(served: Any) -> None:
    """Last in the file: whatever was sent above, each line is one JSON object."""
    lines = [line for line in served.lines if not line.startswith("listening on ")]
    assert lines
    for line in lines:
        entry = json.loads(line)
        assert {"time", "level", "event"} <= entry.keys()
        assert entry["level"] != "error", line
    assert sys.getsizeof("".join(lines)) < 5_000_000
