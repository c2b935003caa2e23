"""Several plans at once: in order, and ended without noise by one interrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys, tempfile, time
from pathlib import Path
from eval.parallel import each

def work(plan):
    with tempfile.TemporaryDirectory(dir=plan) as folder:
        Path(folder, "begun").touch()
        if plan.name != "quick":
            time.sleep(60)
    return plan.name

if __name__ == "__main__":
    plans = [Path(sys.argv[1]) / name for name in ("quick", "slow")]
    try:
        each(work, plans, 2, lambda _: print("done", flush=True))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("begun", [1, 2, 3, None])  # children of the parent, None: one is done
def test_an_interrupt_ends_idle_and_busy_workers_without_a_traceback(
    tmp_path: Path, begun: int | None
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    for name in ("quick", "slow"):
        (tmp_path / name).mkdir()
    process = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    if begun is None:
        assert process.stdout.readline() == "done\n"  # one worker is idle now
        until(lambda: any((tmp_path / "slow").iterdir()))
    else:
        until(lambda: len(children(process.pid)) >= begun)
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of them get it
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "", said
    assert time.monotonic() - started < 20
    if begun is None:
        assert not list((tmp_path / "slow").iterdir())  # left in order


def until(true: object) -> None:
    assert callable(true)
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def children(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return text.split()
