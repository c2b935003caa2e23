"""Traces to an OpenTelemetry collector, as protobuf over HTTP (OTLP); only this module imports it.

Beside its address all is configured by OpenTelemetry's own variables: keys of a collector stand in
``OTEL_EXPORTER_OTLP_HEADERS``, further attributes of the service in ``OTEL_RESOURCE_ATTRIBUTES``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from rag.errors import BackendError
from rag.spans import NAME, Source, Span, spans_of
from rag.tracing import Done

_KINDS: Final = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}
# Source: the OTLP exporter's usual one, OpenTelemetry specification 1.56; all attempts together.
_DEADLINE_SECONDS: Final = 10.0
_VENDOR: Final = "opentelemetry"


class OtlpSender:
    """Sends spans, with a few attempts, within 10 s; from one thread."""

    def __init__(self, url: str, source: Source, version: str) -> None:
        """Send to the whole address ``url``; nothing is connected yet."""
        # It says each attempt's failure, with the address; ours says once that traces are lost.
        logging.getLogger(_VENDOR).setLevel(logging.CRITICAL)
        self._url = url
        self._source = source
        own = {"service.name": NAME, "service.version": version}
        self._resource = Resource.create(own)
        self._scope = InstrumentationScope(NAME, version)
        self._exporter: SpanExporter = OTLPSpanExporter(
            url, timeout=_DEADLINE_SECONDS, compression=Compression.Gzip
        )

    def send(self, batch: Sequence[Done]) -> None:
        """Send what was done.

        Raises:
            BackendError: It has not arrived.
        """
        spans = [self._span(span) for done in batch for span in spans_of(done, self._source)]
        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            remedy = "check otlp_url and the collector, or unset it"
            raise BackendError("the collector did not take traces", self._url, remedy)

    def close(self) -> None:
        """Give up what is being sent, and let go of the connection."""
        self._exporter.shutdown()

    def _span(self, span: Span) -> ReadableSpan:
        status = Status(StatusCode.ERROR) if span.error else Status(StatusCode.UNSET)
        error = {"error.type": span.error} if span.error else {}
        return ReadableSpan(
            span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent) if span.parent else None,
            resource=self._resource,
            attributes={**span.attributes, **error},
            kind=_KINDS[span.kind],
            status=status,
            start_time=span.started,
            end_time=span.ended,
            instrumentation_scope=self._scope,
        )


def _context(trace_id: str, span_id: str) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)
