"""The opt-in log of questions: what is kept, for whom, and how much of it."""

from __future__ import annotations

import json
import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.question_log import QuestionLog
from rag.results import Impact, Question, Receipt, Usage
from rag.settings import load_settings
from rag.types import Filter

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


def asked(text: str) -> Question:
    return Question(text, Filter("acme"), 16, 0.0)


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_says_who_asked_what_of_which_documents(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    log = QuestionLog(path, now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    log.add(asked("Wie lange\nnoch?"), RECEIPT, abstained=True)
    assert rows(path) == [
        {
            "at": "2026-01-02T03:04:05.000+00:00",
            "tenant": "acme",
            "question": "Wie lange\nnoch?",
            "generation": 7,
            "fingerprint": "f" * 12,
            "abstained": True,
        }
    ]


@pytest.mark.parametrize("there", [None, 0o644])
def test_only_the_owner_can_read_it(tmp_path: Path, there: int | None) -> None:
    path = tmp_path / "questions.jsonl"
    if there is not None:
        path.touch(there)
    QuestionLog(path).add(asked("a?"), RECEIPT, abstained=None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=300), min_size=1, max_size=30))
def test_what_is_kept_is_bounded_whole_and_the_newest(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("log") / "q.jsonl"
    log, longest = QuestionLog(path, limit_bytes=1000), 0
    for text in texts:
        log.add(asked(text.encode("utf-8", "replace").decode()), RECEIPT, abstained=False)
        longest = max(longest, len(path.read_bytes().splitlines(keepends=True)[-1]))
    old = path.with_name("q.jsonl.1")
    kept = [*(rows(old) if old.exists() else []), *rows(path)]
    asked_last = [text.encode("utf-8", "replace").decode() for text in texts][-len(kept) :]
    assert [row["question"] for row in kept] == asked_last
    assert path.stat().st_size <= max(1000, longest)
    assert {each.name for each in path.parent.iterdir()} <= {"q.jsonl", "q.jsonl.1"}


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    log = QuestionLog(tmp_path / "q.jsonl")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: log.add(asked(f"{i}?" * 50), RECEIPT, abstained=False), range(200)))
    assert {row["question"] for row in rows(tmp_path / "q.jsonl")} == {
        f"{i}?" * 50 for i in range(200)
    }


def test_a_failure_is_one_warning_until_it_works_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "later" / "q.jsonl"
    log = QuestionLog(path)
    log.add(asked("secret?"), RECEIPT, abstained=False)
    log.add(asked("secret?"), RECEIPT, abstained=False)
    assert caplog.messages == ["question-log-failed"]
    fields = caplog.records[0].__dict__["fields"]
    assert fields == {"path": str(path), "reason": "No such file or directory"}
    path.parent.mkdir()
    log.add(asked("a?"), RECEIPT, abstained=False)
    path.unlink()
    path.parent.rmdir()
    log.add(asked("b?"), RECEIPT, abstained=False)
    assert len(caplog.messages) == 2
    assert caplog.records[0].levelno == logging.WARNING


def test_links_pipes_and_folders_are_not_written_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "link").symlink_to(victim)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        QuestionLog(tmp_path / name).add(asked("a?"), RECEIPT, abstained=False)
    assert caplog.messages == ["question-log-failed"] * 3
    assert victim.read_text() == "kept"


def test_where_questions_are_kept_changes_no_answer(tmp_path: Path) -> None:
    kept = load_settings(question_log=tmp_path / "q.jsonl")
    assert load_settings().question_log is None
    assert kept.fingerprint() == load_settings().fingerprint()
