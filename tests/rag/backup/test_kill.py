"""SIGKILL at the file operations of a backup and of a restore, one after another.

A process that has loaded everything forks a child for each trial; an audit hook ends the child at
its n-th file operation. What is left is then looked at, and the same is done once more to its end.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.backup.formats import known_formats
from rag.backup.reading import opened
from rag.filetree import tree_digest
from rag.generation import read_current
from rag.ledger import ledger_folder
from rag.ledger_file import files_in

TRIALS = 6
# Which operations count, and in which folder: those of the interpreter itself do not.
RUN = """
import json, os, signal, sys
from contextlib import closing
from pathlib import Path
from rag.adapters import edge_index
from rag.backup.formats import known_formats
from rag.backup.making import make_backup
from rag.backup.reading import opened
from rag.backup.restoring import restore
from rag.build_upkeep import build_inspection
from rag.settings import load_settings

what, place, backup, trials = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
EVENTS = ("open", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "sqlite3.connect")

def once(folder, last):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if event in EVENTS and str(place) in str(arguments[0]):
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    settings = load_settings(data_dir=folder / "data", tier="lexical")
    collection = settings.data_dir / "default"
    if what == "backup":
        make_backup(collection, folder / "backup.tar")
    else:
        with opened(backup, known_formats()) as given:
            restore(given, collection, build_inspection(settings), force=True)
    (folder / "seen").write_text(str(seen))

def child(folder, last):
    pid = os.fork()
    if pid == 0:
        try:
            once(folder, last)
        except BaseException as exc:
            print(exc, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

assert child(place / "whole", 0) == 0
total = int((place / "whole" / "seen").read_text())
last = [round(1 + (total - 1) * n / (trials - 1)) for n in range(trials)]
print(json.dumps([total, [child(place / f"{n:02}", at) for n, at in enumerate(last)]]))
"""


def run(what: str, place: Path, backup: Path) -> list[int]:
    """Return how the trials ended, after as many file operations as they have, evenly spaced."""
    command = [sys.executable, "-c", RUN, what, str(place), str(backup), str(TRIALS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    total, endings = json.loads(done.stdout)
    assert total > 3 * TRIALS
    return list(endings)


def prepared(shelf: Any, place: Path) -> None:
    for name in ("whole", *(f"{n:02}" for n in range(TRIALS))):
        shutil.copytree(shelf.settings.data_dir, place / name / "data")


@pytest.mark.slow
def test_a_killed_backup_is_not_there_and_stands_in_nobody_s_way(
    pumps: Any, fast_path: Path
) -> None:
    prepared(pumps, fast_path)
    assert run("backup", fast_path, fast_path) == [-9] * TRIALS
    complete = 0
    for number in range(TRIALS):
        shelf = pumps.moved(fast_path / f"{number:02}" / "data")
        target = fast_path / f"{number:02}" / "backup.tar"
        if target.exists():
            with opened(target, known_formats()) as backup:
                backup.verify()
            target.unlink()
            complete += 1
        shelf.backup(target)
        hidden = [p.name for p in target.parent.iterdir() if p.name.startswith(".")]
        assert hidden == []
        assert read_current(shelf.collection) == _elsewhere(pumps, shelf)
    assert complete < TRIALS / 2


@pytest.mark.slow
def test_a_killed_restore_leaves_what_was_published(
    make_shelf: Any, taken: Path, fast_path: Path
) -> None:
    old = make_shelf(fast_path / "old")
    old.publish({"valve.txt": "The valve is covered for 36 months."})
    old.ask("How long is the valve covered?")
    known = _entries(old)
    place = fast_path / "trials"
    prepared(old, place)
    assert run("restore", place, taken) == [-9] * TRIALS
    after = []
    for number in range(TRIALS):
        shelf = old.moved(place / f"{number:02}" / "data")
        generation = read_current(shelf.collection)
        assert generation is not None
        generation.verify_manifest()
        assert tree_digest(generation.index_path) == generation.index_digest
        after.append(generation.number)
        assert _entries(shelf) == known
        shelf.restore(taken, force=True)
        assert "24 months" in shelf.ask("How long is the pump covered?").text
        assert not (shelf.collection / "staging").exists()
    assert set(after) <= {1, 2}
    assert after == sorted(after)
    assert after[0] == 1


def _entries(shelf: Any) -> int:
    (month,) = files_in(ledger_folder(shelf.settings))
    with closing(sqlite3.connect(month.path)) as db:
        return int(db.execute("SELECT count(*) FROM answers").fetchone()[0])


def _elsewhere(shelf: Any, moved: Any) -> Any:
    generation = read_current(shelf.collection)
    assert generation is not None
    path = moved.collection / generation.path.relative_to(shelf.collection)
    return replace(generation, path=path)
