"""From a record to what receipts compare with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eval import provenance, records
from eval.cli import main
from eval.records import Record
from eval.saved_baseline import baseline_of
from rag.errors import UsageError
from rag.saved import machine_name, read_comparison
from rag.types import Interval

RecordOf = Callable[..., Record]


@pytest.fixture
def record(record_of: RecordOf) -> Record:
    made = record_of({"grounded": [1, 1, 0]}, system="llama-index", cpu_seconds=(0.010, 0.020))
    return replace(
        made,
        settings={"tokenizer": "cl100k_base"},
        environment={"machine": provenance.machine()},
    )


def test_a_baseline_is_the_mean_of_a_question(record: Record) -> None:
    found = baseline_of(record)
    assert (found.system, found.questions, found.context_tokens) == ("llama-index", 3, 20)
    assert found.joules is not None
    assert (found.joules.low, found.joules.high) == pytest.approx((0.042, 0.0645))
    assert found.machine == machine_name()
    assert found.prompt_tokens is None


def test_a_record_of_no_questions_is_no_baseline(record: Record) -> None:
    with pytest.raises(UsageError):
        baseline_of(replace(record, rows=()))


def test_the_command_writes_what_the_service_reads(
    record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "record.json", tmp_path / "base.json"
    records.write(record, path)
    assert main(["saved-baseline", str(path), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    comparison = read_comparison(out)
    assert comparison.baseline == baseline_of(record)
    assert comparison.same_machine
    assert isinstance(comparison.baseline.joules, Interval)
    assert json.loads(out.read_text())["record"] == record.identity.key
    assert main(["saved-baseline", str(tmp_path / "none.json")]) == 2
