"""The files that could not be indexed: what happened, and what to do about it.

``dead-letters.jsonl`` holds one JSON object a line, for all tenants of a collection. A letter is
valid for one content of its file: ``sync`` leaves that content alone, ``retry`` takes it up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ingest.scan import is_gone
from rag.filetree import replace_text

FILE_NAME = "dead-letters.jsonl"
LetterStatus: TypeAlias = Literal["failed", "skipped"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One file that is not in the index as it lies there now.

    ``sha256`` is empty where the file could not be read; ``keeps_earlier`` says that chunks of an
    earlier version are still served; ``at`` is UTC, ISO 8601; ``attempts`` counts parsings. A byte
    of ``path`` that is not UTF-8 stands as a lone surrogate (PEP 383).
    """

    tenant: str
    path: str
    doc_id: str
    status: LetterStatus
    sha256: str
    shape: str
    error: str
    cause: str
    remedy: str
    keeps_earlier: bool
    attempts: int
    at: str

    def is_gone(self) -> bool:
        """Return whether nothing lies at the path any more; where nobody may look it may still."""
        return is_gone(self.path)


def read_letters(collection_dir: Path) -> tuple[DeadLetter, ...]:
    """Return all letters; lines that cannot be read are left out: those files are parsed again."""
    try:
        lines = (collection_dir / FILE_NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(letter for line in lines if (letter := _letter(line)) is not None)


def write_letters(collection_dir: Path, letters: Iterable[DeadLetter]) -> None:
    """Replace all letters in one step, sorted by tenant and path.

    Raises:
        OSError: They cannot be written.
    """
    ordered = sorted(letters, key=lambda letter: (letter.tenant, letter.path))
    text = "".join(json.dumps(asdict(letter)) + "\n" for letter in ordered)
    path = collection_dir / FILE_NAME
    if text or path.exists():
        replace_text(path, text)


def _letter(line: str) -> DeadLetter | None:
    try:
        return DeadLetter(**json.loads(line))
    except (ValueError, TypeError):
        return None
