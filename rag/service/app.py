"""The HTTP application: questions in, answers with their receipts out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from rag import __version__
from rag.audited import AuditedAnswering
from rag.build_generators import answering_fingerprint
from rag.errors import RagError
from rag.jobs.runner import JobRunner
from rag.quotas import QuotaAnswering
from rag.service import problems, refusals, streaming
from rag.service.batch_routes import BATCH, JobParts, add_batch, add_jobs, watch_jobs
from rag.service.boundary import Bodies, Boundary, body_limit
from rag.service.cache_routes import CacheParts, add_cache, watch_cache
from rag.service.chat_routes import add_chat
from rag.service.document_routes import DOCUMENTS, DocumentParts, add_documents
from rag.service.door import Door
from rag.service.examples import ANSWER, CONTEXT, STREAM
from rag.service.frontier_routes import add_frontier
from rag.service.impact_routes import add_impact, add_metrics
from rag.service.job_runs import BatchParts, batch_worker
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
from rag.service.served import Served
from rag.service.shedding import Shedding
from rag.service.source_routes import LONGEST_QUOTE, SOURCES, SourceParts, add_sources
from rag.service.traced import Traced, watch_traces
from rag.settings import Settings

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


def create_app(settings: Settings, served: Served) -> FastAPI:
    """Return the application: ``settings`` bound and default its requests."""
    metrics = Metrics()
    audited = AuditedAnswering(served.answering, served.audit)
    questions = Questions(settings, audited, metrics, served.quotas)
    runner = _runner(settings, served, questions, metrics)
    app = FastAPI(title="frugal-rag", lifespan=_lifespan(questions, runner), **_INTERFACE)
    _add_layers(app, settings, served, metrics)
    overloaded = questions.admission.overloaded
    app.add_middleware(Shedding, overloaded=overloaded, refused=metrics.refused)
    _add_handlers(app, metrics)
    _add_questions(app, questions)
    add_chat(app, questions)
    _add_page(app, settings, served)
    _add_later(app, settings, served, metrics)
    _add_records(app, settings, served)
    _add_health(app, settings, served.ready)
    watch_cache(metrics, served.cache)
    watch_traces(metrics, served.traces)
    add_metrics(app, metrics, served.ledger)
    app.state.refused = metrics.refused  # for the server around it
    return app


def _runner(
    settings: Settings, served: Served, questions: Questions, metrics: Metrics
) -> JobRunner | None:
    """Return what does the jobs in this process, its batches while no caller waits; None if not."""
    if served.jobs is None or not settings.run_jobs:
        return None
    answering = served.answering
    if served.quotas is not None:
        answering = QuotaAnswering(answering, served.quotas)
    gate = questions.gate
    parts = BatchParts(answering, lambda: gate.busy, served.audit, metrics, served.traces)
    return served.jobs.runner(batch_worker(settings, parts))


def _lifespan(
    questions: Questions, runner: JobRunner | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if runner is not None:
            runner.start()
        yield
        if runner is not None:
            await asyncio.to_thread(runner.close)
        questions.admission.close()

    return lifespan


def _add_layers(app: FastAPI, settings: Settings, served: Served, metrics: Metrics) -> None:
    """Put the layers around the application; the last one added is the outermost."""

    def limit_bytes(path: str) -> int | None:
        if path in (BATCH, DOCUMENTS):
            return None  # read by the route, piece by piece
        chars = LONGEST_QUOTE if path == SOURCES else settings.max_question_chars
        return body_limit(chars, conversation=path == refusals.CHAT)

    app.add_middleware(
        Bodies,
        limit_bytes=limit_bytes,
        limit_seconds=settings.deadline_seconds,
        refused=metrics.refused,
    )
    app.add_middleware(Door, keyring=served.keyring, settings=settings, metrics=metrics)
    app.add_middleware(Boundary, refused=metrics.refused)
    app.add_middleware(Traced, export=served.traces)


def _add_page(app: FastAPI, settings: Settings, served: Served) -> None:
    """Add what people use: the page, and the passages around its citations."""
    if served.reader is not None:
        add_page(app)
        documented = _documented(None, 400, 401, 403, 404, 408, 413, 415, 422, 503)
        add_sources(app, settings, SourceParts(served.reader, served.audit), documented)


def _add_later(app: FastAPI, settings: Settings, served: Served, metrics: Metrics) -> None:
    """Add what is not done at once: batches of questions, documents, and their jobs."""
    if served.jobs is not None:
        parts = JobParts(served.jobs.store, served.audit, metrics)
        add_batch(app, settings, parts, _documented)
        add_jobs(app, parts, _documented)
        watch_jobs(metrics, served.jobs.queue.counts)
    if served.desk is not None:
        add_documents(app, settings, DocumentParts(served.desk, served.audit, metrics), _documented)


def _add_records(app: FastAPI, settings: Settings, served: Served) -> None:
    """Add what was kept of answers, and what an evaluation measured of them."""
    documented = _documented(None, 400, 401, 403, 422, 500, 503)
    add_cache(app, CacheParts(served.cache, served.audit), settings, documented)
    add_impact(app, served.ledger, served.audit, _documented(None, 400, 401, 403, 422, 503))
    fingerprint = answering_fingerprint(settings)
    add_frontier(app, served.frontier, fingerprint, _documented(None, 400, 401, 403))


def _add_questions(app: FastAPI, questions: Questions) -> None:
    answered = _documented(ANSWER, 400, 401, 403, 408, 413, 415, 422, 429, 500, 502, 503, 504)
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
        responses=_documented(CONTEXT, 400, 401, 403, 408, 413, 415, 422, 429, 500, 502, 503, 504),
    )


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


@cache
def _problem_schema() -> Mapping[str, Any]:
    """Return the schema of problems; made once, as each route is documented with it."""
    return ProblemBody.model_json_schema()


def _documented(example: Mapping[str, object] | None, *statuses: int) -> dict[int | str, Any]:
    schema = _problem_schema()
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
