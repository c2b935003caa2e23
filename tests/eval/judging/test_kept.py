"""Judgements that were paid for: kept whatever ends the command, and not asked again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, cast

import pytest

from eval import records
from eval.cli import main
from eval.judging.judge import Judgement
from eval.judging.kept import Asked, kept_at
from eval.records import Record
from rag.errors import UsageError
from rag.types import Interval

RecordOf = Callable[..., Record]


class TeamJudge(Protocol):
    """What the module of a team's own judge holds."""

    ASKED: list[str]
    LIMIT: int | None
    FAULT: Callable[[], object] | None


JUDGES = """
from eval.judging.judge import Judgement
from rag.errors import BackendError

ASKED = []

class Judge:
    def judge(self, question, answer, evidence):
        ASKED.append(question)
        if LIMIT is not None and len(ASKED) > LIMIT:
            return FAULT()
        return Judgement(1.0, 100, 10)

def down():
    raise BackendError("the judge failed", "status 500", "try again later")

def wrong():
    raise AttributeError("no attribute 'text'")

def stopped():
    raise KeyboardInterrupt

def other():
    return 0.7

LIMIT, FAULT = None, None
"""


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TeamJudge]:
    """The module of a team's own judge in the current folder, to be set by the test."""
    (tmp_path / "team_judge.py").write_text(JUDGES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import team_judge

    yield cast("TeamJudge", team_judge)
    sys.modules.pop("team_judge")


@pytest.fixture
def stored(record_of: RecordOf, tmp_path: Path) -> Record:
    record = record_of({"grounded": [1.0] * 40})
    records.write(record, tmp_path / "r" / f"{record.identity.key}.json")
    return record


def judge(record: Record, *more: str) -> int:
    command = ["judge", record.identity.key, "--results", "r", "--judge", "team_judge:Judge"]
    return main([*command, *more])


@pytest.mark.parametrize(
    "fault",
    [
        ("down", 1, "the judge failed"),
        ("wrong", 2, "plug-in failed: team_judge:Judge (AttributeError: no attribute 'text')"),
        ("other", 2, "plug-in gave no Judgement: team_judge:Judge returned float"),
        ("stopped", 130, "interrupted: what was done is kept"),
    ],
)
def test_what_was_judged_is_kept_and_not_asked_again(
    plugged: TeamJudge,
    stored: Record,
    fault: tuple[str, int, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    name, status, said = fault
    plugged.LIMIT, plugged.FAULT = 30, getattr(plugged, name)
    assert judge(stored) == status
    told = capsys.readouterr().err
    assert said in told
    assert "unexpected" not in told
    path = Path("r") / "judged" / f"{stored.identity.key}.jsonl"
    assert f"kept: 30 judgements in {path}" in told
    plugged.LIMIT = None
    asked = plugged.ASKED
    asked.clear()
    assert judge(stored, "--json") == 0
    out, err = capsys.readouterr()
    assert "judged before: 30 answers" in err
    assert len(asked) == 10
    assert json.loads(out)["prompt_tokens"] == 4000
    assert len(path.read_text().splitlines()) == 40
    assert judge(stored, "--restart") == 0
    assert len(asked) == 50


def test_a_file_that_cannot_be_written_is_found_before_the_first_call(
    plugged: TeamJudge, stored: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(stored, "--out", "/proc/x.json") == 2
    assert "file cannot be written: /proc/x.json" in capsys.readouterr().err
    assert plugged.ASKED == []


def test_lines_are_beside_the_file_that_is_named(plugged: TeamJudge, stored: Record) -> None:
    assert plugged.ASKED == []
    assert judge(stored, "--out", "o/a.json") == 0
    assert judge(stored, "--out", "o/b.jsonl") == 0
    names = sorted(path.name for path in Path("o").iterdir())
    assert names == ["a.json", "a.jsonl", "b.jsonl", "b.kept.jsonl"]
    assert len(json.loads(Path("o/b.jsonl").read_text())["judgements"]) == 40


def test_lines_of_others_and_broken_ones_are_left_alone(
    record_of: RecordOf, tmp_path: Path
) -> None:
    first, second = record_of({"grounded": [1.0, 1.0]}).rows
    path, mine = tmp_path / "k.jsonl", Asked("r1", "small, prompt 1")
    said = Judgement(0.5, 10, None, Interval(1, 2), "half")
    with kept_at(path, mine) as kept:
        kept.add(first, said)
        with pytest.raises(UsageError, match="at work"), kept_at(path, mine):
            pass
    with path.open("a") as file:
        file.write('[]\n{"record": "r1"}\n{"record": "r1", "judge"')  # cut off by a kill
    for other in (Asked("r2", mine.judge), Asked("r1", "small, prompt 2")):
        with kept_at(path, other) as kept:
            assert kept.known(first) is None
            kept.add(second, Judgement(0.1))
    with kept_at(path, mine) as kept:
        assert (kept.known(first), kept.known(second), len(kept)) == (said, None, 1)
    with kept_at(path, mine, anew=True) as kept:
        assert kept.known(first) is None
