"""The service and its ingest killed at random moments: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

ROUNDS = 4


def ingesting(collection: Path) -> list[int]:
    """Return the processes of ``rag-ingest`` that work on a collection's uploads."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"ingest.cli" in words and str(collection / "uploads/default").encode() in words:
                found.append(int(entry.name))
    return found


@pytest.mark.slow
def test_no_acknowledged_document_is_lost_by_kills(
    tmp_path: Path, commands: Callable[..., Any]
) -> None:
    chance = random.Random(7)  # noqa: S311 -- repeatable, not secret
    rag = commands(tmp_path)
    acknowledged: dict[str, int] = {}
    number = 0
    for _ in range(ROUNDS):
        with rag.serving(ready=False) as service:
            stop = threading.Timer(chance.uniform(0.5, 2.5), service.kill)
            stop.start()
            with httpx.Client(base_url=service.url, timeout=10) as client:
                while service.popen.poll() is None:
                    number += 1
                    name = f"{number % 7}.txt"  # some are replaced
                    with suppress(httpx.TransportError):
                        text = f"The valve {name} was seen on day {number}. " * 50
                        sent = client.post(
                            "/v1/documents", params={"name": name}, content=text.encode()
                        )
                        assert sent.status_code == 202, sent.text
                        acknowledged[name] = number
                    time.sleep(chance.uniform(0, 0.1))
            stop.join()
        for pid in ingesting(rag.collection):
            if chance.random() < 0.5:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert len(acknowledged) == 7

    with rag.serving(ready=False) as service, httpx.Client(base_url=service.url) as client:
        until = time.monotonic() + 60
        while True:
            jobs = client.get("/v1/jobs").json()["data"]
            if all(job["status"] not in ("waiting", "in_progress") for job in jobs):
                break
            assert time.monotonic() < until, jobs
            time.sleep(0.2)
        assert jobs
        page = client.get("/v1/documents").json()["documents"]
        assert sorted(document["doc_id"] for document in page) == sorted(acknowledged)
        assert {document["status"] for document in page} == {"indexed"}
        assert service.stop() == 0
    for name, day in acknowledged.items():
        text = (rag.collection / f"uploads/default/{name}").read_text(encoding="utf-8")
        # The last one that was acknowledged, or one that came in when nobody could be told.
        assert int(text.split("day ")[1].split(".")[0]) >= day


@pytest.mark.slow
def test_the_end_of_the_service_ends_its_ingest_and_the_next_one_does_it(
    tmp_path: Path, commands: Callable[..., Any]
) -> None:
    rag = commands(tmp_path)
    with rag.serving(ready=False) as service, httpx.Client(base_url=service.url) as client:
        text = "The valve was seen on day three. " * 2000
        for number in range(30):
            params = {"name": f"{number}.txt"}
            assert client.post("/v1/documents", params=params, content=text).status_code == 202
        until = time.monotonic() + 30
        while not ingesting(rag.collection) and time.monotonic() < until:
            time.sleep(0.01)
        assert service.stop() == 0
        assert ingesting(rag.collection) == []
    done = rag.rag("jobs", "run")
    assert done.returncode == 0, done.stderr
    status = rag.ingest("status", "--json")
    assert '"documents": 30' in status.stdout, status.stdout
