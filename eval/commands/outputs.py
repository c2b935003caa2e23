"""Files that a command is told to write."""

from __future__ import annotations

from pathlib import Path


def check_writable(path: Path) -> None:
    """Make sure that a file can be written, before the work that it is to hold.

    Its folder is made; the file is not, and one that stands there is left as it is.

    Raises:
        UsageError: It cannot be written.
    """
    from rag.errors import UsageError

    new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):  # asked of the disk: permissions alone do not tell
            pass
        if new:
            path.unlink()
    except OSError as exc:
        raise UsageError("file cannot be written", path, f"name another ({exc})") from exc


def write_text(path: Path, text: str) -> None:
    """Write a file that was asked for.

    Raises:
        UsageError: It cannot be written.
    """
    from rag.errors import UsageError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageError("file cannot be written", path, f"name another ({exc})") from exc
