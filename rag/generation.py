"""Published generations of a collection's index, as every reader sees them.

    <collection>/CURRENT               name of the published generation, replaced in one step
    <collection>/generations/000007/   index/, manifest.sqlite, generation.json; never opened in
                                       place, because the engine rewrites files on loading
    <collection>/readers/slot-0/       private copies, one process each, guarded by a file lock

Copying happens under a shared lock on the generation's directory; who removes a generation takes
the exclusive one, so nothing vanishes under a copy.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from rag.errors import IndexStateError
from rag.filetree import copy_tree, sync_tree, tree_digest

POINTER = "CURRENT"
INFO = "generation.json"
MANIFEST = "manifest.sqlite"
INDEX = "index"
_ADDED, _REMOVED = "added.txt", "removed.txt"
_FORMAT = 1
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class IndexShape:
    """The settings that an index was made with; a reader has to ask with the same.

    ``embedder`` is the fingerprint of the vectors, None in the lexical tier; ``mean_length`` is
    the mean number of terms of a chunk that the BM25 weights assume; ``terms`` is the version of
    those terms (``rag.terms``), 1 where none was recorded. ``sharding``: see ``sharding_of``.
    """

    index: str
    tier: str
    embedder: str | None
    dimension: int | None
    tokenizer: str
    chunk_tokens: int
    mean_length: float
    terms: int = 1
    sharding: str = ""


def sharding_of(own_shards: Iterable[str]) -> str:
    """Return the name of a spread over shards: the tenants with their own, joined by commas."""
    return ",".join(sorted(set(own_shards)))


@dataclass(frozen=True, slots=True)
class Generation:
    """One published state of a collection.

    ``created`` is UTC, ISO 8601. ``digest`` is the SHA-256 of the manifest and so names the
    content; ``index_digest`` is that of the index's files, empty for an index on a server.
    ``chunks`` are those stored in the index, ``tokens`` their sum; ``unembedded`` of them wait for
    their vectors, none in the lexical tier.
    """

    path: Path
    number: int
    parent: int | None
    created: str
    shape: IndexShape
    documents: int
    chunks: int
    tokens: int
    digest: str
    index_digest: str = ""
    unembedded: int = 0

    @property
    def index_path(self) -> Path:
        """Directory of the index: copy it, never open it."""
        return self.path / INDEX

    @property
    def manifest_path(self) -> Path:
        """The manifest: open it read-only."""
        return self.path / MANIFEST

    @property
    def identity(self) -> str:
        """Name that no other content ever has, fit for a directory and a cache key."""
        return f"{self.number:06d}-{self.digest[:12]}"

    def added(self) -> frozenset[str]:
        """Return the ids of chunks that are new or changed since the parent."""
        return _read_ids(self.path / _ADDED)

    def removed(self) -> frozenset[str]:
        """Return the ids of the parent's chunks that are gone or changed."""
        return _read_ids(self.path / _REMOVED)

    def verify_manifest(self) -> None:
        """Check that the manifest is the one that was published.

        Raises:
            IndexStateError: It was altered or is missing.
        """
        if not self.manifest_path.is_file() or file_digest(self.manifest_path) != self.digest:
            raise IndexStateError("altered manifest", self.manifest_path, _remedy(self.path))


def read_current(collection_dir: Path) -> Generation | None:
    """Return the published generation, or None if the collection has none yet.

    Raises:
        IndexStateError: The pointer names a missing or damaged generation.
    """
    try:
        # Whatever bytes a crash left: what is no number is told as such below.
        name = (collection_dir / POINTER).read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
    generations = collection_dir / "generations"
    if not (name.isdigit() and len(name) == 6):
        raise IndexStateError(
            "unusable generation pointer", collection_dir / POINTER, _remedy(generations / POINTER)
        )
    return read_generation(generations / name)


def read_generation(path: Path) -> Generation:
    """Return what ``generation.json`` in a generation's directory says.

    Raises:
        IndexStateError: Something of the generation is missing or cannot be read.
    """
    try:
        state = json.loads((path / INFO).read_text(encoding="utf-8"))
        if state.pop("format") != _FORMAT:
            raise ValueError("another format")
        shape = IndexShape(**state.pop("shape"))
        generation = Generation(path=path, shape=shape, **state)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise IndexStateError("missing or damaged generation", path, _remedy(path)) from exc
    has_index = shape.index != "edge" or generation.index_path.is_dir()
    if not (has_index and generation.manifest_path.is_file()):
        raise IndexStateError("incomplete generation", path, _remedy(path))
    return generation


def write_generation(
    generation: Generation, added: frozenset[str], removed: frozenset[str]
) -> None:
    """Write ``generation.json`` and the lists of chunk ids into ``generation.path``.

    Raises:
        OSError: They cannot be written.
    """
    state: dict[str, Any] = {"format": _FORMAT, **asdict(generation)}
    del state["path"]
    _write_ids(generation.path / _ADDED, added)
    _write_ids(generation.path / _REMOVED, removed)
    (generation.path / INFO).write_text(json.dumps(state, indent=1), encoding="utf-8")


def copy_index(generation: Generation, target: Path) -> None:
    """Copy a generation's index to a new directory and check that it is the published one.

    The engine opens some damaged indexes without complaint, and then finds nothing.

    Raises:
        IndexStateError: A file was altered or is missing.
        OSError: It cannot be copied.
    """
    copy_tree(generation.index_path, target)
    if tree_digest(target) != generation.index_digest:
        raise IndexStateError("altered index", generation.index_path, _remedy(generation.path))


class ReaderSlot:
    """A private copy of a generation's index that this process may open until it lets go."""

    def __init__(self, generation: Generation, path: Path, lock: int) -> None:
        self._generation = generation
        self._path = path
        self._lock: int | None = lock

    @classmethod
    def take(cls, collection_dir: Path) -> Self | None:
        """Return a slot with the published generation, or None if there is none yet.

        A free slot that already holds it is used without copying.

        Raises:
            IndexStateError: The pointer names a missing or damaged generation, the index is on
                a server, or the copy cannot be made.
        """
        for _ in range(_ATTEMPTS):
            generation = read_current(collection_dir)
            if generation is None:
                return None
            if generation.shape.index != "edge":
                raise IndexStateError(
                    "index is on a server", generation.path, "set index to server to read it"
                )
            slot = cls._filled(collection_dir, generation)
            if slot is not None:
                return slot
        raise IndexStateError(
            "generation vanished while it was copied", collection_dir, "try again"
        )

    @property
    def generation(self) -> Generation:
        """The generation that this slot holds a copy of."""
        return self._generation

    @property
    def path(self) -> Path:
        """Directory of the copied index."""
        return self._path

    def close(self) -> None:
        """Let go of the slot; close the index in it first."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def _filled(cls, collection_dir: Path, generation: Generation) -> Self | None:
        directory, lock = _free_slot(collection_dir / "readers", generation.identity)
        target = directory / generation.identity
        try:
            if not target.is_dir() and not _copy_published(generation, target):
                os.close(lock)
                return None
            _keep_only(directory, target.name)
        except IndexStateError:
            os.close(lock)
            raise
        except OSError as exc:
            os.close(lock)
            raise IndexStateError(
                "index cannot be copied", f"{target} ({exc})", "free disk space or fix permissions"
            ) from exc
        return cls(generation, target, lock)


def clear_free_slots(collection_dir: Path, identity: str | None) -> None:
    """Remove copies that no process holds, other than of the generation named."""
    for directory in sorted((collection_dir / "readers").glob("slot-*")):
        lock = _try_lock(directory / "lock")
        if lock is not None:
            _keep_only(directory, identity)
            os.close(lock)


@contextmanager
def shared_lock(directory: Path) -> Iterator[bool]:
    """Keep a generation's directory from being removed; yields whether it is still there."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield directory.is_dir()
    finally:
        os.close(handle)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_published(generation: Generation, target: Path) -> bool:
    partial = target.with_name(f".{target.name}")
    shutil.rmtree(partial, ignore_errors=True)
    with shared_lock(generation.path) as present:
        if not present:
            return False
        copy_index(generation, partial)
    sync_tree(partial)  # or a power cut could leave a complete name over empty files
    partial.rename(target)
    return True


def _free_slot(readers: Path, identity: str) -> tuple[Path, int]:
    fitting = sorted(path.parent for path in readers.glob(f"slot-*/{identity}"))
    numbered = (readers / f"slot-{number}" for number in itertools.count())
    for directory in itertools.chain(fitting, numbered):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = _try_lock(directory / "lock")
        except OSError as exc:
            raise IndexStateError(
                "reader slot cannot be used", f"{directory} ({exc})", "fix its permissions"
            ) from exc
        if lock is not None:
            return directory, lock
    raise AssertionError("the numbers ran out")


def _try_lock(path: Path) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _keep_only(directory: Path, name: str | None) -> None:
    for entry in directory.iterdir():
        if entry.is_dir() and entry.name != name:
            shutil.rmtree(entry, ignore_errors=True)


def _read_ids(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError) as exc:
        raise IndexStateError("list of chunk ids cannot be read", path, _remedy(path)) from exc


def _write_ids(path: Path, ids: frozenset[str]) -> None:
    path.write_text("".join(f"{chunk_id}\n" for chunk_id in sorted(ids)), encoding="ascii")


def _remedy(path: Path) -> str:
    others = sorted(p.name for p in path.parent.glob("[0-9]*") if p != path)
    if not others:
        return "remove the collection's CURRENT file and run rag-ingest sync again"
    return f"run rag-ingest rollback --to N, with N one of {', '.join(others)}"
