"""Digests that are remembered: read again whenever a file may be another one."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ingest.digests import FileDigests
from ingest.scan import FoundFile, scan

TEN = "The main fuse is rated at 10 ampere.\n"
OLD = 1_700_000_000


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files of a test be old enough for their times to be trusted."""
    now = time.time_ns() + 60_000_000_000
    monkeypatch.setattr("ingest.digests.time.time_ns", lambda: now)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (OLD, OLD))
    return path


def look(path: Path) -> FoundFile:
    (file,) = scan([path], own_data=Path("/nowhere"), may_be_gone=lambda _: False).files
    return file


def remembered(tmp_path: Path, path: Path) -> FileDigests:
    memory = tmp_path / "digests.sqlite"
    digests = FileDigests.load(memory)
    digests.of(look(path))
    digests.save(memory)
    return FileDigests.load(memory)


def test_an_unchanged_file_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", TEN)
    digests = remembered(tmp_path, path)
    assert digests.of(look(path)) == hashlib.sha256(TEN.encode()).hexdigest()
    assert digests.read == 0


def test_a_file_replaced_by_one_of_equal_size_and_time_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", TEN)
    digests = remembered(tmp_path, path)
    write(tmp_path / "new.md", TEN.replace("10", "16")).rename(path)
    assert digests.of(look(path)) == hashlib.sha256(TEN.replace("10", "16").encode()).hexdigest()


def test_a_file_rewritten_in_place_with_its_old_time_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.md", TEN)
    digests = remembered(tmp_path, path)
    time.sleep(0.02)  # a tick of the file system's clock
    write(path, TEN.replace("10", "16"))
    assert digests.of(look(path)) == hashlib.sha256(TEN.replace("10", "16").encode()).hexdigest()


def test_an_inode_beyond_the_integers_of_the_database_is_remembered(tmp_path: Path) -> None:
    write(tmp_path / "a.md", TEN)
    file = FoundFile(str(tmp_path / "a.md"), str(tmp_path), len(TEN), OLD, OLD, inode=2**64 - 1)
    digests = FileDigests()
    digests.of(file)
    digests.save(tmp_path / "digests.sqlite")
    again = FileDigests.load(tmp_path / "digests.sqlite")
    again.of(file)
    assert again.read == 0


def test_a_change_of_rights_costs_a_reading_and_no_parsing(workshop: Any) -> None:
    path = workshop.write("a.md", TEN)
    workshop.sync()
    path.chmod(0o600)
    report = workshop.sync()
    assert (workshop.parsed, report.files.unchanged) == ([], 1)


def test_a_replaced_file_of_equal_size_and_time_is_indexed(workshop: Any) -> None:
    path = write(workshop.docs / "a.md", TEN)
    workshop.sync()
    write(workshop.docs / "new.md", TEN.replace("10", "16")).rename(path)
    workshop.sync()
    assert [text.strip() for text in workshop.texts()] == [TEN.replace("10", "16").strip()]
