"""How far a push to a server came, so that one that was killed goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rag.errors import IndexStateError
from rag.filetree import replace_text

_FILE_NAME = "push.json"


@dataclass(frozen=True, slots=True)
class PushNote:
    """The points up to ``tenant`` and ``chunk`` are on the server, as one generation has them.

    ``target`` names the server's collection, ``identity`` the generation; at its beginning both
    ids are empty.
    """

    target: str
    identity: str
    tenant: str = ""
    chunk: str = ""

    @property
    def reached(self) -> tuple[str, str]:
        """Tenant and id of the last chunk that is surely there."""
        return self.tenant, self.chunk


def read_note(collection_dir: Path) -> PushNote | None:
    """Return what an unfinished push left, None where there is none.

    Raises:
        IndexStateError: It is damaged.
    """
    path = collection_dir / _FILE_NAME
    try:
        return PushNote(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as exc:
        remedy = "remove the file and push with --replace"
        raise IndexStateError("note of the last push cannot be read", path, remedy) from exc


def write_note(collection_dir: Path, note: PushNote) -> None:
    """Put a note in place of the last one, so that it survives a power cut.

    Raises:
        IndexStateError: It cannot be written.
    """
    path = collection_dir / _FILE_NAME
    try:
        replace_text(path, json.dumps(asdict(note)))
    except OSError as exc:
        what = f"{path} ({exc})"
        raise IndexStateError("progress cannot be noted", what, "free disk space") from exc


def end_note(collection_dir: Path) -> None:
    """Forget it: all is done."""
    (collection_dir / _FILE_NAME).unlink(missing_ok=True)
