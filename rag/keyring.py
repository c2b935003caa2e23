"""The file of API keys, as a service follows it and as ``rag keys`` changes it.

That the file is there is what makes callers show a key. So revoking the last key opens nothing,
and a file that is damaged, removed while a service runs, or writable by others lets nobody in.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from rag.access import OPERATOR, Caller
from rag.errors import SettingsError
from rag.filetree import sync_path
from rag.keys import Key, key_of, opened_by
from rag.settings import Settings

_LOG = logging.getLogger(__name__)
FORMAT: Final = 1
_OWNER_ONLY: Final = 0o600
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_MOST_BYTES: Final = 16_000_000  # of some 50,000 keys
_LOOK_SECONDS: Final = 1.0  # between two looks at the file, so within this a key is revoked
_Change: TypeAlias = Callable[[tuple[Key, ...]], tuple[Key, ...]]


def _now() -> datetime:
    return datetime.now(UTC)


def keys_path(settings: Settings) -> Path:
    """Return where the keys of a service stand."""
    return settings.keys_file or settings.data_dir / "keys.json"


@dataclass(frozen=True, slots=True)
class _Seen:
    """The file as it was seen last: which one, its keys by id, and why they cannot be used."""

    which: tuple[int, ...] | None = None  # None: there is no file
    keys: Mapping[str, Key] = field(default_factory=dict)
    problem: SettingsError | None = None


class Keyring:
    """The keys of a service; its file is looked at again while the service runs.

    ``now`` says when keys have expired, ``clock`` [s] when to look again. Threads may share it.
    """

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime] = _now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._ever = False
        self._next_look = float("-inf")

    @property
    def empty(self) -> bool:
        """Whether there never was a file, so that nobody has to show a key."""
        self._look()
        return not self._ever

    @property
    def problem(self) -> SettingsError | None:
        """Why nobody can come in with a key now, or None."""
        return self._look().problem

    def find(self, token: str) -> Caller | None:
        """Return whose a token is; None if it is nobody's, revoked or expired."""
        key = opened_by(self._look().keys, token)
        return key.caller if key and key.state(self._now()) == "valid" else None

    def valid(self, name: str) -> bool:
        """Return whether the caller of this name could still come in, as a job asks."""
        if name == OPERATOR.name:
            return self.empty
        key = self._look().keys.get(name)
        return key is not None and key.state(self._now()) == "valid"

    def _look(self) -> _Seen:
        with self._lock:
            if self._clock() >= self._next_look:
                self._next_look = self._clock() + _LOOK_SECONDS
                self._seen = self._looked(self._seen)
                self._ever = self._ever or self._seen.which is not None
            return self._seen

    def _looked(self, before: _Seen) -> _Seen:
        try:
            which = _which(self._path.stat())
        except FileNotFoundError:
            if not self._ever:
                return before
            gone = _unusable(self._path, "it was removed while the service ran")
            return self._refusing(before, before.which, gone)
        except OSError as exc:
            return self._refusing(before, (), _unusable(self._path, exc.strerror or str(exc)))
        if which == before.which and before.problem is None:
            return before
        try:
            keys = {key.id: key for key in read_keys(self._path)}
        except SettingsError as problem:
            return self._refusing(before, which, problem)
        _LOG.info("keys-read", extra={"fields": {"path": str(self._path), "keys": len(keys)}})
        return _Seen(which, keys)

    @staticmethod
    def _refusing(before: _Seen, which: tuple[int, ...] | None, problem: SettingsError) -> _Seen:
        if before.problem is None or str(before.problem) != str(problem):
            _LOG.error("keys-unusable", extra={"fields": {"reason": str(problem)}})
        return _Seen(which, {}, problem)


def read_keys(path: Path) -> tuple[Key, ...]:
    """Return the keys of a file, none if it is not there.

    Raises:
        SettingsError: It cannot be read, others can write it, or something else stands in it.
    """
    try:
        text = _content(path)
    except FileNotFoundError:
        return ()
    except OSError as exc:
        raise _unusable(path, exc.strerror or str(exc)) from exc
    try:
        keys = _keys_in(json.loads(text))
    # A deep nesting is a RecursionError; what is quoted of the content is no secret of anybody's.
    except (ValueError, TypeError, RecursionError) as exc:
        raise _unusable(path, f"it is damaged ({exc})") from exc
    return keys


def change_keys(path: Path, change: _Change) -> None:
    """Replace the keys of a file in one step that survives a power cut; one process at a time.

    A new file is its owner's alone. One that is there keeps owner and rights, as a service that
    runs as somebody else reads it.

    Raises:
        SettingsError: The file that is there cannot be used, or it cannot be written.
    """
    path = path.resolve()  # what a link leads to is replaced, not the link
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            keys = [key.fields() for key in change(read_keys(path))]
            _replace(path, json.dumps({"format": FORMAT, "keys": keys}, indent=1) + "\n")
    except OSError as exc:
        remedy = "free its disk, or make its folder writable"
        reason = exc.strerror or str(exc)
        raise SettingsError("the keys cannot be written", f"{path}: {reason}", remedy) from exc


def _content(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with closing(os.fdopen(handle, "rb")) as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is no regular file")
        if found.st_mode & _WRITABLE_BY_OTHERS:
            raise OSError(0, "others can write it")
        if os.geteuid() not in {0, found.st_uid} and found.st_uid != 0:
            raise OSError(0, "it is somebody else's, who could write it")
        content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise OSError(0, f"it has more than {_MOST_BYTES} bytes")
        return content


def _keys_in(content: object) -> tuple[Key, ...]:
    if not isinstance(content, dict) or content.keys() != {"format", "keys"}:
        raise ValueError("no file of keys")
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r}, and this version reads {FORMAT}")
    if not isinstance(content["keys"], list):
        raise TypeError("no list of keys")
    keys = tuple(key_of(each) for each in content["keys"])
    if len({key.id for key in keys}) < len(keys):
        raise ValueError("an id stands there twice")
    return keys


def _unusable(path: Path, reason: str) -> SettingsError:
    remedy = "let nobody but its owner write it (chmod 600), or put a copy of it back"
    return SettingsError("the keys cannot be used", f"{path}: {reason}", remedy)


def _which(found: os.stat_result) -> tuple[int, ...]:
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.unlink(missing_ok=True)  # of one who died before
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with closing(os.fdopen(handle, "w", encoding="utf-8")) as file:
        _keep_rights(path, handle)
        file.write(text)
        file.flush()
        os.fsync(handle)
    fresh.replace(path)
    sync_path(path.parent)


def _keep_rights(path: Path, handle: int) -> None:
    """Give a file the owner and the rights of the one it replaces, or its folder's owner."""
    there = path.is_file()
    former = (path if there else path.parent).stat()
    if os.geteuid() == 0:
        os.fchown(handle, former.st_uid, former.st_gid)
    if there:
        os.fchmod(handle, stat.S_IMODE(former.st_mode) & ~_WRITABLE_BY_OTHERS)
