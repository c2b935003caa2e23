"""The HTTP application: questions in, answers with their receipts out."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from rag import __version__, logs
from rag.answering import Answering
from rag.errors import RagError
from rag.ledger import Ledger
from rag.question_log import QuestionLog
from rag.results import Question, Receipt
from rag.service import problems
from rag.service.examples import ANSWER, CONTEXT
from rag.service.impact_routes import add_impact, add_metrics
from rag.service.limits import Boundary, Gate, body_limit
from rag.service.metrics import Metrics
from rag.service.problems import Problem
from rag.service.schemas import (
    HealthBody,
    ProblemBody,
    QueryBody,
    QueryResponse,
    ReadyBody,
    RetrieveBody,
    RetrieveResponse,
    query_response,
    retrieve_response,
    to_question,
)
from rag.settings import Settings

_LOG = logging.getLogger(__name__)
_QUEUE_PER_WORKER = 8
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
) -> FastAPI:
    """Return the application.

    Args:
        settings: Limits, defaults of requests, and the fingerprint.
        pipeline: What answers; called from several threads.
        ready: Returns why no question can be answered now, or None when it can.
        ledger: Where the pipeline writes what its answers cost, to be read over HTTP.
    """
    metrics = Metrics()
    questions = _Questions(settings, pipeline, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        questions.gate.close()

    app = FastAPI(title="frugal-rag", lifespan=lifespan, **_INTERFACE)
    app.add_middleware(
        Boundary,
        limit_bytes=body_limit(settings.max_question_chars),
        limit_seconds=settings.deadline_seconds,
        refused=metrics.refused,
    )
    _add_handlers(app, metrics)
    _add_questions(app, questions)
    _add_health(app, settings, ready)
    add_impact(app, ledger, _documented(None, 400, 422))
    add_metrics(app, metrics, ledger)
    return app


class _Questions:
    """Takes checked bodies through the pipeline, on the gate's threads."""

    def __init__(self, settings: Settings, pipeline: Answering, metrics: Metrics) -> None:
        workers = settings.concurrent_questions
        self._settings = settings
        self._pipeline = pipeline
        self._kept = QuestionLog(settings.question_log) if settings.question_log else None
        self._metrics = metrics
        self.gate = Gate(workers, _QUEUE_PER_WORKER * workers)
        metrics.watch("queue", "Questions that wait for a thread", lambda: self.gate.waiting)

    async def query(self, body: QueryBody, request: Request) -> Response:
        """Answer a question, or abstain with the reason and the nearest sources."""

        def work(question: Question) -> bytes:
            answer = self._pipeline.answer(question)
            self._log(question, answer.receipt, abstained=answer.abstained)
            return query_response(body, answer).model_dump_json().encode()

        return await self._respond(work, body, request)

    async def retrieve(self, body: RetrieveBody, request: Request) -> Response:
        """Return the packed context for a question, without an answer."""

        def work(question: Question) -> bytes:
            found = self._pipeline.retrieve(question)
            self._log(question, found.receipt, abstained=None)
            return retrieve_response(body, found).model_dump_json().encode()

        return await self._respond(work, body, request)

    def _log(self, question: Question, receipt: Receipt, *, abstained: bool | None) -> None:
        _log_answer(question, receipt, {"abstained": abstained})
        self._metrics.answered(question.where.tenant, receipt, abstained=abstained)
        if self._kept is not None:
            self._kept.add(question, receipt, abstained=abstained)

    async def _respond(
        self, work: Callable[[Question], bytes], body: RetrieveBody, request: Request
    ) -> Response:
        deadline = request.state.arrived + self._settings.deadline_seconds
        question = to_question(body, self._settings, deadline)
        if self.gate.full:
            seconds = math.ceil(self._settings.deadline_seconds / 2)
            return self._refused(problems.overloaded(self.gate.waiting, seconds), question)
        try:
            content = await self.gate.run(lambda: work(question), deadline)
        except RagError as error:
            return self._refused(problems.from_error(error), question)
        return Response(content, media_type="application/json")

    def _refused(self, problem: Problem, question: Question) -> Response:
        return _refused(problem, self._metrics, _asked(question))


def _add_questions(app: FastAPI, questions: _Questions) -> None:
    app.add_api_route(
        "/v1/query",
        questions.query,
        methods=["POST"],
        response_model=QueryResponse,
        summary="Answer a question",
        responses=_documented(ANSWER, 400, 408, 413, 415, 422, 429, 500, 502, 503, 504),
    )
    app.add_api_route(
        "/v1/retrieve",
        questions.retrieve,
        methods=["POST"],
        response_model=RetrieveResponse,
        summary="Retrieve context for a question",
        responses=_documented(CONTEXT, 400, 408, 413, 415, 422, 429, 500, 502, 503, 504),
    )


def _add_health(app: FastAPI, settings: Settings, ready: Callable[[], RagError | None]) -> None:
    async def health() -> HealthBody:
        """Tell that the process is up."""
        return HealthBody()

    async def readiness() -> Response:
        """Tell whether questions can be answered, or why not."""
        problem = ready()
        if problem is not None:
            return _problem_response(problems.from_error(problem))
        body = ReadyBody(fingerprint=settings.fingerprint())
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
            return _refused(problems.not_json(content_type), metrics)
        return _refused(problems.from_validation(errors), metrics)

    @app.exception_handler(RagError)
    async def ours(_: Request, exc: RagError) -> Response:
        return _refused(problems.from_error(exc), metrics)

    async def routed(request: Request, exc: Exception) -> Response:
        # The router raises its framework's exception, of which ours is a subclass.
        status = getattr(exc, "status_code", HTTPStatus.NOT_FOUND)
        headers = {name.lower(): text for name, text in (getattr(exc, "headers", {}) or {}).items()}
        problem = problems.from_status(status, request.url.path, headers)
        return _refused(problem, metrics)

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


def _log_answer(question: Question, receipt: Receipt, outcome: Mapping[str, object]) -> None:
    fields = {"status": 200, **_asked(question), **outcome, **logs.receipt_fields(receipt)}
    _LOG.info("answered", extra={"fields": fields})


def _refused(
    problem: Problem, metrics: Metrics, asked: Mapping[str, object] | None = None
) -> Response:
    metrics.refused(problem)
    _LOG.info("refused", extra={"fields": {**problem.log_fields(), **(asked or {})}})
    return _problem_response(problem)


def _problem_response(problem: Problem) -> Response:
    return Response(
        problem.body(),
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type=problems.MEDIA_TYPE,
    )


def _asked(question: Question) -> dict[str, object]:
    return {"question": logs.question_hash(question.text), "tenant": question.where.tenant}
