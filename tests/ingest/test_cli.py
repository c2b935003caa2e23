"""The command line as people and programs meet it: streams, exit codes, words."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.cli import main

DOCUMENT = "# Alpha\n\nThe alpha gauge reads seven bar at the inlet valve.\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def docs(fast_path: Path) -> Path:
    folder = fast_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text(DOCUMENT, encoding="utf-8")
    return folder


@pytest.fixture
def run(fast_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_main(*arguments: object) -> tuple[int, str, str]:
        given = [str(argument) for argument in arguments]
        if given[0] in ("sync", "retry"):
            given += ["--tier", "lexical"]
        status = main([*given, "--data-dir", str(fast_path / "data")])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run_main


def test_sync_prints_one_json_object_and_progress_lines(run: Run, docs: Path) -> None:
    status, out, err = run("sync", docs, "--json")
    report = json.loads(out)
    assert (status, report["generation"], report["files"]["indexed"]) == (0, 1, 1)
    assert out.count("\n") == 1
    stages = [line.partition(":")[0] for line in err.splitlines()]
    assert stages == ["scan", "plan", "parse", "dedupe", "index", "verify", "publish"]
    assert report["joules"]["high"] > report["joules"]["low"] > 0


def test_summary_for_people(run: Run, docs: Path) -> None:
    _, out, _ = run("sync", docs)
    assert "Generation 1 published" in out
    assert "1 indexed, 0 unchanged" in out
    assert "energy" in out
    _, out, _ = run("sync", docs)
    assert "Generation 1 unchanged" in out


def test_failed_files_give_status_1_with_cause_and_remedy(run: Run, docs: Path) -> None:
    (docs / "bad.json").write_text("{broken", encoding="utf-8")
    status, out, _ = run("sync", docs)
    assert status == 1
    assert "bad.json: LoadError:" in out
    assert "1 files failed" in out
    status, out, _ = run("status", "--json")
    assert [x["error"] for x in json.loads(out)["failures"]] == ["LoadError"]
    (docs / "bad.json").write_text('{"note": "mended"}', encoding="utf-8")
    status, out, _ = run("retry")
    assert status == 0
    assert "1 indexed" in out


def test_rollback_prune_and_status(run: Run, docs: Path) -> None:
    for number in range(3):
        (docs / "a.md").write_text(DOCUMENT + f"\nEdition {number}.\n", encoding="utf-8")
        run("sync", docs)
    assert json.loads(run("rollback", "--json")[1])["generation"] == 2
    assert json.loads(run("status", "--json")[1])["generation"] == 2
    assert json.loads(run("rollback", "--to", 3, "--json")[1])["generation"] == 3
    status, _, err = run("rollback", "--to", 9)
    assert status == 2
    assert err == ("error: no such generation: 9. Choose with --to N from those there: 1, 2, 3.\n")
    assert json.loads(run("prune", "--json")[1]) == {"removed": []}
    (docs / "a.md").write_text(DOCUMENT, encoding="utf-8")
    run("sync", docs)
    assert json.loads(run("status", "--json")[1])["generations"] == [2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sync", "/nowhere/at/all"), "no such file or folder: /nowhere/at/all"),
        (("rollback",), "no such collection"),
        (("prune",), "no such collection"),
        (("status", "--collection", "../x"), "setting collection cannot be used"),
    ],
)
def test_usage_errors(run: Run, arguments: tuple[str, ...], words: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"error: {words}")


def test_status_before_anything_is_published(run: Run) -> None:
    status, out, _ = run("status")
    assert status == 0
    assert "Nothing is published yet" in out


def test_damaged_generation_names_the_way_out(run: Run, docs: Path, fast_path: Path) -> None:
    run("sync", docs)
    (docs / "a.md").write_text(DOCUMENT * 2, encoding="utf-8")
    run("sync", docs)
    (fast_path / "data/default/generations/000002/generation.json").write_text("{")
    status, _, err = run("sync", docs)
    assert status == 1
    assert "Run rag-ingest rollback --to N, with N one of 000001." in err
    assert run("rollback")[0] == 2
    assert run("rollback", "--to", 1)[0] == 0
    assert run("sync", docs)[0] == 0


def test_control_characters_in_names_do_not_reach_the_terminal(run: Run, docs: Path) -> None:
    (docs / "a\x1b[31m.json").write_text("{broken", encoding="utf-8")
    _, out, _ = run("sync", docs)
    assert "\x1b" not in out


def test_help_is_fast_and_loads_nothing() -> None:
    code = (
        "import sys\nfrom ingest.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pydantic', 'tqdm', 'sqlite3'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "rollback" in done.stdout


@pytest.mark.parametrize("streams", [("stderr",), ("stdout", "stderr")])
def test_readers_that_go_do_not_stop_the_run(
    fast_path: Path, docs: Path, streams: tuple[str, ...]
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "ingest.cli", "sync", str(docs), "--tier", "lexical"]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **dict.fromkeys(streams, writes)}
    # Unbuffered streams keep nothing back that could break once more.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command += ["--data-dir", str(fast_path / "data")]
    done = subprocess.run(command, **given, env=buffered, text=True, check=False)
    os.close(writes)
    assert (fast_path / "data/default/CURRENT").read_text() == "000001\n"
    assert done.returncode == (1 if "stdout" in streams else 0)
    assert "stdout" in streams or "Generation 1 published" in done.stdout


def test_an_error_that_nobody_reads_keeps_its_status(fast_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "ingest.cli", "prune", "--data-dir", str(fast_path / "data")]
    done = subprocess.run(command, stderr=writes, check=False)
    os.close(writes)
    assert done.returncode == 2


def test_interrupt_ends_with_130_and_leaves_nothing_published(fast_path: Path, docs: Path) -> None:
    for number in range(200):
        (docs / f"{number}.md").write_text(DOCUMENT.replace("seven", str(number)) * 40)
    data = fast_path / "data"
    command = [sys.executable, "-m", "ingest.cli", "sync", str(docs), "--data-dir", str(data)]
    process = subprocess.Popen([*command, "--tier", "lexical"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not (data / "default" / "staging").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not (data / "default" / "CURRENT").exists()


def test_labels_are_given_listed_and_taken_back(run: Run, docs: Path) -> None:
    def notes(*arguments: object) -> list[str]:
        status, out, _ = run("sync", docs, "--json", *arguments)
        assert status == 0
        found: list[str] = json.loads(out)["notes"]
        return found

    run("sync", docs)
    changed = ["1 documents have other labels now"]
    assert notes("--access", "hr", "--access", "board") == changed
    assert notes("--access", "board", "--access", "hr") == []
    assert notes() == []
    assert notes("--access-all") == changed
    labels = docs / ".access.json"
    labels.write_text('{"a.md": ["hr"]}', encoding="utf-8")
    assert notes("--access-list", labels) == changed
    status, _, err = run("sync", docs, "--access", "h r")
    assert (status, "label" in err) == (2, True)
    with pytest.raises(SystemExit) as usage:
        run("sync", docs, "--access", "hr", "--access-all")
    assert usage.value.code == 2
