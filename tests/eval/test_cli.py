"""``rag-eval run`` on the project's own samples and on bad folders."""

import json
from pathlib import Path

import pytest

from eval.cli import main

SAMPLES = Path(__file__).parents[2] / "samples"


def test_the_samples_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", str(SAMPLES), "--tier", "lexical", "--budget", "128", "--json"]
    assert main([*command, "--frugality", "0"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["questions"], report["tier"], report["budget_tokens"]) == (120, "lexical", 128)
    assert 0.5 < report["answer_recall"] < 1
    assert 0.5 < report["right_when_answered"] <= 1
    assert 0.5 < report["refused_rightly"] <= 1
    assert 64 < report["context_tokens"] <= 128
    assert report["frugality"] == 0.0


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


def test_the_dial_is_in_the_report_and_saves_tokens(
    one_question: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = {}
    for dial in ("0", "0.5"):
        command = ["run", str(one_question), "--tier", "lexical", "--frugality", dial, "--json"]
        assert main(command) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["answer_recall"] == 1
        tokens[report["frugality"]] = report["context_tokens"]
    assert tokens[0.5] < tokens[0.0]


def test_a_set_without_unanswerable_questions_has_no_such_share(
    one_question: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(one_question), "--tier", "lexical"]) == 0
    shown = capsys.readouterr().out
    assert "answer recall        1.000" in shown
    assert "refused rightly      None" in shown


def test_a_missing_folder_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(tmp_path / "nowhere")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: no such data set folder")
