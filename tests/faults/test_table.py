"""The table of faults names tests that are there, and all of those that stand here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"
ROWS = [
    line.strip("|\n ").split(" | ")
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "::" in line
]


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_is_whole_and_its_tests_exist(row: list[str]) -> None:
    fault, happens, kept, shown = row
    assert all((fault, happens, kept))
    named = re.findall(r"`(tests/[^:`]+)::(\w+)`", shown)
    assert named
    for path, name in named:
        assert name in functions_of(ROOT / path), f"{path}::{name}"


def test_every_test_of_a_fault_stands_in_the_table() -> None:
    said = PAGE.read_text(encoding="utf-8")
    for path in Path(__file__).parent.glob("test_*.py"):
        if path != Path(__file__):
            for name in functions_of(path):
                assert not name.startswith("test_") or f"{path.name}::{name}`" in said, name


@pytest.mark.parametrize(
    "fault",
    [
        "disk full",
        "read-only disk",
        "corrupt pointer",
        "corrupt generation",
        "missing or altered model",
        "clock jumps",
        "Qdrant down",
        "Qdrant slow",
        "Qdrant flapping",
        "kill -9 of the service",
        "kill -9 of the job runner",
        "kill -9 of ingest",
        "everything is lost",
    ],
)
def test_no_fault_is_missing(fault: str) -> None:
    assert any(row[0].startswith(fault) for row in ROWS)


def test_the_page_on_security_names_tests_that_are_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/.]+)`", text)
    assert len(named) > 10
    for path in named:
        assert (ROOT / path).is_file(), path
    for path in (ROOT / "tests" / "security").glob("test_*.py"):
        assert f"tests/security/{path.name}" in named
