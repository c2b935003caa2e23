"""The file survives the death of a process, and several processes at once."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from rag.cache.store import NAME, Store
from rag.cache.values import Asked, Scope
from rag.types import Filter

_WRITER = """
import sys
from pathlib import Path
import numpy as np
from rag import access
from rag.cache.answer_cache import AnswerCache
from rag.cache.values import Asked, Clue, Cost, Limits, Said, Scope
from rag.results import Context
from rag.types import Filter

folder, name, most = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
cache = AnswerCache(folder, Limits(most_bytes=10**7))
said = Said("It is so.", (), False, None, 0.5, 1.0, (), Context("x", 1, 9, ()))
for number in range(most):
    asked = Asked(f"{name} {number}", Scope(Filter("one"), 9, 0.0, "f"), "g")
    with access.acting(access.OPERATOR):
        assert cache.keep(asked, Clue(None, (number,)), said, Cost(None))
    print(number, flush=True)
"""


def _writer(folder: Path, name: str, most: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(folder), name, str(most)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_what_was_kept_before_a_kill_is_there_after_it(world: Any) -> None:
    for kill in range(3):
        process = _writer(world.folder, f"kill {kill}", 100_000)
        assert process.stdout
        for _ in range(20 + 13 * kill):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        said = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        last = int(said[-1]) if said and said[-1].isdigit() else 19 + 13 * kill
        for number in range(last):
            assert _has(world, f"kill {kill} {number}"), (kill, number)
        _check_sums(world.folder)


def test_processes_write_at_once(world: Any) -> None:
    processes = [_writer(world.folder, f"process {n}", 60) for n in range(3)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    for n in range(3):
        assert all(_has(world, f"process {n} {number}") for number in range(60))
    assert world.cache.state().entries == 180
    _check_sums(world.folder)


def _has(world: Any, text: str) -> bool:
    world.clock.now = time.time()  # as the processes that wrote it: nothing of later is given
    return world.cache.exact(Asked(text, Scope(Filter("one"), 9, 0.0, "f"), "g")) is not None


def _check_sums(folder: Path) -> None:
    with closing(sqlite3.connect(folder / NAME)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        numbers = dict(db.execute("SELECT name, value FROM numbers"))
        count, size = db.execute("SELECT COUNT(*), SUM(size) FROM entries").fetchone()
        assert (numbers["entries"], numbers["bytes"]) == (count, size)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    assert oct(store.path.stat().st_mode)[-3:] == "600"
    assert oct(store.path.parent.stat().st_mode)[-3:] == "700"
    store.close()


def test_numbers_are_never_reused(world: Any) -> None:
    world.keep("Who?")
    first = world.exact("Who?").entry
    world.cache.purge.everything()
    world.keep("Who?")
    assert world.exact("Who?").entry > first
