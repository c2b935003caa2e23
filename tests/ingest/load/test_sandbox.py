from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.load.limits import ParseLimits
from ingest.load.registry import FORMATS, Format, load_document
from ingest.load.sandbox import ParserPool
from ingest.load.wire import Task, decode_result, decode_task, encode_result, encode_task
from rag.errors import (
    EmptyDocumentError,
    LoadError,
    ParseLimitError,
    UnsupportedFormatError,
    UsageError,
    ValueRangeError,
)

LOADERS = """
import ctypes, os, sys, time


def sleep(source, into):
    time.sleep(60)


def spin(source, into):
    ctypes.CDLL(None).sleep(60)


def hoard(source, into):
    into.add("x" * (1 << 40))


def crash(source, into):
    ctypes.string_at(0)


def leave(source, into):
    os._exit(3)


def fail(source, into):
    raise KeyError("missing part")


def recurse(source, into):
    recurse(source, into)


def noisy(source, into):
    print("noise on the standard output", flush=True)
    into.add("words")


def pid(source, into):
    into.add(str(os.getpid()))
"""
LIMITS = ParseLimits(wall_seconds=1.0, memory_bytes=512 << 20)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParserPool]:
    folder = tmp_path_factory.mktemp("loaders")
    (folder / "injected_loaders.py").write_text(LOADERS)
    sys.path.insert(0, str(folder))  # a spawned process is given the path of its parent
    names = ["sleep", "spin", "hoard", "crash", "leave", "fail", "recurse", "noisy", "pid"]
    added = {f".{name}": Format(f"injected_loaders:{name}", "text/x-test") for name in names}
    with ParserPool(limits=LIMITS, formats={**FORMATS, **added}) as made:
        yield made
    sys.path.remove(str(folder))


def test_a_document_is_the_same_as_without_the_pool(
    pool: ParserPool, write: Callable[..., Path]
) -> None:
    path = write("a.md", "---\ndate: 2024-01-02\ntags: [x]\n---\n# Título 🙂\n\nText.\n\n- item\n")
    assert pool.load(path, "doc") == load_document(path, "doc")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.sleep", ParseLimitError, "longer than 1 seconds"),
        ("a.spin", ParseLimitError, "longer than 1 seconds"),
        ("a.hoard", ParseLimitError, "out of memory"),
        ("a.crash", LoadError, "SIGSEGV"),
        ("a.leave", LoadError, "exit code 3"),
        ("a.fail", LoadError, "KeyError: 'missing part'"),
        ("a.recurse", ParseLimitError, "nested too deeply"),
        ("a.zip", UnsupportedFormatError, "Unpack"),
        ("a.json", LoadError, "not JSON"),
        ("a.txt", EmptyDocumentError, "no text"),
    ],
)
def test_each_fault_is_an_error_and_the_pool_goes_on(
    pool: ParserPool, write: Callable[..., Path], name: str, error: type[LoadError], message: str
) -> None:
    path = write(name, " ")
    with pytest.raises(error, match=message) as caught:
        pool.load(path, "doc")
    assert type(caught.value) is error
    assert caught.value.remedy
    assert pool.load(write("good.txt", "fine"), "doc").text == "fine"


def test_what_a_loader_prints_is_kept_from_standard_output(
    pool: ParserPool, write: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    assert pool.load(write("a.noisy", "x"), "doc").text == "words"
    assert "noise" not in capfd.readouterr().out


def test_outcomes_keep_the_order_of_the_files(pool: ParserPool, tmp_path: Path) -> None:
    names = [f"{n}.{'fail' if n % 5 == 2 else 'crash' if n == 11 else 'txt'}" for n in range(30)]
    for name in names:
        (tmp_path / name).write_text(f"text of {name}")
    outcomes = list(pool.load_many((tmp_path / name, name) for name in names))
    assert [outcome.doc_id for outcome in outcomes] == names
    for outcome in outcomes:
        assert (outcome.document is None) is not (outcome.error is None)
        assert (outcome.document is not None) is outcome.doc_id.endswith("txt")


def test_workers_are_reused_and_cheap(pool: ParserPool, tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.pid" for n in range(200)]
    for path in paths:
        path.write_text("x")
    started = time.perf_counter()
    outcomes = list(pool.load_many((path, "doc") for path in paths))
    seconds = time.perf_counter() - started
    assert len({outcome.document.text for outcome in outcomes if outcome.document}) == 1
    assert seconds < 2.0  # 1 ms a file on an idle machine would be 0.2


def test_several_workers_share_the_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.md" for n in range(40)]
    for n, path in enumerate(paths):
        path.write_text(f"# Title {n}\n\n" + "Some words. " * 50)
    with ParserPool(2) as two:
        titles = [o.document.title for o in two.load_many((p, p.name) for p in paths) if o.document]
    assert titles == [f"Title {n}" for n in range(40)]


def test_an_abandoned_run_leaves_a_usable_pool(
    pool: ParserPool, write: Callable[..., Path]
) -> None:
    path = write("a.txt", "words")
    run = pool.load_many((path, str(n)) for n in range(100))
    assert next(run).doc_id == "0"
    with pytest.raises(UsageError, match="in use"):
        pool.load(path, "other")
    run.close()
    assert pool.load(path, "doc").id == "doc"


def test_a_worker_that_dies_idle_costs_no_file(
    pool: ParserPool, write: Callable[..., Path]
) -> None:
    path = write("a.pid", "x")
    first = int(pool.load(path, "doc").text)
    (worker,) = pool._workers
    assert worker.process.pid == first
    os.kill(first, signal.SIGKILL)
    worker.process.join(10)  # a zombie may still hold its end of the pipe
    assert int(pool.load(path, "doc").text) != first


def test_no_workers_is_an_error() -> None:
    with pytest.raises(ValueRangeError, match="workers"):
        ParserPool(0)


def test_tasks_and_results_survive_the_wire() -> None:
    task = Task(3, Path(os.fsdecode(b"/odd/\xff name")), "id é")
    assert decode_task(encode_task(task)) == task
    error = UnsupportedFormatError("what", Path("value"), "remedy")
    outcome, retiring = decode_result(encode_result(error, 0.5, retiring=True), task)
    assert retiring
    assert type(outcome.error) is UnsupportedFormatError
    assert str(outcome.error) == str(error)
    assert (outcome.document, outcome.seconds) == (None, 0.5)


SCRIPT = """
import sys
from pathlib import Path
from ingest.load.sandbox import ParserPool

if __name__ == "__main__":
    with ParserPool(2) as pool:
        for outcome in pool.load_many((Path(sys.argv[1]), str(n)) for n in range(10**9)):
            if outcome.doc_id == "5":
                print(*(worker.process.pid for worker in pool._workers), flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(write: Callable[..., Path], how: signal.Signals) -> None:
    script, path = write("script.py", SCRIPT), write("a.txt", "words")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, str(script), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    assert parent.stdout is not None
    pids = [int(number) for number in parent.stdout.readline().split()]
    assert len(pids) == 2
    os.killpg(parent.pid, how) if how == signal.SIGINT else parent.send_signal(how)
    parent.communicate(timeout=20)
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, pids))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
