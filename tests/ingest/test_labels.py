"""Who may read a document, through all that can happen to it and its labels."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.labels import AccessRule, AccessRules, read_access_list
from ingest.manifest import Manifest
from rag.adapters.edge_index import EdgeIndex
from rag.errors import LoadError, UsageError, ValueRangeError
from rag.generation import ReaderSlot, read_current
from rag.types import Filter

HANDBOOK = "# Handbook\n\nThe pump is serviced every four weeks by the night shift.\n"
SALARIES = "# Salaries\n\nThe night shift earns eleven per cent more than the day shift.\n"
LABELS = st.frozensets(st.sampled_from("abcd"), max_size=4)


def access_of(workshop: Any, tenant: str = "default") -> dict[str, tuple[str, ...]]:
    """Return the labels of every document that is stored, the same in manifest and index."""
    generation = read_current(workshop.collection)
    with Manifest.read(generation.manifest_path) as manifest:
        noted = {record.doc_id: record.access for record in manifest.documents(tenant)}
    for chunk in workshop.chunks(tenant):
        for doc_id in (chunk.doc_id, *chunk.also_in):
            assert chunk.access == noted[doc_id]
    return noted


def seen(workshop: Any, *labels: str) -> int:
    slot = ReaderSlot.take(workshop.collection)
    assert slot is not None
    with slot, EdgeIndex.open(slot.path) as index:
        return index.count(Filter("default", labels=labels))


@given(st.dictionaries(st.sampled_from(["/", "/a", "/a/b", "/a/b/c.md"]), LABELS), LABELS)
def test_whoever_reads_a_document_was_let_by_file_and_rule(
    rules: dict[str, frozenset[str]], own: frozenset[str]
) -> None:
    access = AccessRules({path: tuple(sorted(labels)) for path, labels in rules.items()})
    given_there = access.given("/a/b/c.md")
    nearest = max((path for path in rules), key=len, default=None)
    assert given_there == (tuple(sorted(rules[nearest])) if nearest else ())
    if own and given_there and own.isdisjoint(given_there):
        with pytest.raises(LoadError, match="in common"):
            access.joined("/a/b/c.md", own)
        return
    joined = access.joined("/a/b/c.md", own)
    for one in "abcd":  # the holder of one label
        if not joined or one in joined:
            assert not own or one in own
            assert not given_there or one in given_there


def test_front_matter_and_folders_label_documents(workshop: Any) -> None:
    workshop.write("open.md", HANDBOOK)
    workshop.write("hr/pay.md", "---\naccess: [hr, board]\n---\n" + SALARIES)
    workshop.sync()
    assert access_of(workshop) == {"open.md": (), "hr/pay.md": ("board", "hr")}
    assert (seen(workshop), seen(workshop, "hr"), seen(workshop, "x")) == (1, 2, 1)
    workshop.sync(access={workshop.docs / "hr": ["hr"]})
    assert workshop.parsed == []
    assert access_of(workshop) == {"open.md": (), "hr/pay.md": ("hr",)}
    assert seen(workshop, "board") == 1


def test_a_later_run_that_says_nothing_opens_nothing(workshop: Any) -> None:
    workshop.write("hr/pay.md", SALARIES)
    first = workshop.sync(access={workshop.docs / "hr": ["hr"]})
    assert first.generation == 1
    again = workshop.sync()
    assert (again.generation, again.published) == (1, False)
    workshop.write("hr/new.md", HANDBOOK)
    workshop.write("hr/pay.md", SALARIES + "\nAnd a bonus.\n")
    workshop.sync()
    workshop.sync(workshop.docs / "hr" / "new.md")
    assert access_of(workshop) == {"hr/new.md": ("hr",), "hr/pay.md": ("hr",)}
    report = workshop.sync(access={workshop.docs / "hr": []})
    assert access_of(workshop) == {"hr/new.md": (), "hr/pay.md": ()}
    assert "2 documents have other labels now" in report.notes
    assert report.chunks.embedded == 0


def test_a_rule_is_remembered_before_there_is_a_file(workshop: Any) -> None:
    workshop.write("open.md", HANDBOOK)
    workshop.sync()
    workshop.sync(access={workshop.docs / "hr": ["hr"]})
    workshop.write("hr/pay.md", SALARIES)
    workshop.sync()
    assert access_of(workshop) == {"hr/pay.md": ("hr",), "open.md": ()}


def test_labels_that_are_none_keep_a_document_out(workshop: Any) -> None:
    workshop.write("pay.md", SALARIES)
    workshop.sync()
    workshop.write("pay.md", "---\naccess: h r\n---\n" + SALARIES)
    report = workshop.sync()
    assert report.exit_code == 1
    (letter,) = report.failures
    assert (letter.error, letter.keeps_earlier) == ("LoadError", False)
    assert access_of(workshop) == {}  # not as it was before either
    workshop.write("pay.md", "---\naccess: hr\n---\n" + SALARIES)
    assert workshop.sync().exit_code == 0
    assert access_of(workshop) == {"pay.md": ("hr",)}


@pytest.mark.parametrize("gone", [False, True])
def test_file_and_folder_without_a_label_in_common_keep_a_document_out(
    workshop: Any, gone: bool
) -> None:
    path = workshop.write("pay.md", "---\naccess: board\n---\n" + SALARIES)
    workshop.sync()
    if gone:
        path.unlink()
    report = workshop.sync(access={workshop.docs: ["hr"]})
    (letter,) = report.failures
    assert "none in common" in letter.cause
    assert (letter.keeps_earlier, report.files.unchanged) == (False, 0)
    assert access_of(workshop) == {}
    if not gone:
        assert workshop.sync().failures == report.failures
        assert workshop.sync(access={workshop.docs: ["hr", "board"]}).exit_code == 0
        assert access_of(workshop) == {"pay.md": ("board",)}


def test_documents_whose_files_are_gone_or_damaged_get_new_labels_too(workshop: Any) -> None:
    workshop.write("gone.md", HANDBOOK).unlink()
    workshop.write("gone.md", HANDBOOK)
    workshop.write("bad.json", json.dumps({"title": "Pay", "text": SALARIES}))
    workshop.sync()
    (workshop.docs / "gone.md").unlink()
    workshop.write("bad.json", "{")
    report = workshop.sync(access={workshop.docs: ["hr"]})
    assert [letter.keeps_earlier for letter in report.failures] == [True]
    assert access_of(workshop) == {"bad.json": ("hr",), "gone.md": ("hr",)}


def test_what_moves_keeps_its_labels(workshop: Any) -> None:
    workshop.write("hr/2023/pay.md", SALARIES)
    workshop.write("hr/bonus.md", HANDBOOK)
    workshop.sync(access={workshop.docs / "hr": ["hr"]})
    (workshop.docs / "hr").rename(workshop.docs / "people")
    report = workshop.sync()
    assert set(access_of(workshop).values()) == {("hr",)}
    assert any(str(workshop.docs / "people") in note for note in report.notes)
    workshop.write("people/new.md", "# New\n\nA document that came after the folder had moved.\n")
    workshop.sync()
    assert set(access_of(workshop).values()) == {("hr",)}
    (workshop.docs / "people" / "bonus.md").rename(workshop.docs / "bonus.md")
    workshop.write("other.md", "# Other\n\nA document that was nobody's secret at any time.\n")
    workshop.sync()
    labels = access_of(workshop)
    assert labels.pop("other.md") == ()
    assert set(labels.values()) == {("hr",)}


def test_a_root_that_moves_keeps_its_labels_with_its_ids(workshop: Any) -> None:
    workshop.write("pay.md", SALARIES)
    workshop.sync(access={workshop.docs: ["hr"]})
    moved = workshop.docs.with_name("moved")
    workshop.docs.rename(moved)
    workshop.sync(moved)
    assert workshop.parsed == []
    assert access_of(workshop) == {"pay.md": ("hr",)}


def test_equal_and_nearly_equal_texts_of_other_labels_stay_apart(workshop: Any) -> None:
    shared = " ".join(f"Sentence {word} tells of the pump." for word in "abcdefghijklmnop")
    for folder in ("all", "hr", "board"):
        workshop.write(f"{folder}/same.md", f"# Pump\n\n{shared}\n")
        workshop.write(f"{folder}/near.md", f"# Pump\n\n{shared} Indeed {folder}.\n")
    rules = {workshop.docs / name: [name] for name in ("hr", "board")}
    workshop.sync(access=rules, drop_near_duplicates=True, near_duplicate_similarity=0.7)
    by_labels: dict[tuple[str, ...], set[str]] = {}
    for chunk in workshop.chunks():
        assert chunk.also_in == ()
        by_labels.setdefault(chunk.access, set()).add(chunk.doc_id)
    assert {labels: len(found) for labels, found in by_labels.items()} == {
        (): 1,
        ("board",): 1,
        ("hr",): 1,
    }
    workshop.sync(access={path: [] for path in rules}, drop_near_duplicates=True)
    assert len(workshop.texts()) == 1


def test_labels_of_one_tenant_are_not_those_of_another(workshop: Any) -> None:
    workshop.write("pay.md", SALARIES)
    workshop.sync(tenant="red", access={workshop.docs: ["hr"]})
    workshop.sync(tenant="blue")
    assert access_of(workshop, "red") == {"pay.md": ("hr",)}
    assert access_of(workshop, "blue") == {"pay.md": ()}


def test_a_preview_says_it_and_changes_nothing(workshop: Any) -> None:
    workshop.write("pay.md", SALARIES)
    workshop.sync()
    before = read_current(workshop.collection)
    request = {workshop.docs: ["hr"]}
    report = workshop.preview(access=request)
    assert "1 documents have other labels now" in report.notes
    assert read_current(workshop.collection) == before


def as_before_labels(manifest: Path) -> None:
    """Make a manifest what it was before there were labels."""
    connection = sqlite3.connect(manifest)
    connection.executescript(
        "ALTER TABLE documents DROP COLUMN access; ALTER TABLE documents DROP COLUMN own_access;"
        "ALTER TABLE contents DROP COLUMN access; DROP TABLE access_rules;"
        "UPDATE documents SET shape='1' || substr(shape, 2);"
    )
    connection.close()


def test_a_collection_of_before_is_read_as_unlabelled_and_takes_labels(workshop: Any) -> None:
    workshop.write("open.md", HANDBOOK)
    pay = workshop.write("pay.md", SALARIES)
    workshop.sync()
    pay.write_text("---\naccess: hr\n---\n" + SALARIES, encoding="utf-8")
    generation = read_current(workshop.collection)
    assert generation is not None
    as_before_labels(generation.manifest_path)
    assert access_of(workshop) == {"open.md": (), "pay.md": ()}
    with Manifest.read(generation.manifest_path) as manifest:
        assert manifest.access_rules("default") == AccessRules()
    report = workshop.sync(access={workshop.docs / "open.md": ["board"]})
    assert sorted(workshop.parsed) == ["open.md", "pay.md"]
    assert access_of(workshop) == {"open.md": ("board",), "pay.md": ("hr",)}
    assert (report.chunks.embedded, report.exit_code) == (0, 0)


def test_unlabelled_chunks_are_not_written_anew_after_the_upgrade(workshop: Any) -> None:
    workshop.write("open.md", HANDBOOK)
    workshop.sync()
    generation = read_current(workshop.collection)
    assert generation is not None
    as_before_labels(generation.manifest_path)
    report = workshop.sync()
    assert (report.chunks.added, report.chunks.changed, report.chunks.removed) == (0, 0, 0)


def test_a_rule_of_a_folder_goes_where_all_of_it_went(tmp_path: Path) -> None:
    stays = tmp_path / "stays"
    stays.mkdir()
    rules = AccessRules({str(stays): ("a",), "/gone/x": ("b",), "/gone/x/f.md": ()})
    moves: list[tuple[str, str, dict[str, tuple[str, ...]]]] = [
        ("/gone/x/d/e.md", "/new/d/e.md", {"/new": ("b",)}),
        ("/gone/x/d/e.md", "/new/e2.md", {"/new/e2.md": ("b",)}),
        ("/gone/x/d/e.md", "/d/e.md", {"/d/e.md": ("b",)}),
        (f"{stays}/e.md", "/new/e.md", {"/new/e.md": ("a",)}),
        (f"{stays}/e.md", f"{stays}/d/e.md", {}),
        ("/gone/x/f.md", "/new/f.md", {}),
        ("/other/f.md", "/new/f.md", {}),
    ]
    for old, new, added in moves:
        assert rules.moved(old, new).by_path == {**rules.by_path, **added}


def test_a_list_of_labels_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('{"a.md": ["hr", "board", "hr"], "/abs/d": []}', encoding="utf-8")
    assert read_access_list(path) == (
        AccessRule(str(tmp_path / "a.md"), ("board", "hr")),
        AccessRule("/abs/d", ()),
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", UsageError),
        ("[]", UsageError),
        ('{"a": "hr"}', UsageError),
        ('{"a": [1]}', UsageError),
        ('{"a": ["hr"], "a": []}', UsageError),
        ('{"a": ["h r"]}', ValueRangeError),
        ("[" * 100_000, UsageError),
    ],
)
def test_what_is_no_such_list_is_refused(tmp_path: Path, text: str, error: type[Exception]) -> None:
    path = tmp_path / "list.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error):
        read_access_list(path)
