"""Problems as values (RFC 9457): what was wrong with a request, and what to do about it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import field as dataclass_field
from http import HTTPStatus
from typing import Any, Final

from rag.errors import OverloadedError, QuotaSpentError, RagError, ValueRangeError
from rag.provider_calls import PassingError

MEDIA_TYPE = "application/problem+json"
_PREFIX = "urn:problem-type:frugal-rag:"
# How long to wait [s]: a budget of the day is looked at again every hour at most.
_RETRY_AFTER = {HTTPStatus.SERVICE_UNAVAILABLE: 1, HTTPStatus.TOO_MANY_REQUESTS: 3600}
_LONGEST_WAIT: Final = 86_400  # that a provider's word is taken for [s]
# Source: nginx, "499 Client Closed Request"; there is no registered status for it.
CALLER_LEFT: Final = 499
_LONGEST_VALUE = 120
_REMEDIES = {
    "missing": "add the field",
    "extra_forbidden": "remove the field; GET /openapi.json lists what there is",
    "string_unicode": "send well-formed Unicode without lone surrogates",
    "json_invalid": "send one well-formed JSON object",
    "model_attributes_type": "send a JSON object",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; ``kind`` ends its type URI, ``headers`` go with the response."""

    kind: str
    status: int
    detail: str
    remedy: str
    field: str | None = None
    value: str | None = None
    id: str | None = None
    headers: Mapping[str, str] = dataclass_field(default_factory=dict)

    def body(self) -> bytes:
        """Return the response body: JSON in ASCII, whatever the request held."""
        fields = asdict(self)
        kind, _ = fields.pop("kind"), fields.pop("headers")
        title = kind.replace("-", " ").capitalize()
        return json.dumps({"type": _PREFIX + kind, "title": title, **fields}).encode()

    def log_fields(self) -> dict[str, object]:
        """Return what the log says of every refused request."""
        return {"status": int(self.status), "problem": self.kind}


def from_error(error: RagError) -> Problem:
    """Return the problem that one of our errors is to a client."""
    wait = _RETRY_AFTER.get(HTTPStatus(error.http_status))
    if isinstance(error, PassingError | QuotaSpentError | OverloadedError):
        said = error.retry_after
        wait = wait if said is None else min(max(1, math.ceil(said)), _LONGEST_WAIT)
    headers = {"Retry-After": str(wait)} if wait else {}
    return Problem(
        kind=_kind(type(error)),
        status=error.http_status,
        detail=error.what,
        remedy=error.remedy,
        value=_shortened(str(error.value)),
        headers=headers,
    )


def _kind(error: type[RagError]) -> str:
    """Return the name of the error in ``rag.errors`` that this one is."""
    ours = next(each for each in error.__mro__ if each.__module__ == RagError.__module__)
    return re.sub(r"(?<!^)(?=[A-Z])", "-", ours.__name__.removesuffix("Error")).lower()


def from_validation(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the problem for the first of pydantic's error records about a body."""
    first = errors[0]
    kind, place = str(first["type"]), [str(part) for part in first["loc"]]
    # In brackets stand the forms that a field may have.
    path = [part for part in place if part != "body" and not part.startswith("(")]
    if kind == "json_invalid":
        at = f"JSON breaks off at character {path[-1]}" if path else "not JSON"
        return Problem("malformed-json", HTTPStatus.BAD_REQUEST, at, _REMEDIES[kind])
    cause = first.get("ctx", {}).get("error")
    known = isinstance(cause, RagError)
    return Problem(
        kind="invalid-request",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        detail=cause.what if known else str(first["msg"]),
        remedy=cause.remedy if known else _REMEDIES.get(kind, "see GET /openapi.json"),
        field=".".join(path) or None,
        value=None if kind == "missing" else _shortened(_as_json(first.get("input"))),
    )


def out_of_bounds(error: ValueRangeError, field: str) -> Problem:
    """Return the problem for a field whose bound is one of the settings."""
    return Problem(
        kind="invalid-request",
        status=error.http_status,
        detail=error.what,
        remedy=error.remedy,
        field=field,
        value=_shortened(str(error.value)),
    )


def from_status(status: int, path: str, headers: Mapping[str, str]) -> Problem:
    """Return the problem for a status that the routing decided on."""
    phrase = HTTPStatus(status).phrase
    remedy = {
        HTTPStatus.BAD_REQUEST: "send one well-formed JSON object in UTF-8",
        HTTPStatus.METHOD_NOT_ALLOWED: f"use {headers.get('allow', 'another method')}",
    }.get(HTTPStatus(status), "GET /openapi.json lists what there is")
    kind = phrase.lower().replace(" ", "-")
    return Problem(kind, status, phrase, remedy, value=_shortened(path), headers=headers)


def not_json(content_type: str) -> Problem:
    """Return the problem for a body of another media type."""
    return Problem(
        "unsupported-media-type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "the body is not declared as JSON",
        "send Content-Type: application/json",
        field="Content-Type",
        value=_shortened(content_type),
    )


def body_too_large(limit_bytes: int) -> Problem:
    """Return the problem for a body over the limit; the rest of it is not read."""
    return Problem(
        "body-too-large",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {limit_bytes} bytes",
        "ask a shorter question",
        headers={"Connection": "close"},
    )


def body_too_slow(limit_seconds: float) -> Problem:
    """Return the problem for a body that did not arrive in time."""
    return Problem(
        "body-too-slow",
        HTTPStatus.REQUEST_TIMEOUT,
        f"the body did not arrive within {limit_seconds:g} s",
        "send it at once",
        headers={"Connection": "close"},
    )


def stopping() -> Problem:
    """Return the problem for a request that came while open ones are brought to their end."""
    return Problem(
        "stopping",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the service is being stopped",
        "ask another one, or this one again later",
        headers={"Retry-After": "1", "Connection": "close"},
    )


def too_many_connections(most: int) -> Problem:
    """Return the problem for a connection beyond the limit."""
    return Problem(
        "too-many-connections",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too many connections are open",
        "close those that are not needed, come again later, or raise max_connections",
        value=f"{most} open",
        headers={"Retry-After": "1", "Connection": "close"},
    )


def caller_left() -> Problem:
    """Return the problem of a question whose caller closed the connection; nobody is told."""
    return Problem("caller-left", CALLER_LEFT, "the caller has gone", "wait for the answer")


def unexpected(occurrence: str) -> Problem:
    """Return the problem for a fault of ours; the log has the rest under the same id."""
    return Problem(
        "internal-error",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the service failed at this request",
        "tell whoever runs it the id",
        id=occurrence,
    )


def _as_json(value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return type(value).__name__


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
