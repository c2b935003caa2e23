"""A running ``rag serve`` to be measured from outside."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rag.errors import BackendError

_PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Running:
    """A service that is ready: its address, process, and the seconds from start to ready."""

    netloc: str
    pid: int
    ready_seconds: float

    def post(self, path: str, body: dict[str, str]) -> tuple[int, Any]:
        """Send a JSON body; returns the HTTP status and the JSON that came back."""
        connection = http.client.HTTPConnection(self.netloc, timeout=30)
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def retrieve(self, question: str) -> int:
        """Ask for a question's context; returns the HTTP status."""
        return self.post("/v1/retrieve", {"question": question})[0]

    def resident_mib(self) -> float:
        """Return the resident memory of the process [MiB]."""
        return _status(self.pid, "VmRSS")

    def peak_mib(self) -> float:
        """Return the largest resident memory of the process so far [MiB]."""
        return _status(self.pid, "VmHWM")


def script(name: str) -> str:
    """Return the path of a console script of this environment."""
    return str(Path(sys.executable).with_name(name))


@contextmanager
def serving(environment: Mapping[str, str], log: Path) -> Iterator[Running]:
    """Run ``rag serve`` on a free port until the end of the block.

    Raises:
        BackendError: It ended or did not become ready.
    """
    started = time.perf_counter()
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [script("rag"), "serve", "--port", "0"], env=os.environ | environment, stderr=stderr
        )
    try:
        netloc = _address(process, log)
        _await_ready(netloc, process)
        yield Running(netloc, process.pid, time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in _ticks(process, log):
        found = re.search(r"listening on (\S+)", log.read_text(encoding="utf-8"))
        if found:
            return urlsplit(found[1]).netloc
    raise BackendError("rag serve does not listen", log, "read its log")


def _await_ready(netloc: str, process: subprocess.Popen[bytes]) -> None:
    for _ in _ticks(process, netloc):
        connection = http.client.HTTPConnection(netloc, timeout=30)
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
        connection.close()
        if status == 200:
            return
    raise BackendError("rag serve does not become ready", netloc, "read its log")


def _ticks(process: subprocess.Popen[bytes], what: object) -> Iterator[None]:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise BackendError("rag serve ended", what, "read its log")
        yield
        time.sleep(_POLL_SECONDS)


def _status(pid: int, field: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else float("nan")
