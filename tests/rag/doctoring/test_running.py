"""A service on the configured port, or something else there, or nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rag.build_generators import answering_fingerprint
from rag.doctor import Finding
from rag.doctoring.running import check_service
from rag.settings import Settings, load_settings

RUN = "import sys; from rag.cli import main; sys.exit(main())"
METRICS = "# TYPE frugal_rag_ledger_unwritten gauge\nfrugal_rag_ledger_unwritten {}\n"
METRICS += "frugal_rag_ledger_lost {}\n"


@contextmanager
def serving(answers: Mapping[str, tuple[int, str]]) -> Iterator[Settings]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answers.get(self.path, (404, ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield load_settings(port=server.server_port)
        finally:
            server.shutdown()
            thread.join()


def checked(settings: Settings) -> Finding:
    return check_service(settings, answering_fingerprint(load_settings()))


def ready(fingerprint: str | None = None) -> tuple[int, str]:
    return 200, json.dumps({"fingerprint": fingerprint or answering_fingerprint(load_settings())})


def test_none_running_is_no_fault() -> None:
    assert checked(load_settings(port=1)).found.startswith("none running")


def test_a_sound_service() -> None:
    with serving({"/readyz": ready(), "/metrics": (200, METRICS.format("0.0", "0.0"))}) as s:
        finding = checked(s)
    assert finding.verdict == "ok"
    assert finding.found.endswith("is ready, nothing unwritten")


@pytest.mark.parametrize(("unwritten", "lost"), [("3.0", "0.0"), ("0.0", "2.0")])
def test_entries_that_are_not_written_are_a_failure(unwritten: str, lost: str) -> None:
    with serving({"/readyz": ready(), "/metrics": (200, METRICS.format(unwritten, lost))}) as s:
        finding = checked(s)
    assert finding.verdict == "fail"
    assert f"{float(unwritten):g} entries" in finding.found


@pytest.mark.parametrize("published", [True, False])
def test_one_that_is_not_ready_says_why(tmp_path: Path, *, published: bool) -> None:
    (tmp_path / "default").mkdir()
    if published:
        (tmp_path / "default" / "CURRENT").touch()
    body = json.dumps({"detail": "damaged generation"})
    with serving({"/readyz": (503, body)}) as settings:
        finding = checked(settings.model_copy(update={"data_dir": tmp_path}))
    assert finding.verdict == ("fail" if published else "warn")
    assert "damaged generation" in finding.found


def test_other_settings_are_a_warning() -> None:
    with serving({"/readyz": ready("another"), "/metrics": (401, "")}) as settings:
        assert checked(settings).verdict == "warn"


@pytest.mark.parametrize("body", ["", "[]", "<html>", '{"a": 1}'])
def test_something_else_is_left_alone(body: str) -> None:
    with serving({"/readyz": (200, body)}) as settings:
        assert "something else" in checked(settings).found


def test_metrics_that_may_not_be_read_are_unknown() -> None:
    with serving({"/readyz": ready(), "/metrics": (403, "")}) as settings:
        assert checked(settings).found.endswith("ledger unknown: /metrics is not open")


@pytest.mark.slow
def test_the_real_service(published: Settings, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = published.model_copy(update={"port": port})
    given = {"RAG_DATA_DIR": str(published.data_dir), "RAG_TIER": "lexical"}
    command = [sys.executable, "-c", RUN, "serve", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | given, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            while "listening" not in process.stderr.readline():
                assert process.poll() is None
            until = time.monotonic() + 20
            finding = check_service(settings, answering_fingerprint(load_settings(tier="lexical")))
            while finding.verdict != "ok" and time.monotonic() < until:
                time.sleep(0.1)  # the first generation is just being opened
                fingerprint = answering_fingerprint(load_settings(tier="lexical"))
                finding = check_service(settings, fingerprint)
            other = check_service(settings, "another")
        finally:
            process.terminate()
            process.stderr.read()
    assert finding.found.endswith("is ready, nothing unwritten")
    assert other.verdict == "warn"
