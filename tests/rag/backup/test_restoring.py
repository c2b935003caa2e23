"""Backups put back: into nothing, beside what is there, and refused where they are not whole."""

from __future__ import annotations

import fcntl
import io
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.publish import list_generations, rollback, writing
from rag.adapters.memory_index import MemoryIndex
from rag.backup.catalogue import FILES, parsed, written
from rag.backup.formats import known_formats
from rag.backup.storing import store
from rag.build import build_answering, build_live_index
from rag.build_upkeep import build_inspection
from rag.errors import BackendError, IndexStateError, UsageError
from rag.generation import read_current, read_generation
from rag.ledger import Ledger, ledger_folder
from rag.ledger_file import files_in
from rag.types import Filter

QUESTION = "How long is the pump covered?"


@pytest.fixture
def copied(taken: Path, fast_path: Path) -> Path:
    """A backup of its own, to be damaged."""
    target = fast_path / "backup"
    shutil.copytree(taken, target)
    return target


def identity(shelf: Any) -> str:
    generation = read_current(shelf.collection)
    assert generation is not None
    return generation.identity


def entries(shelf: Any) -> int:
    count = 0
    for file in files_in(ledger_folder(shelf.settings)):
        with closing(sqlite3.connect(file.path)) as db:
            count += db.execute("SELECT count(*) FROM answers").fetchone()[0]
    return count


def test_into_nothing_it_comes_back_as_it_was(pumps: Any, taken: Path, fast_path: Path) -> None:
    shelf = pumps.moved(fast_path / "data")
    done = shelf.restore(taken)
    assert identity(shelf) == identity(pumps)
    assert done.before is None
    assert done.kept == done.set_aside == ()
    assert set(done.put_back) >= {"cache/answers.v1.sqlite", "vectors.sqlite"}
    assert entries(shelf) == entries(pumps)
    assert "24 months" in shelf.ask(QUESTION).text
    assert shelf.sync().files.unchanged == 2
    assert list_generations(shelf.collection) == (1,)
    assert not (shelf.collection / "staging").exists()


def test_modes_come_back(pumps: Any, taken: Path, fast_path: Path) -> None:
    shelf = pumps.moved(fast_path / "data")
    shelf.restore(taken)
    for name in ("ledger", "cache", "cache/answers.v1.sqlite", "vectors.sqlite"):
        mode = (pumps.collection / name).stat().st_mode
        assert (shelf.collection / name).stat().st_mode == mode, name


def test_what_is_published_is_not_replaced_without_force(shelf: Any, taken: Path) -> None:
    shelf.publish({"new.txt": "The valve is covered for 36 months."})
    before = identity(shelf)
    with pytest.raises(UsageError, match="--force"):
        shelf.restore(taken)
    assert identity(shelf) == before
    done = shelf.restore(taken, force=True)
    assert (done.before, done.generation.number) == ("000001", 2)
    assert done.generation.chunks == 2
    assert shelf.ask(QUESTION).text
    with writing(shelf.collection):
        assert rollback(shelf.collection, 1).identity == before


def test_newer_entries_of_the_ledger_are_kept(pumps: Any, taken: Path, fast_path: Path) -> None:
    shelf = pumps.moved(fast_path / "data")
    shelf.restore(taken)
    shelf.ask(QUESTION)
    known = entries(shelf)
    shutil.rmtree(shelf.collection / "generations")
    (shelf.collection / "CURRENT").unlink()
    done = shelf.restore(taken)
    assert entries(shelf) == known == entries(pumps) + 1
    assert [path for path in done.kept if path.startswith("ledger/")]


def test_a_damaged_database_is_set_aside_and_replaced(
    pumps: Any, taken: Path, fast_path: Path
) -> None:
    shelf = pumps.moved(fast_path / "data")
    shelf.restore(taken)
    (month,) = files_in(ledger_folder(shelf.settings))
    month.path.write_bytes(b"garbage" * 1000)
    month.path.with_name(f"{month.path.name}-wal").write_bytes(b"of another")
    done = shelf.restore(taken, force=True)
    assert entries(shelf) == entries(pumps)
    (aside,) = done.set_aside
    assert (shelf.collection / aside).read_bytes().startswith(b"garbage")


def test_the_log_of_a_lost_database_is_not_applied(
    pumps: Any, taken: Path, fast_path: Path
) -> None:
    shelf = pumps.moved(fast_path / "data")
    folder = ledger_folder(shelf.settings)
    folder.mkdir(parents=True)
    (month,) = files_in(ledger_folder(pumps.settings))
    log = folder / f"{month.path.name}-wal"
    log.write_bytes(b"what was committed after the backup")
    shelf.restore(taken)
    assert entries(shelf) == entries(pumps)
    assert [p for p in folder.iterdir() if b"committed after" in p.read_bytes()] != [log]


def test_a_running_service_follows_and_loses_nothing(shelf: Any, taken: Path) -> None:
    shelf.publish({"new.txt": "The valve is covered for 36 months."})
    ledger = Ledger(ledger_folder(shelf.settings))
    live = build_live_index(shelf.settings)
    live.refresh()
    answering = build_answering(shelf.settings, live, ledger)
    with closing(live), closing(ledger):
        answering.answer(shelf.question("How long is the valve covered?"))
        shelf.restore(taken, force=True)
        answering.answer(shelf.question("How long is the valve covered?"))
        live.refresh()
        assert live.generation == 2
        assert live.count(Filter("default")) == 2
        assert "24 months" in answering.answer(shelf.question(QUESTION)).text
    assert entries(shelf) == 3


def test_a_damaged_pointer_is_restored_with_force_only(shelf: Any, taken: Path) -> None:
    shelf.publish({"new.txt": "The valve is covered for 36 months."})
    (shelf.collection / "CURRENT").write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(UsageError, match="--force"):
        shelf.restore(taken)
    assert shelf.restore(taken, force=True).generation.number == 2
    assert shelf.ask(QUESTION).text


def test_not_while_documents_are_ingested(shelf: Any, taken: Path) -> None:
    shelf.collection.mkdir(parents=True)
    with writing(shelf.collection), pytest.raises(IndexStateError, match="another process"):
        shelf.restore(taken)
    with (shelf.collection / "ingest.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(IndexStateError, match="another rag-ingest"):
            shelf.sync()


def largest(backup: Path) -> Path:
    return max((p for p in backup.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def flipped(backup: Path) -> None:
    path = largest(backup)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncated(backup: Path) -> None:
    path = largest(backup)
    path.write_bytes(path.read_bytes()[:-1])


def missing(backup: Path) -> None:
    largest(backup).unlink()


def linked(backup: Path) -> None:
    path = largest(backup)
    elsewhere = backup.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def without_list(backup: Path) -> None:
    (backup / "backup.json").unlink()


def another_manifest(backup: Path) -> None:
    """A backup that is whole by its own list, but whose parts do not belong together."""
    text = (backup / "backup.json").read_text(encoding="utf-8")
    made = parsed(text, backup, known_formats())
    state = backup / FILES / "generations" / made.generation / "generation.json"
    said = json.loads(state.read_text(encoding="utf-8")) | {"chunks": 3}
    state.write_text(json.dumps(said), encoding="utf-8")
    name = f"generations/{made.generation}/generation.json"
    others = tuple(file for file in made.files if file.path != name)
    fresh = store(state, name, io.BytesIO())
    (backup / "backup.json").write_text(written(replace(made, files=(*others, fresh))))


@pytest.mark.parametrize(
    "damage", [flipped, truncated, missing, linked, without_list, another_manifest]
)
@pytest.mark.parametrize("published", [True, False])
def test_a_damaged_backup_changes_nothing(
    shelf: Any, copied: Path, damage: Callable[[Path], None], *, published: bool
) -> None:
    if published:
        shelf.publish({"new.txt": "The valve is covered for 36 months."})
    before = state_of(shelf)
    damage(copied)
    with pytest.raises(IndexStateError):
        shelf.restore(copied, force=True)
    assert state_of(shelf) == before


def state_of(shelf: Any) -> dict[str, bytes]:
    files = (path for path in shelf.settings.data_dir.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if path.name != "ingest.lock"}


def test_a_truncated_archive_changes_nothing(pumps: Any, shelf: Any, fast_path: Path) -> None:
    for name in ("a.tar", "a.tar.gz"):
        pumps.backup(fast_path / name)
        content = (fast_path / name).read_bytes()
        for share in (0.0, 0.1, 0.5, 0.95):
            (fast_path / "cut").write_bytes(content[: round(len(content) * share)])
            with pytest.raises(IndexStateError):
                shelf.restore(fast_path / "cut")
    assert read_current(shelf.collection) is None


def test_an_archive_that_leads_elsewhere_is_refused(
    shelf: Any, taken: Path, fast_path: Path
) -> None:
    """Members that are not in the list are not looked at; links in it are no files."""
    archive = fast_path / "evil.tar"
    text = (taken / "backup.json").read_text(encoding="utf-8")
    victim = next(iter(parsed(text, "b", known_formats()).files)).path
    with tarfile.open(archive, "w") as tar:
        for path in sorted(taken.rglob("*")):
            name = path.relative_to(taken).as_posix()
            if path.is_file() and name != f"{FILES}/{victim}":
                tar.add(path, name)
        link = tarfile.TarInfo(f"{FILES}/{victim}")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
        stray = tarfile.TarInfo("../../stray")
        stray.size = 5
        tar.addfile(stray, io.BytesIO(b"stray"))
    with pytest.raises(IndexStateError, match="damaged"):
        shelf.restore(archive)
    assert not list(fast_path.parent.glob("stray"))


def test_a_later_release_s_backup_is_refused(shelf: Any, copied: Path) -> None:
    text = (copied / "backup.json").read_text(encoding="utf-8")
    made = parsed(text, copied, known_formats())
    newer = replace(made, formats=made.formats | {"ledger": 99})
    (copied / "backup.json").write_text(written(newer), encoding="utf-8")
    with pytest.raises(IndexStateError, match="ledger of format 99"):
        shelf.restore(copied)
    assert not shelf.collection.exists()


def test_what_is_no_backup_is_said(shelf: Any, fast_path: Path) -> None:
    with pytest.raises(UsageError, match="no such backup"):
        shelf.restore(fast_path / "nothing")
    (fast_path / "text").write_text("hello", encoding="utf-8")
    with pytest.raises(IndexStateError, match="backup is damaged"):
        shelf.restore(fast_path / "text")


def test_an_index_that_cannot_be_asked_is_not_published(
    shelf: Any, taken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.build_upkeep.EdgeIndex.open", _empty_index)
    with pytest.raises(IndexStateError, match="another number of chunks"):
        shelf.restore(taken)
    assert read_current(shelf.collection) is None


class Empty(MemoryIndex):
    def close(self) -> None:
        """Hold nothing."""


def _empty_index(path: Path) -> Any:
    assert path.is_dir()
    return Empty()


def test_on_a_server_the_chunks_are_counted_there(pumps: Any, taken: Path, fast_path: Path) -> None:
    """Nothing listens: the backup is not put back on a guess."""
    shelf = pumps.moved(fast_path / "data")
    text = (taken / "backup.json").read_text(encoding="utf-8")
    generation = parsed(text, "b", known_formats()).generation
    state = taken / FILES / "generations" / generation / "generation.json"
    there = read_generation(state.parent)
    on_server = replace(there, shape=replace(there.shape, index="server"))
    settings = shelf.settings.model_copy(
        update={"server_url": "http://127.0.0.1:9", "server_timeout_seconds": 0.3}
    )
    with pytest.raises(BackendError):
        build_inspection(settings)(on_server, fast_path / "scratch")
