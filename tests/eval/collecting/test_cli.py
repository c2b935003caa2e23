"""``rag-eval collect`` as it is typed, over a real collection."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from eval.collecting.cli import add_to
from eval.collecting.sheet import Draft, read_drafts, write_drafts
from eval.datasets import load_dataset
from rag.errors import UsageError
from rag.settings import Settings

REVIEW = """
import argparse, sys
from eval.collecting.cli import add_to
parser = argparse.ArgumentParser()
add_to(parser.add_subparsers())
options = parser.parse_args(["collect", "review", sys.argv[1]])
sys.exit(options.run(options))
"""


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="rag-eval")
    add_to(parser.add_subparsers(required=True))
    options = parser.parse_args([str(each) for each in arguments])
    status: int = options.run(options)
    return status


@pytest.fixture
def of_collection(collection: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("RAG_ANSWER_THRESHOLD", str(collection.answer_threshold))
    return ["--data-dir", str(collection.data_dir), "--tier", "lexical"]


def test_from_real_questions_to_a_question_set(
    of_collection: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    questions, drafts, out = tmp_path / "q.txt", tmp_path / "d.csv", tmp_path / "out"
    questions.write_text("How long is the pump covered?\nHow heavy is it?\nWho is the queen?\n")
    assert run("collect", "draft", questions, drafts, *of_collection, "--json") == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["questions"] == 3
    assert counts["answered"] >= 1
    with pytest.raises(UsageError, match="judgements may stand in this one"):
        run("collect", "draft", questions, drafts, *of_collection)

    monkeypatch.setattr(sys, "stdin", io.StringIO("g\nh\na\nc\n12 kg\npump.txt\n"))
    assert run("collect", "review", drafts) == 0
    said = capsys.readouterr()
    assert said.out == f"{drafts}: 2 judged, 1 left\n"
    assert "How long is the pump covered?" in said.err
    monkeypatch.setattr(sys, "stdin", io.StringIO("u\n"))
    assert run("collect", "review", drafts, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"judged": 3, "left": 0}

    assert run("collect", "finish", drafts, out, "--name", "real", *of_collection) == 0
    assert "3 questions (2 answerable) over 2 documents" in capsys.readouterr().out
    dataset = load_dataset(out)
    assert (dataset.name, len(dataset.texts)) == ("real", 2)
    assert [(c.answers, c.gold_ids) for c in dataset.cases[1:]] == [
        (("12 kg",), ("pump.txt",)),
        ((), ()),
    ]
    assert dataset.cases[0].gold_ids == ("pump.txt",)


def test_nothing_that_was_said_is_lost_when_the_review_is_killed(tmp_path: Path) -> None:
    drafts = tmp_path / "d.csv"
    write_drafts([Draft(f"q{i}", f"How {i}?", "x", ("a",)) for i in range(3)], drafts)
    with subprocess.Popen(
        [sys.executable, "-c", REVIEW, drafts],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write("a\ng\n")
        process.stdin.flush()
        # It says what it takes the key for, keeps it, and only then asks again.
        shown = ""
        while shown.count("> ") < 3:
            shown += process.stderr.read(1)
        process.kill()
    kept = [placed.draft for placed in read_drafts(drafts)]
    assert [(draft.verdict, draft.grounded) for draft in kept] == [
        ("accept", None),
        (None, True),
        (None, None),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["d.csv"]


def test_what_a_terminal_would_obey_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = tmp_path / "d.csv"
    write_drafts([Draft("q", "How\x1b[2J?", "x", ("a",))], drafts)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run("collect", "review", drafts) == 0
    assert "\x1b" not in capsys.readouterr().err
