"""Who may read documents that were sent over HTTP: by what was said of the content that lies there.

No option names their labels, so none can be forgotten. A file among the uploads whose content
nobody sent there is not read at all: nothing says who may see it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.digests import FileDigests
from ingest.labels import AccessRule, AccessRules
from ingest.manifest import DocumentRecord
from ingest.plan import Plan
from ingest.scan import FoundFile, PassedOver, Scan, is_under
from rag.errors import LoadError
from rag.labels import Labels
from rag.settings import Settings
from rag.upload_table import FILE_NAME, UploadTable
from rag.uploads import upload_root


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The uploads among the files that were found: their rules, and the SHA-256 by path."""

    found: Scan
    rules: tuple[AccessRule, ...] = ()
    digests: tuple[tuple[str, str], ...] = ()

    def withdraw(self, plan: Plan, known: Iterable[DocumentRecord], before: AccessRules) -> None:
        """Take out of a plan what was replaced by a content of other labels.

        Otherwise a new content that cannot be read would leave the old one served, and under the
        new labels, as these go by the path.
        """
        digests = dict(self.digests)
        other = {rule.path for rule in self.rules if before.given(rule.path) != rule.labels}
        gone = {
            record.doc_id
            for record in known
            if record.path in other and record.sha256 != digests[record.path]
        }
        plan.withdrawn |= gone
        plan.relabelled = [each for each in plan.relabelled if each[0].doc_id not in gone]
        plan.tasks = [replace(t, known=t.known and t.doc_id not in gone) for t in plan.tasks]


def uploaded(found: Scan, digests: FileDigests, settings: Settings) -> Uploaded:
    """Return the uploads among what a scan found; those that nobody sent count as unreadable."""
    labels = _UploadLabels(settings)
    if not labels.any:
        return Uploaded(found)
    files, refused, rules, named = [], list(found.unreadable), [], []
    for file in found.files:
        if Path(file.path).name == FILE_NAME:  # the table itself, where a folder above is given
            continue
        try:
            digest, given = _looked_at(file, digests, labels)
        except (LoadError, OSError) as exc:
            what = exc.what if isinstance(exc, LoadError) else exc.strerror or str(exc)
            refused.append(PassedOver(file.path, what))
            continue
        files.append(file)
        if given is not None:
            rules.append(AccessRule(file.path, given))
            named.append((file.path, digest))
    left = replace(found, files=tuple(files), unreadable=tuple(refused))
    return Uploaded(left, tuple(rules), tuple(named))


def _looked_at(
    file: FoundFile, digests: FileDigests, labels: _UploadLabels
) -> tuple[str, Labels | None]:
    name = labels.name_of(file.path)
    if name is None:
        return "", None
    digest = digests.of(file)
    return digest, labels.given(name, digest)


class _UploadLabels:
    """Tells the labels of a tenant's uploads."""

    def __init__(self, settings: Settings) -> None:
        self._root = str(upload_root(settings))
        self._tenant = settings.tenant
        self._table = UploadTable(Path(self._root))
        # Read at once, instead of thousands of times; what is sent meanwhile is looked up.
        rows = self._table.all(self._tenant)
        self._known = {(row.name, row.sha256): row.access for row in rows}
        self.any = self._table.exists()

    def name_of(self, path: str) -> str | None:
        """Return the name of the upload at a path, None where there is none.

        Raises:
            LoadError: It is another tenant's.
        """
        real = os.path.realpath(path)
        if not is_under(real, self._root):
            return None
        tenant, _, name = real[len(self._root) + 1 :].partition("/")
        if tenant != self._tenant:
            raise LoadError("the file was sent for another tenant", tenant, "leave it out")
        return name

    def given(self, name: str, sha256: str) -> Labels:
        """Return the labels that a content was sent with.

        Raises:
            LoadError: Nobody sent it.
        """
        labels = self._known.get((name, sha256))
        if labels is None:
            labels = self._table.labels(self._tenant, name, sha256)
        if labels is None:
            remedy = "send it with POST /v1/documents instead of putting it there"
            raise LoadError("nobody sent this file", name, remedy)
        return labels
