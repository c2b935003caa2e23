"""Documents that were sent: read where they lie, each content under the labels it was sent with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from rag.errors import RagError
from rag.upload_table import Upload
from rag.uploads import UploadStore

ALPHA = "# Alpha\n\nThe alpha gauge reads seven bar at the inlet valve.\n"
BETA = "# Beta\n\nThe beta pump delivers forty litres of water a minute.\n"
TORN = "{"


class Sent:
    """Uploads of a workshop's collection."""

    def __init__(self, workshop: Any, root: Path | None = None) -> None:
        self.store = UploadStore(root or workshop.collection / "uploads", 10**9)
        self.workshop = workshop

    def send(self, name: str, text: str, *labels: str, tenant: str = "default") -> Path:
        content = text.encode()
        digest = hashlib.sha256(content).hexdigest()
        with self.store.part() as part:
            part.write_bytes(content)
            return self.store.keep(
                part, Upload(tenant, name, digest, len(content), tuple(sorted(labels)))
            )

    def sync(self, **more: Any) -> Any:
        tenant = more.get("tenant", "default")
        return self.workshop.sync(self.store.folder(tenant), delete_missing=True, **more)

    def found(self, tenant: str = "default") -> dict[str, tuple[str, ...]]:
        """Return the labels of each document that a reader finds, by the name that it has."""
        return {chunk.doc_id: chunk.access for chunk in self.workshop.chunks(tenant)}


@pytest.fixture
def sent(workshop: Any) -> Sent:
    return Sent(workshop)


def test_a_folder_of_uploads_is_read_with_the_labels_that_were_given(sent: Sent) -> None:
    sent.send("a.md", ALPHA, "hr", "board")
    sent.send("b.md", BETA)
    report = sent.sync()
    assert (report.files.indexed, report.files.failed) == (2, 0)
    assert sent.found() == {"a.md": ("board", "hr"), "b.md": ()}
    again = sent.sync()
    assert (again.published, again.files.unchanged, sent.workshop.parsed) == (False, 2, [])


@pytest.mark.parametrize("place", ["uploads", "uploads/_uploads.sqlite", "uploads/.parts", "."])
def test_nothing_else_of_the_collection_is_read(sent: Sent, place: str) -> None:
    sent.send("a.md", ALPHA)
    sent.sync()
    with sent.store.part() as part:
        part.write_text(BETA, encoding="utf-8")
        report = sent.workshop.sync(sent.workshop.collection / place)
    assert report.skipped == {"the index's own data": 1}
    assert sent.workshop.parsed == []


def test_a_link_to_an_upload_is_no_way_around_its_labels(sent: Sent) -> None:
    path = sent.send("a.md", ALPHA, "hr")
    (sent.workshop.docs / "link.md").symlink_to(path)
    (sent.workshop.docs / "folder").symlink_to(path.parent)
    sent.workshop.sync()
    assert sent.found() == {}


def test_what_nobody_sent_is_not_read(sent: Sent) -> None:
    path = sent.send("a.md", ALPHA, "hr")
    (path.parent / "b.md").write_text(BETA, encoding="utf-8")
    path.write_text(BETA, encoding="utf-8")
    report = sent.sync()
    assert (report.files.indexed, report.files.failed) == (0, 2)
    assert all(letter.cause.startswith("nobody sent this file") for letter in report.failures)
    assert sent.found() == {}


def test_what_was_sent_for_another_tenant_is_not_read(sent: Sent) -> None:
    path = sent.send("a.md", ALPHA, tenant="acme")
    report = sent.workshop.sync(path.parent)
    assert (report.files.indexed, report.files.failed) == (0, 1)
    assert report.failures[0].cause.startswith("the file was sent for another tenant")
    assert sent.sync(tenant="acme").files.indexed == 1
    assert sent.found("acme") == {"a.md": ()}


def test_labels_alone_are_changed_without_reading_again(sent: Sent) -> None:
    sent.send("a.md", ALPHA)
    sent.sync()
    sent.send("a.md", ALPHA, "hr")
    sent.sync()
    assert sent.workshop.parsed in ([], ["a.md"])
    assert sent.found() == {"a.md": ("hr",)}
    sent.send("a.md", ALPHA)
    sent.sync()
    assert sent.found() == {"a.md": ()}


def test_a_new_content_under_other_labels_that_cannot_be_read_does_not_open_the_old_one(
    sent: Sent,
) -> None:
    sent.send("a.ipynb", _notebook("The secret gauge reads nine bar."), "hr")
    sent.sync()
    assert sent.found() == {"a.ipynb": ("hr",)}
    sent.send("a.ipynb", TORN)
    report = sent.sync()
    assert not report.failures[0].keeps_earlier
    assert sent.found() == {}


def test_a_new_content_under_the_same_labels_that_cannot_be_read_leaves_the_old_one(
    sent: Sent,
) -> None:
    sent.send("a.ipynb", _notebook("The old gauge reads nine bar."), "hr")
    sent.sync()
    sent.send("a.ipynb", TORN, "hr")
    report = sent.sync()
    assert report.failures[0].keeps_earlier
    assert sent.found() == {"a.ipynb": ("hr",)}


def test_a_file_that_is_replaced_while_it_is_read_waits_for_the_next_run(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent.send("a.md", ALPHA)
    parse = sent.workshop._parse

    def late(tasks: Any) -> Any:
        sent.send("a.md", BETA, "hr")
        yield from parse(tasks)

    with monkeypatch.context() as patch:
        patch.setattr(sent.workshop, "_parse", late)
        report = sent.sync()
    assert sent.found() == {}
    assert report.failures[0].cause.startswith("file changed while it was read")
    sent.sync()
    assert sent.found() == {"a.md": ("hr",)}


def test_trying_again_keeps_the_labels(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    sent.send("a.md", ALPHA, "hr")

    def fail(tasks: Any) -> Any:
        for task in tasks:
            yield task, RagError("the loader has gone", task.doc_id, "try again")

    with monkeypatch.context() as patch:
        patch.setattr(sent.workshop, "_parse", fail)
        assert sent.sync().files.failed == 1
    assert sent.workshop.sync(retry=True).files.indexed == 1
    assert sent.found() == {"a.md": ("hr",)}


def test_a_file_may_narrow_who_reads_it_and_not_widen(sent: Sent) -> None:
    head = "---\naccess: [hr, x]\n---\n"
    sent.send("a.md", head + ALPHA, "hr", "board")
    sent.send("b.md", head + BETA)
    sent.sync()
    assert sent.found() == {"a.md": ("hr",), "b.md": ("hr", "x")}


def test_a_folder_elsewhere_is_held_to_the_same(workshop: Any, fast_path: Path) -> None:
    root = fast_path / "docs/sent/default"
    sent = Sent(workshop, root)
    settings = {"upload_dir": root.parent}
    sent.send("a.md", ALPHA, "hr")
    sent.send("b.md", BETA, tenant="acme")
    report = workshop.sync(**settings)  # of the folder above
    assert sent.found() == {"sent/default/default/a.md": ("hr",)}
    assert [letter.cause.partition(":")[0] for letter in report.failures] == [
        "the file was sent for another tenant"
    ]


def _notebook(text: str) -> str:
    cell = f'{{"cell_type": "markdown", "metadata": {{}}, "source": "{text}"}}'
    return f'{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{}}, "cells": [{cell}]}}'
