"""A Qdrant server that is gone, slow, or comes and goes, under a running service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

_QUESTION = "How long is the pump covered?"
_TEXT = "# Pump\n\nThe pump is covered for 24 months from delivery.\n"
_DEADLINE = 3.0


@pytest.fixture
def clustered(commands: Callable[..., Any], tmp_path: Path, gateway: Any) -> Any:
    made = commands(
        tmp_path,
        index="server",
        server_url=gateway.url,
        server_timeout_seconds=1.0,
        deadline_seconds=_DEADLINE,
        cache="exact",
    )
    made.publish({"pump.md": _TEXT})
    return made


@pytest.fixture
def client(clustered: Any) -> Iterator[httpx.Client]:
    with clustered.serving() as service, httpx.Client(base_url=service.url, timeout=20) as made:
        yield made
        assert service.stop() == 0
        assert not [line for line in service.lines if "internal-error" in line]


def ask(client: httpx.Client, question: str = _QUESTION) -> httpx.Response:
    started = time.monotonic()
    response = client.post("/v1/query", json={"question": question})
    assert time.monotonic() - started < _DEADLINE + 3  # what a busy machine takes on top
    return response


def until_answered(client: httpx.Client, question: str) -> httpx.Response:
    deadline = time.monotonic() + 30
    while (response := ask(client, question)).status_code != 200:
        assert time.monotonic() < deadline, response.text
        time.sleep(0.2)
    return response


def test_it_is_gone_and_comes_back(client: httpx.Client, gateway: Any) -> None:
    """Questions are refused in time and in words; the process lives, and heals by itself."""
    assert "24 months" in ask(client).json()["answer"]
    gateway.stop()
    for number in range(3):
        refused = ask(client, f"How heavy is the pump, number {number}?")
        assert refused.status_code in (503, 504), refused.text
        assert refused.json()["remedy"]
        assert refused.headers["content-type"] == "application/problem+json"
    assert client.get("/healthz").status_code == 200
    gateway.start()
    again = until_answered(client, "For how long is the pump covered?")
    assert "24 months" in again.json()["answer"]


def test_it_is_slow_and_comes_and_goes(client: httpx.Client, gateway: Any) -> None:
    """Too late is refused at the deadline; a call that fails once is repeated and answered."""
    gateway.slow = 30.0
    refused = ask(client, "Is the pump covered?")
    assert refused.status_code == 504
    gateway.slow = 0.0
    assert until_answered(client, "Is the pump covered for long?").status_code == 200
    for number, fault in enumerate(("refuse", "reset", "lost", "half") * 2):
        gateway.faults.append(fault)
        response = ask(client, f"How long is pump {number} covered?")
        assert response.status_code == 200, response.text


def test_an_ingest_that_loses_it_publishes_nothing(clustered: Any, gateway: Any) -> None:
    """And the next one completes it, with nothing lost and nothing twice."""
    clustered.write({"valve.md": "# Valve\n\nThe valve closes at 80 degrees.\n"})
    gateway.stop()
    done = clustered.ingest("sync", str(clustered.documents))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    gateway.start()
    assert "24 months" in clustered.rag("ask", _QUESTION).stdout
    assert clustered.ingest("sync", str(clustered.documents)).returncode == 0
    assert "80 degrees" in clustered.rag("ask", "When does the valve close?").stdout
    assert "24 months" in clustered.rag("ask", _QUESTION).stdout
