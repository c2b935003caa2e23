"""The folder that an import writes: whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rag.errors import LoadError, UsageError
from rag.filetree import sync_tree


@contextmanager
def new_folder(target: Path, sources: Sequence[Path], *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside ``target`` that takes its place if all goes well.

    What was begun is removed if something fails; if the process is killed, it stays under a name
    that begins with a dot and ends in ``.part``, and ``target`` is as it was.

    Args:
        target: Where the folder shall stand.
        sources: What is read; never inside what is replaced.
        replace: Whether a question set that stands there is given up.

    Raises:
        UsageError: The target may not be used.
        LoadError: It cannot be written.
    """
    target = target.resolve()
    _check(target, sources, replace=replace)
    beside = target.parent / f".{target.name}.{os.getpid()}.part"
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        yield beside
        sync_tree(beside)
        _put(beside, target)
    except OSError as exc:
        raise LoadError(
            "folder cannot be written", target, f"free or choose another ({exc})"
        ) from exc
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check(target: Path, sources: Sequence[Path], *, replace: bool) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError("target is not a folder", target, "name a new folder")
    if not any(target.iterdir()):
        return
    if not replace:
        raise UsageError("target is not empty", target, "name a new folder, or add --replace")
    if not (target / "queries.jsonl").is_file():
        raise UsageError("target is no question set", target, "name a new folder")
    for source in sources:
        if source.resolve().is_relative_to(target):
            raise UsageError("source lies in the target", source, "name a new folder")


def _put(beside: Path, target: Path) -> None:
    old = beside.with_suffix(".old")
    if target.exists():
        target.rename(old)
    beside.rename(target)
    shutil.rmtree(old, ignore_errors=True)
