"""Every constant of the package says where it comes from, directly above it."""

import ast
from pathlib import Path

import pytest

import rag.generation_energy

FOLDER = Path(rag.generation_energy.__file__).parent
DEFINITIONS = {"KNOWN", "_BITS"}  # a table of sourced values; bits, by definition of the format


def constants(source: str) -> dict[str, str]:
    """Return the numeric module constants and the comment block right above each."""
    lines, found = source.splitlines(), {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            numbers = [n for n in ast.walk(node.value) if isinstance(n, ast.Constant | ast.Call)]
            if any(_numeric(number) for number in numbers):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                found[ast.unparse(target)] = _comment_above(lines, node.lineno - 1)
    return found


def _numeric(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in {int, float}


def _comment_above(lines: list[str], at: int) -> str:
    block: list[str] = []
    while at > 0 and lines[at - 1].startswith("#"):
        at -= 1
        block.insert(0, lines[at])
    return "\n".join(block)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_every_constant_has_its_source_above_it(path: Path) -> None:
    for name, comment in constants(path.read_text(encoding="utf-8")).items():
        assert name in DEFINITIONS or "# Source:" in comment, name


def test_there_are_constants_to_check() -> None:
    every = [c for p in FOLDER.glob("*.py") for c in constants(p.read_text(encoding="utf-8"))]
    assert len(every) >= 14


def test_a_constant_without_a_source_is_noticed() -> None:
    assert constants("X = 1.5\n") == {"X": ""}
    assert constants("# Source: a paper\nX = f(1)\n") == {"X": "# Source: a paper"}
    assert constants("# Source: a paper\n\nX = 1\n") == {"X": ""}
    assert constants("X = 'one'\n") == {}
