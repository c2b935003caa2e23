"""The layer of traces: each request has one, which its logs and its response name.

Only what is refused before (``rag.service.shedding``) has none.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from rag import tracing
from rag.service.asgi import App, Message, Receive, Send
from rag.service.metrics import Gauged, Metrics
from rag.trace_export import TraceExport
from rag.tracing import Done, Trace, Value

# Health, metrics and the page's files are asked for all the time and tell nothing.
_TRACED: Final = "/v1/"
_PARENT: Final = b"traceparent"
# Source: W3C Trace Context Level 3, editor's draft: the response's counterpart of traceparent.
_RESPONSE: Final = b"traceresponse"
# Source: OpenTelemetry semantic conventions 1.45, ``http.request.method``.
_METHODS: Final = frozenset("CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE".split())
_OTHER: Final = "_OTHER"


@dataclass(slots=True)
class _Seen:
    """A request while it is answered."""

    trace: Trace
    started: int = field(default_factory=time.time_ns)
    status: int = 0


class Traced:
    """ASGI wrapper that does each request under a trace, the caller's if ``traceparent`` names one.

    What was done is handed to ``export``, if there is one, after the response.
    """

    def __init__(self, app: App, export: TraceExport | None = None) -> None:
        self._app = app
        self._export = export

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(tracing.begun(_named(scope)))

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                named = (_RESPONSE, seen.trace.header.encode())
                message["headers"] = [*message.get("headers", ()), named]
            await send(message)

        try:
            with tracing.following(seen.trace):
                await self._app(scope, receive, told)
        finally:
            if self._export is not None and scope["path"].startswith(_TRACED):
                self._export.add(_done(scope, seen))


def watch_traces(metrics: Metrics, export: TraceExport | None) -> None:
    """Add what came of the traces, where they are sent."""
    if export is not None:
        text = "Requests traced since the start: sent, dropped as too many waited, lost on the way"
        metrics.gauge(lambda: [Gauged("traces", text, export.counts(), "outcome")])


def _named(scope: Message) -> str | None:
    """Return the caller's trace; two of them are none.

    Source: W3C Trace Context, Recommendation of 2021-11-23, section 4.3.
    """
    found = [value for name, value in scope["headers"] if name == _PARENT]
    return found[0].decode("latin-1").strip() if len(found) == 1 else None


def _done(scope: Message, seen: _Seen) -> Done:
    """Return a request as it is to be sent.

    Source: OpenTelemetry semantic conventions 1.45, HTTP server spans: the name has the route, not
    the path, and only status 500 and above is an error.
    """
    method = scope["method"] if scope["method"] in _METHODS else _OTHER
    route = getattr(scope.get("route"), "path_format", None)
    attributes: dict[str, Value] = {
        "http.request.method": method,
        "url.scheme": scope.get("scheme", "http"),
        "http.response.status_code": seen.status,
    }
    if route is not None:
        attributes["http.route"] = route
    named = "HTTP" if method == _OTHER else method
    return Done(
        seen.trace,
        f"{named} {route}" if route else named,
        "server",
        seen.started,
        max(seen.started, time.time_ns()),
        attributes,
        _error(seen.status),
    )


def _error(status: int) -> str | None:
    if status == 0:
        return "no response"
    return str(status) if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
