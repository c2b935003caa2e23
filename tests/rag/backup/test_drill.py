"""The restore drill, by the commands that people use: real documents, real model, all lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ingest import cli as ingest_cli
from rag import cli as rag_cli
from rag.terminal import Parser, finished
from rag.upkeep import add_backup, add_doctor, add_restore

DOCS = Path(__file__).resolve().parents[3] / "samples" / "docs" / "policies"
QUESTIONS = (
    "How long are audit logs kept in the EU region?",
    "How many days of annual leave do employees get?",
    "Who has to approve a business class flight?",
    "What is the recipe for apple pie?",
)


class Commands:
    """Runs the command lines in this process; stdout as JSON."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def upkeep(self, *arguments: str) -> tuple[int, Any]:
        parser = Parser(prog="rag")
        commands = parser.add_subparsers(required=True)
        for add in (add_doctor, add_backup, add_restore):
            add(commands)
        options = parser.parse_args([*arguments, "--json"])
        return finished(options.command, options), self._said()

    def ask(self, question: str) -> Any:
        assert rag_cli.main(["ask", question, "--json"]) == 0
        said = self._said()
        return {name: said[name] for name in ("answer", "abstained", "citations", "generation")}

    def sync(self, docs: Path) -> Any:
        assert ingest_cli.main(["sync", str(docs), "--json"]) == 0
        return self._said()

    def _said(self) -> Any:
        out = self._capsys.readouterr().out
        return json.loads(out) if out else None


@pytest.mark.slow
def test_drill(
    fast_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, docs = Commands(capsys), fast_path / "docs"
    docs.mkdir()
    for name in ("data-retention-eu.md", "leave-policy.md", "travel-policy-2025.md"):
        shutil.copy(DOCS / name, docs)
    monkeypatch.setenv("RAG_DATA_DIR", str(fast_path / "data"))
    monkeypatch.setenv("RAG_CACHE", "off")  # or the restored cache would answer, not the index
    monkeypatch.setenv("RAG_PORT", "1")  # nothing listens there
    embedded = run.sync(docs)["chunks"]["embedded"]
    assert embedded > 10
    before = [run.ask(question) for question in QUESTIONS]
    assert not before[0]["abstained"]
    code, made = run.upkeep("backup", str(fast_path / "backup.tar"))
    assert (code, made["left_out"]) == (0, [])

    shutil.rmtree(fast_path / "data")
    code, found = run.upkeep("doctor")
    assert (code, found["verdict"]) == (0, "warn")
    code, restored = run.upkeep("restore", str(fast_path / "backup.tar"))
    assert code == 0
    assert restored["chunks"] == made["chunks"]
    assert [run.ask(question) for question in QUESTIONS] == before
    code, found = run.upkeep("doctor")
    assert (code, found["verdict"]) == (0, "ok"), found

    again = run.sync(docs)
    assert again["published"] is False
    assert again["files"]["unchanged"] == len(list(docs.iterdir()))
    assert again["chunks"]["embedded"] == again["chunks"]["added"] == 0
    # One edit costs one edit; and an index written anew takes all vectors from the cache.
    with (docs / "leave-policy.md").open("a", encoding="utf-8") as file:
        file.write("\n\nA day of leave may be taken on the 29th of February.\n")
    assert 0 < run.sync(docs)["chunks"]["embedded"] < 5
    shutil.rmtree(fast_path / "data" / "default" / "generations")
    os.unlink(fast_path / "data" / "default" / "CURRENT")  # noqa: PTH108
    anew = run.sync(docs)["chunks"]
    assert anew["embedded"] == 0
    assert anew["cached"] >= embedded - 2


def test_the_commands_say_what_they_did(
    pumps: Any,
    fast_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Commands(capsys)
    target = str(fast_path / "b")
    monkeypatch.setenv("RAG_DATA_DIR", str(pumps.settings.data_dir))
    assert run.upkeep("backup", target)[0] == 0
    assert run.upkeep("backup", target)[0] == 2
    assert run.upkeep("restore", target)[0] == 2
    code, said = run.upkeep("restore", target, "--check")
    assert (code, said["chunks"]) == (0, 2)
    (fast_path / "b" / "backup.json").write_text("{}", encoding="utf-8")
    assert run.upkeep("restore", target, "--check")[0] == 1
