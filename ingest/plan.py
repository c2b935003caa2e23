"""What a run has to do: which files to parse, which are known, which are gone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from ingest.deadletter import DeadLetter, LetterStatus
from ingest.digests import FileDigests
from ingest.labels import AccessRules
from ingest.manifest import DocumentRecord, Manifest
from ingest.scan import FoundFile, Scan, is_gone, is_under
from rag.errors import LoadError, ParseLimitError, RagError
from rag.labels import Labels

Why: TypeAlias = Literal["new", "changed", "settings", "retry"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides whether a file is parsed.

    ``shape`` names the settings that cut documents into chunks; ``largest`` is in bytes;
    ``access`` says who may read what.
    """

    tenant: str
    shape: str
    largest: int
    retry: bool = False
    delete_missing: bool = False
    access: AccessRules = field(default_factory=AccessRules)

    def shape_of(self, path: str) -> str:
        """Name of all that decides about a file and is no part of it."""
        labels = self.access.given(path)
        return f"{self.shape}|{','.join(labels)}" if labels else self.shape


@dataclass(frozen=True, slots=True)
class ParseTask:
    """One file to be parsed and why; ``known`` says that an earlier version is indexed."""

    file: FoundFile
    doc_id: str
    sha256: str
    why: Why
    known: bool
    attempts: int


@dataclass(slots=True)
class Plan:
    """The work of one run, in the order of paths.

    ``letters`` are those that hold after planning, for this tenant's scanned files; ``removed``
    are documents to delete, ``missing`` those that are gone and stay. ``relabelled`` are documents
    of other labels from now on, ``withdrawn`` those that have none that could hold. ``access`` are
    the rules after it, with those of files that were moved.
    """

    tasks: list[ParseTask] = field(default_factory=list)
    unchanged: int = 0
    moved: list[tuple[str, str]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    relabelled: list[tuple[DocumentRecord, Labels]] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    access: AccessRules = field(default_factory=AccessRules)

    @property
    def edits(self) -> bool:
        """Whether documents change beside those that are parsed."""
        return bool(self.removed or self.moved or self.relabelled or self.withdrawn)

    def count(self, why: Why) -> int:
        """Return how many files are parsed for this reason."""
        return sum(task.why == why for task in self.tasks)


class Planner:
    """Compares what was found with what is indexed."""

    def __init__(
        self, manifest: Manifest, letters: Iterable[DeadLetter], digests: FileDigests, rules: Rules
    ) -> None:
        self._rules = rules
        self._digests = digests
        self._documents = list(manifest.documents(rules.tenant))
        self._by_path = {record.path: record for record in self._documents}
        self._path_of = {record.doc_id: record.path for record in self._documents}
        self._letters = {letter.path: letter for letter in letters if letter.tenant == rules.tenant}
        self._path_of |= {
            letter.doc_id: letter.path
            for letter in self._letters.values()
            if letter.doc_id and letter.doc_id not in self._path_of
        }
        self._roots = manifest.roots(rules.tenant)
        self._plan = Plan(access=rules.access)
        self._same: set[str] = set()
        self._ruled = self._ruled_by_digest()

    def plan(self, scan: Scan) -> Plan:
        """Return what to do about a scan."""
        for place in scan.unreadable:
            name = os.fsencode(place.path).decode("utf-8", "backslashreplace")
            error = LoadError(place.reason, name, "fix its name or permissions")
            self._plan.letters.append(self._failure(place.path, "", error))
        for file in scan.files:
            self._consider(file)
        found = {file.path for file in scan.files}
        for record in self._documents:
            path = self._path_of[record.doc_id]
            if path not in found and scan.covers(path) and not scan.may_exist(path):
                gone = self._plan.removed if self._rules.delete_missing else self._plan.missing
                gone.append(record.doc_id)
        self._settle_labels()
        return self._plan

    def _settle_labels(self) -> None:
        """Find the documents whose labels changed, whatever became of their files."""
        plan, rules = self._plan, replace(self._rules, access=self._plan.access)
        parsed = {task.doc_id for task in plan.tasks}
        for record in self._documents:
            path = self._path_of[record.doc_id]
            try:
                labels = rules.access.joined(path, record.own_access)
            except LoadError as exc:
                plan.withdrawn.add(record.doc_id)
                failed = Failed(path, record.doc_id, record.sha256, keeps_earlier=False)
                if record.doc_id not in parsed:
                    plan.letters = [letter for letter in plan.letters if letter.path != path]
                    plan.letters.append(letter_for(rules, failed, exc, attempts=1))
                continue
            if labels != record.access:
                plan.relabelled.append((replace(record, path=path), labels))
        plan.tasks = [
            replace(t, known=t.known and t.doc_id not in plan.withdrawn) for t in plan.tasks
        ]
        plan.unchanged = len(self._same - plan.withdrawn)

    def _consider(self, file: FoundFile) -> None:
        try:
            digest = self._digest(file)
        except RagError as exc:
            doc_id = self._id_of(file, "")
            self._plan.letters.append(self._failure(file.path, doc_id, exc))
            return
        self._carry_labels(file.path, digest)
        doc_id = self._id_of(file, digest)
        record, letter = self._by_path.get(file.path), self._letters.get(file.path)
        if record and (record.sha256, record.shape) == (digest, self._rules.shape):
            self._same.add(record.doc_id)
            return
        if letter and self._holds(letter, digest):
            self._plan.letters.append(letter)
            return
        self._plan.tasks.append(
            ParseTask(
                *(file, doc_id, digest, self._why(record, letter, digest)),
                known=record is not None,
                attempts=letter.attempts + 1 if letter else 1,
            )
        )

    def _carry_labels(self, path: str, digest: str) -> None:
        """Let what was moved to where no rule is keep the labels of where it lay."""
        if path in self._by_path:
            return
        for earlier in self._ruled.get(digest, ()):
            if is_gone(earlier):
                self._plan.access = self._plan.access.moved(earlier, path)

    def _ruled_by_digest(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in (*self._by_path, *self._letters):
            if self._rules.access.given(path):
                for digest in self._contents(path):
                    found.setdefault(digest, []).append(path)
        return found

    def _holds(self, letter: DeadLetter, digest: str) -> bool:
        if self._rules.retry and letter.status == "failed":
            return False
        rules = replace(self._rules, access=self._plan.access)
        return (letter.sha256, letter.shape) == (digest, rules.shape_of(letter.path))

    def _digest(self, file: FoundFile) -> str:
        if file.size > self._rules.largest:
            raise ParseLimitError(
                "file too large", f"{file.size / 1e6:.1f} MB", "split it or raise max_file_mb"
            )
        try:
            return self._digests.of(file)
        except OSError as exc:
            raise LoadError(
                "file cannot be read", exc.strerror or exc, "check that it exists and its rights"
            ) from exc

    def _why(self, record: DocumentRecord | None, letter: DeadLetter | None, digest: str) -> Why:
        if self._rules.retry and letter:
            return "retry"
        if record is None:
            return "new"
        return "settings" if record.sha256 == digest else "changed"

    def _id_of(self, file: FoundFile, digest: str) -> str:
        if file.path in self._by_path:
            return self._by_path[file.path].doc_id
        letter = self._letters.get(file.path)
        if letter and letter.doc_id:
            return letter.doc_id
        roots = [root for root in self._roots if is_under(file.path, root)]
        root = max(roots, key=len, default=file.root)
        names = _names(file.path, root)
        doc_id = next(name for name in names if self._is_free(name, file.path, digest))
        self._path_of[doc_id] = file.path
        return doc_id

    def _is_free(self, doc_id: str, path: str, digest: str) -> bool:
        owner = self._path_of.get(doc_id)
        if owner is None or owner == path:
            return True
        # A folder that was moved takes its documents' ids along. That its names come again says
        # nothing: every folder has a README, and the other one may be away for a while only.
        if not (digest and digest in self._contents(owner) and is_gone(owner)):
            return False
        if owner in self._by_path:
            self._by_path[path] = self._by_path.pop(owner)
            self._plan.moved.append((doc_id, path))
        return True

    def _contents(self, path: str) -> set[str]:
        """Return the digests of what a path held when it was read last and when indexed."""
        holders = self._by_path.get(path), self._letters.get(path)
        return {holder.sha256 for holder in holders if holder}

    def _failure(self, path: str, doc_id: str, error: RagError) -> DeadLetter:
        earlier = self._letters.get(path)
        task = Failed(path, doc_id, "", path in self._by_path)  # it could not be read
        return letter_for(self._rules, task, error, attempts=earlier.attempts if earlier else 0)


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that ends in a letter, and whether an earlier version of it stays indexed."""

    path: str
    doc_id: str
    sha256: str
    keeps_earlier: bool


def letter_for(
    rules: Rules,
    failed: Failed,
    error: RagError,
    *,
    attempts: int,
    status: LetterStatus = "failed",
) -> DeadLetter:
    """Return the letter about one file's error."""
    return DeadLetter(
        tenant=rules.tenant,
        path=failed.path,
        doc_id=failed.doc_id,
        status=status,
        sha256=failed.sha256,
        shape=rules.shape_of(failed.path),
        error=type(error).__name__,
        cause=f"{error.what}: {error.value}",
        remedy=error.remedy,
        keeps_earlier=failed.keeps_earlier,
        attempts=attempts,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _names(path: str, root: str) -> Iterator[str]:
    relative = path[len(root.rstrip("/")) + 1 :]
    yield relative
    name = Path(root).name
    yield f"{name}/{relative}"
    number = 2
    while True:
        yield f"{name}~{number}/{relative}"
        number += 1
