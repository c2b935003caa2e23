"""Real questions out of plain files and logs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eval.collecting.questions import read_questions
from rag.errors import LoadError, UsageError
from rag.question_log import QuestionLog
from rag.results import Impact, Question, Receipt, Usage
from rag.types import Filter


def test_questions_that_differ_in_case_and_space_only_are_one(tmp_path: Path) -> None:
    path = tmp_path / "q.txt"
    path.write_text("How long?\n\n  how  LONG? \nHow heavy?\n" + "x" * 50, encoding="utf-8-sig")
    asked = read_questions(path, "default", 40)
    assert asked.questions == ("How long?", "How heavy?")
    assert (asked.repeated, asked.too_long, asked.other_tenants, asked.unfinished) == (1, 1, 0, 0)


def test_the_log_of_the_service_with_its_last_line_cut(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    impact = Impact(None, None, None, None, "estimated", None)
    usage = Usage(1, 16, None, None, None, "x")
    receipt = Receipt(usage, impact, None, "off", (), "f" * 12, 1, 0.1)
    log = QuestionLog(path, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    for text, tenant in (("How\nlong?", "acme"), ("Whose?", "other"), ("HOW long?", "acme")):
        log.add(Question(text, Filter(tenant), 16, 0.0), receipt, abstained=False)
    with path.open("a") as file:
        file.write('{"at": "2026-01-01", "question": "Cut of')
    asked = read_questions(path, "acme", 100)
    assert asked.questions == ("How\nlong?",)
    assert (asked.repeated, asked.other_tenants, asked.unfinished) == (1, 1, 1)
    assert "1 of other tenants" in asked.to_text()


def test_json_lines_without_a_tenant_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f'{json.dumps({"question": "How long?"})}\n{{"question": "a\\u0000b"}}')
    assert read_questions(path, "default", 100).questions == ("How long?", "a\ufffdb")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "1 no questions"),
        (b'{"question": 5}\n', "q:1: blank question"),
        (b'{"text": "a"}\n', "q:1: blank question"),
        (b'a?\n{"question": \n', "q:2: not JSON"),
        (b"caf\xe9?\n", "q:1: wrong encoding"),
        (b'{"question": "\\ud800"}\n', "q:1: wrong encoding"),
    ],
)
def test_what_holds_no_questions(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "q").write_bytes(content)
    with pytest.raises(LoadError, match=message):
        read_questions(tmp_path / "q", "default", 100)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_questions(tmp_path / "q", "default", 100)
