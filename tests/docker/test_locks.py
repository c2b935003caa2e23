"""The image's lock files are parts of requirements.lock: same versions, same hashes, no tools."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "docker" / "locks"
PIN = re.compile(
    r"^([A-Za-z0-9_.-]+)==(\S+)([^\n\\]*)\\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
)
TOOLS = ("pytest", "ruff", "mypy", "hypothesis", "editables", "hatchling", "rank-bm25")


def pins(path: Path) -> dict[tuple[str, str], frozenset[str]]:
    """Return the hashes of each name and version in a lock file."""
    text = path.read_text(encoding="utf-8")
    found = {
        (name, version): frozenset(re.findall(r"--hash=(\S+)", hashes))
        for name, version, _, hashes in PIN.findall(text)
    }
    assert len(found) == len(re.findall(r"^[^\s#][^=\n]*==", text, re.MULTILINE))
    return found


def required(*extras: str) -> set[str]:
    """Return the names that pyproject.toml asks for, with some of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return {re.split(r"[=<>~! ]", line)[0].lower() for line in lines}


@pytest.mark.parametrize("name", ["build.lock", "runtime.lock", "generate.lock"])
def test_every_pin_is_that_of_the_one_lock(name: str) -> None:
    every = pins(ROOT / "requirements.lock")
    for pin, hashes in pins(LOCKS / name).items():
        assert pin in every, f"{pin}: run make lock"
        assert hashes == every[pin], pin


def test_what_is_needed_is_in_and_no_tool() -> None:
    for name, extras in (
        ("runtime.lock", ("formats", "server", "otel")),
        ("generate.lock", ("formats", "server", "otel", "generate", "embedded")),
    ):
        names = {pin for pin, _ in pins(LOCKS / name)}
        assert required(*extras) <= names, f"{name}: run make lock"
        assert not names & set(TOOLS)
    assert pins(LOCKS / "runtime.lock").items() <= pins(LOCKS / "generate.lock").items()
    assert "hatchling" in {pin for pin, _ in pins(LOCKS / "build.lock")}
