"""The documentation is true: its blocks run, its tables are those of the code."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr

from eval.breakeven_file import read_plan
from eval.gating.policy import load_policy
from eval.measures import MEASURES
from rag.settings import Settings, load_settings
from rag.settings_generators import GeneratorSettings
from rag.settings_server import ServerSettings
from rag.settings_service import Rate, ServiceSettings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONFIGURATION = ROOT / "docs" / "configuration.md"
_FENCE = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_BEGIN = re.compile(r"^\| setting \| default \|.*\n\|[-|: ]+\|\n((?:\|.*\n)+)", re.MULTILINE)
_FIELDS = re.compile(r"^\| field \| default \|.*\n\|[-|: ]+\|\n((?:\|.*\n)+)", re.MULTILINE)

# Commands that the tests do not run, by how they begin, each with the reason.
NOT_RUN = {
    "git clone": "needs the network",
    "cd ": "the commands run in a copy of the sample documents already",
    "python3 -m venv": "installs; the tests run in what it makes",
    "python -m venv": "installs; the tests run in what it makes",
    "pip ": "installs; the tests run in what it makes",
    ".venv/bin/pip ": "installs; the tests run in what it makes",
    ". .venv": "the environment of the tests is active already",
    "source .venv": "the environment of the tests is active already",
    "make ": "each verb takes minutes; continuous integration runs them",
    "rag serve": "serves until it is stopped; tests/service runs it",
    ".venv/bin/rag serve": "serves until it is stopped; tests/service runs it",
    "curl ": "needs the running service; tests/service asks the same over HTTP",
    "docker ": "needs a container runtime",
    "rag-ingest push": "needs a Qdrant server; tests/ingest/test_push.py",
    "python -m eval.bench": "takes minutes; make bench",
    ".venv/bin/python -m eval.bench": "takes minutes; make bench",
    "export TIKTOKEN_CACHE_DIR": "names a folder of the reader's",
}
# Programs with it need a running service: tests/service/test_examples.py runs them against one.
ASKS_A_SERVICE = "localhost:8080"
SHELLS = ("console", "bash", "sh", "shell")
CHECKED = (*SHELLS, "python", "json", "toml")
# Languages whose blocks are shown and neither run nor parsed, each with the reason.
SHOWN = {
    "": "drawings and output",
    "text": "drawings and output",
    "mermaid": "drawings",
    "yaml": "deployment files, which are tested where they lie",
    "diff": "changes",
}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Block(page, line, match[1], match[2])


BLOCKS = tuple(blocks())


def commands(block: Block) -> Iterator[str]:
    """Yield the commands of a shell block: lines after a prompt, or all lines without one."""
    text = block.text.replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    yield from prompted or [line for line in lines if not line.startswith("#")]


def is_run(command: str) -> bool:
    return not f"{command} ".startswith(tuple(NOT_RUN))


def numbered(language: tuple[str, ...]) -> list[object]:
    return [pytest.param(b, id=b.place) for b in BLOCKS if b.language in language]


@pytest.fixture(scope="module")
def working_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a reader has checked out, without what is built."""
    place = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "samples", place / "samples")
    shutil.copytree(ROOT / "eval" / "baseline", place / "eval" / "baseline")
    (place / "eval.toml").write_text(untimed((ROOT / "eval.toml").read_text()))
    (place / ".venv").symlink_to(Path(sys.prefix))
    return place


def untimed(policy: str) -> str:
    """Return the gate's policy without times and energy: a busy machine must not fail a test."""
    timed = "|".join(name for name, measure in MEASURES.items() if measure.repeats)
    left = re.sub(rf"^\[measures\.({timed})\]\n(?:\w.*\n)+", "", policy, flags=re.MULTILINE)
    assert left != policy
    return left


def run_in(place: Path, command: list[str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    done = subprocess.run(
        command,
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_every_block_is_run_parsed_or_listed() -> None:
    unknown = [f"{b.place}: {b.language}" for b in BLOCKS if b.language not in {*CHECKED, *SHOWN}]
    assert not unknown
    assert all(NOT_RUN.values())
    assert PAGES[0].is_file()


@pytest.mark.slow
def test_commands_run_in_the_order_of_their_page(working_copy: Path) -> None:
    for block in BLOCKS:
        if block.language in SHELLS:
            for command in commands(block):
                if is_run(command):
                    run_in(working_copy, ["bash", "-euc", command])


@pytest.mark.slow
def test_programs_run(working_copy: Path) -> None:
    for block in BLOCKS:
        if block.language == "python" and ASKS_A_SERVICE not in block.text:
            run_in(working_copy, [sys.executable, "-c", block.text])


@pytest.mark.parametrize("block", numbered(("json",)))
def test_json_blocks_parse(block: Block) -> None:
    assert json.loads(block.text) is not None


@pytest.mark.parametrize("block", numbered(("toml",)))
def test_settings_files_can_be_used(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rag.toml"
    path.write_text(block.text, encoding="utf-8")
    if "[measures." in block.text:
        assert load_policy(path).measures
        return
    if "[models." in block.text:
        assert read_plan(path).ways
        return
    monkeypatch.setenv("RAG_CONFIG", str(path))
    settings = load_settings()
    for name, value in tomllib.loads(block.text).items():
        used = getattr(settings, name)
        if isinstance(used, tuple):
            used = [
                each.model_dump(exclude_unset=True) if isinstance(each, BaseModel) else each
                for each in used
            ]
        if isinstance(used, dict):
            used = {key: table.model_dump(exclude_unset=True) for key, table in used.items()}
        assert (used.get_secret_value() if isinstance(used, SecretStr) else used) == (
            Path(value) if isinstance(used, Path) else value
        )


def test_links_to_files_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            outside = target.startswith(("http:", "https:", "mailto:"))
            if not outside and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def settings_table() -> str:
    """Return the reference of all settings as rows of a Markdown table."""
    rows = []
    later = [*ServerSettings.model_fields, *ServiceSettings.model_fields]
    for name in [*(n for n in Settings.model_fields if n not in later), *later]:
        field = Settings.model_fields[name]
        default = "unset" if field.default in (None, (), {}) else f"`{_plain(field.default)}`"
        rows.append(f"| `{name}` | {default} | {_bounds(name)} | {field.description} |\n")
    return "".join(rows)


def generators_table() -> str:
    """Return the reference of what a generator is configured by."""
    rows = []
    for name, field in GeneratorSettings.model_fields.items():
        kinds = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        given = "needed" if field.is_required() else "unset"
        default = (
            f"`{_plain(field.default)}`" if not field.is_required() and field.default else given
        )
        choices = f": {', '.join(f'`{kind}`' for kind in kinds)}" if kinds else ""
        rows.append(f"| `{name}` | {default} | {field.description}{choices} |\n")
    return "".join(rows)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bounds(name: str) -> str:
    field = Settings.model_fields[name]
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true` or `false`"
    if field.annotation == Rate | None:
        return "a whole number `/second`, `/minute`, `/hour` or `/day`"
    if get_origin(field.annotation) is tuple:
        held = "names" if get_args(field.annotation)[0] is str else "tables"
        return f"at most {field.metadata[0].max_length} {held}"
    if get_origin(field.annotation) is dict:
        return f"at most {field.metadata[0].max_length} tables"
    kinds = ("pattern", "gt", "ge", "max_length", "min_length", "le")
    limits = {k: v for k in kinds for each in field.metadata if (v := getattr(each, k, None))}
    limits |= {"ge": 0} if any(getattr(each, "ge", None) == 0 for each in field.metadata) else {}
    wordings = {
        "pattern": "letters, digits, `.`, `_`, `-`; at most 64",
        "max_length": "at most {max_length} characters",
        "min_length": "not empty",
        "ge": "{ge} to {le}",
        "le": "over 0, to {le}",
    }
    return next((text.format(**limits) for kind, text in wordings.items() if kind in limits), "")


def test_the_settings_reference_is_that_of_the_code() -> None:
    match = _BEGIN.search(CONFIGURATION.read_text(encoding="utf-8"))
    assert match is not None
    assert match[1] == settings_table()


def test_the_reference_of_generators_is_that_of_the_code() -> None:
    match = _FIELDS.search(CONFIGURATION.read_text(encoding="utf-8"))
    assert match is not None
    assert match[1] == generators_table()


def test_the_table_of_measures_is_the_codes() -> None:
    text = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (higher|lower) \|$", text, re.MULTILINE)
    assert rows == [(m.name, m.of, m.unit, m.better) for m in MEASURES.values()]


if __name__ == "__main__":  # write the reference anew
    text = CONFIGURATION.read_text(encoding="utf-8")
    for pattern, rows in ((_BEGIN, settings_table()), (_FIELDS, generators_table())):
        found = pattern.search(text)
        if found is None:
            sys.exit(f"{CONFIGURATION} has no table to write")
        text = text[: found.start(1)] + rows + text[found.end(1) :]
    CONFIGURATION.write_text(text, encoding="utf-8")
