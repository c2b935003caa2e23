from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from rag import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("rag")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def test_each_record_is_one_json_line_with_its_fields(stream: io.StringIO) -> None:
    logging.getLogger("rag.x").info("answered", extra={"fields": {"status": 200, "n": None}})
    logging.getLogger("rag.x").warning("two\nlines")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first | {"time": ""} == {
        "time": "",
        "level": "info",
        "event": "answered",
        "status": 200,
        "n": None,
    }
    assert first["time"].endswith("+00:00")
    assert second["event"] == "two\nlines"


def test_libraries_speak_from_warnings_up(stream: io.StringIO) -> None:
    logging.getLogger("other").info("chatter")
    logging.getLogger("other").warning("matters")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["matters"]


def test_an_exception_is_named_and_placed_but_not_quoted(stream: io.StringIO) -> None:
    try:
        raise ValueError("text of a document")
    except ValueError:
        logging.getLogger("rag.x").exception("failed")
    line = json.loads(stream.getvalue())
    assert line["exception"] == "ValueError"
    assert "test_logs.py" in line["frames"][0]
    assert "text of a document" not in stream.getvalue()


def test_a_question_becomes_twelve_digits_whatever_it_holds() -> None:
    hashes = {logs.question_hash(text) for text in ("", "a", "b", "\ud800", "a" * 10_000)}
    assert len(hashes) == 5
    assert {len(digits) for digits in hashes} == {12}
