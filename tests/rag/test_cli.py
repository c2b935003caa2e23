from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag import __version__, cli
from rag.errors import AssetError, BackendError, RagError, UsageError

GOLDEN = Path(__file__).parent.parent / "golden"
RUN = "import sys; from rag.cli import main; sys.exit(main())"
COMMANDS = {
    "rag": (),
    "rag-ask": ("ask",),
    "rag-retrieve": ("retrieve",),
    "rag-serve": ("serve",),
    "rag-impact": ("impact",),
    "rag-prompts": ("prompts",),
    "rag-mcp": ("mcp",),
    "rag-doctor": ("doctor",),
    "rag-backup": ("backup",),
    "rag-restore": ("restore",),
    "rag-keys": ("keys",),
    "rag-keys-add": ("keys", "add"),
    "rag-keys-list": ("keys", "list"),
    "rag-keys-revoke": ("keys", "revoke"),
    "rag-jobs": ("jobs",),
    "rag-jobs-list": ("jobs", "list"),
    "rag-jobs-show": ("jobs", "show"),
    "rag-jobs-cancel": ("jobs", "cancel"),
    "rag-jobs-run": ("jobs", "run"),
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def status_of(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as exc:
        return int(str(exc.code))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_what_it_was(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert status_of(*COMMANDS[name], "--help") == 0
    assert capsys.readouterr().out == (GOLDEN / f"{name}-help.txt").read_text(encoding="utf-8")


def test_help_loads_nothing_heavy() -> None:
    heavy = "numpy pydantic fastapi uvicorn qdrant_edge tokenizers asyncio".split()
    program = (
        "import sys\nfrom rag.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stderr == "[]\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("--version") == 0
    assert capsys.readouterr().out == f"rag {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ((), 2, "arguments are required: COMMAND. Run rag --help."),
        (("aks", "x"), 2, "invalid choice: 'aks'"),
        (("ask",), 2, "arguments are required: question. Run rag ask --help."),
        (("ask", "x", "--budget", "many"), 2, "invalid int value: 'many'"),
        (("ask", "x", "--budget", "3"), 2, "budget_tokens cannot be used: 3."),
        (("ask", "x", "--frugality", "much"), 2, "invalid float value: 'much'"),
        (("retrieve", "x", "--frugality", "nan"), 2, "frugality cannot be used: nan."),
        (("ask", "x", "--frugality", "0.6"), 2, "frugality cannot be used: 0.6."),
        (("ask", "x", "--since", "soon"), 2, "since is no date: soon."),
        (("ask", "x", "--tag", ""), 2, "filter.tags.0 cannot be used"),
        (("retrieve", ""), 2, "question cannot be used: ''."),
        (("ask", "x", "--tenant", "../x"), 2, "setting tenant cannot be used: '../x'."),
        (("impact", "--from", "soon"), 2, "from is no date: soon."),
        (("impact", "--to", "2026-05-01T10:00"), 2, "to is no date: 2026-05-01T10:00."),
        (("impact", "--from", "2026", "--to", "2025"), 2, "from is after to: 2026-01-01 > 2025-1"),
        (("impact", "--period", "day"), 2, "no periods without --csv: --period day. Add --csv."),
        (("impact", "--json", "--csv"), 2, "not allowed with argument"),
        (("serve", "--port", "70000"), 2, "setting port cannot be used: 70000."),
        (
            ("serve", "--host", "no.such.host.invalid"),
            2,
            "others could ask without a key: host no.such.host.invalid.",
        ),
        (("ask", "x"), 1, "no documents yet: rag-data/default. Run rag-ingest sync PATH."),
    ],
)
def test_an_error_is_one_line_with_its_status(
    arguments: tuple[str, ...], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(*arguments) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert said in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("a", "b", "c"), 2),
        (AssetError("a", "b", "c"), 1),
        (BackendError("a\n\x1b[2J", "b", "c"), 1),
        (ZeroDivisionError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_whatever_a_command_raises_has_its_status(
    error: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: argparse.Namespace) -> None:
        raise error

    monkeypatch.setattr(cli, "_ask", fail)
    assert status_of("ask", "x") == status
    said = capsys.readouterr().err
    assert said.count("\n") == (0 if status == 130 else 1)
    assert "\x1b" not in said


@pytest.mark.parametrize("error", [UsageError("a", "b", "c"), ZeroDivisionError("x")])
def test_debug_shows_where_it_came_from(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: argparse.Namespace) -> None:
        raise error

    monkeypatch.setattr(cli, "_ask", fail)
    with pytest.raises(type(error)):
        cli.main(["ask", "x", "--debug"])


def test_flags_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rag.toml").write_text('collection = "file"\ndata_dir = "here"\n')
    said = "error: no documents yet: here/"
    assert status_of("ask", "x") == RagError.exit_code
    assert capsys.readouterr().err.startswith(f"{said}file.")
    monkeypatch.setenv("RAG_COLLECTION", "environment")
    status_of("ask", "x")
    assert capsys.readouterr().err.startswith(f"{said}environment.")
    status_of("ask", "x", "--collection", "flag")
    assert capsys.readouterr().err.startswith(f"{said}flag.")


def test_a_dash_reads_the_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("  \n"))
    assert status_of("ask", "-") == 2
    assert "question cannot be used: ''" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["ask", "retrieve"])
def test_logs_are_shown_only_for_debugging(command: str, tmp_path: Path) -> None:
    (tmp_path / "rag-data/default").mkdir(parents=True)
    (tmp_path / "rag-data/default/CURRENT").write_text("damaged")
    call = [sys.executable, "-c", RUN, command, "x", "--tier", "lexical"]
    plain = subprocess.run(call, capture_output=True, text=True, check=False)
    assert plain.returncode == 1
    assert plain.stderr.startswith("error: unusable generation pointer")
    assert plain.stderr.count("\n") == 1
    debugged = subprocess.run([*call, "--debug"], capture_output=True, text=True, check=False)
    assert json.loads(debugged.stderr.splitlines()[0])["event"] == "generation-unusable"


def test_the_module_needs_no_configuration_to_start() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAG_")}
    result = subprocess.run(
        [sys.executable, "-c", RUN, "--version"],
        env=environment | {"RAG_NONSENSE": "1"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")
