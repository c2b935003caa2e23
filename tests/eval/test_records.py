"""What is a record and what is not; which of them a folder holds; which ask the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval import records
from eval.records import Record, same_questions
from rag.errors import LoadError, RagError, UsageError

RecordOf = Callable[..., Record]


@pytest.fixture
def record(record_of: RecordOf) -> Record:
    return record_of({"safe": [1.0, 0.0], "groundedness": [None, 0.5]}, cpu_seconds=(0.1, 0.2))


@pytest.fixture
def path(record: Record, tmp_path: Path) -> Path:
    records.write(record, tmp_path / "record.json")
    return tmp_path / "record.json"


def test_what_is_written_is_read(record: Record, path: Path) -> None:
    assert records.read(path) == record
    assert [each.name for each in path.parent.iterdir()] == ["record.json"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"nan"'])
@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("safe", "1.0", "rows.0.scores.safe"),
        ("groundedness", "0.5", "rows.1.scores.groundedness"),
        ("seconds", "0.2", "measured.repeats.1.0.seconds"),
        ("low", "0.2,", "measured.repeats.1.0.cpu_seconds.low"),
    ],
)
def test_a_number_that_is_not_finite_is_refused(
    path: Path, number: str, key: str, value: str, field: str
) -> None:
    text = path.read_text(encoding="utf-8")
    assert f'"{key}": {value}' in text
    comma = "," if value.endswith(",") else ""
    path.write_text(text.replace(f'"{key}": {value}', f'"{key}": {number}{comma}', 1))
    with pytest.raises(LoadError, match=f"not an evaluation record: .*{field}: .* finite number"):
        records.read(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_setting_that_is_not_finite_is_refused(path: Path, number: str) -> None:
    path.write_text(path.read_text().replace('"frugality": 0.02', f'"frugality": {number}'))
    with pytest.raises(LoadError, match=r"settings.frugality: .* is not a finite number"):
        records.read(path)


def damaged(given: dict[str, Any], how: str) -> None:
    repeats = given["measured"]["repeats"]
    if how == "short":
        repeats[1].pop()
    elif how == "long":
        repeats[0].append(repeats[0][0])
    elif how == "none":
        repeats.clear()
    elif how == "twice":
        given["rows"][1]["id"] = given["rows"][0]["id"]
    else:
        given["rows"].pop()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("short", "a repeat of 1 costs for 2 rows"),
        ("long", "a repeat of 3 costs for 2 rows"),
        ("none", "no repeats"),
        ("twice", "2 rows, but 1 ids"),
        ("rows", "1 rows of 2 questions"),
    ],
)
def test_a_record_whose_parts_do_not_fit_is_refused(path: Path, how: str, said: str) -> None:
    given = json.loads(path.read_bytes())
    damaged(given, how)
    path.write_text(json.dumps(given))
    with pytest.raises(LoadError, match=f"not an evaluation record: .*record.json .{said}."):
        records.read(path)


def test_the_version_is_looked_at_before_the_fields(path: Path) -> None:
    path.write_text('{"version": 2, "questions": []}')
    with pytest.raises(LoadError, match=r"record of another version: .*record.json \(2\)"):
        records.read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "version: Field required"),
        ('{"version": 1}', "identity: Field required"),
        ("[]", "should be an object"),
        ("{", "Invalid JSON"),
        ("", "Invalid JSON"),
    ],
)
def test_the_field_is_named(path: Path, text: str, said: str) -> None:
    path.write_text(text)
    with pytest.raises(LoadError, match=said):
        records.read(path)


def test_what_cannot_be_read_is_left_out_and_told(record: Record, tmp_path: Path) -> None:
    for i in range(3):
        at = replace(record.measured, at=f"2026-01-0{i + 1}")
        records.write(replace(record, measured=at), tmp_path / f"{i}.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "old.json").write_text('{"version": 0}')
    told: list[RagError] = []
    assert [path.name for path, _ in records.found(tmp_path, told.append)] == [
        *("2.json", "1.json", "0.json")
    ]
    assert [Path(str(exc.value).split(" (")[0]).name for exc in told] == [
        *("dangling.json", "folder.json", "old.json")
    ]


@pytest.mark.parametrize("place", [".", "file/record.json"])
def test_a_record_that_cannot_be_written(record: Record, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UsageError, match="record cannot be written"):
        records.write(record, tmp_path / place)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_the_same_questions_are_those_of_one_set_in_one_order(record: Record) -> None:
    def of(**changed: object) -> Record:
        return replace(record, identity=replace(record.identity, **changed))

    assert same_questions(record, of(system="another", seed=3))
    assert not same_questions(record, of(data_sha256="e" * 64))
    assert not same_questions(record, of(asked="b" * 12))
    assert not same_questions(record, replace(record, rows=record.rows[::-1]))
