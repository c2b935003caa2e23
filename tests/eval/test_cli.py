"""``rag-eval`` as a person uses it: on the samples, on a made set, and on what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eval import records
from eval.cli import main
from eval.measures import MEASURES

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
COMMANDS = ("run", "compare", "gate", "baseline", "sweep", "report", "judge", "import", "collect")
COMMANDS += ("regions", "breakeven", "saved-baseline")


@pytest.fixture
def kept(tmp_path: Path) -> list[str]:
    return ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]


def test_the_samples_are_measured(kept: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", str(SAMPLES), "--tier", "lexical", "--budget", "128", "--json", *kept]
    assert main([*command, "--frugality", "0"]) == 0
    told = json.loads(capsys.readouterr().out)
    record = records.read(Path(told["record"]))
    assert len(record.rows) == 120
    assert (record.settings["tier"], record.settings["budget_tokens"]) == ("lexical", 128)
    means = {name: line["mean"] for name, line in told["summary"].items()}
    assert set(means) == set(MEASURES)
    assert 0.5 < means["answer_recall"] < 1
    assert 0.5 < means["right_when_answered"] <= 1
    assert 0.5 < means["refusal_recall"] <= 1
    assert 64 < means["context_tokens"] <= 128
    assert means["citation_precision"] == 1
    assert means["gco2e"] is None
    assert told["per_grounded_answer"]["joules"]["low"] > told["per_question"]["joules"]["low"] > 0


@pytest.fixture
def one_question(tmp_path: Path) -> Path:
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "a", "title": "Pump", "text": "The pump is covered for 24 months. It is blue."}\n'
    )
    (tmp_path / "queries.jsonl").write_text(
        '{"_id": "q", "text": "How long is the pump covered?", "answers": ["24 months"]}\n'
    )
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t1\n")
    return tmp_path


def test_the_dial_saves_tokens_and_has_a_record_of_its_own(
    one_question: Path, kept: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for dial in ("0", "0.5"):
        command = ["run", str(one_question), "--tier", "lexical", "--frugality", dial, "--json"]
        assert main([*command, *kept]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0]["record"] != told[1]["record"]
    full, sparing = (each["summary"]["context_tokens"]["mean"] for each in told)
    assert sparing < full
    assert {each["summary"]["answer_recall"]["mean"] for each in told} == {1.0}


def test_what_no_question_has_is_not_in_the_table(
    one_question: Path, kept: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(one_question), "--tier", "lexical", *kept]) == 0
    shown = capsys.readouterr()
    assert "answer recall" in shown.out
    assert "refusal recall" not in shown.out
    assert "greenhouse gas" not in shown.out
    assert "unknown without carbon intensity of the grid" in shown.out
    assert ".json" in shown.err


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere"], "no such data set folder: nowhere"),
        (["run", "--questions", "0"], "0 is not a whole number above 0"),
        (["run", "--safety", "nothing:here"], "nothing"),
        (["run", "--budget", "3"], "setting budget_tokens cannot be used: 3"),
        (["gate", "nowhere.json"], "eval.toml"),
        (["compare", "a", "b"], "a"),
        (["judge", "nowhere"], "nowhere"),
        (["launch"], "launch"),
        ([], "required"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    kept: list[str],
) -> None:
    if arguments[:1] == ["run"]:
        arguments = [*arguments, *kept]
        if arguments[1] != "nowhere":
            arguments.insert(1, str(SAMPLES))
    try:
        status = main(arguments)
    except SystemExit as exc:
        status = int(exc.code or 0)
    told = capsys.readouterr()
    assert status == 2
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert said in told.err


def test_help_comes_fast_and_names_every_command() -> None:
    code = "import sys; from eval.cli import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(COMMANDS) <= set(done.stdout.split())
    heavy = "('numpy', 'onnxruntime', 'pydantic')"
    code = f"import sys; import eval.cli; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
