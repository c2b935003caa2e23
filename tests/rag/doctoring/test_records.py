"""Ledger, cache and formats: sound, damaged, of another release."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rag.doctoring.records import check_cache, check_formats, check_ledger
from rag.ledger_file import files_in
from rag.settings import Settings


def month(settings: Settings) -> Path:
    (file,) = files_in(settings.data_dir / "default/ledger")
    return file.path


def cache(settings: Settings) -> Path:
    return settings.data_dir / "default/cache/answers.v1.sqlite"


def test_sound_ones(published: Settings) -> None:
    ledger = check_ledger(published)
    assert (ledger.verdict, "1 files, 1 entries" in ledger.found) == ("ok", True)
    assert check_cache(published).found.startswith("exact: 1 answers")
    formats = check_formats(published)
    assert formats.verdict == "ok"
    assert formats.found.startswith("generation 1, terms ")


def test_nothing_yet(nothing: Settings) -> None:
    findings = [check(nothing) for check in (check_ledger, check_cache, check_formats)]
    assert [finding.verdict for finding in findings] == ["ok"] * 3
    assert not nothing.data_dir.exists()


def test_no_ledger_is_a_warning_and_no_cache_is_none(nothing: Settings) -> None:
    assert check_ledger(nothing.model_copy(update={"ledger": False})).verdict == "warn"
    assert check_cache(nothing.model_copy(update={"cache": "off"})).found == "off"


def test_a_damaged_month(collection: Settings) -> None:
    path = month(collection)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(b"garbage" * 1000)
    finding = check_ledger(collection)
    assert finding.verdict == "fail"
    assert path.name in finding.found
    assert "rag restore" in finding.remedy


def test_a_month_that_was_set_aside(collection: Settings) -> None:
    path = month(collection)
    path.with_name(f"{path.name}.damaged-17").touch()
    finding = check_ledger(collection)
    assert (finding.verdict, "set aside" in finding.found) == ("warn", True)


def test_a_month_that_cannot_be_written(
    collection: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.doctoring.records._WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(month(collection), isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        finding = check_ledger(collection)
        db.execute("ROLLBACK")
    assert finding.verdict == "fail"
    assert "locked" in finding.found


def test_a_month_that_is_read_only(collection: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everything, so SQLite is told to open it as a read-only disk would make it."""
    connect = sqlite3.connect

    def read_only(database: str, **given: object) -> sqlite3.Connection:
        return connect(database.replace("mode=rw", "mode=ro"), **given)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr("rag.doctoring.records.sqlite3.connect", read_only)
    finding = check_ledger(collection)
    assert finding.verdict == "fail"
    assert "readonly" in finding.found


def test_what_was_tried_is_not_kept(collection: Settings) -> None:
    assert check_ledger(collection).verdict == "ok"
    with closing(sqlite3.connect(month(collection))) as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    assert "doctor" not in names


def test_a_month_of_a_later_release(collection: Settings) -> None:
    path = month(collection)
    path.with_name("2026-10.v99.sqlite").touch()
    assert "later release" in check_ledger(collection).found
    finding = check_formats(collection)
    assert (finding.verdict, "ledger 99" in finding.found) == ("fail", True)


def test_a_damaged_cache(collection: Settings) -> None:
    for suffix in ("-wal", "-shm"):
        cache(collection).with_name(cache(collection).name + suffix).unlink(missing_ok=True)
    cache(collection).write_bytes(b"garbage" * 1000)
    finding = check_cache(collection)
    assert (finding.verdict, "delete it" in finding.remedy) == ("fail", True)


def test_a_semantic_level_that_switched_itself_off(collection: Settings) -> None:
    with closing(sqlite3.connect(cache(collection))) as db:
        db.execute("INSERT OR REPLACE INTO numbers VALUES ('semantic_off', 1)")
        db.commit()
    assert check_cache(collection).verdict == "ok"
    finding = check_cache(collection.model_copy(update={"cache": "semantic"}))
    assert (finding.verdict, "switched itself off" in finding.found) == ("warn", True)


@pytest.mark.parametrize(("terms", "verdict"), [(1, "fail"), (2, "ok"), (99, "fail")])
def test_terms_of_another_release(collection: Settings, terms: int, verdict: str) -> None:
    path = collection.data_dir / "default/generations/000001/generation.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    state["shape"]["terms"] = terms
    path.write_text(json.dumps(state), encoding="utf-8")
    assert check_formats(collection).verdict == verdict
