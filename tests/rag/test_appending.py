from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.appending import append_line, check_appendable


def test_lines_follow_each_other_in_a_file_of_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch(0o644)
    append_line(path, b"one\n")
    append_line(path, b"two\n", durable=True)
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_rotated_away_is_left_alone(tmp_path: Path) -> None:
    path, old = tmp_path / "log", tmp_path / "log.1"
    append_line(path, b"one\n")
    path.rename(old)
    append_line(path, b"two\n")
    path.unlink()
    append_line(path, b"three\n")
    assert (old.read_bytes(), path.read_bytes()) == (b"one\n", b"three\n")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for name in ("pipe", "link", ".", "none/log"):
        with pytest.raises(OSError, match=f"^.Errno|{name}"):
            append_line(tmp_path / name, b"one\n")
    assert not (tmp_path / "there").exists()


@pytest.fixture
def _small_files() -> Iterator[None]:
    """Files end at 10 bytes, as on a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("_small_files")
def test_of_a_line_that_does_not_fit_nothing_stays(tmp_path: Path) -> None:
    path = tmp_path / "log"
    append_line(path, b"first\n")
    with pytest.raises(OSError, match="No space left"):
        append_line(path, b"second\n")
    assert path.read_bytes() == b"first\n"
    append_line(path, b"2nd\n")
    assert path.read_bytes() == b"first\n2nd\n"


def test_whether_it_could_be_done_is_seen_without_doing_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    check_appendable(path)
    assert not path.exists()
    path.write_bytes(b"one\n")
    path.chmod(0o640)
    check_appendable(path)
    assert path.read_bytes() == b"one\n"
    assert path.stat().st_mode & 0o777 == 0o640
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for name in ("pipe", "link", ".", "none/log", "log/log"):
        with pytest.raises(OSError, match=f"^.Errno|{name}"):
            check_appendable(tmp_path / name)
