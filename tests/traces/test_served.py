"""A real ``rag serve`` that sends its traces to a real collector."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
QUESTION = "How long is the pump covered?"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    documents = folder / "documents"
    documents.mkdir()
    (documents / "pump.txt").write_text("The pump is covered for 24 months from delivery.")
    command = started("ingest.cli", "sync", str(documents))
    environment = own(folder / "data")
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    return folder / "data"


def started(module: str, *arguments: str) -> list[str]:
    code = f"import sys; from {module} import main; sys.exit(main())"
    return [sys.executable, "-c", code, *arguments]


def own(data_dir: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "RAG_DATA_DIR": str(data_dir), "RAG_TIER": "lexical", **more}


@contextmanager
def serving(data_dir: Path, log: Path, url: str) -> Iterator[httpx.Client]:
    command = started("rag.cli", "serve", "--port", "0")
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, env=own(data_dir, RAG_OTLP_URL=url), stderr=stderr)
    try:
        end = time.monotonic() + 30
        while not (found := re.search(r"listening on (\S+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        with httpx.Client(base_url=found[1], timeout=20) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


@pytest.mark.slow
def test_an_answer_reaches_the_collector_when_the_service_ends(
    data_dir: Path, tmp_path: Path, collector: Any, attributes_of: Any
) -> None:
    log = tmp_path / "log"
    with serving(data_dir, log, collector.url) as client:
        named = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        answer = client.post("/v1/query", json={"question": QUESTION}, headers=named)
        assert "24 months" in answer.json()["answer"]
        assert client.post("/v1/query", json={"question": ""}).status_code == 422
    spans = {span.name: span for span in collector.spans(2)}
    answered = attributes_of(spans["invoke_workflow frugal-rag"])
    assert answered["frugal_rag.fingerprint"] == answer.json()["fingerprint"]
    assert answered["frugal_rag.context.tokens"] == answer.json()["usage"]["context_tokens"]
    assert answered["frugal_rag.joules.low"] == answer.json()["impact"]["joules"]["low"]
    assert spans["retrieval default"].trace_id.hex() == TRACE
    roots = [span for span in collector.spans() if span.name == "POST /v1/query"]
    assert [attributes_of(root)["http.response.status_code"] for root in roots] == [200, 422]
    assert roots[0].parent_span_id.hex() == SPAN
    sent = b"".join(collector.bodies)
    assert b"pump" not in sent
    assert b"24 months" not in sent
    told = [line for line in lines(log) if line["event"] == "answered"]
    assert [line["trace"] for line in told] == [TRACE]


@pytest.mark.slow
def test_a_collector_that_is_not_there_costs_no_answer_and_no_end(
    data_dir: Path, tmp_path: Path, collector: Any
) -> None:
    collector.status = 503
    log = tmp_path / "log"
    with serving(data_dir, log, collector.url) as client:
        assert client.post("/v1/query", json={"question": QUESTION}).status_code == 200
        counted = client.get("/metrics").text
        assert 'frugal_rag_traces{outcome="dropped"} 0.0' in counted
        started = time.monotonic()
    assert time.monotonic() - started < 10
    assert "opentelemetry" not in log.read_text()
