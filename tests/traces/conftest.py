"""A collector as OpenTelemetry's own: OTLP over HTTP on this machine, decoded from protobuf."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

trace_service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")


@dataclass
class Collector:
    """Takes spans; answers with ``status`` after ``seconds``."""

    url: str = ""
    status: int = 200
    seconds: float = 0.0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def spans(self, least: int = 1) -> list[Any]:
        """Return all spans once there are so many of them."""
        end = time.monotonic() + 15
        while True:
            found = [
                span
                for body in list(self.bodies)
                for resource in _decoded(body).resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]
            if len(found) >= least or time.monotonic() > end:
                return found
            time.sleep(0.02)

    def resource(self) -> dict[str, str]:
        """Return who sent the first spans."""
        attributes = _decoded(self.bodies[0]).resource_spans[0].resource.attributes
        return {each.key: each.value.string_value for each in attributes}


def _decoded(body: bytes) -> Any:
    request = trace_service.ExportTraceServiceRequest()
    request.ParseFromString(body)
    return request


def attributes(span: Any) -> dict[str, Any]:
    """Return a span's attributes as plain values."""
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


@pytest.fixture(scope="session")
def attributes_of() -> Any:
    return attributes


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.requests.append((self.path, dict(self.headers)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            time.sleep(found.seconds)
            if found.status == 200:
                found.bodies.append(body)
            answer = trace_service.ExportTraceServiceResponse().SerializeToString()
            self.send_response(found.status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()
