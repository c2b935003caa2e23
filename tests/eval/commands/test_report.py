"""``rag-eval report``: which records it takes, what judges them, and where the page goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eval.cli import main
from eval.records import Record, write

RecordOf = Callable[..., Record]
RIGHT = {"answer_recall": [1.0, 1.0, 0.0], "groundedness": [1.0, 1.0, 0.5]}
POLICY = '[measures.groundedness]\nkind = "hard"\nat_least = {}\n'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def stored(record: Record, at: str, folder: str = "eval/results") -> Path:
    path = Path(folder) / f"{record.identity.key}.json"
    write(replace(record, measured=replace(record.measured, at=at)), path)
    return path


def test_all_records_of_the_newest_ones_questions(
    record_of: RecordOf, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(record_of(RIGHT), "2026-01-02")
    stored(record_of(RIGHT, system="plain <b>"), "2026-01-03")
    stored(record_of(RIGHT, system="other data", data_sha256="e" * 64), "2026-01-01")
    assert main(["report"]) == 0
    assert capsys.readouterr().out == "report.html\n"
    html = Path("report.html").read_text(encoding="utf-8")
    assert "<h1>frugal-rag on made: not judged</h1>" in html
    assert "plain &lt;b&gt;" in html
    assert "other data" not in html


def test_of_runs_with_the_same_settings_the_newest(record_of: RecordOf) -> None:
    old, new = record_of(RIGHT, code="0" * 12), record_of(RIGHT, code="1" * 12)
    stored(old, "2026-01-01")
    stored(new, "2026-01-02")
    assert main(["report", "--out", "pages/page.html"]) == 0
    html = Path("pages/page.html").read_text(encoding="utf-8")
    assert new.identity.key in html
    assert old.identity.key not in html


def test_the_first_record_named_is_judged(record_of: RecordOf) -> None:
    plain = stored(record_of(RIGHT, system="plain"), "2026-01-01", "here")
    ours = stored(record_of(RIGHT), "2026-01-02")
    Path("eval.toml").write_text(POLICY.format(0.8), encoding="utf-8")
    assert main(["report", str(plain), str(ours)]) == 0
    assert "<h1>plain on made: passes</h1>" in Path("report.html").read_text(encoding="utf-8")


def test_a_policy_that_blocks_makes_a_page_all_the_same(record_of: RecordOf) -> None:
    stored(record_of(RIGHT), "2026-01-02")
    Path("strict.toml").write_text(POLICY.format(0.95), encoding="utf-8")
    assert main(["report", "--policy", "strict.toml"]) == 0
    assert "frugal-rag on made: blocked" in Path("report.html").read_text(encoding="utf-8")


def test_a_baseline_of_other_data_is_no_verdict_unless_it_was_asked_for(
    record_of: RecordOf, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(record_of(RIGHT), "2026-01-02")
    baseline = stored(record_of(RIGHT, data_sha256="e" * 64), "2026-01-01", "base")
    policy = f'baseline = "{baseline}"\n{POLICY.format(0.1)}'
    Path("eval.toml").write_text(policy, encoding="utf-8")
    assert main(["report"]) == 0
    assert "the baseline is of other data" in Path("report.html").read_text(encoding="utf-8")
    assert main(["report", "--policy", "eval.toml"]) == 2
    assert "the baseline is of other data" in capsys.readouterr().err


def test_nothing_to_report_on_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 2
    assert "there is no record yet: eval/results" in capsys.readouterr().err
    assert main(["report", "missing.json"]) != 0


def test_records_of_different_questions_are_refused(
    record_of: RecordOf, capsys: pytest.CaptureFixture[str]
) -> None:
    one = stored(record_of(RIGHT), "2026-01-02")
    other = stored(record_of(RIGHT, data_sha256="e" * 64), "2026-01-03")
    assert main(["report", str(one), str(other)]) == 2
    assert "records of different questions: made and made" in capsys.readouterr().err
    assert not Path("report.html").exists()


def test_junk_among_the_records_is_told_and_left_out(
    record_of: RecordOf, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(record_of(RIGHT), "2026-01-02")
    Path("eval/results/old.json").write_text('{"version": 0}', encoding="utf-8")
    Path("eval/results/gone.json").symlink_to("nowhere")
    assert main(["report"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "left out: no such record: eval/results/gone.json. Remove it.",
        "left out: record of another version: eval/results/old.json (0). Remove it.",
    ]
    assert main(["report", "old"]) == 1
    assert "record of another version: eval/results/old.json (0)" in capsys.readouterr().err


def test_a_baseline_of_another_version_is_no_verdict_unless_it_was_asked_for(
    record_of: RecordOf, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(record_of(RIGHT), "2026-01-02")
    Path("base.json").write_text('{"version": 0}', encoding="utf-8")
    Path("eval.toml").write_text(f'baseline = "base.json"\n{POLICY.format(0.1)}', encoding="utf-8")
    assert main(["report"]) == 0
    assert "record of another version" in Path("report.html").read_text(encoding="utf-8")
    assert main(["report", "--policy", "eval.toml"]) == 1
    assert "record of another version: base.json" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_told_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "missing", "--out", "."]) == 2
    assert "file cannot be written: ." in capsys.readouterr().err
