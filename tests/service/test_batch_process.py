"""Batches and real processes: what was acknowledged is answered, whatever ends the service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import httpx
import pytest

from rag.cli import main
from rag.jobs.job import Order
from rag.jobs.store import JobStore
from rag.settings import Settings

Ran: TypeAlias = Callable[..., tuple[int, str, str]]
RUN = "import sys; from rag.cli import main; sys.exit(main())"
JSONL = {"content-type": "application/jsonl"}
LINES = 400


class Corpus(Protocol):
    @property
    def settings(self) -> Settings: ...

    def publish(self, documents: dict[str, str]) -> int | None: ...


@pytest.fixture
def place(corpus: Corpus, tmp_path: Path) -> dict[str, str]:
    """A published collection, as environment of the commands."""
    corpus.publish({"pump.txt": "The pump is covered for 24 months from delivery."})
    return os.environ | {
        "RAG_DATA_DIR": str(corpus.settings.data_dir),
        "RAG_TIER": "lexical",
        "RAG_ANSWER_THRESHOLD": "0.2",
        "RAG_AUDIT_LOG": str(tmp_path / "audit.jsonl"),
    }


@contextmanager
def serving(place: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    command = [sys.executable, "-c", RUN, "serve", "--port", "0"]
    with subprocess.Popen(command, env=place, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            line = next(line for line in process.stderr if line.startswith("listening on "))
            threading.Thread(target=process.stderr.read).start()
            with httpx.Client(base_url=line.split()[-1], timeout=20) as client:
                while client.get("/readyz").status_code != 200:
                    time.sleep(0.02)
                yield process, client
        finally:
            process.kill()


@pytest.fixture
def ran(
    place: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ran:
    """Runs ``rag jobs`` and returns its exit status and what it said."""
    for name in place.keys() - os.environ.keys():
        monkeypatch.setenv(name, place[name])

    def ran(*arguments: str) -> tuple[int, str, str]:
        status = main(["jobs", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return ran


def lines() -> bytes:
    def line(number: int) -> dict[str, object]:
        body = {"question": "How long is the pump covered?"}
        return {"custom_id": f"q{number}", "method": "POST", "url": "/v1/query", "body": body}

    return b"".join(json.dumps(line(number)).encode() + b"\n" for number in range(LINES))


def give(client: httpx.Client) -> str:
    response = client.post("/v1/batch", content=lines(), headers=JSONL)
    assert response.status_code == 202, response.text
    name: str = response.json()["id"]
    return name


def wait(client: httpx.Client, name: str, least: int) -> None:
    """Wait until some of the answers are there."""
    until = time.monotonic() + 20
    while client.get(f"/v1/batch/{name}/output").content.count(b"\n") < least:
        assert time.monotonic() < until
        time.sleep(0.01)


def check_all(output: bytes, place: dict[str, str], job: str) -> None:
    answers: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
    assert [each["custom_id"] for each in answers] == [f"q{i}" for i in range(LINES)]
    assert all("24 months" in each["response"]["body"]["answer"] for each in answers)
    rows = [json.loads(row) for row in Path(place["RAG_AUDIT_LOG"]).read_text().splitlines()]
    noted = [row for row in rows if row["action"] == "answer"]
    assert len(noted) in (LINES, LINES + 1)  # the line that a kill interrupted was asked again
    assert {row["job"] for row in noted} == {job}


def test_kill_9_of_the_service_loses_no_batch_that_it_took(place: dict[str, str]) -> None:
    with serving(place) as (process, client):
        name = give(client)
        wait(client, name, 20)
        process.send_signal(signal.SIGKILL)
    with serving(place) as (_, client):
        wait(client, name, LINES)
        until = time.monotonic() + 10
        while (body := client.get(f"/v1/jobs/{name}").json())["status"] != "completed":
            assert time.monotonic() < until, body
            time.sleep(0.02)
        assert body["request_counts"] == {"total": LINES, "completed": LINES, "failed": 0}
        check_all(client.get(f"/v1/batch/{name}/output").content, place, name)


def test_what_a_stopped_service_leaves_is_worked_off_by_a_command(
    place: dict[str, str], ran: Ran
) -> None:
    with serving(place) as (process, client):
        name = give(client)
        wait(client, name, 20)
        assert "another process does the jobs" in ran("run")[2]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert f"{name}  batch   waiting" in ran("list")[1]
    status, said, _ = ran("run", "--json")
    assert (status, json.loads(said)) == (0, {"ended": 1, "failed": 0, "left": 0})
    assert f"{name}  batch   done        {LINES}/{LINES}" in ran("show", name)[1]
    assert json.loads(ran("show", name, "--json")[1])["status"] == "completed"
    assert [job["id"] for job in json.loads(ran("list", "--json")[1])] == [name]
    assert json.loads(ran("cancel", name, "--json")[1])["status"] == "completed"
    folder = Path(place["RAG_DATA_DIR"]) / "default" / "jobs" / name
    check_all((folder / "output.jsonl").read_bytes(), place, name)


def test_a_job_that_is_none_is_told(ran: Ran) -> None:
    status, said, complained = ran("show", "job_x")
    assert (status, said) == (1, "")
    assert complained.startswith("error: no such job: job_x. ")
    assert ran("list")[:2] == (0, "no jobs\n")
    assert ran("run")[:2] == (0, "0 jobs ended, 0 of them failed; 0 wait\n")
    with pytest.raises(SystemExit) as caught:
        ran()
    assert caught.value.code == 2


def test_a_job_that_did_not_end_well_is_an_exit_status(place: dict[str, str], ran: Ran) -> None:
    store = JobStore(Path(place["RAG_DATA_DIR"]) / "default" / "jobs")
    late = store.add(Order("batch", "default", 3, deadline=time.time() - 1))
    kept = store.add(
        Order("batch", "default", 3, time.time() + 7200, when_green=True, expected_seconds=60)
    )
    store.cancel(kept.id)
    store.close()
    assert ran("run")[:2] == (1, "1 jobs ended, 1 of them failed; 0 wait\n")
    assert f"{late.id}  batch   expired     0/3" in ran("show", late.id)[1]
