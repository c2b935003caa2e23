"""What a backup holds: ``backup.json``, with the SHA-256 of each file and the formats' versions.

    backup.json                  this list, and its own SHA-256
    files/generations/000007/    index/, manifest.sqlite, generation.json, lists of ids
    files/uploads/acme/...       what was sent over HTTP, with files/uploads/_uploads.sqlite
    files/ledger/...             and all else that the collection keeps: cache, jobs, vectors

A file is stored without its runs of zeros, which the engine's preallocated files mostly are;
``data`` says where the rest belongs.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from rag.errors import IndexStateError

CATALOGUE: Final = "backup.json"
FILES: Final = "files"
FORMAT: Final = 1
# Made again by whoever needs it, or true of one machine's files only: in no backup.
PASSING: Final = frozenset({"CURRENT", "ingest.lock", "staging", "readers", "digests.sqlite"})
GENERATIONS: Final = "generations"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_GENERATION = re.compile(r"\d{6}")
_DAMAGED = "take another backup"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file: its path in the collection, its size [bytes], and the ranges that are stored.

    ``data`` are (start, length) [bytes], in order; whatever is outside is zeros. ``sha256`` is that
    of the whole content, zeros included.
    """

    path: str
    mode: int
    bytes: int
    data: tuple[tuple[int, int], ...]
    sha256: str

    @property
    def stored_bytes(self) -> int:
        """What it takes in the backup [bytes]."""
        return sum(length for _, length in self.data)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A backup's content; ``created`` is UTC, ISO 8601.

    ``generation`` is the name of the published one, ``chunks`` how many its index holds, also where
    that is on a server. ``formats`` are versions by name. ``folders`` are paths with their modes.
    ``left_out`` names what could not be read when the backup was made, and why.
    """

    collection: str
    made_by: str
    created: str
    generation: str
    chunks: int
    formats: dict[str, int]
    folders: tuple[tuple[str, int], ...]
    files: tuple[StoredFile, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        paths = [*(path for path, _ in self.folders), *(file.path for file in self.files)]
        names = all(map(self._has, paths)) and len(set(paths)) == len(paths)
        digests = all(_DIGEST.fullmatch(file.sha256) for file in self.files)
        ranges = all(map(_is_ordered, self.files))
        if not (names and digests and ranges and _GENERATION.fullmatch(self.generation)):
            raise ValueError("names a file that no backup has")

    def _has(self, path: str) -> bool:
        """Return whether a backup may hold such a path: inside, and nothing that only passes."""
        parts = PurePosixPath(path).parts
        if not _is_inside(path) or parts[0] in PASSING:
            return False
        return parts[0] != GENERATIONS or parts[1:2] == (self.generation,)

    @property
    def bytes(self) -> int:
        """Size of all files as they are stored [bytes]."""
        return sum(file.stored_bytes for file in self.files)


def written(catalogue: Catalogue) -> str:
    """Return ``backup.json``."""
    body = {"format": FORMAT, **asdict(catalogue)}
    return json.dumps({"sha256": _digest(body), "backup": body}, indent=1)


def parsed(text: str, source: object, known: dict[str, int]) -> Catalogue:
    """Return what a ``backup.json`` says.

    Args:
        text: The file's text.
        source: Where it is from, for errors.
        known: The highest version of each format that this release reads.

    Raises:
        IndexStateError: It is damaged, or a later release has made it.
    """
    try:
        whole = json.loads(text)
        body: dict[str, Any] = whole["backup"]
        if whole["sha256"] != _digest(body):
            raise ValueError("its own SHA-256 differs")
        _refuse_newer(source, {"backup": body.pop("format"), **body["formats"]}, known)
        return _from(body)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise IndexStateError("backup is damaged", f"{source} ({exc!r})", _DAMAGED) from exc


def _refuse_newer(source: object, formats: dict[str, int], known: dict[str, int]) -> None:
    for name, version in formats.items():
        most = FORMAT if name == "backup" else known.get(name, 0)
        if version > most:
            what = f"backup has {name} of format {version}; this release reads up to {most}"
            raise IndexStateError(what, source, "restore it with the release that made it")


def _from(body: dict[str, Any]) -> Catalogue:
    files = [
        StoredFile(**{**file, "data": tuple((int(a), int(n)) for a, n in file["data"])})
        for file in body.pop("files")
    ]
    folders = tuple((str(path), int(mode)) for path, mode in body.pop("folders"))
    left_out = tuple((str(path), str(why)) for path, why in body.pop("left_out"))
    return Catalogue(files=tuple(files), folders=folders, left_out=left_out, **body)


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    plain = bool(parts) and str(PurePosixPath(path)) == path and "\0" not in path
    return plain and not path.startswith("/") and ".." not in parts


def _is_ordered(file: StoredFile) -> bool:
    ends = [0, *(start + length for start, length in file.data)]
    begins = [*(start for start, _ in file.data), file.bytes]
    return all(end <= start for end, start in zip(ends, begins, strict=True))
