"""The folder of uploads: whose files they are, and what a death in the middle leaves."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from rag import uploads as module
from rag.access import Caller, acting
from rag.errors import (
    AccessError,
    ConflictError,
    IndexStateError,
    NotFoundError,
    RagError,
    StorageFullError,
)
from rag.settings import load_settings
from rag.upload_table import FORMAT, Upload, UploadTable
from rag.uploads import UploadStore, upload_root, upload_store

HR = Caller("k1", "acme", frozenset({"ingest"}), ("hr",))
BOARD = Caller("k2", "acme", frozenset({"ingest"}), ("board",))
OTHER = Caller("k3", "other", frozenset({"ingest"}), None)


@pytest.fixture
def store(tmp_path: Path) -> UploadStore:
    return UploadStore(tmp_path / "uploads", 100_000)


def upload(content: bytes, name: str = "a.txt", labels: tuple[str, ...] = ()) -> Upload:
    return Upload("acme", name, hashlib.sha256(content).hexdigest(), len(content), labels)


def send(
    store: UploadStore, content: bytes, name: str = "a.txt", labels: tuple[str, ...] = ()
) -> Path:
    with store.part() as part:
        part.write_bytes(content)
        return store.keep(part, upload(content, name, labels))


def test_what_was_sent_lies_there_with_its_labels(store: UploadStore) -> None:
    path = send(store, b"one", labels=("hr",))
    assert path == store.root / "acme/a.txt"
    assert path.read_bytes() == b"one"
    assert store.find("acme", "a.txt") == (upload(b"one", labels=("hr",)),)
    assert list((store.root / ".parts").iterdir()) == []
    assert store.name_of("acme", str(path)) == "a.txt"
    assert store.name_of("acme", str(path.parent.parent / "b.txt")) is None
    for private in (path.parent, store.root):
        assert private.stat().st_mode & 0o077 == 0
    assert (store.root / "_uploads.sqlite").stat().st_mode & 0o077 == 0


def test_a_name_is_replaced_with_its_labels(store: UploadStore) -> None:
    send(store, b"one", labels=("hr",))
    path = send(store, b"two")
    assert path.read_bytes() == b"two"
    assert store.find("acme", "a.txt") == (upload(b"two"),)
    send(store, b"two", labels=("hr",))
    assert store.find("acme", "a.txt") == (upload(b"two", labels=("hr",)),)


def test_nobody_reaches_what_is_another_tenants(store: UploadStore) -> None:
    send(store, b"one")
    calls: list[Callable[[], object]] = [
        lambda: store.find("acme", "a.txt"),
        lambda: store.readable("acme"),
        lambda: store.folder("acme"),
        lambda: store.name_of("acme", "x"),
        lambda: store.remove("acme", "a.txt"),
        lambda: store.check(upload(b"x")),
        lambda: store.settled("acme"),
        lambda: send(store, b"x"),
    ]
    with acting(OTHER):
        for call in calls:
            with pytest.raises(AccessError):
                call()
        assert store.find("other", "a.txt") == ()
    assert (store.root / "acme/a.txt").read_bytes() == b"one"


def test_labels_hide_a_document_and_keep_its_name(store: UploadStore) -> None:
    send(store, b"one", labels=("board", "finance"))
    with acting(HR):
        assert store.find("acme", "a.txt") == ()
        assert store.readable("acme") == {}
        with pytest.raises(NotFoundError):
            store.remove("acme", "a.txt")
        with pytest.raises(ConflictError, match="taken"):
            send(store, b"two")
        with pytest.raises(AccessError, match="does not hold the label: board"):
            send(store, b"two", "b.txt", ("board", "hr"))
        send(store, b"two", "b.txt", ("hr",))
        assert [*store.readable("acme")] == ["b.txt"]
    with acting(BOARD):
        assert [*store.readable("acme")] == ["a.txt"]
        store.remove("acme", "a.txt")
    assert [*store.readable("acme")] == ["b.txt"]
    assert not (store.root / "acme/a.txt").exists()


def test_names_that_differ_by_case_are_one(store: UploadStore) -> None:
    send(store, b"one", "Report.txt")
    with pytest.raises(ConflictError):
        send(store, b"two", "REPORT.txt")
    assert [path.name for path in (store.root / "acme").iterdir()] == ["Report.txt"]


def test_all_of_a_tenant_is_bounded_with_small_files_counted_as_blocks(store: UploadStore) -> None:
    send(store, b"x" * 60_000, "a.txt")
    with pytest.raises(StorageFullError, match=r"over 0\.1 MB"):
        send(store, b"x" * 60_000, "b.txt")
    send(store, b"y" * 90_000, "a.txt")  # in place of the other
    send(store, b"z", "b.txt")
    send(store, b"z", "c.txt")
    with pytest.raises(StorageFullError):
        send(store, b"z" * 4000, "d.txt")
    with acting(OTHER), store.part() as part:
        part.write_bytes(b"x")
        store.keep(part, Upload("other", "d.txt", "0" * 64, 90_000, ()))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("calls", [0, 1])
def test_a_file_that_cannot_be_placed_leaves_no_content_under_other_labels(
    store: UploadStore, monkeypatch: pytest.MonkeyPatch, code: int, calls: int
) -> None:
    send(store, b"one", labels=("hr",))
    left = calls

    def refuse(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(module, "sync_path", refuse)
        with pytest.raises(IndexStateError if code == errno.EROFS else StorageFullError):
            send(store, b"two")
    (settled,) = store.settled("acme")
    content = (store.root / "acme/a.txt").read_bytes()
    assert content == (b"two" if calls else b"one")
    assert settled == upload(content, labels=("hr",) if content == b"one" else ())


class Killed(BaseException):
    """Stands for the death of the process."""


@pytest.mark.parametrize("step", ["before the row", "after the row", "after the rename"])
def test_whatever_the_moment_of_death_each_content_keeps_its_own_labels(
    store: UploadStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    send(store, b"secret", labels=("hr",))

    def die(*_: object) -> None:
        raise Killed

    where = {
        "before the row": (store.table, "put"),
        "after the row": (store, "_placed"),
        "after the rename": (store.table, "replace"),
    }[step]
    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(*where, die)
        send(store, b"open")
    after = UploadStore(store.root, 100_000)
    content = (store.root / "acme/a.txt").read_bytes()
    assert content == (b"open" if step == "after the rename" else b"secret")
    digest = hashlib.sha256(content).hexdigest()
    labels = () if content == b"open" else ("hr",)
    assert after.table.labels("acme", "a.txt", digest) == labels  # what ingest would find now
    with acting(BOARD):  # while both may be there, whoever may not read one sees none
        assert bool(after.find("acme", "a.txt")) == (
            len(after.table.all("acme")) == 1 and not labels
        )
    assert after.settled("acme") == (upload(content, labels=labels),)


def test_a_row_whose_file_never_came_is_dropped(store: UploadStore) -> None:
    store.table.put(upload(b"x", "never.txt"), "never.txt")
    assert store.settled("acme") == ()
    assert store.find("acme", "never.txt") == ()


def test_old_parts_are_swept_and_fresh_ones_stay(store: UploadStore) -> None:
    with store.part() as fresh:
        fresh.write_bytes(b"x")
        old = fresh.with_name("old")
        old.write_bytes(b"y")
        os.utime(old, (0, 0))
        store.settled("acme")
        assert fresh.exists()
        assert not old.exists()
    assert not fresh.exists()


def test_many_send_the_same_name_at_once_and_one_is_whole(store: UploadStore) -> None:
    contents = [bytes([65 + number]) * 2000 for number in range(12)]
    labels = {content: (f"l{number}",) for number, content in enumerate(contents)}
    faults: list[RagError] = []

    def work(content: bytes) -> None:
        try:
            with acting(Caller("k", "acme", frozenset({"ingest"}), None)):
                send(store, content, labels=labels[content])
        except RagError as exc:
            faults.append(exc)

    threads = [threading.Thread(target=work, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    content = (store.root / "acme/a.txt").read_bytes()
    assert store.find("acme", "a.txt") == (upload(content, labels=labels[content]),)


def test_deleted_documents_are_remembered_until_they_are_forgotten(store: UploadStore) -> None:
    table = store.table
    assert table.gone("acme") == ()
    table.note_gone("acme", "b")
    table.note_gone("acme", "a")
    table.note_gone("acme", "a")
    table.note_gone("other", "c")
    assert table.gone("acme") == ("a", "b")
    table.forget_gone("acme", "a")
    assert (table.gone("acme"), table.gone("other")) == (("b",), ("c",))


def test_a_problem_is_of_one_content(store: UploadStore) -> None:
    send(store, b"one")
    store.table.note_problem(upload(b"one"), "damaged")
    store.table.note_problem(upload(b"other"), "not this one")
    assert store.find("acme", "a.txt")[0].problem == "damaged"
    send(store, b"two")
    assert store.find("acme", "a.txt")[0].problem == ""


def test_a_table_of_a_later_release_is_left_alone(store: UploadStore) -> None:
    send(store, b"one")
    path = store.root / "_uploads.sqlite"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={FORMAT + 1}")
    db.close()
    with pytest.raises(IndexStateError, match="later format"):
        store.find("acme", "a.txt")


def test_a_damaged_table_is_no_empty_one(store: UploadStore) -> None:
    send(store, b"one")
    (store.root / "_uploads.sqlite").write_bytes(b"nothing" * 1000)
    with pytest.raises(IndexStateError, match="cannot be used"):
        store.find("acme", "a.txt")


def test_where_nothing_was_sent_nothing_is_made(tmp_path: Path) -> None:
    table = UploadTable(tmp_path / "uploads")
    assert (table.all("acme"), table.gone("acme"), table.bytes_beside("acme", "x")) == ((), (), 0)
    assert not table.exists()
    assert list(tmp_path.iterdir()) == []


def test_where_the_uploads_lie(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "data")
    inside = load_settings(data_dir=link, collection="c")
    assert upload_root(inside) == tmp_path / "data/c/uploads"
    elsewhere = load_settings(data_dir=link, collection="c", upload_dir=tmp_path / "x/../y")
    assert upload_root(elsewhere) == tmp_path / "y/c"
    assert upload_store(elsewhere).root == tmp_path / "y/c"
