from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.access import Caller, acting
from rag.audit import CHANGES, AuditLog, documents_of
from rag.audited import AuditedAnswering
from rag.errors import AccessError, AuditError, SettingsError
from rag.generating import Listener
from rag.listening import NOBODY, Waiting
from rag.results import (
    Answer,
    Citation,
    Evidence,
    Impact,
    Question,
    Receipt,
    Retrieved,
    Usage,
)
from rag.results import Context as Packed
from rag.types import Chunk, Filter

SAM = Caller("0123456789", "acme", frozenset(("query",)), ())
SAID = "The board meets in Oslo."
RECEIPT = Receipt(
    usage=Usage(1, 16, None, None, None, "x"),
    impact=Impact(None, None, None, None, "estimated", None),
    saved=None,
    cache="off",
    trace=(),
    fingerprint="f" * 12,
    generation=7,
    seconds=0.1,
)


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is; there is none yet."""
    return tmp_path / "audit.jsonl"


def test_a_line_says_who_did_what_when_and_to_which_documents(path: Path) -> None:
    log = AuditLog(path, now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    with acting(SAM):
        log.note("answer", "acme", ("b.md", "a.md", "b.md"), RECEIPT)
        log.note("batch", "acme", job="7f")
        log.note("impact", None)
    told, given, whole = rows(path)
    assert told == {
        "at": "2026-01-02T03:04:05.000+00:00",
        "key": "0123456789",
        "tenant": "acme",
        "action": "answer",
        "documents": ["b.md", "a.md"],
        "fingerprint": "f" * 12,
        "generation": 7,
        "job": None,
    }
    assert (given["job"], given["generation"]) == ("7f", None)
    assert whole["tenant"] is None


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    AuditLog(None).note("answer", "acme")
    assert not list(tmp_path.iterdir())


def test_nobody_is_no_name_for_a_line(path: Path) -> None:
    with pytest.raises(AccessError):
        Context().run(AuditLog(path).note, "answer", "acme")
    assert not path.exists()


def test_names_of_documents_cannot_make_lines(path: Path) -> None:
    hostile = 'a\n{"key": "operator"}\u2028\x1b[2J\ud800'
    AuditLog(path).note("source", "acme", (hostile,))
    assert path.read_bytes().count(b"\n") == 1
    assert b"\x1b" not in path.read_bytes()
    assert rows(path)[0]["documents"] == [hostile]


def test_changes_are_brought_to_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    log = AuditLog(path)
    log.note("answer", "acme")
    assert not synced
    for action in sorted(CHANGES):
        log.note(action, "acme")
    assert len(synced) == len(CHANGES)


def test_threads_write_whole_lines(path: Path) -> None:
    log = AuditLog(path)

    def note(number: int) -> None:
        with acting(replace(SAM, name=f"{number}")):
            log.note("source", "acme", (f"{number}" * 1000,))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(200)))
    assert sorted(int(str(row["key"])) for row in rows(path)) == list(range(200))


def test_what_cannot_be_written_is_refused_and_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir()
    with caplog.at_level(logging.ERROR), pytest.raises(AuditError) as raised:
        AuditLog(path).note("answer", "acme")
    assert raised.value.http_status == 503
    assert str(path) not in str(raised.value)
    assert [record.getMessage() for record in caplog.records] == ["audit-failed"]


def _evidence(make_chunk: Callable[..., Chunk], doc_id: str) -> Evidence:
    return Evidence(make_chunk([SAID], doc_id=doc_id), 0, 0.5, None, 1.0, 1)


def _citation(doc_id: str, *also: str) -> Citation:
    return Citation(doc_id, "Minutes", SAID, 0, len(SAID), None, (), also)


@dataclass
class _Pipeline:
    """Gives the same answer to everything, in two pieces."""

    found: Answer
    said: list[str] = field(default_factory=list)

    def retrieve(self, question: Question) -> Retrieved:
        self.said.append(question.text)
        return Retrieved(self.found.context, self.found.receipt)

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        self.said.append(question.text)
        for piece in (SAID[:5], SAID[5:]):
            listener.say(piece)
        return self.found


@dataclass
class _Ear:
    heard: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.heard.append(text)

    def gone(self) -> bool:
        return False


@pytest.fixture
def pipeline(make_chunk: Callable[..., Chunk]) -> _Pipeline:
    """Two documents make the context; the cited one has a twin."""
    evidence = (_evidence(make_chunk, "minutes.md"), _evidence(make_chunk, "plan.md"))
    context = Packed(SAID, 5, 16, evidence)
    found = Answer(
        SAID, (_citation("minutes.md", "copy.md"),), False, None, 0.9, 1.0, (), context, RECEIPT
    )
    return _Pipeline(found)


ASKED = Question("Where does the board meet?", Filter("acme"), 16, 0.0)


def test_all_documents_that_had_a_part_are_named(pipeline: _Pipeline) -> None:
    assert documents_of(pipeline.found) == ("minutes.md", "plan.md", "copy.md")
    none = replace(
        pipeline.found,
        text=None,
        abstained=True,
        reason="low confidence",
        groundedness=None,
        citations=(),
        nearest=(_citation("near.md"),),
    )
    assert documents_of(none) == ("minutes.md", "plan.md", "near.md")
    assert documents_of(pipeline.retrieve(ASKED)) == ("minutes.md", "plan.md")


def test_answers_and_contexts_are_noted_without_a_word_of_them(
    pipeline: _Pipeline, path: Path
) -> None:
    audited = AuditedAnswering(pipeline, AuditLog(path), job="7f")
    with acting(SAM):
        assert audited.answer(ASKED) is pipeline.found
        assert audited.retrieve(ASKED).context is pipeline.found.context
    lines = rows(path)
    assert [line["action"] for line in lines] == ["answer", "retrieve"]
    assert {(line["key"], line["tenant"], line["job"]) for line in lines} == {
        (SAM.name, "acme", "7f")
    }
    text = path.read_text()
    assert not [word for word in ("Oslo", "board", "Minutes") if word in text]


def test_before_the_first_piece_it_is_noted_that_there_will_be_some(
    pipeline: _Pipeline, path: Path
) -> None:
    class Reading(_Ear):
        def say(self, text: str) -> None:
            assert [row["action"] for row in rows(path)] == ["begin"]
            super().say(text)

    ear = Reading()
    AuditedAnswering(pipeline, AuditLog(path)).answer(ASKED, ear)
    assert "".join(ear.heard) == SAID
    assert [row["action"] for row in rows(path)] == ["begin", "answer"]


def test_whoever_waits_for_the_whole_is_noted_once(pipeline: _Pipeline, path: Path) -> None:
    ear = _Ear()
    AuditedAnswering(pipeline, AuditLog(path)).answer(ASKED, Waiting(ear))
    assert not ear.heard
    assert [row["action"] for row in rows(path)] == ["answer"]


def test_nothing_is_given_that_cannot_be_noted(pipeline: _Pipeline, path: Path) -> None:
    path.mkdir()
    audited, ear = AuditedAnswering(pipeline, AuditLog(path)), _Ear()
    for ask in (
        lambda: audited.answer(ASKED),
        lambda: audited.answer(ASKED, ear),
        lambda: audited.retrieve(ASKED),
    ):
        with pytest.raises(AuditError):
            ask()
    assert not ear.heard


def test_one_that_cannot_be_written_is_told_before_anybody_asks(tmp_path: Path) -> None:
    AuditLog(None).check()
    AuditLog(tmp_path / "audit.jsonl").check()
    assert not list(tmp_path.iterdir())
    with pytest.raises(SettingsError, match=r"audit_log cannot be appended to: .*none/audit"):
        AuditLog(tmp_path / "none" / "audit.jsonl").check()
