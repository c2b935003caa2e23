"""Runs of ingest in the ledger: once each, and never a reason for a run to fail."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ingest.cli import main
from rag.ledger import ledger_folder
from rag.ledger_entry import Sums, whole_bounds
from rag.ledger_sums import Days, read_report
from rag.settings import Settings, load_settings
from rag.types import Interval

EVER = Days(date(2020, 1, 1), date(2100, 1, 1))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "pump.md").write_text("# Pump\n\nThe pump is covered for seven months.\n")
    return docs


@pytest.fixture
def settings(fast_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RAG_GRID_GCO2E_PER_KWH", "360")
    monkeypatch.setenv("RAG_EMBODIED_KGCO2E", "1000")
    monkeypatch.setenv("RAG_MACHINE_LIFETIME_YEARS", "4")
    return load_settings(data_dir=fast_path / "data", tier="lexical")


def synced(settings: Settings, docs: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    where = ("--data-dir", str(settings.data_dir), "--tier", "lexical", "--json")
    assert main(["sync", str(docs), *where, *more]) == 0
    return json.loads(capsys.readouterr().out)


def kept(settings: Settings) -> tuple[Sums, Sums]:
    report = read_report(ledger_folder(settings), EVER, None)
    return report.total, report.ingest


def test_a_run_is_in_the_ledger_as_it_is_in_its_report(
    settings: Settings, docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = synced(settings, docs, capsys)
    assert report["notes"] == []
    assert report["sci"]["gco2e_per_1000_chunks"]["low"] > 0
    questions, ingest = kept(settings)
    assert (questions.entries, ingest.runs) == (0, 1)
    assert ingest.chunks == report["chunks"]["added"] == 1
    for name in ("joules", "gco2e", "embodied_gco2e"):
        bounds = whole_bounds(Interval(**report["impact"][name]), name)
        assert ingest.known(name) == bounds  # type: ignore[arg-type]
        assert bounds is not None
        assert bounds[0] > 0


def test_what_only_looked_has_no_entry(
    settings: Settings, docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synced(settings, docs, capsys, "--dry-run")
    assert kept(settings)[1].runs == 0
    synced(settings, docs, capsys)
    assert synced(settings, docs, capsys)["published"] is False
    assert kept(settings)[1].runs == 1


def test_a_ledger_that_cannot_be_written_is_a_note(
    settings: Settings, docs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ledger_folder(settings)
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    report = synced(settings, docs, capsys)
    assert report["published"] is True
    assert [note for note in report["notes"] if note.startswith("the ledger could not be written")]


def test_without_a_ledger_there_is_nothing_to_say(
    settings: Settings,
    docs: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAG_LEDGER", "false")
    assert synced(settings, docs, capsys)["notes"] == []
    assert not ledger_folder(settings).exists()
