"""What the disk refuses, as our errors."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rag.errors import RagError, StorageFullError

# EFBIG is what a limit on the size of a process's files gives.
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class JobsUnusableError(RagError):
    """Jobs can neither be read nor kept: their file is damaged, or its disk read-only."""

    http_status = 503


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Turn what the disk or SQLite refuses into our errors.

    Raises:
        StorageFullError: There is no room.
        JobsUnusableError: It cannot be used for another reason.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as exc:
        code: int = getattr(exc, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_FULL or getattr(exc, "errno", None) in _NO_ROOM:
            remedy = "free space on its disk, then send it again"
            raise StorageFullError("no room for jobs", path.name, remedy) from exc
        remedy = "look at the disk and at the owner of its folder; a damaged file is in the backup"
        # Callers are not told where it is, as the text of an OSError would.
        what = f"{path.name} ({getattr(exc, 'strerror', None) or exc})"
        raise JobsUnusableError("jobs cannot be kept or read", what, remedy) from exc
