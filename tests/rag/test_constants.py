"""Every constant that energy, carbon, water and savings are counted with says where it comes from.

A number in front of a module, in a table or as a default stands below a comment with its source; a
bound on work or a choice of ours may be explained on its own line instead.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("rag/metering", "rag/grid", "rag/generation_energy")
MODULES = (
    *("rag/impact.py", "rag/place.py", "rag/meter.py", "rag/build_power.py", "rag/saved.py"),
    *("rag/budgets.py", "rag/ledger.py", "rag/adapters/rapl.py", "rag/adapters/nvml.py"),
    *("eval/breakeven.py", "eval/breakeven_file.py", "eval/breakeven_text.py", "eval/regions.py"),
    *("ingest/green.py", "ingest/pace.py", "eval/bench/generation_energy.py"),
    *("eval/bench/generation_fit.py", "eval/bench/measurements.py", "eval/bench/grids.py"),
    "eval/bench/green.py",
)
WALKED = sorted(
    {*MODULES, *(str(p.relative_to(ROOT)) for f in FOLDERS for p in (ROOT / f).glob("*.py"))}
)
# True by definition, or told by the text around them.
DEFINITIONS = {
    "rag/generation_energy/hardware.py": {"KNOWN"},  # a table of values that have their sources
    "rag/generation_energy/models.py": {"_BITS"},  # of a format, which its name says
    "rag/grid/forecast.py": {"_SAME", "_SLACK_SECONDS"},  # of floats and clocks
    "rag/saved.py": {"FORMAT"},  # a version
    "rag/budgets.py": {"_DAY_SECONDS"},
    "rag/ledger.py": {"KEEP_MONTHS"},
    "ingest/pace.py": {"_KEPT"},
    "eval/breakeven.py": {"_ONE"},
    "eval/breakeven_file.py": {"_Amount"},
    "eval/bench/generation_energy.py": {"_CALLS"},
}


def constants(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the numeric constants of a module, and whether each says where it comes from."""
    lines = source.splitlines()
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and _numeric(node.value):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield ast.unparse(target), _explained(lines, node.lineno - 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if default is not None and _chosen(default):
                    yield f"{node.name}({ast.unparse(default)})", False
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and field.value and _chosen(field.value):
                    name = f"{node.name}.{ast.unparse(field.target)}"
                    yield name, _explained(lines, field.lineno - 1)


def _numeric(value: ast.AST) -> bool:
    return any(
        isinstance(n, ast.Constant) and type(n.value) in {int, float} for n in ast.walk(value)
    )


def _chosen(value: ast.expr) -> bool:
    """Return whether a default is a number other than nothing and one, which are no figures."""
    return (
        isinstance(value, ast.Constant)
        and type(value.value) in {int, float}
        and value.value not in {0, 1}
    )


def _explained(lines: list[str], at: int) -> bool:
    if "  # " in lines[at]:
        return True
    block = []
    while at > 0 and lines[at - 1].lstrip().startswith("#"):
        at -= 1
        block.append(lines[at])
    return "# Source:" in "\n".join(block)


@pytest.mark.parametrize("module", WALKED)
def test_every_constant_says_where_it_comes_from(module: str) -> None:
    found = constants((ROOT / module).read_text(encoding="utf-8"))
    assert {name for name, told in found if not told} <= DEFINITIONS.get(module, set())


def test_there_are_constants_to_walk() -> None:
    texts = [(ROOT / module).read_text(encoding="utf-8") for module in WALKED]
    assert sum(1 for text in texts for _ in constants(text)) > 70


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("X = 1.5\n", False),
        ("X: Final = 1.5\n", False),
        ("# a comment\nX = 1.5\n", False),
        ("# Source: a paper\nX = f(2)\n", True),
        ("# Source: a paper\nX: Final[dict[str, int]] = {'a': 2}\n", True),
        ("# Source: a paper\n\nX = 2\n", False),
        ("# Source: a paper\nY = 'one'\nX = 2\n", False),
        ("X = 3  # tokens: with less nothing fits\n", True),
        ("def f(x: float = 0.25): ...\n", False),
        ("def f(*, x: float = 0.25): ...\n", False),
        ("class A:\n    x: float = 0.25\n", False),
        ("class A:\n    x: float = 0.25  # why\n", True),
    ],
)
def test_a_constant_without_a_source_is_noticed(source: str, told: bool) -> None:
    assert [each for _, each in constants(source)] == [told]


@pytest.mark.parametrize(
    "source", ["X = 'one'\n", "def f(x: int = 0, y: int = 1): ...\n", "X = f(Y)\n"]
)
def test_what_holds_no_figure_is_let_pass(source: str) -> None:
    assert not list(constants(source))
