"""Runs of ingest over real files: what is parsed, stored, kept, moved and reported."""

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest import generate, publish
from ingest.deadletter import read_letters
from rag.errors import IndexStateError, UsageError
from rag.generation import ReaderSlot, read_current
from rag.terms import TERMS_VERSION
from rag.types import Filter

ALPHA = "# Alpha\n\nThe alpha gauge reads seven bar at the inlet valve.\n"
BETA = "# Beta\n\nThe beta pump delivers forty litres of water a minute.\n"
GAMMA = "# Gamma\n\nThe gamma sensor is calibrated against a reference source.\n"


def tree(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        data = file.read_bytes() if file.is_file() else b""
        digest.update(f"{file.relative_to(path)} {file.stat().st_mtime_ns}\n".encode() + data)
    return digest.hexdigest()


def doc_ids(workshop: Any, tenant: str = "default") -> set[str]:
    return {doc for docs in workshop.texts(tenant).values() for doc in docs}


def test_unchanged_files_are_not_parsed_and_make_no_generation(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.write("sub/b.md", BETA)
    first = workshop.sync()
    assert (first.files.indexed, first.generation, first.published) == (2, 1, True)
    assert sorted(workshop.parsed) == ["a.md", "sub/b.md"]
    assert first.chunks.embedded == first.chunks.added == first.chunks.stored > 0
    again = workshop.sync()
    assert workshop.parsed == []
    assert (again.files.unchanged, again.generation, again.published) == (2, 1, False)
    assert again.chunks.stored == first.chunks.stored


def test_touched_file_is_read_but_not_parsed(workshop: Any) -> None:
    path = workshop.write("a.md", ALPHA)
    workshop.sync()
    os.utime(path, (1, 1))
    report = workshop.sync()
    assert (workshop.parsed, report.files.unchanged) == ([], 1)


def test_edit_of_same_size_and_new_time_is_seen(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.sync()
    workshop.write("a.md", ALPHA.replace("seven", "eight"))
    report = workshop.sync()
    assert report.files.indexed == 1
    assert any("eight" in text for text in workshop.texts())
    assert not any("seven" in text for text in workshop.texts())


def test_only_new_chunks_are_embedded(workshop: Any) -> None:
    long = "\n\n".join(
        f"## Part {i}\n\n" + f"Reading number {i} was stable. " * 12 for i in range(6)
    )
    workshop.write("a.md", long)
    first = workshop.sync(chunk_tokens=64)
    workshop.write("a.md", long + "\n\n## Appendix\n\nOne more reading was taken at noon. " * 3)
    second = workshop.sync(chunk_tokens=64)
    assert first.chunks.embedded > 3
    assert 1 <= second.chunks.embedded < first.chunks.embedded
    assert second.chunks.removed < first.chunks.stored


def test_removed_files_stay_until_asked(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    path = workshop.write("b.md", BETA)
    workshop.sync()
    path.unlink()
    kept = workshop.sync()
    assert (kept.files.missing, kept.files.removed, doc_ids(workshop)) == (1, 0, {"a.md", "b.md"})
    gone = workshop.sync(delete_missing=True)
    assert (gone.files.removed, doc_ids(workshop)) == (1, {"a.md"})


def test_rename_moves_the_document_without_embedding(workshop: Any) -> None:
    path = workshop.write("a.md", ALPHA)
    workshop.sync()
    path.rename(workshop.docs / "z.md")
    report = workshop.sync(delete_missing=True)
    assert doc_ids(workshop) == {"z.md"}
    assert report.chunks.embedded == 0


def test_delete_missing_is_limited_to_the_given_paths_and_tenant(workshop: Any) -> None:
    one, two = workshop.write("one/a.md", ALPHA), workshop.write("two/b.md", BETA)
    workshop.sync()
    workshop.sync(workshop.docs, tenant="other")
    one.unlink()
    two.unlink()
    workshop.sync(workshop.docs / "one", delete_missing=True)
    assert doc_ids(workshop) == {"two/b.md"}
    assert doc_ids(workshop, "other") == {"one/a.md", "two/b.md"}


def test_deleting_a_whole_known_folder(workshop: Any) -> None:
    workshop.write("one/a.md", ALPHA)
    workshop.write("two/b.md", BETA)
    workshop.sync()
    shutil.rmtree(workshop.docs / "one")
    with pytest.raises(UsageError, match="no such file or folder"):
        workshop.sync(workshop.docs / "one")
    workshop.sync(workshop.docs / "one", delete_missing=True)
    assert doc_ids(workshop) == {"two/b.md"}


def test_tenants_do_not_share_documents_or_chunks(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.sync(tenant="red")
    report = workshop.sync(tenant="blue")
    assert report.duplicates.exact == 0
    assert {c.doc_id for c in workshop.chunks("red")} == {"a.md"}
    assert {c.also_in for c in workshop.chunks("blue")} == {()}


def test_exact_duplicates_are_stored_once_and_the_owner_moves(workshop: Any) -> None:
    first = workshop.write("b.md", ALPHA)
    workshop.sync()
    workshop.write("a.md", ALPHA)
    report = workshop.sync()
    assert report.duplicates.exact == 1
    assert report.duplicates.exact_tokens > 0
    (chunk,) = workshop.chunks()
    assert (chunk.doc_id, chunk.also_in) == ("b.md", ("a.md",))
    first.unlink()
    report = workshop.sync(delete_missing=True)
    (chunk,) = workshop.chunks()
    assert (chunk.doc_id, chunk.also_in) == ("a.md", ())
    assert (report.chunks.added, report.chunks.removed) == (1, 1)


def test_saved_joules_are_known_only_if_something_was_embedded(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.write("b.md", ALPHA)
    first = workshop.sync()
    assert first.duplicates.saved_joules is not None
    assert first.duplicates.saved_joules.high > 0
    assert workshop.sync().duplicates.saved_joules is None


def test_same_text_with_another_date_is_another_chunk(workshop: Any) -> None:
    for name, date in (("a.md", "2024-01-01"), ("b.md", "2025-01-01")):
        workshop.write(name, f"---\ndate: {date}\n---\n{ALPHA}")
    workshop.sync()
    assert sorted((c.doc_id, c.date) for c in workshop.chunks()) == [
        ("a.md", "2024-01-01"),
        ("b.md", "2025-01-01"),
    ]


def test_near_duplicates_are_reported_dropped_and_come_back(workshop: Any) -> None:
    words = "the inlet valve of the northern plant opens slowly when pressure rises and closes"
    long = f"{words} again after a while, which operators note in the journal kept at the gate"
    path = workshop.write(
        "a.md", f"{long} every single morning before the shift begins its work.\n"
    )
    workshop.write("b.md", f"{long} every single morning before the shift begins its rounds.\n")
    kept = workshop.sync(near_duplicate_similarity=0.7)
    assert (kept.duplicates.near, kept.duplicates.near_dropped, kept.chunks.stored) == (1, False, 2)
    dropped = workshop.sync(near_duplicate_similarity=0.7, drop_near_duplicates=True)
    assert (dropped.chunks.stored, doc_ids(workshop)) == (1, {"a.md"})
    path.unlink()
    workshop.sync(near_duplicate_similarity=0.7, drop_near_duplicates=True, delete_missing=True)
    assert doc_ids(workshop) == {"b.md"}


def test_failed_file_keeps_its_earlier_chunks_and_waits_for_retry(workshop: Any) -> None:
    path = workshop.write("a.json", '{"title": "gauge", "note": "the alpha gauge reads seven"}')
    workshop.write("b.md", BETA)
    workshop.sync()
    before = workshop.texts()
    path.write_text('{"title": broken', encoding="utf-8")
    report = workshop.sync()
    assert (report.exit_code, report.files.failed, report.published) == (1, 1, False)
    (letter,) = report.failures
    assert letter.keeps_earlier
    assert letter.error.endswith("Error")
    assert letter.cause
    assert letter.remedy
    assert workshop.texts() == before
    again = workshop.sync()
    assert (workshop.parsed, again.files.failed, again.exit_code) == ([], 1, 1)
    still = workshop.sync(retry=True)
    assert (workshop.parsed, still.failures[0].attempts) == (["a.json"], 2)
    path.write_text('{"title": "gauge", "note": "the alpha gauge reads eight"}', encoding="utf-8")
    mended = workshop.sync(retry=True)
    assert (mended.exit_code, mended.files.indexed) == (0, 1)
    assert any("eight" in text for text in workshop.texts())
    assert workshop.sync().failures == ()


def test_letters_of_a_folder_that_was_moved_are_forgotten(workshop: Any) -> None:
    workshop.write("old/a.md", ALPHA)
    bad = workshop.write("old/bad.json", "{broken")
    workshop.sync(workshop.docs / "old")
    workshop.sync(workshop.docs / "old", tenant="other")
    (workshop.docs / "old").rename(workshop.docs / "new")
    report = workshop.sync(workshop.docs / "new")
    moved = str(workshop.docs / "new/bad.json")
    assert [letter.path for letter in report.failures] == [moved]
    left = {(letter.tenant, letter.path) for letter in read_letters(workshop.collection)}
    assert left == {("default", moved), ("other", str(bad))}


def test_letters_of_files_elsewhere_stay_while_the_files_do(workshop: Any) -> None:
    workshop.write("one/bad.json", "{broken")
    workshop.write("two/a.md", ALPHA)
    workshop.sync(workshop.docs / "one")
    workshop.sync(workshop.docs / "two")
    assert len(read_letters(workshop.collection)) == 1


def test_one_bad_file_does_not_stop_the_others(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    (workshop.docs / "bad.pdf").write_bytes(b"%PDF-1.7 nothing of the kind")
    (workshop.docs / "photo.png").write_bytes(b"\x89PNG")
    (workshop.docs / "empty.md").write_bytes(b"")
    report = workshop.sync()
    assert (report.files.indexed, report.files.failed, report.files.skipped) == (1, 1, 2)
    assert doc_ids(workshop) == {"a.md"}
    assert (workshop.sync().files.skipped, workshop.parsed) == (2, [])


def test_emptied_file_loses_its_chunks(workshop: Any) -> None:
    path = workshop.write("a.md", ALPHA)
    workshop.write("b.md", BETA)
    workshop.sync()
    path.write_bytes(b"")
    report = workshop.sync()
    assert (report.files.skipped, report.files.failed, doc_ids(workshop)) == (1, 0, {"b.md"})


def test_dry_run_changes_nothing(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    assert workshop.preview().files.indexed == 1
    assert not workshop.data.exists()
    workshop.sync()
    workshop.write("b.md", BETA)
    before = tree(workshop.data)
    report = workshop.preview()
    assert (report.dry_run, report.files.indexed, report.files.unchanged) == (True, 1, 1)
    assert tree(workshop.data) == before


def test_settings_that_shape_chunks_cut_again(workshop: Any) -> None:
    workshop.write(
        "a.md", "\n\n".join(f"## Part {i}\n\n{'It was stable. ' * 20}" for i in range(5))
    )
    few = workshop.sync(chunk_tokens=256)
    many = workshop.sync(chunk_tokens=64)
    assert many.chunks.stored > few.chunks.stored
    assert any("cut again" in note for note in many.notes)


def test_change_of_tier_rebuilds_from_the_cache(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.sync()
    lexical = workshop.sync(tier="lexical")
    assert (lexical.published, workshop.parsed) == (True, [])
    assert read_current(workshop.collection).shape.dimension is None
    back = workshop.sync()
    assert (back.chunks.embedded, back.chunks.cached, workshop.parsed) == (0, 1, [])
    assert read_current(workshop.collection).shape.dimension == 16


def test_another_version_of_the_terms_writes_all_anew_from_the_cache(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.write("a.md", ALPHA)
    monkeypatch.setattr(generate, "TERMS_VERSION", 1)
    workshop.sync()
    monkeypatch.undo()
    report = workshop.sync()
    assert (report.published, report.chunks.embedded, workshop.parsed) == (True, 0, [])
    assert any("index terms changed" in note for note in report.notes)
    assert read_current(workshop.collection).shape.terms == TERMS_VERSION
    assert not workshop.sync().published


def test_mean_length_moves_only_when_it_matters(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.write("b.md", BETA)
    workshop.sync()
    before = read_current(workshop.collection).shape.mean_length
    workshop.write("c.md", GAMMA)
    workshop.sync()
    assert read_current(workshop.collection).shape.mean_length == before
    workshop.write("d.md", "# Delta\n\n" + " ".join(f"word{i}" for i in range(60)) + "\n")
    report = workshop.sync()
    assert read_current(workshop.collection).shape.mean_length > before * 1.1
    assert any("all weights" in note for note in report.notes)
    assert report.chunks.embedded == 1


def test_colliding_relative_paths_get_the_roots_name(workshop: Any) -> None:
    left, right = workshop.docs / "left", workshop.docs / "right"
    workshop.write("left/x.md", ALPHA)
    workshop.write("right/x.md", BETA)
    workshop.sync(left, right)
    assert doc_ids(workshop) == {"x.md", "right/x.md"}
    assert workshop.sync(right, left).files.unchanged == 2


def test_single_file_is_named_after_itself_and_stays_so(workshop: Any) -> None:
    workshop.write("deep/a.md", ALPHA)
    workshop.sync(workshop.docs / "deep" / "a.md")
    assert doc_ids(workshop) == {"a.md"}
    workshop.sync(workshop.docs)
    assert doc_ids(workshop) == {"a.md"}


def test_moved_folder_keeps_the_ids(workshop: Any) -> None:
    workshop.write("old/x.md", ALPHA)
    workshop.sync(workshop.docs / "old")
    (workshop.docs / "old").rename(workshop.docs / "new")
    report = workshop.sync(workshop.docs / "new")
    assert (workshop.parsed, doc_ids(workshop)) == ([], {"x.md"})
    assert any("moved" in note for note in report.notes)


def test_links_hidden_files_and_own_data(workshop: Any) -> None:
    workshop.data = workshop.docs / "data"
    workshop.write("real/a.md", ALPHA)
    workshop.write(".git/config.md", BETA)
    workshop.write(".hidden.md", BETA)
    (workshop.docs / "loop").symlink_to(workshop.docs)
    (workshop.docs / "again").symlink_to(workshop.docs / "real")
    (workshop.docs / "broken.md").symlink_to(workshop.docs / "nothing")
    os.mkfifo(workshop.docs / "pipe.md")
    workshop.sync()
    report = workshop.sync()
    assert doc_ids(workshop) == {"real/a.md"}
    assert report.skipped == {
        "hidden": 2,
        "link to a folder that was read already": 2,
        "broken link": 1,
        "not a regular file": 1,
        "the index's own data": 1,
    }


def test_paths_given_twice_and_empty_folders_are_said(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    (workshop.docs / "empty").mkdir()
    report = workshop.sync(workshop.docs, workshop.docs / "a.md")
    assert (report.files.indexed, len(report.notes)) == (1, 1)
    assert "given twice" in report.notes[0]
    assert "no file to index" in workshop.sync(workshop.docs / "empty").notes[0]


def test_name_that_is_not_utf8_fails_alone(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    Path(os.fsdecode(os.fsencode(workshop.docs) + b"/b\xff.md")).write_text(BETA)
    report = workshop.sync()
    assert (report.files.indexed, report.files.failed) == (1, 1)
    assert "not UTF-8" in report.failures[0].cause


def test_file_that_vanishes_while_parsing_fails_alone(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.write("a.md", ALPHA)
    path = workshop.write("b.md", BETA)
    parse = workshop._parse

    def vanishing(tasks: Sequence[Any]) -> Iterator[Any]:
        path.unlink()
        yield from parse(tasks)

    monkeypatch.setattr(workshop, "_parse", vanishing)
    report = workshop.sync()
    assert (report.files.indexed, report.files.failed, doc_ids(workshop)) == (1, 1, {"a.md"})


def test_file_that_changes_while_parsing_is_parsed_again(
    workshop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workshop.write("a.md", ALPHA)
    parse = workshop._parse

    def changing(tasks: Sequence[Any]) -> Iterator[Any]:
        for result in parse(tasks):
            path.write_text(BETA)
            yield result

    monkeypatch.setattr(workshop, "_parse", changing)
    workshop.sync()
    monkeypatch.setattr(workshop, "_parse", parse)
    workshop.sync()
    assert workshop.parsed == ["a.md"]
    assert any("beta" in text for text in workshop.texts())


def test_unreadable_folder_deletes_nothing(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.write("closed/a.md", ALPHA)
    workshop.sync()
    real = os.scandir

    def refusing(path: str) -> Any:
        if str(path).endswith("closed"):  # as the system does, unless it is root who asks
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("ingest.scan.os.scandir", refusing)
    report = workshop.sync(delete_missing=True)
    assert (report.files.removed, report.files.failed) == (0, 1)
    assert "Permission denied" in report.failures[0].cause
    monkeypatch.undo()
    assert doc_ids(workshop) == {"closed/a.md"}
    assert workshop.sync(retry=True).exit_code == 0


def test_too_large_file_fails_without_being_read(workshop: Any) -> None:
    workshop.write("a.md", ALPHA * 200)
    report = workshop.sync(max_file_mb=0.001)
    assert (report.files.failed, workshop.parsed) == (1, [])
    assert "max_file_mb" in report.failures[0].remedy


def test_two_runs_at_once_are_refused_by_name(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    with (
        publish.writing(workshop.collection),
        pytest.raises(IndexStateError, match=rf"process {os.getpid()}"),
    ):
        workshop.sync()
    assert workshop.sync().published


def test_readers_keep_their_generation_while_runs_publish(workshop: Any) -> None:
    from rag.adapters.edge_index import EdgeIndex

    workshop.write("a.md", ALPHA)
    workshop.sync()
    with ReaderSlot.take(workshop.collection) as first, ReaderSlot.take(workshop.collection) as two:
        assert first.path != two.path
        indexes = [EdgeIndex.open(first.path), EdgeIndex.open(two.path)]
        workshop.write("b.md", BETA)
        worker = threading.Thread(target=workshop.sync)
        worker.start()
        worker.join()
        assert [index.count(Filter("default")) for index in indexes] == [1, 1]
        for index in indexes:
            index.close()
    assert doc_ids(workshop) == {"a.md", "b.md"}


def test_damaged_cache_and_digests_cost_only_time(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.sync()
    (workshop.collection / "digests.sqlite").write_bytes(b"no database")
    report = workshop.sync()
    assert (report.files.unchanged, report.published) == (1, False)


def test_generation_lists_what_it_added_and_removed(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.sync()
    (old,) = workshop.chunks()
    workshop.write("a.md", BETA)
    workshop.sync()
    (new,) = workshop.chunks()
    generation = read_current(workshop.collection)
    assert (generation.added(), generation.removed()) == ({new.id}, {old.id})
