"""The HTTP application: questions in, answers with their receipts out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from rag import __version__
from rag.answering import Answering
from rag.build_generators import answering_fingerprint
from rag.cache.answer_cache import AnswerCache
from rag.errors import RagError
from rag.ledger import Ledger
from rag.service import problems, refusals, streaming
from rag.service.cache_routes import add_cache, watch_cache
from rag.service.chat_routes import add_chat
from rag.service.examples import ANSWER, CONTEXT, STREAM
from rag.service.impact_routes import add_impact, add_metrics
from rag.service.limits import Boundary, body_limit
from rag.service.metrics import Metrics
from rag.service.page_routes import add_page
from rag.service.problems import Problem
from rag.service.questions import Questions
from rag.service.schemas import (
    HealthBody,
    ProblemBody,
    QueryResponse,
    ReadyBody,
    RetrieveResponse,
)
from rag.service.source_routes import add_sources
from rag.settings import Settings
from rag.sources import SourceReader

_DESCRIPTION = (
    "Answers from your own documents with the fewest tokens that keep the answer grounded, and "
    "a receipt with each: tokens, joules, gCO2e, litres. Unknown quantities are null, never 0. "
    "Errors are `application/problem+json` (RFC 9457)."
)

# The interactive pages would load their scripts from another host.
_INTERFACE: Mapping[str, Any] = {
    "version": __version__,
    "description": _DESCRIPTION,
    "docs_url": None,
    "redoc_url": None,
}


def create_app(
    settings: Settings,
    pipeline: Answering,
    ready: Callable[[], RagError | None],
    ledger: Ledger | None = None,
    cache: AnswerCache | None = None,
) -> FastAPI:
    """Return the application.

    Args:
        settings: Limits, defaults of requests, and the fingerprint.
        pipeline: What answers; called from several threads.
        ready: Returns why no question can be answered now, or None when it can.
        ledger: Where the pipeline writes what its answers cost, to be read over HTTP.
        cache: What the pipeline keeps its answers in, to be read and purged over HTTP.
    """
    metrics = Metrics()
    questions = Questions(settings, pipeline, metrics)

    def limit_bytes(path: str) -> int:
        return body_limit(settings.max_question_chars, conversation=path == refusals.CHAT)

    app = FastAPI(title="frugal-rag", lifespan=_closing(questions), **_INTERFACE)
    app.add_middleware(
        Boundary,
        limit_bytes=limit_bytes,
        limit_seconds=settings.deadline_seconds,
        refused=metrics.refused,
    )
    _add_handlers(app, metrics)
    _add_questions(app, questions)
    add_chat(app, questions)
    add_cache(app, cache, settings, _documented(None, 400, 422, 500))
    watch_cache(metrics, cache)
    _add_health(app, settings, ready)
    add_impact(app, ledger, _documented(None, 400, 422))
    add_metrics(app, metrics, ledger)
    return app


def _closing(questions: Questions) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        questions.gate.close()

    return lifespan


def _add_questions(app: FastAPI, questions: Questions) -> None:
    answered = _documented(ANSWER, 400, 408, 413, 415, 422, 429, 500, 502, 503, 504)
    answered[200]["content"][streaming.MEDIA_TYPE] = {"example": STREAM}
    app.add_api_route(
        "/v1/query",
        questions.query,
        methods=["POST"],
        response_model=QueryResponse,
        summary="Answer a question",
        responses=answered,
    )
    app.add_api_route(
        "/v1/retrieve",
        questions.retrieve,
        methods=["POST"],
        response_model=RetrieveResponse,
        summary="Retrieve context for a question",
        responses=_documented(CONTEXT, 400, 408, 413, 415, 422, 429, 500, 502, 503, 504),
    )


def add_people(app: FastAPI, settings: Settings, reader: SourceReader) -> None:
    """Add what people use: the page, and the passages around its citations."""
    add_page(app)
    add_sources(app, settings, reader, _documented(None, 400, 404, 422, 503))


def _add_health(app: FastAPI, settings: Settings, ready: Callable[[], RagError | None]) -> None:
    async def health() -> HealthBody:
        """Tell that the process is up."""
        return HealthBody()

    async def readiness() -> Response:
        """Tell whether questions can be answered, or why not."""
        problem = ready()
        if problem is not None:
            return refusals.response(problems.from_error(problem))
        body = ReadyBody(fingerprint=answering_fingerprint(settings))
        return Response(body.model_dump_json(), media_type="application/json")

    app.add_api_route("/healthz", health, summary="Is the process up?")
    app.add_api_route(
        "/readyz",
        readiness,
        response_model=ReadyBody,
        summary="Can questions be answered?",
        responses=_documented(None, 503),
    )


def _add_handlers(app: FastAPI, metrics: Metrics) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> Response:
        errors = exc.errors()
        content_type = request.headers.get("content-type", "")
        if errors[0]["loc"] == ("body",) and isinstance(errors[0].get("input"), bytes):
            return _refused(problems.not_json(content_type), request, metrics)
        return _refused(problems.from_validation(errors), request, metrics)

    @app.exception_handler(RagError)
    async def ours(request: Request, exc: RagError) -> Response:
        return _refused(problems.from_error(exc), request, metrics)

    async def routed(request: Request, exc: Exception) -> Response:
        # The router raises its framework's exception, of which ours is a subclass.
        status = getattr(exc, "status_code", HTTPStatus.NOT_FOUND)
        headers = {name.lower(): text for name, text in (getattr(exc, "headers", {}) or {}).items()}
        problem = problems.from_status(status, request.url.path, headers)
        return _refused(problem, request, metrics)

    for status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        app.add_exception_handler(int(status), routed)


def _documented(example: Mapping[str, object] | None, *statuses: int) -> dict[int | str, Any]:
    schema = ProblemBody.model_json_schema()
    documented: dict[int | str, Any] = {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {problems.MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }
    if example is not None:
        documented[200] = {"content": {"application/json": {"example": example}}}
    return documented


def _refused(problem: Problem, request: Request, metrics: Metrics) -> Response:
    refusals.note(problem, metrics)
    return refusals.response_to(request.url.path, problem)
