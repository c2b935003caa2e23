from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Response

from rag import logs, tracing
from rag.service.boundary import Boundary
from rag.service.traced import Traced
from rag.trace_export import Pace, TraceExport
from rag.tracing import Done

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


class Kept:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.done: list[Done] = []

    def send(self, batch: tuple[Done, ...]) -> None:
        self.done += batch

    def close(self) -> None:
        """Nothing is open."""


def application(export: TraceExport | None) -> FastAPI:
    app = FastAPI()

    async def whole(doc_id: str) -> Response:
        logging.getLogger("rag.test").info("answered")
        return Response(str(len(doc_id)))

    async def refused() -> Response:
        return Response(status_code=422)

    async def broken() -> Response:
        raise RuntimeError("text of a document")

    app.add_api_route("/v1/documents/{doc_id:path}", whole)
    app.add_api_route("/v1/refused", refused, methods=["POST"])
    app.add_api_route("/v1/broken", broken)
    app.add_api_route("/healthz", refused)
    app.add_middleware(Boundary)
    app.add_middleware(Traced, export=export)
    return app


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def export(kept: Kept) -> Iterator[TraceExport]:
    export = TraceExport(lambda: kept, Pace(every_seconds=60))  # type: ignore[arg-type, return-value]
    yield export
    export.close()


async def ask(
    export: TraceExport | None, path: str, method: str = "GET", **headers: str
) -> httpx.Response:
    transport = httpx.ASGITransport(application(export))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.request(method, path, headers=headers)


def asked(
    export: TraceExport | None, path: str, method: str = "GET", **headers: str
) -> httpx.Response:
    import asyncio

    return asyncio.run(ask(export, path, method, **headers))


def test_a_request_follows_its_callers_trace_and_names_it(export: TraceExport, kept: Kept) -> None:
    response = asked(export, "/v1/documents/secret-name.md?q=secret", **PARENT)
    _, trace_id, span_id, flags = response.headers["traceresponse"].split("-")
    assert (trace_id, flags) == (TRACE, "01")
    export.close()
    (done,) = kept.done
    assert (done.trace.trace_id, done.trace.parent, done.trace.span_id) == (TRACE, SPAN, span_id)
    assert done.name == "GET /v1/documents/{doc_id}"
    assert done.attributes["http.response.status_code"] == 200
    assert "secret" not in repr(done)
    assert done.error is None
    assert tracing.current() is None


def test_a_refusal_is_no_error_and_a_fault_of_ours_is(export: TraceExport, kept: Kept) -> None:
    assert asked(export, "/v1/refused", "POST").status_code == 422
    assert asked(export, "/v1/broken").status_code == 500
    export.close()
    refused, broken = kept.done
    assert (refused.name, refused.error) == ("POST /v1/refused", None)
    assert (broken.name, broken.error) == ("GET /v1/broken", "500")
    assert broken.attributes["http.response.status_code"] == 500


def test_paths_and_methods_that_nobody_serves_do_not_become_names(
    export: TraceExport, kept: Kept
) -> None:
    assert asked(export, "/v1/nothing-here-1234").status_code == 404
    assert asked(export, "/v1/refused", "BREW").status_code == 405
    export.close()
    assert {done.name for done in kept.done} <= {"GET", "HTTP", "HTTP /v1/refused"}
    assert kept.done[1].attributes["http.request.method"] == "_OTHER"


def test_health_is_not_traced_and_unsampled_ones_are_not_sent(
    export: TraceExport, kept: Kept
) -> None:
    asked(export, "/healthz")
    asked(export, "/v1/documents/a", traceparent=f"00-{TRACE}-{SPAN}-00")
    export.close()
    assert kept.done == []


def test_without_a_collector_logs_and_responses_still_name_the_trace() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    logger = logging.getLogger("rag.test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        response = asked(None, "/v1/documents/a")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    named = response.headers["traceresponse"].split("-")[1]
    assert json.loads(stream.getvalue())["trace"] == named
