"""A service on this machine that answers as it is told, and remembers what it was asked."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

Answer = Callable[["Asked"], tuple[int, object]]


@dataclass(frozen=True)
class Asked:
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Service:
    """Answers by path; ``trickle_seconds`` waits before every byte of a body."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    trickle_seconds: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def says(self, path: str, body: object, status: int = 200) -> None:
        self.answers[path] = lambda _: (status, body)

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


@pytest.fixture
def service() -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(parts.path, query, dict(self.headers.items()))
            held.asked.append(asked)
            status, body = held.answers.get(parts.path, lambda _: (404, {}))(asked)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.send(content)

        def send(self, content: bytes) -> None:
            if not held.trickle_seconds:
                self.wfile.write(content)
                return
            for i in range(len(content)):
                if held.stopping.wait(held.trickle_seconds):
                    return
                self.wfile.write(content[i : i + 1])

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    held = Service(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield held
    held.stopping.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settled() -> Callable[[], None]:
    """Wait until no call of ours is under way on the side."""

    def wait() -> None:
        until = time.monotonic() + 5
        while any(t.name.startswith("grid") for t in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.002)

    return wait
