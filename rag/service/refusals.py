"""How a problem is told: as RFC 9457 has it, or as OpenAI's clients read it; and to the log."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import Response

from rag.service import problems
from rag.service.metrics import Metrics
from rag.service.problems import Problem

_LOG = logging.getLogger(__name__)
CHAT: Final = "/v1/chat/completions"
MODELS: Final = "/v1/models"
# OpenAI's interface says 400 where ours says 422.
# Source: OpenAI API reference, "Error codes", 2025-08.
_AS_OPENAI: Final[Mapping[int, int]] = {HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST}


def note(problem: Problem, metrics: Metrics, who: Mapping[str, object] | None = None) -> None:
    """Count and log a refused request."""
    metrics.refused(problem)
    _LOG.info("refused", extra={"fields": {**problem.log_fields(), **(who or {})}})


def fault_of(path: str) -> Problem:
    """Return the problem of a fault of ours that is being handled, and log it under its id."""
    occurrence = uuid.uuid4().hex[:12]
    fields = {"id": occurrence, "path": path[:120], "status": 500}
    _LOG.exception("internal-error", extra={"fields": fields})
    return problems.unexpected(occurrence)


def response_to(path: str, problem: Problem) -> Response:
    """Return a problem as whoever asked this path understands it."""
    return chat_response(problem) if path.startswith((CHAT, MODELS)) else response(problem)


def response(problem: Problem) -> Response:
    """Return a problem as RFC 9457 has it."""
    return Response(
        problem.body(),
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type=problems.MEDIA_TYPE,
    )


def chat_response(problem: Problem) -> Response:
    """Return a problem as OpenAI's clients read it.

    They ask again by themselves. Only what passes is worth that: else the header says no.
    Source: openai-python 2.54, ``BaseClient._should_retry``.
    """
    passes = problem.status == HTTPStatus.SERVICE_UNAVAILABLE
    return Response(
        json.dumps(error_of(problem)),
        status_code=_AS_OPENAI.get(problem.status, problem.status),
        headers={**problem.headers, "x-should-retry": str(passes).lower()},
        media_type="application/json",
    )


def error_of(problem: Problem) -> dict[str, object]:
    """Return a problem as OpenAI's clients read it, with the remedy in the message."""
    value = f": {problem.value}" if problem.value else ""
    remedy = f"{problem.remedy[:1].upper()}{problem.remedy[1:]}."
    return {
        "error": {
            "message": f"{problem.detail}{value}. {remedy}",
            "type": "server_error" if problem.status >= 500 else "invalid_request_error",
            "param": problem.field,
            "code": problem.kind.replace("-", "_"),
        }
    }
