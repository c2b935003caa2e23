"""``rag-eval import`` as it is typed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eval.datasets import load_dataset
from eval.importing.cli import add_to
from rag.errors import UsageError

BeirFolder = Callable[..., Path]


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="rag-eval")
    add_to(parser.add_subparsers(required=True))
    options = parser.parse_args([str(each) for each in arguments])
    status: int = options.run(options)
    return status


def test_a_folder_is_imported_and_told_in_a_line(
    beir_folder: BeirFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", "beir", beir_folder(), tmp_path / "out", "--split", "train") == 0
    told = capsys.readouterr().out
    assert told == (
        f"{tmp_path / 'out'}: 1 question (1 answerable) over 2 documents; "
        "left out: 1 question of other splits\n"
    )


def test_a_table_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("It weighs 12 kg.")
    (tmp_path / "q.csv").write_text("question,answer\nHow heavy?,12 kg\nhow  HEAVY?,12 kg\n")
    arguments = (tmp_path / "q.csv", tmp_path / "out", "--documents", tmp_path / "docs")
    assert run("import", "csv", *arguments, "--name", "scales", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["name"], made["questions"], made["left_out"]) == ("scales", 2, "nothing")
    assert made["warnings"] == ["1 question asked twice: q.csv:2 and q.csv:3"]
    assert load_dataset(tmp_path / "out").name == "scales"


def test_squad_and_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        run("import", "squad", tmp_path / "x.json", tmp_path / "out")
    with pytest.raises(SystemExit, match="2"):
        run("import", "parquet", "a", "b")


@pytest.mark.parametrize(("arguments", "debug"), [((), False), (("--debug",), True)])
def test_debug_may_stand_before_the_layout_or_at_the_end(
    arguments: tuple[str, ...], debug: bool
) -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_to(commands)
    commands.choices["import"].add_argument("--debug", action="store_true")
    for line in (("import", *arguments, "csv", "a", "b"), ("import", "csv", "a", "b", *arguments)):
        assert parser.parse_args(line).debug == debug
