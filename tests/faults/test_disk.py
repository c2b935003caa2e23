"""A disk that is full, or may only be read: while indexing, asking, serving."""

from __future__ import annotations

import json
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

Published = Callable[..., Any]
_QUESTION = "How long is the pump covered?"
_NEW = "# Valve\n\nThe valve closes at 80 degrees.\n"
# No file may grow beyond that [bytes]: the same errors at the same calls as on a full disk.
_SMALL_DISK = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({limit}, r.RLIM_INFINITY))\n"
# The superuser may write whatever rights say, until it gives that up; others have nothing to give.
_NO_PRIVILEGE = """
import ctypes
class Head(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]
class Data(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]
ctypes.CDLL(None).capset(ctypes.byref(Head(0x20080522, 0)), (Data * 2)())
"""


def answer(made: Any) -> Any:
    done = made.rag("ask", _QUESTION, "--json")
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    return body["answer"], body["generation"]


def in_words(done: Any) -> str:
    """Check that a command failed in one sentence with a remedy, and return it."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    last = str(done.stderr.strip().splitlines()[-1])
    assert last.startswith("error: ")
    return last


@pytest.mark.parametrize("limit", [0, 60_000, 150_000])
def test_an_ingest_on_a_full_disk_leaves_what_was_published(
    published: Published, tmp_path: Path, limit: int
) -> None:
    """Wherever it breaks off: while copying, parsing, embedding or writing the index."""
    made = published(tmp_path)
    before = answer(made)
    made.write({"valve.md": _NEW})
    said = in_words(
        made.ingest("sync", str(made.documents), before=_SMALL_DISK.format(limit=limit))
    )
    assert "File too large" in said
    assert "ree disk space" in said
    assert answer(made) == before
    assert made.ingest("sync", str(made.documents)).returncode == 0
    found = made.rag("ask", "When does the valve close?")
    assert "80 degrees" in found.stdout
    assert answer(made) == (before[0], before[1] + 1)


def test_a_service_on_a_full_disk_answers_on_and_counts_every_answer(
    published: Published, tmp_path: Path
) -> None:
    """What an answer cost waits in memory, and is written as soon as there is room."""
    made = published(tmp_path, cache="exact", question_log=tmp_path / "questions.jsonl")
    with made.serving() as service, httpx.Client(base_url=service.url, timeout=20) as client:

        def ask(number: int) -> None:
            body = {"question": f"{_QUESTION} {number}"}
            response = client.post("/v1/query", json=body)
            assert response.status_code == 200, response.text

        for number in range(5):
            ask(number)
        fill(service.popen.pid, 0)
        for number in range(5, 15):
            ask(number)
        assert client.get("/readyz").status_code == 200
        fill(service.popen.pid, resource.RLIM_INFINITY)
        for number in range(15, 20):
            ask(number)
        asked = 20
        deadline = time.monotonic() + 60
        while counted(client) < asked:  # the disk is left alone for some seconds
            assert time.monotonic() < deadline
            time.sleep(1.0)
            ask(asked)
            asked += 1
        assert service.stop() == 0
        assert not [line for line in service.lines if "internal-error" in line]
    assert json.loads(made.rag("impact", "--json").stdout)["total"]["answers"] == asked
    kept = (tmp_path / "questions.jsonl").read_text().splitlines()
    assert [json.loads(line)["question"].split()[-1] for line in kept] == [
        str(number) for number in (*range(5), *range(15, asked))
    ]


def fill(pid: int, limit: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def counted(client: httpx.Client) -> int:
    return int(client.get("/v1/impact").json()["total"]["answers"])


def test_a_question_on_a_full_disk_says_so(published: Published, tmp_path: Path) -> None:
    made = published(tmp_path)
    said = in_words(made.rag("ask", _QUESTION, before=_SMALL_DISK.format(limit=0)))
    assert "ree disk space" in said
    assert "24 months" in answer(made)[0]


def test_a_disk_that_may_only_be_read(published: Published, tmp_path: Path) -> None:
    """Nothing is written, said in words, and nothing of what was there is lost."""
    made = published(tmp_path)
    before = answer(made)
    made.write({"valve.md": _NEW})
    data = tmp_path / "data"
    paths = [data, *data.rglob("*")]
    listing = {path: path.stat().st_size for path in paths if path.is_file()}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for done in (
            made.ingest("sync", str(made.documents), before=_NO_PRIVILEGE),
            made.rag("ask", _QUESTION, before=_NO_PRIVILEGE),
        ):
            assert "ix its permissions" in in_words(done)
        doctor = made.rag("doctor", before=_NO_PRIVILEGE)
        assert doctor.returncode == 1
        assert "fail  data_dir" in doctor.stdout
        assert {path: path.stat().st_size for path in paths if path.is_file()} == listing
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert answer(made) == before


def test_a_disk_that_becomes_read_only_under_a_service(
    published: Published, tmp_path: Path
) -> None:
    """It has its own copy of the index open, and answers from it."""
    made = published(tmp_path)
    with made.serving(before=_NO_PRIVILEGE) as service:
        data = tmp_path / "data"
        paths = [data, *data.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        try:
            for number in range(3):
                response = httpx.post(
                    f"{service.url}/v1/query", json={"question": f"{_QUESTION} {number}"}
                )
                assert response.status_code == 200, response.text
            assert httpx.get(f"{service.url}/readyz").status_code == 200
        finally:
            for path in paths:
                path.chmod(0o755 if path.is_dir() else 0o644)
        assert service.stop() == 0


def test_a_disk_that_is_gone(published: Published, tmp_path: Path) -> None:
    """The folder of the collection is taken away under a service, and comes back."""
    made = published(tmp_path)
    with made.serving() as service:
        shutil.move(tmp_path / "data", tmp_path / "elsewhere")
        body = {"question": _QUESTION}
        response = httpx.post(f"{service.url}/v1/query", json=body, timeout=20)
        assert response.status_code == 200
        assert "24 months" in response.json()["answer"]
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        shutil.move(tmp_path / "elsewhere", tmp_path / "data")
        assert service.stop() == 0
    assert "24 months" in answer(made)[0]
