"""Batches over HTTP: acknowledged when on the disk, checked at once, answered as if sent alone."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import httpx
import pytest
from fastapi import FastAPI

from rag.access import OPERATOR, Caller, acting
from rag.audit import AuditLog
from rag.build import build_answering, build_live_index
from rag.build_jobs import build_jobs
from rag.jobs.parts import Jobs
from rag.jobs.runner import JobRunner
from rag.service.app import _add_handlers, _documented
from rag.service.batch_lines import MOST_LINES
from rag.service.batch_routes import JobParts, add_batch, add_jobs, watch_jobs
from rag.service.job_runs import BatchParts, batch_worker
from rag.service.metrics import Metrics
from rag.settings import Settings, load_settings

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
JSONL = {"content-type": "application/jsonl"}
QUESTION = "How long is the pump covered?"
RIGHTS = frozenset({"query"})
CALLERS = {
    "operator": OPERATOR,
    "k1": Caller("k1", "default", RIGHTS, None),  # type: ignore[arg-type]
    "k2": Caller("k2", "default", RIGHTS, None),  # type: ignore[arg-type]
    "admin": Caller("admin", "default", frozenset({"admin"}), None),
    "other": Caller("other", "other", frozenset({"query", "admin"}), None),
}


class Corpus(Protocol):
    @property
    def settings(self) -> Settings: ...


@dataclass
class Batching:
    """A served application with jobs, whose callers name themselves."""

    client: httpx.Client
    jobs: Jobs
    runner: JobRunner
    metrics: Metrics
    audit_log: Path
    busy: list[bool] = field(default_factory=lambda: [False])

    def give(self, content: bytes, key: str = "operator", **query: object) -> httpx.Response:
        headers = {**JSONL, "x-key": key}
        return self.client.post("/v1/batch", content=content, params=query, headers=headers)  # type: ignore[arg-type]

    def get(self, path: str, key: str = "operator") -> httpx.Response:
        return self.client.get(f"/v1/{path}", headers={"x-key": key})

    def given(self, content: bytes, key: str = "operator", **query: object) -> str:
        response = self.give(content, key, **query)
        assert response.status_code == 202, response.text
        name: str = response.json()["id"]
        assert response.headers["location"] == f"/v1/batch/{name}"
        return name

    def ended(self, name: str, key: str = "operator") -> dict[str, Any]:
        until = time.monotonic() + 10
        while True:
            body: dict[str, Any] = self.get(f"batch/{name}", key).json()
            if body["ended_at"] is not None:
                return body
            assert time.monotonic() < until, body
            time.sleep(0.02)

    def output(self, name: str, key: str = "operator") -> list[dict[str, Any]]:
        response = self.get(f"batch/{name}/output", key)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("application/jsonl")
        return [json.loads(line) for line in response.content.splitlines()]


def line(name: str, url: str = "/v1/query", **body: object) -> dict[str, object]:
    given = {"question": QUESTION} | body
    return {"custom_id": name, "method": "POST", "url": url, "body": given}


def jsonl(*lines: object) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


@contextmanager
def _batching(
    corpus: Corpus, serving: Serving, folder: Path, overrides: Mapping[str, object]
) -> Iterator[Batching]:
    with ExitStack() as kept:
        given = corpus.settings.model_dump(exclude_unset=True) | {"cache": "off"} | overrides
        settings = load_settings(**given)
        live = build_live_index(settings)
        kept.callback(live.close)
        live.refresh()
        answering = build_answering(settings, live)
        metrics, audit = Metrics(), AuditLog(folder / "audit.jsonl")
        jobs = build_jobs(settings.model_copy(update={"data_dir": folder}))
        kept.callback(jobs.close)
        busy = [False]
        parts = BatchParts(answering, lambda: busy[0], audit, metrics)
        runner = jobs.runner(batch_worker(settings, parts))
        kept.callback(runner.close)
        app = FastAPI()
        _add_handlers(app, metrics)
        add_batch(app, settings, JobParts(jobs.store, audit, metrics), _documented)
        add_jobs(app, JobParts(jobs.store, audit, metrics), _documented)
        watch_jobs(metrics, jobs.queue.counts)
        client = kept.enter_context(serving(_named(app)))
        yield Batching(client, jobs, runner, metrics, folder / "audit.jsonl", busy)


def _named(app: FastAPI) -> Callable[..., Any]:
    async def named(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        name = dict(scope["headers"]).get(b"x-key", b"operator").decode()
        with acting(CALLERS[name]):
            await app(scope, receive, send)

    return named


@pytest.fixture
def batching(pump_corpus: Corpus, serving: Serving, tmp_path: Path) -> Iterator[Batching]:
    with _batching(pump_corpus, serving, tmp_path, {}) as batching:
        yield batching


def test_each_line_gets_what_it_would_get_alone(batching: Batching) -> None:
    chat = {"model": "frugal-rag", "messages": [{"role": "user", "content": QUESTION}]}
    name = batching.given(
        jsonl(
            line("one", include_context=True),
            line("two", "/v1/retrieve", budget_tokens=32),
            {**line("three", "/v1/chat/completions"), "body": chat},
            line("no answer", question="Who was the first emperor of Rome?"),
            line("too many", budget_tokens=10**9),
            line("misspelt", qestion="x"),
            line("streamed", stream=True),
            line("too long", question="x" * 5000),
            {**line("no model", "/v1/chat/completions"), "body": {**chat, "model": "gpt-9"}},
        )
    )
    assert batching.get(f"batch/{name}").json()["status"] == "waiting"
    batching.runner.start()
    body = batching.ended(name)
    assert (body["status"], body["object"]) == ("completed", "batch")
    assert body["request_counts"] == {"total": 9, "completed": 4, "failed": 5}
    assert body["detail"]["joules"]["high"] > 0
    lines = batching.output(name)
    told = {each["custom_id"]: each["response"] for each in lines}
    assert [each["custom_id"] for each in lines][:3] == ["one", "two", "three"]
    statuses = [each["response"]["status_code"] for each in lines]
    assert statuses == [200, 200, 200, 200, 422, 422, 400, 413, 404]
    assert "24 months" in told["one"]["body"]["answer"]
    assert told["one"]["body"]["context"]["text"]
    assert told["two"]["body"]["usage"]["budget_tokens"] == 32
    assert "24 months" in told["three"]["body"]["choices"][0]["message"]["content"]
    assert told["no answer"]["body"]["abstained"] is True
    assert told["misspelt"]["body"]["field"] == "qestion"
    assert told["no model"]["body"]["error"]["code"] == "model_not_found"
    assert b'frugal_rag_questions_total{outcome="answered"' in batching.metrics.text()


def test_a_batch_is_on_the_disk_when_it_is_acknowledged(batching: Batching) -> None:
    name = batching.given(jsonl(line("one"), line("two")), deadline="6h")
    other = build_jobs(
        load_settings(data_dir=batching.jobs.queue.folder.parent.parent)
    )  # as the next process finds it
    job = other.store.get(name)
    assert (job.order.total, job.state) == (2, "waiting")
    assert job.order.deadline == pytest.approx(job.created + 6 * 3600, abs=5)
    assert (other.store.folder_of(job) / "input.jsonl").read_bytes().count(b"\n") == 2
    assert job.order.expected_seconds == 2 * 10  # twice the deadline of one
    other.close()


BAD = {
    "no JSON": (b'{"custom_id": "a"', "line 2"),
    "not in UTF-8": (b'{"custom_id": "\xff"}', "line 2"),
    "NaN": (json.dumps(line("b", frugality=float("nan"))).encode(), "line 2"),
    "deep": (b"[" * 100_000, "line 2"),
    "a list": (b"[1]", "line 2"),
    "no name": (json.dumps({**line("b"), "custom_id": ""}).encode(), "custom_id"),
    "another method": (json.dumps({**line("b"), "method": "GET"}).encode(), "method"),
    "another place": (json.dumps({**line("b"), "url": "/v1/cache"}).encode(), "url"),
    "more": (json.dumps({**line("b"), "key": "x"}).encode(), "key"),
    "twice": (json.dumps(line("a")).encode(), "twice"),
    "another tenant": (json.dumps(line("b", tenant="other")).encode(), "another tenant"),
    "its tenant in chat": (
        json.dumps(
            {**line("b", "/v1/chat/completions"), "body": {"frugal_rag": {"tenant": "x"}}}
        ).encode(),
        "another tenant",
    ),
    "long": (b'{"custom_id": "' + b"x" * 2_000_000 + b'"}', "too long"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_line_that_is_none_refuses_the_whole_file(batching: Batching, name: str) -> None:
    bad, said = BAD[name]
    response = batching.give(jsonl(line("a")) + bad + b"\n" + jsonl(line("c")))
    assert response.status_code == 400, response.text
    problem = response.json()
    assert said in problem["detail"]
    assert problem["detail"].startswith("line 2: ")
    assert problem["remedy"]
    assert len(problem["value"]) <= 120
    assert batching.get("batch").json()["data"] == []
    assert not list(batching.jobs.queue.folder.glob("job_*"))


def test_a_file_without_lines_or_with_too_many_is_refused(batching: Batching) -> None:
    assert batching.give(b"\n \r\n").status_code == 400
    many = b"".join(
        b'{"custom_id":"%d","method":"POST","url":"/v1/query","body":{}}\n' % i
        for i in range(MOST_LINES + 1)
    )
    assert "too many lines" in batching.give(many).json()["detail"]
    batching.given(many[: many.rindex(b'{"custom_id"')])


@pytest.mark.parametrize(
    "query",
    [
        {"deadline": "soon"},
        {"deadline": "31d"},
        {"deadline": ""},
        {"expect": "-1h"},
        {"when_green": "perhaps"},
        {"tenant": "../x"},
        {"dead_line": "1h"},
    ],
)
def test_terms_that_are_none_are_refused(batching: Batching, query: dict[str, str]) -> None:
    response = batching.give(jsonl(line("a")), **query)
    assert response.status_code == 422
    assert response.json()["remedy"]
    assert batching.get("jobs").json()["data"] == []


@pytest.mark.parametrize("given", ["text/plain", "multipart/form-data; boundary=x", None])
def test_what_pages_of_other_sites_can_send_is_refused(
    batching: Batching, given: str | None
) -> None:
    headers = {} if given is None else {"content-type": given}
    response = batching.client.post("/v1/batch", content=jsonl(line("a")), headers=headers)
    assert (response.status_code, response.json()["field"]) == (415, "Content-Type")


def test_a_file_over_the_limit_is_not_read_to_its_end(
    pump_corpus: Corpus, serving: Serving, tmp_path: Path
) -> None:
    with _batching(pump_corpus, serving, tmp_path, {"batch_mb": 0.1}) as batching:
        declared = batching.give(b"x" * 200_000)

        def pieces() -> Iterator[bytes]:
            for _ in range(200):
                yield b"x" * 1000

        sent = batching.client.post("/v1/batch", content=pieces(), headers=JSONL)
        for response in (declared, sent):
            assert response.status_code == 413
            assert response.headers["connection"] == "close"
        assert not list(batching.jobs.queue.folder.glob("job_*"))


def test_a_slow_or_vanishing_client_leaves_nothing(
    pump_corpus: Corpus, serving: Serving, tmp_path: Path
) -> None:
    with _batching(pump_corpus, serving, tmp_path, {"deadline_seconds": 0.5}) as batching:
        address = batching.client.base_url
        head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/jsonl\r\n"
        with socket.create_connection((address.host, address.port)) as slow:  # type: ignore[arg-type]
            slow.sendall(head + b"Content-Length: 1000\r\n\r\n{")
            started = time.monotonic()
            assert slow.recv(4096).startswith(b"HTTP/1.1 408")
            assert time.monotonic() - started < 5
        with socket.create_connection((address.host, address.port)) as gone:  # type: ignore[arg-type]
            gone.sendall(head + b"Content-Length: 1000\r\n\r\n{")
            time.sleep(0.1)
        until = time.monotonic() + 5
        while list(batching.jobs.queue.folder.glob("job_*")):
            assert time.monotonic() < until
            time.sleep(0.02)


def test_a_batch_is_cancelled_and_keeps_what_was_answered(batching: Batching) -> None:
    name = batching.given(jsonl(*(line(str(i)) for i in range(50))))
    batching.busy[0] = True
    batching.runner.start()
    while batching.get(f"batch/{name}").json()["status"] != "in_progress":
        time.sleep(0.01)
    time.sleep(0.1)
    assert batching.output(name) == []  # somebody else is being answered
    cancelled = batching.client.delete(f"/v1/batch/{name}").json()
    assert cancelled["status"] in ("cancelling", "cancelled")
    assert batching.ended(name)["status"] == "cancelled"
    codes = {each["error"]["code"] for each in batching.output(name)}
    assert codes == {"batch_cancelled"}
    assert batching.client.delete(f"/v1/batch/{name}").json()["status"] == "cancelled"


def test_jobs_of_others_are_not_there(batching: Batching) -> None:
    batching.runner.start()
    name = batching.given(jsonl(line("a")), "k1")
    batching.ended(name, "k1")
    for key in ("k2", "other"):
        for path in (f"batch/{name}", f"jobs/{name}", f"batch/{name}/output"):
            response = batching.get(path, key)
            assert response.status_code == 404
            assert response.json()["remedy"]
        headers = {"x-key": key}
        assert batching.client.delete(f"/v1/batch/{name}", headers=headers).status_code == 404
        assert batching.get("batch", key).json()["data"] == []
        none = batching.client.get("/v1/jobs", params={"after": name}, headers=headers)
        assert none.status_code == 404
    for key in ("k1", "admin", "operator"):
        assert [job["id"] for job in batching.get("jobs", key).json()["data"]] == [name]
        assert "24 months" in batching.output(name, key)[0]["response"]["body"]["answer"]
    assert batching.give(jsonl(line("a")), "k1", tenant="other").status_code == 403
    assert batching.give(jsonl(line("a")), "other").status_code == 202


def test_a_line_sees_its_tenants_documents_only(batching: Batching) -> None:
    batching.runner.start()
    name = batching.given(jsonl(line("a")), "operator", tenant="other")
    assert batching.ended(name)["tenant"] == "other"
    assert batching.output(name)[0]["response"]["body"]["abstained"] is True


def test_lists_go_on_page_by_page(batching: Batching) -> None:
    names = [batching.given(jsonl(line("a"))) for _ in range(5)][::-1]
    first = batching.get("batch?limit=2").json()
    assert [job["id"] for job in first["data"]] == names[:2]
    assert (first["has_more"], first["last_id"]) == (True, names[1])
    rest = batching.get(f"batch?limit=3&after={first['last_id']}").json()
    assert [job["id"] for job in rest["data"]] == names[2:]
    assert (rest["has_more"], rest["object"]) == (False, "list")
    assert b'frugal_rag_jobs{state="waiting"} 5.0' in batching.metrics.text()


@pytest.mark.parametrize("name", ["job_1", "..", "%2e%2e%2fjobs.v1.sqlite", "job_" + "0" * 24])
def test_names_that_are_none_lead_nowhere(batching: Batching, name: str) -> None:
    for path in (f"batch/{name}", f"batch/{name}/output", f"jobs/{name}"):
        assert batching.get(path).status_code in (404, 422)


def test_it_says_when_it_will_start(pump_corpus: Corpus, serving: Serving, tmp_path: Path) -> None:
    now = time.time()
    hours = [500, 400, 90, 80, 300, 300, 300, 300]
    times = [time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(now + i * 3600)) for i in range(8)]
    forecast = list(zip(times, hours, strict=True))
    file = tmp_path / "forecast.json"
    file.write_text(json.dumps(forecast))
    with _batching(pump_corpus, serving, tmp_path, {"grid_file": file}) as batching:
        batching.runner.start()
        name = batching.given(jsonl(line("a")), when_green="true", deadline="6h", expect="30m")
        until = time.monotonic() + 10
        while not (body := batching.get(f"batch/{name}").json())["reason"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert body["status"] == "waiting"
        assert "least emissions" in body["reason"]
        assert body["starts_at"] == pytest.approx(now + 3 * 3600, abs=61)
        green = body["detail"]["green"]
        assert green["saved_share"] > 0.5
        assert green["source"] == "forecast.json"  # callers are not told where it is


def test_the_audit_log_names_documents_and_never_texts(batching: Batching) -> None:
    batching.runner.start()
    name = batching.given(jsonl(line("a", question=QUESTION)), "k1")
    batching.ended(name, "k1")
    batching.output(name, "k1")
    rows = [json.loads(row) for row in batching.audit_log.read_text().splitlines()]
    assert {row["key"] for row in rows} == {"k1"}
    batch, *_, last = rows
    assert (batch["action"], batch["job"], last["action"]) == ("batch", name, "jobs")
    (answer,) = [row for row in rows if row["action"] == "answer"]
    assert (answer["job"], answer["documents"]) == (name, ["pump.txt"])
    assert "pump covered" not in batching.audit_log.read_text()


def test_no_answer_is_written_that_is_not_in_the_audit_log(batching: Batching) -> None:
    name = batching.given(jsonl(line("a")))
    batching.audit_log.unlink()
    batching.audit_log.mkdir()
    batching.runner.start()
    with acting(OPERATOR):
        until = time.monotonic() + 10
        while (job := batching.jobs.store.get(name)).starts is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert job.state == "waiting"
        assert "audit log" in job.reason
        output = batching.jobs.store.folder_of(job) / "output.jsonl"
        assert output.read_bytes() == b""
    assert batching.give(jsonl(line("a"))).status_code == 503
    assert len(list(batching.jobs.queue.folder.glob("job_*"))) == 1
