"""From records to the points that the service's page shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from eval import records
from eval.cli import main
from eval.frontier import frontier_of
from eval.records import Record
from rag.errors import UsageError
from rag.frontier import read_frontier

RecordOf = Callable[..., Record]
RIGHT: Mapping[str, Sequence[float | None]] = {
    "answer_recall": [1.0, 1.0, 0.0, 1.0],
    "context_tokens": [20.0, 20.0, 24.0, 24.0],
}


def _at(record: Record, **settings: object) -> Record:
    return replace(record, settings={**record.settings, **settings})


@pytest.fixture
def several(record_of: RecordOf) -> tuple[Record, ...]:
    """Two settings of one system, and another system that is dearer and no better."""
    more = {**RIGHT, "answer_recall": [1.0] * 4, "context_tokens": [90.0, 92.0, 94.0, 96.0]}
    other = {**RIGHT, "context_tokens": [500.0] * 4}
    return (
        _at(record_of(more, fingerprint="b" * 12), budget_tokens=128, tokenizer="cl100k_base"),
        _at(record_of(RIGHT, fingerprint="a" * 12), budget_tokens=64, tokenizer="cl100k_base"),
        _at(record_of(other, system="plain"), tokenizer="cl100k_base"),
    )


def test_points_by_tokens_with_their_intervals_and_settings(several: Sequence[Record]) -> None:
    found = frontier_of(several, "answer_recall")
    assert (found.data, found.questions, found.measure) == ("made", 4, "answer recall")
    assert found.tokenizer == "cl100k_base"
    cheap, good, plain = found.points
    assert cheap.name == "frugal-rag, budget tokens 64"
    assert good.name == "frugal-rag, budget tokens 128"
    assert plain.name == "plain"
    assert (cheap.fingerprint, cheap.record) == ("a" * 12, several[1].identity.key)
    assert (cheap.tokens.mean, cheap.quality.mean) == (22, 0.75)
    assert 20 <= cheap.tokens.low < 22 < cheap.tokens.high <= 24
    assert 0 <= cheap.quality.low < 0.75 < cheap.quality.high <= 1
    assert [point.efficient for point in found.points] == [True, True, False]
    assert frontier_of(several, "answer_recall") == found


def test_what_does_not_compare_is_refused(several: Sequence[Record], record_of: RecordOf) -> None:
    first, *_ = several
    with pytest.raises(UsageError, match="records of different tokenizers"):
        frontier_of((first, _at(several[1], tokenizer="other")), "answer_recall")
    with pytest.raises(UsageError, match="record without groundedness"):
        frontier_of(several, "groundedness")
    with pytest.raises(UsageError, match="records of different questions"):
        frontier_of((first, record_of(RIGHT, data_sha256="e" * 64)), "answer_recall")
    unknown = _at(several[1], tokenizer=None)
    assert frontier_of((first, unknown), "answer_recall").tokenizer is None


def test_the_command_writes_what_the_service_reads(
    several: Sequence[Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "results", tmp_path / "out" / "frontier.json"
    for record in several:
        records.write(record, folder / f"{record.identity.key}.json")
    where = ["--results", str(folder), "--out", str(out)]
    assert main(["frontier", *where]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert len(read_frontier(out).points) == 3
    assert main(["frontier", several[1].identity.key, *where]) == 0
    assert read_frontier(out) == frontier_of(several[1:2], "answer_recall")
    assert main(["frontier", "--quality", "groundedness", *where]) == 2
    assert main(["frontier", "--results", str(tmp_path / "none")]) == 2
    assert "there is no record yet" in capsys.readouterr().err
