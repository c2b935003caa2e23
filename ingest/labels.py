"""Who may read a document: what was said of its file or folder, and what the file itself says.

A rule gives a file, or all below a folder, its labels; the nearest one holds. It is remembered with
the index, so that a later run which says nothing opens nothing. A file may name labels of its own.
Where both do, those hold that stand in both: whoever reads the document then holds a label of the
file and one of the rule. All labels of either would let more people read it than the folder's owner
said, and the file's alone would let its author decide for the folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ingest.scan import is_gone, is_under
from rag.errors import LoadError, UsageError, ValueRangeError
from rag.labels import Labels, checked_labels

_REMEDY = 'write one JSON object: {"path": ["label"], "open.md": []}'


@dataclass(frozen=True, slots=True)
class AccessRule:
    """The labels of one file or of all below one folder; none opens it to everybody."""

    path: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class AccessRules:
    """A tenant's rules by absolute path."""

    by_path: Mapping[str, Labels] = field(default_factory=dict)

    def nearest(self, path: str) -> AccessRule | None:
        """Return the rule of a file: its own, or that of the nearest folder above it."""
        if not self.by_path:
            return None
        while path not in self.by_path:
            above = os.path.dirname(path)  # noqa: PTH120 -- asked of every file, five times faster
            if above == path:
                return None
            path = above
        return AccessRule(path, self.by_path[path])

    def given(self, path: str) -> Labels:
        """Return the labels that a rule gives a file; none where there is no rule."""
        rule = self.nearest(path)
        return rule.labels if rule else ()

    def joined(self, path: str, own: Iterable[str]) -> Labels:
        """Return the labels of a document: of its file's ``own`` and its rule's, those of both.

        Raises:
            LoadError: One of its own is none, or both name some and none in common.
        """
        try:
            said, given = checked_labels(own), self.given(path)
        except ValueRangeError as exc:
            raise LoadError("access label cannot be used", exc.value, exc.remedy) from exc
        if not (said and given):
            return said or given
        both = tuple(sorted(set(said).intersection(given)))
        if not both:
            value = f"{', '.join(said)} and {', '.join(given)}"
            remedy = "name one in the file that its folder has too, or give the folder both"
            raise LoadError("labels of file and folder have none in common", value, remedy)
        return both

    def having(self, rules: Iterable[AccessRule]) -> AccessRules:
        """Return these rules with others in place of those of the same paths."""
        return AccessRules({**self.by_path, **{rule.path: rule.labels for rule in rules}})

    def moved(self, old: str, new: str) -> AccessRules:
        """Return these rules with one for a file that moved to where there is none.

        Where the rule's folder itself is gone, the rule moves as the folder did.
        """
        rule = self.nearest(old)
        if rule is None or not rule.labels or self.nearest(new) is not None:
            return self
        inside = old[len(rule.path) :]
        folder = new.removesuffix(inside) if inside else new
        # No folder becomes one of those that it lay in.
        moved = folder and not is_under(rule.path, folder) and is_gone(rule.path)
        return self.having([AccessRule(folder if moved else new, rule.labels)])


def read_access_list(path: Path) -> tuple[AccessRule, ...]:
    """Return the rules of a JSON file: an object of paths, each with a list of labels.

    A path that is not absolute is taken from the file's folder.

    Raises:
        UsageError: It cannot be read or is none.
        ValueRangeError: A label cannot be used.
    """
    try:
        given = json.loads(path.read_bytes(), object_pairs_hook=_pairs)
    except (OSError, ValueError, RecursionError) as exc:
        raise UsageError("access list cannot be read", f"{path} ({exc})", _REMEDY) from exc
    if not isinstance(given, dict) or not all(map(_is_labels, given.values())):
        raise UsageError("no access list", path, _REMEDY)
    folder = path.absolute().parent
    return tuple(
        AccessRule(str(folder / name), checked_labels(labels)) for name, labels in given.items()
    )


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a path stands there twice")
    return found


def _is_labels(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(label, str) for label in value)
