"""The files under the paths that were given, and what was passed over and why.

Hidden files and folders, version control's own folders and the collections' data are passed over,
whatever way leads there; but a folder of uploads in that data is read where it is itself given.
Links to files are read as files. Links to folders are followed after all real folders were read,
and no folder is read twice, so a loop of links ends and a file keeps its real name. A path that is
given keeps the name it is given by, so that a link can be set anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from rag.errors import UsageError
from rag.uploads import FOLDER

_VERSION_CONTROL = frozenset({"CVS", "RCS", "SCCS", "_darcs"})
_OWN_DATA = "the index's own data"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file, a link's target where ``path`` is a link.

    ``path`` is absolute, ``size`` in bytes; ``mtime_ns`` and ``ctime_ns`` are when content and
    state changed [ns]; ``inode`` tells files apart that lie at the same path one after the other.
    """

    path: str
    root: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Something that is no candidate for the index, or could not be looked at."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """All that stands under the given paths.

    ``scopes`` are the given paths, absolute; ``roots`` the folders among them, which document ids
    are relative to. A file under an ``unreadable`` path may still exist. A byte of a path that is
    not UTF-8 stands as a lone surrogate (PEP 383), in all paths.
    """

    scopes: tuple[str, ...]
    roots: tuple[str, ...]
    files: tuple[FoundFile, ...]
    skipped: tuple[PassedOver, ...]
    unreadable: tuple[PassedOver, ...]
    notes: tuple[str, ...]

    def covers(self, path: str) -> bool:
        """Return whether a path is one of those given or lies under one."""
        return any(is_under(path, scope) for scope in self.scopes)

    def may_exist(self, path: str) -> bool:
        """Return whether a path that was not found lies where nobody could look."""
        return any(is_under(path, place.path) for place in self.unreadable)


def is_under(path: str, folder: str) -> bool:
    """Return whether ``path`` is ``folder`` or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_gone(path: str) -> bool:
    """Return whether nothing lies at a path; where nobody may look there may be something."""
    try:
        Path(path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def scan(paths: Sequence[Path], *, own_data: Path, may_be_gone: Callable[[str], bool]) -> Scan:
    """Return what stands under ``paths``, each file once, sorted by path.

    Args:
        paths: Files and folders.
        own_data: The collections' directory, never read.
        may_be_gone: Whether an absolute path that does not exist counts as an empty folder.

    Raises:
        UsageError: A path does not exist.
    """
    walk = _Walk(os.path.realpath(own_data))
    scopes: list[str] = []
    for path in paths:
        given = absolute(path)
        if not (_may_exist(given) or may_be_gone(given)):
            raise UsageError("no such file or folder", path, "check the path")
        if any(is_under(given, scope) for scope in scopes):
            walk.notes.append(f"given twice, read once: {path}")
        else:
            scopes = [s for s in scopes if not is_under(s, given)] + [given]
    for scope in sorted(scopes, key=lambda scope: os.path.realpath(scope) != scope):
        walk.start(scope)
    walk.finish()
    return walk.result(tuple(scopes))


def absolute(path: Path) -> str:
    """Return a path with its links as they are, but for those before a ``..``."""
    parts = (Path.cwd() / path).parts
    after = max((i + 1 for i, part in enumerate(parts) if part == ".."), default=1)
    return str(Path(os.path.realpath(Path(*parts[:after])), *parts[after:]))


def _may_exist(path: str) -> bool:
    try:
        Path(path).stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


@dataclass(slots=True)
class _Walk:
    own_data: str
    files: list[FoundFile] = field(default_factory=list)
    skipped: list[PassedOver] = field(default_factory=list)
    unreadable: list[PassedOver] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _roots: list[str] = field(default_factory=list)
    _links: list[tuple[str, str]] = field(default_factory=list)
    _seen: set[tuple[int, int]] = field(default_factory=set)
    _own: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if Path(self.own_data).is_dir():
            self._own = _identity(Path(self.own_data).stat())

    def start(self, scope: str) -> None:
        """Begin with one of the paths given."""
        before = len(self.files) + len(self._links) + len(self.unreadable)
        if self._is_own(scope) and not self._is_uploaded(scope):
            self.skipped.append(PassedOver(scope, _OWN_DATA))
            self.notes.append(f"{_OWN_DATA}, not read: {scope}")
            return
        if os.path.isdir(scope) and not _is_undecodable(scope):  # noqa: PTH112 -- is_dir() may raise
            self._roots.append(scope)
            self._folder(scope, scope)
        else:
            self._file(scope, str(Path(scope).parent), Path(scope).stat)
        if len(self.files) + len(self._links) + len(self.unreadable) == before:
            self.notes.append(f"no file to index under {scope}")

    def finish(self) -> None:
        """Follow the links to folders that were met on the way."""
        while self._links:
            path, root = self._links.pop(0)
            self._folder(path, root)

    def result(self, scopes: tuple[str, ...]) -> Scan:
        """Return what was found."""
        return Scan(
            scopes=scopes,
            roots=tuple(dict.fromkeys(self._roots)),
            files=tuple(sorted(self.files, key=lambda file: file.path)),
            skipped=tuple(self.skipped),
            unreadable=tuple(self.unreadable),
            notes=tuple(self.notes),
        )

    def _folder(self, top: str, root: str) -> None:
        waiting = [top]
        while waiting:
            path = waiting.pop()
            try:
                for entry in self._entries(path):
                    self._member(entry, root, waiting)
            except OSError as exc:
                self.unreadable.append(PassedOver(path, exc.strerror or str(exc)))

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        identity = _identity(Path(path).stat())
        if identity == self._own:
            self.skipped.append(PassedOver(path, _OWN_DATA))
            return []
        if identity in self._seen:
            self.skipped.append(PassedOver(path, "link to a folder that was read already"))
            return []
        self._seen.add(identity)
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)

    def _member(self, entry: os.DirEntry[str], root: str, waiting: list[str]) -> None:
        if entry.name.startswith("."):
            self.skipped.append(PassedOver(entry.path, "hidden"))
        elif entry.name in _VERSION_CONTROL:
            self.skipped.append(PassedOver(entry.path, "version control"))
        elif entry.is_symlink() and self._is_own(entry.path):
            self.skipped.append(PassedOver(entry.path, _OWN_DATA))
        elif entry.is_dir(follow_symlinks=False):
            waiting.append(entry.path)
        elif entry.is_symlink() and Path(entry.path).is_dir():
            self._links.append((entry.path, root))
        else:
            self._file(entry.path, root, entry.stat)

    def _is_own(self, path: str) -> bool:
        real, own = Path(os.path.realpath(path)), Path(self.own_data)
        if not real.is_relative_to(own):
            return False
        inside = real.relative_to(own).parts
        # Documents may lie beside the collections, as where the data directory is the project's.
        return not inside or (own / inside[0] / "generations").is_dir()

    def _is_uploaded(self, path: str) -> bool:
        """Return whether a path is a tenant's folder of uploads, or a file in it."""
        parts = Path(os.path.realpath(path)).relative_to(self.own_data).parts
        within = len(parts) in {3, 4} and parts[1] == FOLDER
        return within and parts[2][0].isalnum()  # what is no tenant's begins otherwise

    def _file(self, path: str, root: str, stat: Callable[[], os.stat_result]) -> None:
        try:
            status = stat()
        except (FileNotFoundError, NotADirectoryError):
            if Path(path).is_symlink():
                self.skipped.append(PassedOver(path, "broken link"))
            return
        except OSError as exc:
            self.unreadable.append(PassedOver(path, exc.strerror or str(exc)))
            return
        if not path.isprintable() and _is_undecodable(path):
            self.unreadable.append(PassedOver(path, "file name is not UTF-8"))
        elif S_ISREG(status.st_mode):
            self.files.append(_found(path, root, status))
        else:
            self.skipped.append(PassedOver(path, "not a regular file"))


def _found(path: str, root: str, status: os.stat_result) -> FoundFile:
    times = status.st_mtime_ns, status.st_ctime_ns
    return FoundFile(path, root, status.st_size, *times, inode=status.st_ino)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_undecodable(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
