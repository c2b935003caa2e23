"""A server that answers as Qdrant does, records what it is asked, and can be told to fail."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from rag.adapters.server_config import ServerConfig
from rag.adapters.server_index import QdrantServerIndex


@dataclass
class Recorded:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Reply:
    """What to answer: a status, headers, and raw bytes after a delay [s]."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0


def result(value: Any, **more: Any) -> Reply:
    """Return a reply shaped like Qdrant's."""
    return Reply(body=json.dumps({"result": value, "status": "ok", "time": 0.0}).encode(), **more)


@dataclass
class FakeQdrant:
    """Answers from ``replies`` first, in order, then with ``default``."""

    url: str = ""
    requests: list[Recorded] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    existing: bool = False
    dimension: int | None = 4
    shard_keys: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)

    def result(self, value: Any, **more: Any) -> Reply:
        """Return a reply shaped like Qdrant's."""
        return result(value, **more)

    def reply(self, status: int, body: bytes = b"{}", **more: Any) -> Reply:
        """Return a reply of any shape."""
        return Reply(status, body, **more)

    def error(self, status: int, **headers: str) -> Reply:
        """Return Qdrant's way to say no."""
        body = json.dumps({"status": {"error": "told so"}, "time": 0}).encode()
        return Reply(status, body, headers)

    def answer(self, request: Recorded) -> Reply:
        self.requests.append(request)
        return self.replies.pop(0) if self.replies else self.default(request)

    def default(self, request: Recorded) -> Reply:
        answers: dict[str, Callable[[], Any]] = {
            "GET /collections/c/exists": lambda: {"exists": self.existing},
            "GET /collections/c/shards": lambda: {
                "shard_keys": [{"key": k} for k in self.shard_keys]
            },
            "GET /collections/c": self.collection,
            "PUT /collections/c": lambda: True,
            "PUT /collections/c/shards": lambda: True,
            "POST /collections/c/points": list,
            "POST /collections/c/points/count": lambda: {"count": 3},
            "POST /collections/c/points/query/batch": lambda: [
                {"points": []} for _ in request.body["searches"]
            ],
        }
        done = {"operation_id": 1, "status": "completed"}
        return result(answers.get(f"{request.method} {request.path}", lambda: done)())

    def collection(self) -> dict[str, Any]:
        vectors = {"dense": {"size": self.dimension, "distance": "Cosine"}}
        return {
            "status": self.statuses.pop(0) if self.statuses else "green",
            "optimizer_status": "ok",
            "segments_count": 1,
            "config": {
                "params": {"vectors": vectors if self.dimension else {}},
                "hnsw_config": {"m": 0, "ef_construct": 100, "full_scan_threshold": 10000},
                "optimizer_config": {
                    "deleted_threshold": 0.2,
                    "vacuum_min_vector_number": 1000,
                    "default_segment_number": 0,
                    "flush_interval_sec": 5,
                },
            },
            "payload_schema": {},
        }

    def asked(self, method: str, ending: str) -> list[Recorded]:
        return [r for r in self.requests if r.method == method and r.path.endswith(ending)]


def _handler(fake: FakeQdrant) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            body = json.loads(raw) if raw else None
            reply = fake.answer(Recorded(self.command, parts.path, query, headers, body))
            time.sleep(reply.delay_seconds)
            try:
                self._send(reply)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 - names that the base class looks up

        def log_message(self, *args: object) -> None:
            """Keep the tests' output clean."""

    return Handler


@pytest.fixture
def qdrant(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeQdrant]:
    """Return a fake Qdrant server on a free port of the loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fake = FakeQdrant()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connect(qdrant: FakeQdrant) -> Iterator[Callable[..., QdrantServerIndex]]:
    """Return a function from configuration fields to an index on the fake server."""
    opened: list[QdrantServerIndex] = []

    def build(**fields: Any) -> QdrantServerIndex:
        defaults: dict[str, Any] = {"dimension": 4, "url": qdrant.url, "collection": "c"}
        index = QdrantServerIndex(ServerConfig(**(defaults | fields)), sleep=lambda _: None)
        opened.append(index)
        return index

    yield build
    for index in opened:
        index.close()
