"""What our errors tell people to do can be done."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for top in ("rag", "ingest") for path in (ROOT / top).rglob("*.py"))
_ADVICE = re.compile(r"\b(?:raise|lower|increase) ([a-z]+(?:_[a-z]+)+)")


def advised(path: Path) -> Iterator[str]:
    """Yield the settings that a module's texts, other than docstrings, say to change."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _ADVICE.findall(node.value)


def test_every_setting_that_a_remedy_names_exists() -> None:
    named = {name: path for path in SOURCES for name in advised(path)}
    assert {"parse_seconds", "parse_memory_mb", "max_file_mb", "chunk_tokens"} <= set(named)
    unknown = {n: str(p.relative_to(ROOT)) for n, p in named.items() if n not in known()}
    assert unknown == {}


def known() -> set[str]:
    return set(Settings.model_fields)


@pytest.mark.parametrize("text", ["split it or raise input_bytes", "lower no_such_thing"])
def test_the_search_finds_a_wrong_name(text: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"REMEDY = {text!r}\n")
    assert not set(advised(module)) <= known()
