"""The cache of vectors: exact, shared, and never in the way when it is damaged."""

from __future__ import annotations

import logging
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from eval.vectors import VectorCache
from rag.errors import UsageError

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3) / 7


def kept(path: Path) -> None:
    cache = VectorCache(path)
    cache.put(b"k", MATRIX)
    cache.commit()


def test_what_is_kept_comes_back_exactly(tmp_path: Path) -> None:
    kept(tmp_path / "new" / "v.sqlite")
    found = VectorCache(tmp_path / "new" / "v.sqlite").get(b"k")
    assert found is not None
    assert np.array_equal(found, MATRIX)


@pytest.mark.parametrize("content", [b"junk" * 3000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_cache_is_moved_aside_with_one_warning(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "v.sqlite"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        kept(path)
        assert VectorCache(path).get(b"k") is not None
    assert len(caplog.records) == 1
    assert "starts empty" in caplog.text
    assert (tmp_path / "v.sqlite.damaged").read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE v SET data = x'0102'",
        "UPDATE v SET dim = 0",
        "UPDATE v SET dim = 'x'",
        "UPDATE v SET data = ''",
        "UPDATE v SET data = NULL",
    ],
)
def test_a_row_of_the_wrong_size_is_not_used(
    change: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "v.sqlite"
    kept(path)
    with sqlite3.connect(path) as db:
        db.execute(change)
    db.close()
    cache = VectorCache(path)
    assert cache.get(b"k") is None
    assert len(caplog.records) == 1
    cache.put(b"k", MATRIX)
    cache.commit()
    assert VectorCache(path).get(b"k") is not None


def test_a_table_of_another_kind_and_pages_of_junk(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE v (something INT)")
    db.close()
    kept(other)
    torn = tmp_path / "torn.sqlite"
    kept(torn)
    with sqlite3.connect(torn) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    content = bytearray(torn.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    torn.write_bytes(content)
    cache = VectorCache(torn)
    cache.put(b"n", MATRIX)
    cache.commit()
    assert cache.get(b"k") is None
    assert cache.get(b"n") is not None


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/c/v\.sqlite \(.*--cache"):
        VectorCache(tmp_path / "file" / "c" / "v.sqlite")
    (tmp_path / "v.sqlite").mkdir()
    with pytest.raises(UsageError, match="unable to open"):
        VectorCache(tmp_path / "v.sqlite")


def test_several_may_make_the_file_at_once(tmp_path: Path) -> None:
    def made() -> None:
        begin.wait()
        for i in range(20):
            kept(tmp_path / f"{i}.sqlite")

    begin = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(made) for _ in range(8)]:
            done.result()
    assert not list(tmp_path.glob("*.damaged"))
