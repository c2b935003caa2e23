"""Files of a backup put to their places in a collection, where there is none."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rag.backup.catalogue import GENERATIONS
from rag.backup.storing import is_database, is_sound_database
from rag.filetree import sync_path

_BESIDE: Final = ("-wal", "-shm", "-journal")


class Moves:
    """Puts files where none is, and remembers what it did with each."""

    def __init__(self) -> None:
        self._done: tuple[list[Path], list[Path], list[Path]] = ([], [], [])

    def put_back(self, staged: Path, target: Path) -> None:
        """Move a file to its place, if there is none or a damaged one."""
        put, kept, aside = self._done
        if target.exists() and is_database(target) and not is_sound_database(target):
            aside.append(_set_aside(target))
        if not target.exists():
            _remove_orphans(target)
            _make_folders(staged.parent, target.parent)
        try:
            os.link(staged, target)  # unlike a rename it never replaces what has just been made
        except FileExistsError:
            kept.append(target)
            return
        sync_path(target.parent)
        put.append(target)

    def all(self, base: Path) -> tuple[tuple[str, ...], ...]:
        """Return the names of what was put back, kept and set aside."""
        return tuple(tuple(str(path.relative_to(base)) for path in paths) for paths in self._done)


def state_in(staging: Path) -> Iterator[Path]:
    """Yield all unpacked files but those of the generation."""
    for path in staging.rglob("*"):
        if path.is_file() and path.relative_to(staging).parts[0] != GENERATIONS:
            yield path


def _set_aside(target: Path) -> Path:
    stem = f"{target.name}.damaged-{round(time.time())}"
    for suffix in (*_BESIDE, ""):
        part = target.with_name(target.name + suffix)
        if part.exists():
            part.replace(target.with_name(stem + suffix))
    return target.with_name(stem)


def _remove_orphans(target: Path) -> None:
    # SQLite would apply the log of a database that is gone to the one that is put there.
    for suffix in _BESIDE:
        part = target.with_name(target.name + suffix)
        if part.exists():
            part.replace(part.with_name(f"{part.name}.damaged-{round(time.time())}"))


def _make_folders(staged: Path, target: Path) -> None:
    if target.exists():
        return
    _make_folders(staged.parent, target.parent)
    target.mkdir(mode=staged.stat().st_mode & 0o777, exist_ok=True)
