"""Files go into a backup without their zeros and come out as they were."""

from __future__ import annotations

import io
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.backup.storing import (
    copy_database,
    is_database,
    is_sound_database,
    store,
    unpack,
    verify,
)
from rag.errors import IndexStateError

# Runs of zeros and of other bytes, shorter and longer than a block of 64 KiB.
RUNS = st.lists(
    st.tuples(st.sampled_from([b"\0", b"x", b"ab"]), st.integers(0, 150_000)), max_size=6
)


def stored(tmp_path: Path, content: bytes) -> tuple[Path, io.BytesIO]:
    source, sink = tmp_path / "source", io.BytesIO()
    source.write_bytes(content)
    return source, sink


@given(RUNS)
def test_what_is_stored_comes_out_the_same(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[bytes, int]]
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    content = b"".join(part * count for part, count in runs)
    source, sink = stored(folder, content)
    file = store(source, "a/b", sink)
    assert file.bytes == len(content)
    assert file.stored_bytes == len(sink.getvalue()) <= len(content)
    verify(file, io.BytesIO(sink.getvalue()))
    unpack(file, io.BytesIO(sink.getvalue()), folder / "target")
    assert (folder / "target").read_bytes() == content


def test_zeros_take_no_space_in_the_backup_nor_on_the_disk(tmp_path: Path) -> None:
    source, sink = stored(tmp_path, b"head" + bytes(8_000_000) + b"tail")
    file = store(source, "a", sink)
    assert file.stored_bytes < 200_000
    unpack(file, io.BytesIO(sink.getvalue()), tmp_path / "target")
    assert (tmp_path / "target").stat().st_blocks * 512 < 400_000


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"X" + b[1:]])
def test_one_byte_less_more_or_other_is_found(tmp_path: Path, change: object) -> None:
    source, sink = stored(tmp_path, b"words " * 100)
    file = store(source, "a", sink)
    damaged = change(sink.getvalue())  # type: ignore[operator]
    with pytest.raises(IndexStateError, match="damaged: a"):
        verify(file, io.BytesIO(damaged))
    with pytest.raises(IndexStateError, match="damaged: a"):
        unpack(file, io.BytesIO(damaged), tmp_path / "target")


def test_a_wrong_list_of_ranges_is_found(tmp_path: Path) -> None:
    source, sink = stored(tmp_path, bytes(70_000) + b"x" * 70_000)
    file = store(source, "a", sink)
    moved = replace(file, data=tuple((start - 1, length) for start, length in file.data))
    with pytest.raises(IndexStateError):
        verify(moved, io.BytesIO(sink.getvalue()))


def test_the_mode_comes_back_and_nothing_is_overwritten(tmp_path: Path) -> None:
    source, sink = stored(tmp_path, b"secret")
    source.chmod(0o600)
    file = store(source, "a", sink)
    unpack(file, io.BytesIO(sink.getvalue()), tmp_path / "target")
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        unpack(file, io.BytesIO(sink.getvalue()), tmp_path / "target")


def test_no_backup_gives_rights_beyond_the_usual(tmp_path: Path) -> None:
    source, sink = stored(tmp_path, b"program")
    file = replace(store(source, "a", sink), mode=0o4755)
    unpack(file, io.BytesIO(sink.getvalue()), tmp_path / "target")
    assert (tmp_path / "target").stat().st_mode & 0o7000 == 0


def test_a_database_is_copied_with_what_is_only_in_its_log(tmp_path: Path) -> None:
    live = tmp_path / "live.sqlite"
    with closing(sqlite3.connect(live, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (7)")
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO t VALUES (8)")  # not committed: not in the copy
        copy_database(live, tmp_path / "copy.sqlite")
        db.execute("ROLLBACK")
    assert not (tmp_path / "copy.sqlite-wal").exists()
    with closing(sqlite3.connect(tmp_path / "copy.sqlite")) as copy:
        assert copy.execute("SELECT x FROM t").fetchall() == [(7,)]


def test_a_damaged_database_is_not_copied(tmp_path: Path) -> None:
    live = tmp_path / "live.sqlite"
    with closing(sqlite3.connect(live)) as db:
        db.execute("CREATE TABLE t (x)")
        db.executemany("INSERT INTO t VALUES (?)", [("words" * 100,)] * 200)
        db.commit()
    assert is_sound_database(live)
    with live.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(4096))
    assert not is_sound_database(live)
    with pytest.raises(sqlite3.DatabaseError):
        copy_database(live, tmp_path / "copy.sqlite")


def test_databases_are_known_by_their_first_bytes_or_their_name(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}')
    (tmp_path / "b").write_bytes(b"SQLite format 3\0 and more")
    (tmp_path / "c.sqlite").touch()
    assert [is_database(tmp_path / name) for name in ("a.jsonl", "b", "c.sqlite")] == [
        False,
        True,
        True,
    ]
