"""What a run was about to write to a server, so that the next one can finish or undo it.

An embedded index is changed in a copy; a server's is changed in place. A run that is killed there
leaves points that the published manifest does not know. Their ids are written down first.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from ingest.duplicates import PointChanges
from ingest.manifest import Manifest
from rag.errors import IndexStateError
from rag.filetree import replace_text

_FILE_NAME = "server-pending.jsonl"


class Pending:
    """The points that may differ between server and published manifest."""

    def __init__(self, collection_dir: Path) -> None:
        self._path = collection_dir / _FILE_NAME

    def exists(self) -> bool:
        """Return whether a run ended between its first write and publishing."""
        return self._path.exists()

    def begin(self, manifest: Manifest, changes: PointChanges, *, whole: bool) -> PointChanges:
        """Write down all that will be touched; returns the changes with what a killed run left.

        That is written again if the manifest has it, else deleted.

        Raises:
            IndexStateError: It cannot be written down; nothing was changed.
        """
        earlier = self._read()
        wanted = set(manifest.point_ids())
        upserted = {*changes.upserted, *(wanted if whole else earlier & wanted)}
        deleted = {*changes.deleted, *(earlier - wanted)}
        lines = sorted(json.dumps(point) for point in upserted | deleted | earlier)
        try:
            replace_text(self._path, "".join(f"{line}\n" for line in lines))
        except OSError as exc:
            raise IndexStateError(
                "pending changes cannot be noted", f"{self._path} ({exc})", "free disk space"
            ) from exc
        return replace(changes, upserted=tuple(sorted(upserted)), deleted=tuple(sorted(deleted)))

    def end(self) -> None:
        """Forget them: server and published manifest agree."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> set[tuple[str, str]]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
            return {(tenant, chunk_id) for tenant, chunk_id in map(json.loads, lines)}
        except FileNotFoundError:
            return set()
        except (OSError, ValueError) as exc:
            raise IndexStateError(
                "pending changes cannot be read",
                f"{self._path} ({exc})",
                "remove the server's collection and this file, then run with a new collection",
            ) from exc
