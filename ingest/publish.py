"""Changes of what is published: one writer at a time, each generation complete or not there.

A generation is made in ``staging/``, brought to the disk, renamed into ``generations/`` and only
then named by ``CURRENT``. Killed anywhere in between, the pointer still names the old one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from rag.errors import IndexStateError, UsageError
from rag.filetree import copy_file, replace_text, sync_path, sync_tree, tree_digest
from rag.generation import (
    INDEX,
    MANIFEST,
    POINTER,
    Generation,
    clear_free_slots,
    copy_index,
    file_digest,
    read_current,
    read_generation,
    write_generation,
)

_GENERATIONS = "generations"
_STAGING = "staging"
_GONE = ".gone-"


@contextmanager
def writing(collection_dir: Path) -> Iterator[None]:
    """Hold the collection against other writers, and clear away what a killed one left.

    Raises:
        IndexStateError: Another process holds it, or it cannot be written.
    """
    try:
        (collection_dir / _GENERATIONS).mkdir(parents=True, exist_ok=True)
        handle = os.open(collection_dir / "ingest.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as exc:
        raise IndexStateError(
            "collection cannot be written", f"{collection_dir} ({exc})", "fix its permissions"
        ) from exc
    try:
        _lock(handle, collection_dir)
        _clear(collection_dir)
        yield
    finally:
        os.close(handle)


def stage(collection_dir: Path, current: Generation | None) -> Path:
    """Return a new staging directory with a copy of the current manifest to be changed.

    Raises:
        IndexStateError: It is damaged or cannot be copied.
    """
    staging = collection_dir / _STAGING
    with _copying(staging):
        staging.mkdir()
        if current is not None:
            copy_file(current.manifest_path, staging / MANIFEST)
    return staging


def stage_index(staging: Path, current: Generation) -> None:
    """Add a copy of the current index to the staging directory.

    Raises:
        IndexStateError: It cannot be copied.
    """
    with _copying(staging):
        copy_index(current, staging / INDEX)


def discard_staging(collection_dir: Path) -> None:
    """Throw away what was staged."""
    shutil.rmtree(collection_dir / _STAGING, ignore_errors=True)


def next_number(collection_dir: Path) -> int:
    """Return a number above those of all generations that are still there."""
    return max(list_generations(collection_dir), default=0) + 1


def publish(
    collection_dir: Path, draft: Generation, added: frozenset[str], removed: frozenset[str]
) -> Generation:
    """Make the staged generation the published one; returns it as it is read from now on.

    Args:
        collection_dir: Directory of the collection.
        draft: What is staged; path and digest are filled in here.
        added: Ids of chunks that are new or changed.
        removed: Ids of chunks that are gone or changed.

    Raises:
        IndexStateError: It cannot be written.
    """
    staging = collection_dir / _STAGING
    target = collection_dir / _GENERATIONS / f"{draft.number:06d}"
    try:
        index = staging / INDEX
        staged = replace(
            draft,
            path=staging,
            digest=file_digest(staging / MANIFEST),
            index_digest=tree_digest(index) if index.is_dir() else "",
        )
        write_generation(staged, added, removed)
        sync_tree(staging)
        staging.rename(target)
        sync_path(target.parent)
        replace_text(collection_dir / POINTER, f"{target.name}\n")
    except OSError as exc:
        raise IndexStateError(
            "generation cannot be published", f"{target} ({exc})", "free disk space and run again"
        ) from exc
    return read_generation(target)


def list_generations(collection_dir: Path) -> tuple[int, ...]:
    """Return the numbers of all generations that are there, lowest first."""
    names = (path.name for path in (collection_dir / _GENERATIONS).glob("[0-9]*"))
    return tuple(sorted(int(name) for name in names if name.isdigit()))


def rollback(collection_dir: Path, to: int | None = None) -> Generation:
    """Publish an earlier generation again; without ``to`` the parent of the current one.

    No other one is ever chosen: it may be one that was rolled back from. Call it while
    ``writing``.

    Raises:
        UsageError: There is no such generation, or the current one's parent is gone or unknown.
        IndexStateError: It is damaged, or the index is on a server.
    """
    target = _numbered(collection_dir, _parent(collection_dir) if to is None else to)
    if target.shape.index != "edge":
        raise IndexStateError(
            "no rollback on a server",
            target.path.name,
            "sync the earlier files again, or restore a snapshot of the server's collection",
        )
    target.verify_manifest()
    replace_text(collection_dir / POINTER, f"{target.path.name}\n")
    return target


def prune(collection_dir: Path, keep: int) -> tuple[int, ...]:
    """Remove old generations and unused copies; returns the numbers removed.

    The newest ``keep`` stay, and always the current one, its parent and any that is being copied.
    Call it while ``writing``.

    Raises:
        IndexStateError: The current generation is damaged.
    """
    current = read_current(collection_dir)
    clear_free_slots(collection_dir, current.identity if current else None)
    numbers = list_generations(collection_dir)
    kept = {*numbers[-keep:], *((current.number, current.parent) if current else ())}
    return tuple(n for n in numbers if n not in kept and _remove(collection_dir, n))


@contextmanager
def _copying(staging: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise IndexStateError(
            "current generation cannot be copied", f"{staging} ({exc})", "free disk space"
        ) from exc


def _lock(handle: int, collection_dir: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise IndexStateError(
            f"another rag-ingest works on {collection_dir}", f"process {holder}", "wait for its end"
        ) from exc
    with suppress(OSError):  # on a full disk nobody can be told who holds it; the lock holds
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)


def _clear(collection_dir: Path) -> None:
    discard_staging(collection_dir)
    for path in (collection_dir / _GENERATIONS).glob(f"{_GONE}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in collection_dir.glob(f".{POINTER}.*"):
        path.unlink(missing_ok=True)


def _parent(collection_dir: Path) -> int:
    """Return the number of the generation that the current one was made from.

    Raises:
        UsageError: It has none, or it is gone or unknown.
    """
    present = list_generations(collection_dir)
    try:
        current = read_current(collection_dir)
    except IndexStateError as exc:
        what = "the current generation is damaged and does not tell its parent"
        raise UsageError(what, collection_dir, _choice(present)) from exc
    if current is None:
        raise UsageError("nothing is published", collection_dir, "run rag-ingest sync PATH")
    others = [number for number in present if number != current.number]
    if current.parent is None:
        what = "the current generation has no parent"
        raise UsageError(what, f"generation {current.number}", _choice(others))
    if current.parent not in present:
        raise UsageError(
            "the current generation's parent is gone",
            f"generation {current.parent}",
            _choice(others),
        )
    return current.parent


def _numbered(collection_dir: Path, number: int) -> Generation:
    present = list_generations(collection_dir)
    if number not in present:
        raise UsageError("no such generation", number, _choice(present))
    return read_generation(collection_dir / _GENERATIONS / f"{number:06d}")


def _choice(numbers: Iterable[int]) -> str:
    left = ", ".join(map(str, numbers))
    if not left:
        return "no other is there: mend the files and run rag-ingest sync"
    return f"choose with --to N from those there: {left}"


def _remove(collection_dir: Path, number: int) -> bool:
    path = collection_dir / _GENERATIONS / f"{number:06d}"
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        gone = path.with_name(f"{_GONE}{number:06d}")
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
