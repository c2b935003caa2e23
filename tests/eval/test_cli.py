"""``rag-eval run`` on the project's own samples and on bad folders."""

import json
from pathlib import Path

import pytest

from eval.cli import main

SAMPLES = Path(__file__).parents[2] / "samples"


def test_the_samples_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(SAMPLES), "--tier", "lexical", "--budget", "128", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["questions"], report["tier"], report["budget_tokens"]) == (120, "lexical", 128)
    assert 0.5 < report["answer_recall"] < 1
    assert 0.5 < report["right_when_answered"] <= 1
    assert 0.5 < report["refused_rightly"] <= 1
    assert 64 < report["context_tokens"] <= 128


def test_a_set_without_unanswerable_questions_has_no_such_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "a", "title": "Pump", "text": "The pump is covered for 24 months."}\n'
    )
    (tmp_path / "queries.jsonl").write_text(
        '{"_id": "q", "text": "How long is the pump covered?", "answers": ["24 months"]}\n'
    )
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t1\n")
    assert main(["run", str(tmp_path), "--tier", "lexical"]) == 0
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
