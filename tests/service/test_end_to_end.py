from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import httpx
import pytest

from rag.build import build_answering, build_live_index
from rag.keyring import Keyring, keys_path
from rag.service.app import create_app
from rag.service.served import Served
from rag.service.server import listen, url_of
from rag.settings import Settings

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTION = "How long is the pump covered?"
ANSWER = "The pump is covered for 24 months from delivery."
RUN = "import sys; from rag.cli import main; sys.exit(main())"
# Answers real questions, but takes its time: what a stop has to wait for.
SLOW = """
import sys, time
from rag.build import build_answering, build_live_index
from rag.keyring import Keyring, keys_path
from rag.service.app import create_app
from rag.service.served import Served
from rag.service.server import listen, serve
from rag.settings import load_settings

class Slow:
    def __init__(self, inner):
        self.inner = inner
    def answer(self, question, *listener):
        print("begun", file=sys.stderr, flush=True)
        time.sleep(1.0)
        return self.inner.answer(question, *listener)

settings = load_settings()
live = build_live_index(settings)
live.refresh()
keyring = Keyring(keys_path(settings))
slow = Slow(build_answering(settings, live))
app = create_app(settings, Served(answering=slow, ready=live.problem, keyring=keyring))
say = lambda url: print("listening on", url, file=sys.stderr, flush=True)
try:
    serve(app, listen("127.0.0.1", 0), settings, say)
finally:
    print("closed", file=sys.stderr)
    live.close()
"""


class Corpus(Protocol):
    @property
    def settings(self) -> Settings: ...

    def publish(self, documents: Mapping[str, str]) -> int | None: ...


def environment(settings: Settings) -> dict[str, str]:
    given = {
        "RAG_DATA_DIR": str(settings.data_dir.resolve()),
        "RAG_TIER": settings.tier,
        "RAG_ANSWER_THRESHOLD": str(settings.answer_threshold),
        "RAG_INGEST_WORKERS": str(settings.ingest_workers),
    }
    return os.environ | given


def rag(settings: Settings, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env=environment(settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class Process:
    """A service in a process of its own; ``lines`` is what it said on stderr so far."""

    popen: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)

    def read(self) -> None:
        assert self.popen.stderr
        for line in self.popen.stderr:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, pattern: str) -> re.Match[str]:
        for _ in range(3000):
            for line in [*self.lines]:
                if found := re.search(pattern, line):
                    return found
            assert self.popen.poll() is None, self.lines
            time.sleep(0.01)
        raise AssertionError(self.lines)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(20)


@contextmanager
def started(settings: Settings, code: str, *arguments: str) -> Iterator[Process]:
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as popen:
        process = Process(popen)
        reader = threading.Thread(target=process.read)
        reader.start()
        try:
            process.url = process.wait_for(r"^listening on (http://127\.0\.0\.1:\d+)$")[1]
            yield process
        finally:
            popen.kill()
            reader.join()


def when_ready(url: str) -> httpx.Response:
    for _ in range(1000):
        response = httpx.get(f"{url}/readyz")
        if response.status_code == 200:
            return response
        time.sleep(0.02)
    raise AssertionError(response.text)


def lasting(body: dict[str, Any]) -> dict[str, Any]:
    """What of a response does not differ between two runs, whoever was answered first."""
    return {name: body[name] for name in body.keys() - {"impact", "seconds", "trace", "cache"}}


def test_two_asks_and_a_service_share_a_collection(pump_corpus: Corpus) -> None:
    settings = pump_corpus.settings
    with started(settings, RUN, "serve", "--port", "0") as service:
        when_ready(service.url)
        with ThreadPoolExecutor(2) as pool:
            asks = [pool.submit(rag, settings, "ask", QUESTION, "--json") for _ in range(2)]
            over_http = httpx.post(f"{service.url}/v1/query", json={"question": QUESTION}).json()
            asked = [ask.result() for ask in asks]
        assert [(ask.returncode, ask.stderr) for ask in asked] == [(0, "")] * 2
        assert over_http["answer"] == ANSWER
        for ask in asked:
            assert list(json.loads(ask.stdout)) == list(over_http)
            assert lasting(json.loads(ask.stdout)) == lasting(over_http)
        assert service.stop() == 0
    logged = [json.loads(line) for line in service.lines if not line.startswith("listening")]
    [answered] = [line for line in logged if line["event"] == "answered"]
    assert answered["generation"] == over_http["generation"] == 1
    assert "pump" not in json.dumps(answered)


def test_a_service_without_documents_becomes_ready_by_itself(corpus: Corpus) -> None:
    with started(corpus.settings, RUN, "serve", "--port", "0") as service:
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        for method, path in (("GET", "/readyz"), ("POST", "/v1/query")):
            body = None if method == "GET" else {"question": QUESTION}
            response = httpx.request(method, service.url + path, json=body)
            assert response.status_code == 503
            assert response.json()["remedy"] == "run rag-ingest sync PATH"
        corpus.publish({"a.txt": ANSWER})
        when_ready(service.url)
        response = httpx.post(f"{service.url}/v1/query", json={"question": QUESTION})
        assert response.json()["answer"] == ANSWER


def test_no_question_fails_or_mixes_generations_while_they_are_published(
    corpus: Corpus, serving: Serving
) -> None:
    def publish(number: int) -> None:
        texts = {f"{n}.txt": f"Pump {n} delivers {number} litres per minute." for n in range(5)}
        assert corpus.publish(texts) == number

    publish(1)
    live = build_live_index(corpus.settings)
    live.refresh()
    live.follow(every_seconds=0.05)
    stop = threading.Event()
    app = create_app(
        corpus.settings,
        Served(
            answering=build_answering(corpus.settings, live),
            ready=live.problem,
            keyring=Keyring(keys_path(corpus.settings)),
        ),
    )

    def ask(client: httpx.Client) -> list[int]:
        seen = []
        while not stop.is_set():
            body = {"question": "How much does the pump deliver per minute?"}
            response = client.post("/v1/retrieve", json=body)
            assert response.status_code == 200, response.text
            found = response.json()
            numbers = {re.findall(r"\d+", item["quote"])[1] for item in found["evidence"]}
            assert len(found["evidence"]) == 5
            assert numbers == {str(found["generation"])}
            seen.append(found["generation"])
        return seen

    try:
        with serving(app) as client, ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask, client) for _ in range(4)]
            for number in (2, 3, 4, 5):
                publish(number)
            deadline = time.monotonic() + 10
            while live.generation != 5 and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(0.2)
            stop.set()
            seen = [future.result() for future in asking]
    finally:
        live.close()
    assert sum(map(len, seen)) >= 200
    assert all(generations == sorted(generations) for generations in seen)
    assert len({number for generations in seen for number in generations}) >= 3


def test_a_damaged_generation_is_reported_and_the_old_one_answers(
    corpus: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    corpus.publish({"a.txt": ANSWER})
    live = build_live_index(corpus.settings)
    live.refresh()
    corpus.publish({"a.txt": "Something else."})
    directory = corpus.settings.data_dir / corpus.settings.collection
    for path in (directory / "generations" / "000002" / "index").rglob("status.dat"):
        path.write_bytes(b"")  # the engine panics over it
    live.refresh()
    live.refresh()
    try:
        assert live.problem() is None
        assert live.generation == 1
        assert caplog.messages.count("generation-unusable") == 1
    finally:
        live.close()


def test_a_damaged_private_copy_is_made_again(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.publish({"a.txt": ANSWER})
    first = build_live_index(corpus.settings)
    first.refresh()
    first.close()
    directory = corpus.settings.data_dir / corpus.settings.collection
    [damaged] = (directory / "readers").rglob("index.json")
    damaged.write_bytes(b"")
    monkeypatch.setattr("rag.live_index._RETRY_SECONDS", 0.0)
    live = build_live_index(corpus.settings)
    live.refresh()
    assert live.problem() is not None
    live.refresh()
    assert live.problem() is None
    live.close()


def test_a_stop_waits_for_the_questions_under_way(pump_corpus: Corpus) -> None:
    with started(pump_corpus.settings, SLOW) as service, ThreadPoolExecutor(1) as pool:
        body = {"question": QUESTION}
        asked = pool.submit(httpx.post, f"{service.url}/v1/query", json=body)
        service.wait_for("^begun$")
        assert service.stop() == 0
        assert asked.result().json()["answer"] == ANSWER
        assert "closed" in service.lines


def test_an_interrupt_ends_the_service_with_its_status(pump_corpus: Corpus) -> None:
    with started(pump_corpus.settings, RUN, "serve", "--port", "0") as service:
        assert service.stop(signal.SIGINT) == 130
    assert not [line for line in service.lines if "Traceback" in line]


def test_a_taken_port_is_one_line_and_status_one(pump_corpus: Corpus) -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        port = url_of(taken).rpartition(":")[2]
        result = rag(pump_corpus.settings, "serve", "--port", port)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: cannot listen: 127.0.0.1:{port} (Address")
    assert result.stderr.count("\n") == 1


def test_ask_prints_answer_sources_and_receipt(pump_corpus: Corpus) -> None:
    result = rag(pump_corpus.settings, "ask", "-", "--budget", "64", stdin=f"{QUESTION}\n")
    assert (result.returncode, result.stderr) == (0, "")
    *answer, source, blank, receipt = result.stdout.splitlines()
    assert answer in (
        ["24 months", "", ANSWER, ""],
        [ANSWER, ""],
    )  # the phrase if it is sure enough
    assert blank == ""
    assert source == f'[1] pump (pump.txt): "{ANSWER}"'
    assert re.fullmatch(
        r"\d+ of 64 context tokens, \d+ ms, [\d.]+ to [\d.]+ J estimated, "
        r"carbon unknown \(set grid_gco2e_per_kwh\)",
        receipt,
    )


def test_an_abstention_is_no_error(pump_corpus: Corpus) -> None:
    result = rag(pump_corpus.settings, "ask", "Who pays the queen of Zanzibar?", "--trace")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("No answer: ")
    assert re.search(r"^retrieve [\d.]+ ms: ", result.stdout, re.MULTILINE)


def test_retrieve_prints_the_context_and_nothing_else(pump_corpus: Corpus) -> None:
    result = rag(pump_corpus.settings, "retrieve", QUESTION, "--document", "pump.txt")
    assert (result.returncode, result.stderr) == (0, "")
    as_json = rag(pump_corpus.settings, "retrieve", QUESTION, "--document", "pump.txt", "--json")
    assert result.stdout == json.loads(as_json.stdout)["context"]["text"] + "\n"
    assert ANSWER in result.stdout


def test_an_index_without_vectors_is_refused_by_the_neural_tier(pump_corpus: Corpus) -> None:
    result = rag(pump_corpus.settings, "ask", QUESTION, "--tier", "neural")
    assert result.returncode == 1
    assert "set tier to lexical" in result.stderr.lower()


def test_a_reader_that_goes_away_is_no_traceback(pump_corpus: Corpus) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "ask", QUESTION],
        env=environment(pump_corpus.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
