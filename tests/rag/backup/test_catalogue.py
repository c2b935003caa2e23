"""The list of a backup: read back as written, and believed only where it is whole."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rag.backup import catalogue
from rag.backup.catalogue import Catalogue, StoredFile, parsed, written
from rag.errors import IndexStateError

FILE = StoredFile("ledger/2026-11.v2.sqlite", 0o600, 100, ((0, 40), (60, 40)), "ab" * 32)
LIST = Catalogue(
    collection="default",
    made_by="1.0",
    created="2026-11-22T12:00:00+00:00",
    generation="000007",
    chunks=12,
    formats={"generation": 1, "ledger": 2},
    folders=(("ledger", 0o700),),
    files=(FILE,),
    left_out=(("cache/x", "why"),),
)
KNOWN = {"generation": 1, "ledger": 2}


def test_it_is_read_back_as_it_was_written() -> None:
    assert parsed(written(LIST), "b", KNOWN) == LIST
    assert LIST.bytes == 80


def test_every_changed_byte_is_noticed() -> None:
    text = written(LIST)
    for at in range(0, len(text), 3):
        other = "1" if text[at] != "1" else "2"
        changed = text[:at] + other + text[at + 1 :]
        if text[at].isspace():
            continue  # what stands between values says nothing
        with pytest.raises(IndexStateError):
            parsed(changed, "b", KNOWN)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", '{"sha256": 1, "backup": {}}'])
def test_what_is_no_list_is_damaged(text: str) -> None:
    with pytest.raises(IndexStateError, match="backup is damaged"):
        parsed(text, "b", KNOWN)


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/x",
        "a/../../x",
        "",
        ".",
        "a//b",
        "a/./b",
        "a\0b",
        "a/",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no backup has"):
        replace(LIST, files=(replace(FILE, path=path),))
    with pytest.raises(ValueError, match="no backup has"):
        replace(LIST, folders=((path, 0o700),))


@pytest.mark.parametrize("data", [((50, 10), (40, 5)), ((0, 101),), ((0, 10), (5, 10)), ((-1, 2),)])
def test_ranges_are_in_order_and_inside(data: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="no backup has"):
        replace(LIST, files=(replace(FILE, data=data),))


@pytest.mark.parametrize("path", ["CURRENT", "readers/slot-0/x", "generations/000001/x"])
def test_what_is_not_the_collections_to_keep_is_refused(path: str) -> None:
    """A pointer, a reader's copy or another generation in it would be taken without a look."""
    with pytest.raises(ValueError, match="no backup has"):
        replace(LIST, files=(replace(FILE, path=path),))
    assert replace(LIST, files=(replace(FILE, path="generations/000007/x"),)).bytes == 80


def test_one_path_stands_once() -> None:
    with pytest.raises(ValueError, match="no backup has"):
        replace(LIST, files=(FILE, FILE))


def test_a_later_format_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = written(replace(LIST, formats={"ledger": 3}))
    with pytest.raises(IndexStateError, match="ledger of format 3; this release reads up to 2"):
        parsed(newer, "b", KNOWN)
    unknown = written(replace(LIST, formats={"jobs": 1}))
    with pytest.raises(IndexStateError, match="jobs of format 1"):
        parsed(unknown, "b", KNOWN)
    monkeypatch.setattr(catalogue, "FORMAT", 2)
    later = written(LIST)
    monkeypatch.undo()
    assert json.loads(later)["backup"]["format"] == 2
    with pytest.raises(IndexStateError, match="release that made it"):
        parsed(later, "b", KNOWN)
