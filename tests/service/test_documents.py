"""Documents over HTTP, through the whole service: sent, indexed, asked for, listed, deleted."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from rag.access import Right
from rag.build_service import build_served
from rag.jobs.parts import Jobs
from rag.keyring import Keyring, change_keys, keys_path
from rag.keys import Grant, made_key
from rag.service.app import create_app
from rag.settings import Settings, load_settings

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
PUMP = b"The pump is covered for 24 months from delivery. It weighs 12 kg."
LATER = PUMP.replace(b"24", b"36")
QUESTION = "How long is the pump covered?"


@dataclass
class Shelf:
    """A served collection, and those who use it by their keys."""

    client: httpx.Client
    settings: Settings
    keys: dict[str, str] = field(default_factory=dict)

    def key(
        self, name: str, *rights: Right, tenant: str = "acme", labels: tuple[str, ...] | None = None
    ) -> None:
        key, token = made_key(Grant(rights, tenant, labels), datetime.now(UTC))
        change_keys(keys_path(self.settings), lambda keys: (*keys, key))
        self.keys[name] = token

    def call(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[who]}"} | more.pop("headers", {})
        return self.client.request(method, path, headers=headers, **more)

    def send(self, who: str, name: str, content: bytes, *labels: str) -> httpx.Response:
        params = {"name": name, "access": [*labels]}
        return self.call(who, "POST", "/v1/documents", params=params, content=content)

    def done(self, who: str, response: httpx.Response) -> dict[str, Any]:
        """Wait for a job that was given, until the service answers from what it published."""
        assert response.status_code == 202, response.text
        until = time.monotonic() + 60
        while True:
            job: dict[str, Any] = self.call(who, "GET", response.headers["location"]).json()
            if job["status"] not in ("waiting", "in_progress"):
                break
            assert time.monotonic() < until, job
            time.sleep(0.05)
        assert job["status"] == "completed", job
        time.sleep(0.55)  # a service looks twice a second
        return job

    def listed(self, who: str, **params: object) -> list[str]:
        page = self.call(who, "GET", "/v1/documents", params=params)
        assert page.status_code == 200, page.text
        return [document["doc_id"] for document in page.json()["documents"]]

    def answer(self, who: str, question: str = QUESTION) -> str | None:
        body: dict[str, Any] = self.call(
            who, "POST", "/v1/query", json={"question": question}
        ).json()
        answer: str | None = body["answer"]
        return answer

    def lines(self) -> list[dict[str, Any]]:
        path = self.settings.audit_log
        return [json.loads(line) for line in path.read_text().splitlines()] if path else []


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serving: Serving) -> Iterator[Shelf]:
    """The service as it is wired, with one key that may do everything for ``acme``."""
    given = {
        "RAG_DATA_DIR": str(tmp_path / "data"),
        "RAG_TIER": "lexical",
        "RAG_INGEST_WORKERS": "1",
        "RAG_ANSWER_THRESHOLD": "0.2",
        "RAG_AUDIT_LOG": str(tmp_path / "audit.log"),
        "RAG_MAX_FILE_MB": "0.5",
        "RAG_UPLOAD_TOTAL_MB": "1.2",
        "RAG_DEADLINE_SECONDS": "2",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    monkeypatch.setenv("PYTHONPATH", path)
    settings = load_settings()
    with ExitStack() as kept:
        shelf = Shelf(httpx.Client(), settings)
        shelf.key("all", "query", "ingest", "admin")
        shelf.key("hr", "query", "ingest", labels=("hr",))
        shelf.key("board", "query", "ingest", labels=("board",))
        shelf.key("other", "query", "ingest", "admin", tenant="other")
        shelf.key("reader", "query")
        served = build_served(settings, Keyring(keys_path(settings)), kept)
        served = replace(served, jobs=_eager(served.jobs))
        shelf.client = kept.enter_context(serving(create_app(settings, served)))
        yield shelf


def _eager(jobs: Jobs | None) -> Jobs | None:
    """Return jobs that are looked for more often, so that the tests are done sooner."""
    return jobs and replace(jobs, terms=replace(jobs.terms, look_seconds=0.05))


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert body["status"] == response.status_code
    assert body["remedy"]
    return response.status_code, body["type"].rpartition(":")[2]


@pytest.mark.slow
def test_a_document_is_sent_asked_for_replaced_and_deleted(shelf: Shelf) -> None:
    sent = shelf.send("all", "pump.txt", PUMP)
    assert sent.json()["name"] == "pump.txt"
    assert sent.json()["bytes"] == len(PUMP)
    assert shelf.call("all", "GET", "/v1/documents/pump.txt").json()["status"] == "waiting"
    assert shelf.done("all", sent)["detail"]["files"]["indexed"] == 1
    assert shelf.answer("all") == "The pump is covered for 24 months from delivery."
    one = shelf.call("all", "GET", "/v1/documents/pump.txt").json()
    assert (one["status"], one["uploaded"], one["chunks"], one["bytes"]) == ("indexed", True, 1, 65)
    assert shelf.listed("all") == ["pump.txt"]

    shelf.done("all", shelf.send("all", "pump.txt", LATER))
    assert shelf.answer("all") == "The pump is covered for 36 months from delivery."
    assert remembered(shelf, "pump.txt") > 0

    deleted = shelf.call("all", "DELETE", "/v1/documents/pump.txt")
    assert deleted.json()["doc_id"] == "pump.txt"
    shelf.done("all", deleted)
    assert shelf.answer("all") is None
    assert problem(shelf.call("all", "GET", "/v1/documents/pump.txt")) == (404, "not-found")
    assert problem(shelf.call("all", "DELETE", "/v1/documents/pump.txt")) == (404, "not-found")
    assert remembered(shelf, "pump.txt") == 0

    acts = [(line["action"], line["documents"]) for line in shelf.lines()]
    assert ("upload", ["pump.txt"]) in acts
    assert ("documents", ["pump.txt"]) in acts
    assert ("delete", ["pump.txt"]) in acts
    assert "months" not in json.dumps(shelf.lines())


def remembered(shelf: Shelf, doc_id: str) -> int:
    """Return how many answers in the cache a document had a part in."""
    (path,) = (shelf.settings.data_dir / "default/cache").glob("answers.v*.sqlite")
    with closing(sqlite3.connect(path)) as db:
        sql = "SELECT count(*) FROM documents WHERE doc_id = ?"
        return int(db.execute(sql, (doc_id,)).fetchone()[0])


@pytest.mark.slow
def test_tenants_and_labels_keep_documents_apart(shelf: Shelf) -> None:
    shelf.done("hr", shelf.send("hr", "pump.txt", PUMP, "hr"))
    for who, there in (("hr", True), ("all", True), ("board", False), ("other", False)):
        assert shelf.listed(who) == (["pump.txt"] if there else []), who
        assert (shelf.answer(who) is not None) == there, who
        shown = shelf.call(who, "GET", "/v1/documents/pump.txt")
        assert shown.status_code == (200 if there else 404), who
    for who in ("board", "other"):
        assert problem(shelf.call(who, "DELETE", "/v1/documents/pump.txt")) == (404, "not-found")
    assert problem(shelf.send("board", "pump.txt", LATER)) == (409, "conflict")
    assert problem(shelf.send("board", "x.txt", LATER, "hr")) == (403, "access")
    assert problem(shelf.send("hr", "x.txt", LATER, "hr", "board")) == (403, "access")
    there = shelf.call("other", "GET", "/v1/documents", params={"tenant": "acme"})
    assert problem(there) == (403, "access")
    there = shelf.call("other", "POST", "/v1/documents?name=x.txt&tenant=acme", content=b"x")
    assert problem(there) == (403, "access")

    own = shelf.send("other", "pump.txt", LATER)  # the same name, of another tenant
    assert shelf.done("other", own)["detail"]["files"]["indexed"] == 1
    assert shelf.answer("other") == "The pump is covered for 36 months from delivery."
    assert shelf.answer("hr") == "The pump is covered for 24 months from delivery."


@pytest.mark.slow
def test_what_is_sent_in_a_burst_is_one_job_of_each_key(shelf: Shelf) -> None:
    sent = [shelf.send("all", f"{number}.txt", PUMP + b" %d" % number) for number in range(5)]
    jobs = {response.json()["job"]["id"] for response in sent}
    assert len(jobs) < len(sent)
    other = shelf.send("hr", "x.txt", PUMP)
    assert other.json()["job"]["id"] not in jobs
    for response in (*sent, other):
        location = response.headers["location"]
        assert location == f"/v1/jobs/{response.json()['job']['id']}"
    shelf.done("all", sent[-1])
    shelf.done("hr", other)
    assert shelf.listed("all") == ["0.txt", "1.txt", "2.txt", "3.txt", "4.txt", "x.txt"]
    page = shelf.call("all", "GET", "/v1/documents", params={"limit": 4}).json()
    assert (len(page["documents"]), page["after"]) == (4, "3.txt")
    assert shelf.listed("all", after="3.txt") == ["4.txt", "x.txt"]


@pytest.mark.slow
def test_what_cannot_be_read_says_why(shelf: Shelf) -> None:
    job = shelf.done("all", shelf.send("all", "torn.docx", b"no archive"))
    (failure,) = job["detail"]["failures"]
    assert failure["name"] == "torn.docx"
    assert failure["problem"].startswith("damaged container: torn.docx")
    one = shelf.call("all", "GET", "/v1/documents/torn.docx").json()
    assert (one["status"], one["problem"]) == ("failed", failure["problem"])
    shelf.done("all", shelf.call("all", "DELETE", "/v1/documents/torn.docx"))
    assert problem(shelf.call("all", "GET", "/v1/documents/torn.docx")) == (404, "not-found")


@pytest.mark.slow
def test_a_document_of_a_folder_is_not_ours_to_delete(
    shelf: Shelf, tmp_path: Path, commands: Callable[..., Any]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "pump.txt").write_bytes(PUMP)
    done = commands(tmp_path).ingest("sync", str(folder), "--tenant", "acme")
    assert done.returncode == 0, done.stderr
    assert problem(shelf.call("all", "DELETE", "/v1/documents/pump.txt")) == (409, "conflict")
    one = shelf.call("all", "GET", "/v1/documents/pump.txt").json()
    assert (one["uploaded"], str(tmp_path) in json.dumps(one)) == (False, False)
    shelf.done("all", shelf.send("all", "pump.txt", LATER))  # another document beside it
    assert shelf.listed("all") == ["acme/pump.txt", "pump.txt"]
    shelf.done("all", shelf.call("all", "DELETE", "/v1/documents/acme/pump.txt"))
    assert shelf.listed("all") == ["pump.txt"]
    assert (folder / "pump.txt").read_bytes() == PUMP


FORM = {"content-type": "multipart/form-data; boundary=b"}
REFUSED: list[tuple[str, bytes, dict[str, str], tuple[int, str]]] = [
    ("name=../x.txt", b"x", {}, (422, "value-range")),
    ("name=%2e%2e%2fx.txt", b"x", {}, (422, "value-range")),
    ("name=a%00b.txt", b"x", {}, (422, "value-range")),
    ("name=a%0d%0aX-Evil:1.txt", b"x", {}, (422, "value-range")),
    ("name=a%E2%80%AEtxt.md", b"x", {}, (422, "value-range")),
    ("name=.x.txt", b"x", {}, (422, "value-range")),
    ("name=_uploads.sqlite", b"x", {}, (415, "unsupported-format")),
    ("name=x.exe", b"x", {}, (415, "unsupported-format")),
    ("name=x.txt&access=h%20r", b"x", {}, (422, "value-range")),
    ("name=x.txt&acess=hr", b"x", {}, (422, "invalid-request")),
    ("name=x.txt&tenant=../y", b"x", {}, (422, "invalid-request")),
    ("", b"x", {}, (422, "invalid-request")),
    ("name=x.txt", b"", {}, (422, "empty-document")),
    ("name=x.txt", b"x", FORM, (415, "unsupported-media-type")),
    ("name=x.txt", b"x" * 500_001, {}, (413, "body-too-large")),
]


def test_what_is_refused_leaves_nothing(shelf: Shelf) -> None:
    for query, content, headers, expected in REFUSED:
        response = shelf.call(
            "all", "POST", f"/v1/documents?{query}", content=content, headers=headers
        )
        assert problem(response) == expected, query
        assert "x-evil" not in response.headers
    assert shelf.send("reader", "x.txt", b"x").status_code == 403
    assert shelf.call("reader", "GET", "/v1/documents").status_code == 403
    assert shelf.client.post("/v1/documents?name=x.txt", content=b"x").status_code == 401
    assert [path for path in uploads(shelf).rglob("*") if path.is_file()] == []
    assert shelf.listed("all") == []


def test_where_it_cannot_be_noted_nothing_is_done(shelf: Shelf) -> None:
    assert shelf.send("all", "pump.txt", PUMP).status_code == 202
    log = shelf.settings.audit_log
    assert log is not None
    log.unlink()
    log.mkdir()
    assert problem(shelf.send("all", "pump.txt", LATER)) == (503, "audit")
    assert problem(shelf.call("all", "DELETE", "/v1/documents/pump.txt")) == (503, "audit")
    assert problem(shelf.call("all", "GET", "/v1/documents/pump.txt")) == (503, "audit")
    assert (uploads(shelf) / "acme/pump.txt").read_bytes() == PUMP


def test_a_body_without_a_size_is_cut_off_at_the_limit(shelf: Shelf) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000

    response = shelf.call("all", "POST", "/v1/documents?name=x.txt", content=pieces())
    assert problem(response) == (413, "body-too-large")
    assert [path for path in uploads(shelf).rglob("*") if path.is_file()] == []


def test_all_of_a_tenant_is_bounded(shelf: Shelf) -> None:
    for name in ("a.txt", "b.txt"):
        assert shelf.send("all", name, b"x " * 240_000).status_code == 202
    assert problem(shelf.send("all", "c.txt", b"x " * 240_000)) == (507, "storage-full")
    assert shelf.send("all", "b.txt", b"y " * 240_000).status_code == 202


def test_who_sends_too_slowly_is_left(shelf: Shelf) -> None:
    address = shelf.client.base_url
    with socket.create_connection((address.host, address.port or 0)) as slow:
        slow.sendall(
            b"POST /v1/documents?name=x.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            b"Authorization: Bearer " + shelf.keys["all"].encode() + b"\r\n\r\nxx"
        )
        slow.settimeout(10)
        told = slow.recv(4096)
    assert told.startswith(b"HTTP/1.1 408 ")
    until = time.monotonic() + 5
    while any(uploads(shelf).rglob("?" * 32)) and time.monotonic() < until:
        time.sleep(0.02)
    assert [path for path in uploads(shelf).rglob("*") if path.is_file()] == []


def uploads(shelf: Shelf) -> Path:
    return shelf.settings.data_dir / "default/uploads"
