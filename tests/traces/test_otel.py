from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from rag.adapters.otel import OtlpSender
from rag.build_traces import build_traces
from rag.errors import BackendError
from rag.results import Impact, Receipt, TraceStep, Usage
from rag.settings import load_settings
from rag.spans import Source
from rag.trace_export import TraceExport
from rag.tracing import Answered, Done, Trace
from rag.types import Interval

QUESTION = "what does the Smith contract say"
RECEIPT = Receipt(
    usage=Usage(120, 512, 400, None, 30, "cl100k_base", reported=True),
    impact=Impact(Interval(0.5, 2.0), None, None, None, "estimated", None),
    saved=None,
    cache="miss",
    trace=(
        TraceStep("retrieve", QUESTION, 0.25, Interval(0.25, 1.0)),
        TraceStep("generate", QUESTION, 0.5, None),
    ),
    fingerprint="94b68bb1c89a",
    generation=7,
    seconds=0.8,
    model="gpt-4o-mini",
)


def done(error: str | None = None) -> Done:
    now = time.time_ns()
    trace = Trace("a" * 32, "b" * 16, "c" * 16, answers=[Answered("acme", "answer", RECEIPT, now)])
    about = {"http.request.method": "POST", "http.response.status_code": 200}
    return Done(trace, "POST /v1/query", "server", now - 10**9, now, about, error)


@pytest.fixture
def sender(collector: Any) -> Iterator[OtlpSender]:
    source = Source("handbook", {"gpt-4o-mini": "openai"})
    sender = OtlpSender(f"{collector.url}/v1/traces", source, "1.2.3")
    yield sender
    sender.close()


def test_a_collector_reads_what_was_done(
    sender: OtlpSender, collector: Any, attributes_of: Any
) -> None:
    sender.send([done()])
    root, answer, retrieval, chat = collector.spans(4)
    assert {span.trace_id.hex() for span in collector.spans()} == {"a" * 32}
    assert (root.span_id.hex(), root.parent_span_id.hex()) == ("b" * 16, "c" * 16)
    assert (root.name, root.kind, root.status.code) == ("POST /v1/query", 2, 0)  # SERVER, UNSET
    assert answer.parent_span_id == root.span_id
    assert retrieval.parent_span_id == chat.parent_span_id == answer.span_id
    assert (retrieval.kind, chat.kind) == (3, 3)  # CLIENT
    assert retrieval.end_time_unix_nano - retrieval.start_time_unix_nano == 250_000_000
    assert attributes_of(chat)["gen_ai.usage.input_tokens"] == 400
    assert attributes_of(chat)["gen_ai.provider.name"] == "openai"
    assert attributes_of(answer)["frugal_rag.joules.high"] == 2.0
    assert collector.resource()["service.name"] == "frugal-rag"
    assert collector.resource()["service.version"] == "1.2.3"
    assert collector.requests[0][0] == "/v1/traces"
    assert QUESTION.encode() not in b"".join(collector.bodies)


def test_an_error_is_its_kind(sender: OtlpSender, collector: Any, attributes_of: Any) -> None:
    sender.send([done("503")])
    root = collector.spans()[0]
    assert root.status.code == 2  # ERROR
    assert attributes_of(root)["error.type"] == "503"


def test_what_the_collector_refuses_is_told(sender: OtlpSender, collector: Any) -> None:
    collector.status = 400
    with pytest.raises(BackendError):
        sender.send([done()])


def test_a_key_of_the_collector_comes_from_opentelemetrys_variable(
    collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc")
    sender = OtlpSender(f"{collector.url}/v1/traces", Source("handbook"), "1.2.3")
    sender.send([done()])
    sender.close()
    headers = {name.lower(): value for name, value in collector.requests[0][1].items()}
    assert headers["authorization"] == "Bearer abc"
    assert headers["content-encoding"] == "gzip"


def export_to(url: str) -> TraceExport:
    export = build_traces(load_settings(otlp_url=url))
    assert export is not None
    return export


def test_what_waits_is_sent_at_the_end(collector: Any) -> None:
    export = export_to(collector.url)
    for _ in range(10):
        export.add(done())
    export.close()
    assert export.counts() == {"sent": 10, "dropped": 0, "lost": 0}
    assert len(collector.spans(40)) == 40
    assert len(collector.requests) == 1


def test_a_collector_that_is_not_there_holds_nobody_up(collector: Any) -> None:
    collector.status = 503  # worth another attempt, which the end cuts short
    export = export_to(collector.url)
    export.add(done())
    started = time.monotonic()
    export.close(0.3)
    assert time.monotonic() - started < 3
    assert export.counts()["sent"] == 0
    assert export.counts()["lost"] == 1
