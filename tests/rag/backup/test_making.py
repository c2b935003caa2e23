"""Backups taken of a collection, at rest and while it is used."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag.backup.formats import known_formats
from rag.backup.making import make_backup
from rag.backup.reading import opened
from rag.backup.restoring import check_backup
from rag.build_upkeep import build_inspection
from rag.errors import IndexStateError, UsageError
from rag.ledger_entry import Asker, Entry


def entry(number: int) -> Entry:
    return Entry(
        at=1_795_000_000_000_000 + number,
        asker=Asker("acme", "lexical", None, "answer", abstained=False),
        nanoseconds=number,
        joules=(number, number),
        gco2e=None,
        litres=None,
        basis="estimated",
        context_tokens=1,
        prompt_tokens=None,
        cached_tokens=None,
        completion_tokens=None,
        stages=(),
        fingerprint="f",
        generation=1,
    )


@contextmanager
def repeated(work: Callable[[int], object]) -> Iterator[list[BaseException]]:
    """Do work again and again beside what is tested; its errors are handed out."""
    stop, errors = threading.Event(), []

    def loop() -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                work(number)
        except BaseException as exc:  # noqa: BLE001 -- the test looks at it
            errors.append(exc)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield errors
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("name", ["folder", "archive.tar", "archive.tar.gz", "archive.tgz"])
def test_a_backup_holds_all_that_is_kept(pumps: Any, fast_path: Path, name: str) -> None:
    made = pumps.backup(fast_path / name)
    paths = {file.path for file in made.files}
    assert {
        "generations/000001/manifest.sqlite",
        "generations/000001/generation.json",
        "cache/answers.v1.sqlite",
        "vectors.sqlite",
    } <= paths
    assert any(path.startswith("ledger/") for path in paths)
    assert any(path.startswith("generations/000001/index/shard/") for path in paths)
    passing = ("readers", "CURRENT", "ingest.lock", "digests.sqlite")
    assert not [path for path in paths if path.startswith(passing) or path.endswith("-wal")]
    assert made.chunks == 2
    assert made.left_out == ()
    absent = {"jobs", "uploads"}  # nothing was sent here, and no job was given
    assert made.formats == {k: v for k, v in known_formats().items() if k not in absent}
    with opened(fast_path / name, known_formats()) as backup:
        assert backup.catalogue == made
        scratch = fast_path / "scratch"
        scratch.mkdir()
        assert check_backup(backup, scratch, build_inspection(pumps.settings)).chunks == 2
    assert [path.name for path in fast_path.iterdir() if path.name.startswith(".")] == []


def test_nobody_else_may_read_it(pumps: Any, fast_path: Path) -> None:
    pumps.backup(fast_path / "folder")
    pumps.backup(fast_path / "archive.tar")
    assert (fast_path / "folder").stat().st_mode & 0o077 == 0
    assert (fast_path / "archive.tar").stat().st_mode & 0o077 == 0


def test_an_archive_is_a_plain_tar_of_the_folder(pumps: Any, fast_path: Path) -> None:
    made = pumps.backup(fast_path / "archive.tar")
    with tarfile.open(fast_path / "archive.tar") as tar:
        names = {member.name for member in tar if member.isfile()}
    assert names == {"backup.json", *(f"files/{file.path}" for file in made.files)}
    # Preallocated files of the engine say they have 100 MB; nearly all of it is zeros.
    assert sum(file.bytes for file in made.files) > 20 * (fast_path / "archive.tar").stat().st_size


def test_what_is_there_is_never_overwritten(pumps: Any, taken: Path, fast_path: Path) -> None:
    (fast_path / "there.tar").write_text("precious", encoding="utf-8")
    for target in (taken, fast_path / "there.tar"):
        with pytest.raises(UsageError, match="something already"):
            pumps.backup(target)
    assert (fast_path / "there.tar").read_text(encoding="utf-8") == "precious"
    with pytest.raises(UsageError, match="no part"):
        pumps.backup(pumps.collection / "backup")


def test_without_a_generation_there_is_nothing_to_back_up(shelf: Any, fast_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is published"):
        shelf.backup(fast_path / "b")
    assert not list(fast_path.iterdir())


@pytest.mark.parametrize("part", ["manifest.sqlite", "index"])
def test_a_damaged_generation_is_said_and_not_backed_up(
    pumps: Any, fast_path: Path, part: str
) -> None:
    copy = fast_path / "default"
    shutil.copytree(pumps.collection, copy)
    path = copy / "generations" / "000001" / part
    if path.is_dir():
        path = max(path.rglob("*.dat"), key=lambda file: file.stat().st_size)
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")
    with pytest.raises(IndexStateError, match="damaged"):
        make_backup(copy, fast_path / "b")
    assert [each.name for each in fast_path.iterdir()] == ["default"]


def test_a_damaged_database_is_left_out_and_named(pumps: Any, fast_path: Path) -> None:
    copy = fast_path / "default"
    shutil.copytree(pumps.collection, copy)
    (copy / "vectors.sqlite").write_bytes(b"no database at all" * 100)
    made = make_backup(copy, fast_path / "b")
    assert [path for path, _ in made.left_out] == ["vectors.sqlite"]
    assert "vectors.sqlite" not in {file.path for file in made.files}
    assert "ledger/" in " ".join(file.path for file in made.files)


def test_links_are_not_followed(pumps: Any, fast_path: Path) -> None:
    copy = fast_path / "default"
    shutil.copytree(pumps.collection, copy)
    (fast_path / "secret").write_text("not of this collection", encoding="utf-8")
    (copy / "link").symlink_to(fast_path / "secret")
    (copy / "folder").symlink_to(fast_path)
    made = make_backup(copy, fast_path / "b")
    assert not [file.path for file in made.files if file.path.startswith(("link", "folder"))]


def test_a_full_disk_is_an_error_and_leaves_nothing(
    pumps: Any, fast_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("rag.backup.gathering.copy_database", fail)
    with pytest.raises(IndexStateError, match="disk is full"):
        pumps.backup(fast_path / "b")
    assert not list(fast_path.iterdir())


def test_what_a_later_release_has_written_is_backed_up_too(pumps: Any, fast_path: Path) -> None:
    copy = fast_path / "default"
    shutil.copytree(pumps.collection, copy)
    (copy / "ledger" / "2026-10.v99.sqlite").touch()
    assert make_backup(copy, fast_path / "b").formats["ledger"] == 99
    with pytest.raises(IndexStateError, match="of format"), opened(fast_path / "b", {}):
        pass


@pytest.mark.slow
def test_while_answers_are_written_and_documents_ingested(shelf: Any, fast_path: Path) -> None:
    """Every backup is one moment: its sums agree with its entries, its index with its manifest."""
    from rag.ledger import Ledger, ledger_folder

    shelf.publish({"a.txt": "The pump is covered for 24 months."})

    def ingest(number: int) -> None:
        shelf.publish({"a.txt": f"The pump of series {number} is covered for {number} months."})

    ledger = Ledger(ledger_folder(shelf.settings))
    with (
        closing(ledger),
        repeated(lambda n: ledger.add(entry(n))) as writing,
        repeated(ingest) as ingesting,
    ):
        for number in range(4):
            target = fast_path / f"b{number}.tar"
            shelf.backup(target)
            _check_moment(shelf, target, fast_path / f"s{number}")
    assert not writing
    assert not ingesting
    generations = {
        json.loads((fast_path / f"s{n}" / "generation").read_text(encoding="utf-8"))
        for n in range(4)
    }
    assert len(generations) > 1  # ingest did publish in between


def _check_moment(shelf: Any, target: Path, scratch: Path) -> None:
    scratch.mkdir()
    with opened(target, known_formats()) as backup:
        generation = check_backup(backup, scratch, build_inspection(shelf.settings))
    (scratch / "generation").write_text(json.dumps(generation.number), encoding="utf-8")
    (path,) = (scratch / "ledger").glob("2026-11*.sqlite")
    with closing(sqlite3.connect(path)) as db:
        entries = db.execute("SELECT count(*), sum(nanoseconds) FROM answers").fetchone()
        sums = db.execute("SELECT sum(answers), sum(nanoseconds) FROM sums").fetchone()
    assert entries[0] > 0
    assert entries == sums
