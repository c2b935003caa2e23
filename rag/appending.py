"""Appending whole lines to a file that only its owner can read, whoever else rotates it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

_OWNER_ONLY: Final = 0o600
# No link that somebody put there, and no waiting for the reader of a pipe.
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK


def append_line(path: Path, line: bytes, *, durable: bool = False) -> None:
    """Append a line, all of it or nothing; calls of one process must not overlap.

    The file is opened each time: it may have been renamed or removed since, as logrotate does.

    Args:
        path: A regular file, or none yet.
        line: With its end of line.
        durable: Whether it must survive a power cut, not only the death of the process.

    Raises:
        OSError: It cannot be written, or it is no regular file.
    """
    handle = os.open(path, _FLAGS, _OWNER_ONLY)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        os.fchmod(handle, _OWNER_ONLY)  # the file may have been there before
        written = os.write(handle, line)
        if written < len(line):  # the disk is full: half a line would spoil the next
            os.ftruncate(handle, os.fstat(handle).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def check_appendable(path: Path) -> None:
    """Look whether lines could be appended to a file; nothing is written, and none is made.

    A full disk is not seen.

    Raises:
        OSError: They could not.
    """
    if not os.path.lexists(path):
        if not stat.S_ISDIR(path.parent.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return
    handle = os.open(path, _FLAGS & ~os.O_CREAT)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        os.fchmod(handle, stat.S_IMODE(found.st_mode))  # only its owner may, and appending does
    finally:
        os.close(handle)
