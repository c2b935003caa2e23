"""A process of a job: heard to a bound, ended with all its children when the job ends."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from rag.errors import ParseLimitError, RagError
from rag.jobs.child import run_child
from rag.jobs.job import Stopped


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    until = time.monotonic() + 5
    while is_there(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not is_there(pid)


def test_what_it_says_and_how_it_ends() -> None:
    code = "import sys; print('ü'); print('b', file=sys.stderr); sys.exit(3)"
    ended = run_child(python(code), time.sleep, 10)
    assert (ended.status, ended.stdout, ended.stderr) == (3, "ü\n", "b\n")


def test_it_is_asked_for_little_of_the_machine() -> None:
    ended = run_child(python("import os, time; time.sleep(.3); print(os.nice(0))"), time.sleep, 10)
    assert int(ended.stdout) >= 10


def test_what_it_says_is_bounded_and_does_not_block_it() -> None:
    code = "import sys; [sys.stdout.write('x' * 1_000_000) for _ in range(12)]; sys.exit(7)"
    ended = run_child(python(code), time.sleep, 30)
    assert ended.status == 7
    assert len(ended.stdout) == 4 << 20


def test_it_ends_with_its_children_when_it_is_to_stop(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}\\n'); time.sleep(60)"
    )

    def pause(seconds: float) -> None:
        time.sleep(seconds)
        if pids.is_file() and pids.read_text().endswith("\n"):
            raise Stopped("cancelled")

    with pytest.raises(Stopped):
        run_child(python(code), pause, 30)
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_it_ends_when_it_takes_too_long() -> None:
    begun = time.monotonic()
    with pytest.raises(ParseLimitError, match="took too long"):
        run_child(python("import time; time.sleep(60)"), time.sleep, 0.5)
    assert time.monotonic() - begun < 10


def test_what_cannot_be_started_is_told() -> None:
    with pytest.raises(RagError, match="cannot be started"):
        run_child(["/nowhere/program"], time.sleep, 10)


def test_nothing_is_left_open() -> None:
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(3):
        run_child(python("print(1)"), time.sleep, 10)
    assert len([*Path("/proc/self/fd").iterdir()]) <= before
