"""Putting a backup back: whole and checked, or not at all.

Everything is unpacked into ``staging/``, compared and looked at. Then what the collection has no
more (months of the ledger, the cache, vectors) is put where it was, and the generation is published
by replacing the pointer. What is there and sound stays: it can only be newer. So nothing is ever
overwritten, and a restore that is killed leaves the generation that was published.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from rag.backup.catalogue import GENERATIONS
from rag.backup.placing import Moves, state_in
from rag.backup.reading import Backup
from rag.errors import IndexStateError, UsageError
from rag.filetree import replace_text, sync_path, sync_tree, tree_digest
from rag.generation import INFO, POINTER, Generation, read_current, read_generation

# Looks at a generation's index, in a copy below the folder given; raises what is wrong with it.
Inspect: TypeAlias = Callable[[Generation, Path], None]
_STAGING: Final = "staging"
_LOCK: Final = "ingest.lock"  # the one that rag-ingest holds


@dataclass(frozen=True, slots=True)
class Restored:
    """What was published, what number was before (None: nothing), and what became of files.

    ``put_back`` were missing, ``kept`` are those of the collection, ``set_aside`` were damaged and
    are there under another name.
    """

    generation: Generation
    before: str | None
    put_back: tuple[str, ...]
    kept: tuple[str, ...]
    set_aside: tuple[str, ...]


def check_backup(backup: Backup, scratch: Path, inspect: Inspect) -> Generation:
    """Unpack a backup into an empty folder and look at it as a restore does.

    Raises:
        RagError: It is damaged, or its index cannot be used.
    """
    try:
        backup.unpack(scratch)
        generation = read_generation(scratch / GENERATIONS / backup.catalogue.generation)
        generation.verify_manifest()
        if generation.index_digest and tree_digest(generation.index_path) != (
            generation.index_digest
        ):
            raise IndexStateError("altered index", backup.source, "take another backup")
    except OSError as exc:
        remedy = "free disk space or fix permissions"
        raise IndexStateError("backup cannot be unpacked", f"{scratch} ({exc})", remedy) from exc
    inspect(generation, scratch / "opened")
    shutil.rmtree(scratch / "opened", ignore_errors=True)
    return generation


def restore(backup: Backup, collection_dir: Path, inspect: Inspect, *, force: bool) -> Restored:
    """Put a backup back into a collection.

    Args:
        backup: What to put back.
        collection_dir: Directory of the collection; it need not exist.
        inspect: Looks at the unpacked index before anything is changed.
        force: Publish it also where something is published.

    Raises:
        UsageError: Something is published, and ``force`` is not given.
        RagError: The backup is damaged or cannot be written; what was published stays.
    """
    with _alone(collection_dir):
        before = _pointed_at(collection_dir)
        if before is not None and not force:
            remedy = "use --force: what is published stays and can be rolled back to"
            raise UsageError("collection has a published generation", collection_dir, remedy)
        staging = collection_dir / _STAGING
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            generation = check_backup(backup, staging, inspect)
            return _published(collection_dir, staging, generation, before)
        except OSError as exc:
            remedy = "free disk space or fix permissions"
            value = f"{collection_dir} ({exc})"
            raise IndexStateError("backup cannot be put back", value, remedy) from exc
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _published(
    collection_dir: Path, staging: Path, generation: Generation, before: str | None
) -> Restored:
    number = _number(collection_dir, generation)
    if number != generation.number:
        _renumber(generation.path, number)
    sync_tree(staging)
    moves = Moves()
    for staged in sorted(state_in(staging)):
        moves.put_back(staged, collection_dir / staged.relative_to(staging))
    target = collection_dir / GENERATIONS / f"{number:06d}"
    target.parent.mkdir(exist_ok=True)
    generation.path.rename(target)
    sync_path(target.parent)
    replace_text(collection_dir / POINTER, f"{target.name}\n")
    return Restored(read_generation(target), before, *moves.all(collection_dir))


def _number(collection_dir: Path, generation: Generation) -> int:
    """Return the backup's own number where nothing is numbered yet, else a new one."""
    names = (path.name for path in (collection_dir / GENERATIONS).glob("[0-9]*"))
    there = [int(name) for name in names if name.isdigit()]
    return max(there) + 1 if there else generation.number


def _renumber(path: Path, number: int) -> None:
    """Give a generation another number; its parent would be one of another line."""
    state = json.loads((path / INFO).read_text(encoding="utf-8"))
    state |= {"number": number, "parent": None}
    (path / INFO).write_text(json.dumps(state, indent=1), encoding="utf-8")


def _pointed_at(collection_dir: Path) -> str | None:
    try:
        current = read_current(collection_dir)
    except IndexStateError:  # a damaged one is to be restored, but not by accident
        return (collection_dir / POINTER).read_text(encoding="utf-8", errors="replace").strip()
    return current.path.name if current else None


@contextmanager
def _alone(collection_dir: Path) -> Iterator[None]:
    """Hold the collection against rag-ingest and other restores."""
    try:
        collection_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(collection_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as exc:
        value = f"{collection_dir} ({exc})"
        raise IndexStateError("collection cannot be written", value, "fix permissions") from exc
    try:
        _lock(handle, collection_dir)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, collection_dir: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
        what = f"another process works on {collection_dir}"
        raise IndexStateError(what, f"process {holder}", "wait for its end") from exc
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
