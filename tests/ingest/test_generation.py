"""Generations as readers see them: pointer, slots, rollback, pruning."""

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from ingest.publish import list_generations, prune, rollback, writing
from rag.errors import IndexStateError, UsageError
from rag.filetree import copy_tree, sync_tree
from rag.generation import ReaderSlot, read_current, shared_lock

TEXT = "# Alpha\n\nThe alpha gauge reads number {} at the inlet valve.\n"


def publish_generations(workshop: Any, count: int) -> None:
    for number in range(count):
        workshop.write("a.md", TEXT.format(number))
        workshop.sync()


def test_nothing_published_is_no_error(tmp_path: Path) -> None:
    assert read_current(tmp_path) is None
    assert ReaderSlot.take(tmp_path) is None


@pytest.mark.parametrize("pointer", ["", "7\n", "../000001", "00000a"])
def test_unusable_pointer(workshop: Any, pointer: str) -> None:
    publish_generations(workshop, 1)
    (workshop.collection / "CURRENT").write_text(pointer)
    with pytest.raises(IndexStateError, match="unusable generation pointer"):
        read_current(workshop.collection)


@pytest.mark.parametrize("part", ["generation.json", "manifest.sqlite", "index/index.json"])
def test_missing_part_names_the_generations_that_are_left(workshop: Any, part: str) -> None:
    publish_generations(workshop, 2)
    (workshop.collection / "generations/000002" / part).unlink()
    if part == "index/index.json":
        (workshop.collection / "generations/000002/index").rename(workshop.data / "elsewhere")
    with pytest.raises(IndexStateError, match="--to N, with N one of 000001"):
        read_current(workshop.collection)


def test_slot_with_the_right_generation_is_not_copied_again(workshop: Any) -> None:
    publish_generations(workshop, 1)
    with ReaderSlot.take(workshop.collection) as slot:
        mark = slot.path / "mark"
        mark.touch()
    with ReaderSlot.take(workshop.collection) as slot:
        assert (slot.path / "mark").exists()
        with ReaderSlot.take(workshop.collection) as other:
            assert other.path.parent != slot.path.parent
            assert not (other.path / "mark").exists()


def test_slot_drops_copies_of_other_generations(workshop: Any) -> None:
    publish_generations(workshop, 1)
    with ReaderSlot.take(workshop.collection) as slot:
        old = slot.path
    publish_generations(workshop, 2)
    with ReaderSlot.take(workshop.collection) as slot:
        assert slot.path.parent == old.parent
        assert not old.exists()


def _hold(directory: Path, ready: Any) -> None:
    slot = ReaderSlot.take(directory)
    assert slot is not None
    ready.send(str(slot.path))
    ready.recv()
    os._exit(1)  # as a killed reader: nothing is released in good order


def test_slot_of_a_dead_process_is_free_again(workshop: Any) -> None:
    publish_generations(workshop, 1)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    holder = multiprocessing.get_context("spawn").Process(
        target=_hold, args=(workshop.collection, theirs)
    )
    holder.start()
    held = ours.recv()
    with ReaderSlot.take(workshop.collection) as slot:
        assert str(slot.path) != held
    ours.send("die")
    holder.join()
    with ReaderSlot.take(workshop.collection) as slot:
        assert str(slot.path) == held


def test_half_made_copy_is_made_again(workshop: Any) -> None:
    publish_generations(workshop, 1)
    identity = read_current(workshop.collection).identity
    partial = workshop.collection / "readers/slot-0" / f".{identity}"
    partial.mkdir(parents=True)
    (partial / "index.json").write_text("torn")
    with ReaderSlot.take(workshop.collection) as slot:
        assert json.loads((slot.path / "index.json").read_text())
        assert not partial.exists()


def test_rollback_goes_to_the_parent_and_forward_again(workshop: Any) -> None:
    publish_generations(workshop, 3)
    with writing(workshop.collection):
        assert rollback(workshop.collection).number == 2
    assert any("number 1" in text for text in workshop.texts())
    with writing(workshop.collection):
        assert rollback(workshop.collection, to=3).number == 3
    assert any("number 2" in text for text in workshop.texts())
    with writing(workshop.collection), pytest.raises(UsageError, match="1, 2, 3"):
        rollback(workshop.collection, to=4)


def test_sync_after_rollback_takes_a_new_number_and_the_files_as_they_are(workshop: Any) -> None:
    publish_generations(workshop, 3)
    with writing(workshop.collection):
        rollback(workshop.collection)
    report = workshop.sync()
    assert (report.generation, report.files.indexed) == (4, 1)
    assert any("number 2" in text for text in workshop.texts())
    assert read_current(workshop.collection).parent == 2


def test_rollback_refuses_an_altered_manifest(workshop: Any) -> None:
    publish_generations(workshop, 2)
    manifest = workshop.collection / "generations/000001/manifest.sqlite"
    manifest.write_bytes(manifest.read_bytes() + b"x")
    with writing(workshop.collection), pytest.raises(IndexStateError, match="altered manifest"):
        rollback(workshop.collection)


def test_rollback_without_a_parent(workshop: Any) -> None:
    publish_generations(workshop, 1)
    with writing(workshop.collection), pytest.raises(UsageError, match=r"no parent.*No other"):
        rollback(workshop.collection)


def test_rollback_never_publishes_what_was_rolled_back_from(workshop: Any) -> None:
    publish_generations(workshop, 4)  # keep_generations is 3
    assert list_generations(workshop.collection) == (2, 3, 4)
    with writing(workshop.collection):
        rollback(workshop.collection, to=2)
    workshop.sync()
    assert list_generations(workshop.collection) == (2, 3, 4, 5)
    with writing(workshop.collection):
        assert rollback(workshop.collection).number == 2


def test_rollback_names_the_choice_where_the_parent_is_gone(workshop: Any) -> None:
    publish_generations(workshop, 4)
    with writing(workshop.collection):
        assert rollback(workshop.collection, to=2).parent == 1
        with pytest.raises(UsageError, match=r"parent is gone: generation 1\..*--to N.*: 3, 4\."):
            rollback(workshop.collection)
    assert read_current(workshop.collection).number == 2


def test_rollback_from_a_damaged_generation_is_chosen_by_the_user(workshop: Any) -> None:
    publish_generations(workshop, 3)
    (workshop.collection / "generations/000003/generation.json").write_text("{")
    with writing(workshop.collection):
        with pytest.raises(UsageError, match=r"damaged.*--to N.*: 1, 2, 3\."):
            rollback(workshop.collection)
        assert rollback(workshop.collection, to=2).number == 2


def test_prune_keeps_the_newest_the_current_its_parent_and_what_is_copied(
    workshop: Any,
) -> None:
    workshop_settings = {"keep_generations": 10}
    for number in range(5):
        workshop.write("a.md", TEXT.format(number))
        workshop.sync(**workshop_settings)
    with writing(workshop.collection):
        rollback(workshop.collection, to=3)
        with shared_lock(workshop.collection / "generations/000004") as present:
            assert present
            assert prune(workshop.collection, keep=1) == (1,)
        assert list_generations(workshop.collection) == (2, 3, 4, 5)
        assert prune(workshop.collection, keep=1) == (4,)
    assert any("number 2" in text for text in workshop.texts())


def test_sync_prunes_by_itself(workshop: Any) -> None:
    publish_generations(workshop, 5)
    assert list_generations(workshop.collection) == (3, 4, 5)


def test_leftovers_of_a_killed_run_are_cleared(workshop: Any) -> None:
    publish_generations(workshop, 1)
    staging = workshop.collection / "staging"
    (staging / "index").mkdir(parents=True)
    (staging / "manifest.sqlite").write_bytes(b"torn")
    (workshop.collection / ".CURRENT.4711").write_text("000009")
    (workshop.collection / "generations/.gone-000000").mkdir()
    workshop.write("b.md", TEXT.format("four"))
    workshop.sync()
    names = {path.name for path in workshop.collection.iterdir()}
    assert names.isdisjoint({"staging", ".CURRENT.4711"})
    assert read_current(workshop.collection).number == 2


def test_copies_keep_content_and_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "empty").touch()
    (source / "deep/plain").write_bytes(os.urandom(100_000))
    with (source / "sparse").open("wb") as file:
        file.seek(5_000_000)
        file.write(b"end")
        file.truncate(20_000_000)
    copy_tree(source, tmp_path / "copy")
    sync_tree(tmp_path / "copy")
    for path in source.rglob("*"):
        twin = tmp_path / "copy" / path.relative_to(source)
        assert path.is_dir() == twin.is_dir()
        if path.is_file():
            assert path.read_bytes() == twin.read_bytes()
    assert (tmp_path / "copy/sparse").stat().st_blocks * 512 < 1_000_000


def test_an_emptied_index_file_is_refused_by_readers_and_by_the_next_sync(workshop: Any) -> None:
    publish_generations(workshop, 1)
    current = read_current(workshop.collection)
    files = [path for path in current.index_path.rglob("*") if path.is_file()]
    max(files, key=lambda path: path.stat().st_size).write_bytes(b"")
    with pytest.raises(IndexStateError, match="altered index"):
        ReaderSlot.take(workshop.collection)
    with pytest.raises(IndexStateError, match="altered index"):
        publish_generations(workshop, 2)
    assert read_current(workshop.collection).number == 1
