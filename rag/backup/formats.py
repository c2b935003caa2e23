"""Versions of what is stored on disk: which this release writes, and which a collection has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from rag.cache import record
from rag.generation import INFO
from rag.jobs.file import FORMAT as JOBS_FORMAT
from rag.jobs.store import FOLDER as JOBS_FOLDER
from rag.ledger_file import FORMAT as LEDGER_FORMAT
from rag.ledger_file import files_in
from rag.terms import TERMS_VERSION
from rag.upload_table import FORMAT as UPLOADS_FORMAT
from rag.upload_table import UploadTable
from rag.uploads import FOLDER as UPLOADS_FOLDER

LEDGER_FOLDER: Final = "ledger"
CACHE_FOLDER: Final = "cache"
GENERATION_FORMAT: Final = 1
_CACHE_NAME = re.compile(r"answers\.v(\d+)\.sqlite")
_JOBS_NAME = re.compile(r"jobs\.v(\d+)\.sqlite")


def known_formats() -> dict[str, int]:
    """Return the version of each format that this release writes; none above it can be read."""
    return {
        "generation": GENERATION_FORMAT,
        "terms": TERMS_VERSION,
        "ledger": LEDGER_FORMAT,
        "cache": record.FORMAT,
        "jobs": JOBS_FORMAT,
        "uploads": UPLOADS_FORMAT,
    }


def formats_of(collection_dir: Path, generation: Path | None) -> dict[str, int]:
    """Return the highest version of each format that a collection holds.

    Args:
        collection_dir: Directory of the collection.
        generation: Directory of the published generation, None if there is none.

    Raises:
        OSError: The generation cannot be read.
        ValueError: What says its format is damaged.
    """
    found = {} if generation is None else _generation_formats(generation)
    ledger = [file.written_as for file in files_in(collection_dir / LEDGER_FOLDER)]
    numbered = {
        "ledger": ledger,
        "cache": _numbers(collection_dir / CACHE_FOLDER, _CACHE_NAME),
        "jobs": _numbers(collection_dir / JOBS_FOLDER, _JOBS_NAME),
        "uploads": UploadTable(collection_dir / UPLOADS_FOLDER).formats(),
    }
    return found | {name: max(versions) for name, versions in numbered.items() if versions}


def _numbers(folder: Path, name: re.Pattern[str]) -> list[int]:
    """Return the versions that the names of a folder's files tell."""
    names = (path.name for path in folder.glob("*.sqlite"))
    return [int(match[1]) for match in map(name.fullmatch, names) if match]


def _generation_formats(generation: Path) -> dict[str, int]:
    state: Any = json.loads((generation / INFO).read_text(encoding="utf-8"))
    try:
        return {"generation": int(state["format"]), "terms": int(state["shape"].get("terms", 1))}
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"{generation / INFO}: {exc!r}") from exc
