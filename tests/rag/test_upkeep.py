"""The command lines of doctor, backup and restore: usage, settings that cannot be used, cost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rag.terminal import Parser, finished
from rag.upkeep import add_backup, add_doctor, add_restore


def run(*arguments: str) -> int:
    parser = Parser(prog="rag")
    commands = parser.add_subparsers(required=True)
    for add in (add_doctor, add_backup, add_restore):
        add(commands)
    options = parser.parse_args(arguments)
    return finished(options.command, options)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_PORT", "1")
    monkeypatch.setenv("RAG_TIER", "lexical")


def test_doctor_says_when_settings_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rag.toml").write_text("budget_tokens = 1\n", encoding="utf-8")
    assert run("doctor") == 1
    out = capsys.readouterr().out
    assert out.startswith("fail  settings  setting budget_tokens cannot be used")
    assert out.splitlines()[1].strip().startswith("-> ")


def test_doctor_is_well_with_nothing_ingested(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith(" 0 fail")
    assert run("doctor", "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] in {"ok", "warn"}
    assert not Path("rag-data").exists()


def test_what_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("backup", "b") == 2
    assert "rag-ingest sync" in capsys.readouterr().err
    assert run("restore", "b") == 2
    assert "no such backup" in capsys.readouterr().err
    assert list(Path.cwd().iterdir()) == []


def test_the_options_load_nothing_heavy() -> None:
    code = (
        "import sys; from rag import upkeep;"
        "print([m for m in ('numpy', 'pydantic', 'rag.build', 'tarfile') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
