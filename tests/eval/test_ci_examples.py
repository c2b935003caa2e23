"""The shipped CI examples: they parse, and what they call exists."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.commands import gate, run

yaml = pytest.importorskip("yaml")
CI = Path(__file__).parents[2] / "docs" / "ci"


def job(name: str) -> dict[str, Any]:
    """The one job of an example."""
    found = yaml.safe_load((CI / name).read_text(encoding="utf-8"))
    return found["jobs"]["gate"] if "jobs" in found else found["gate"]


def commands(name: str) -> Iterator[list[str]]:
    """The calls of rag-eval in an example, as words."""
    here = job(name)
    steps = here.get("script") or [step["run"] for step in here["steps"] if "run" in step]
    for line in "\n".join(steps).splitlines():
        if line.startswith("rag-eval "):
            yield shlex.split(line)[1:]


def kept(name: str) -> set[str]:
    """What an example keeps of a run."""
    here = job(name)
    if "steps" in here:
        upload = next(s for s in here["steps"] if "upload" in s.get("uses", ""))
        assert upload["if"] == "always()"
        return set(upload["with"]["path"].split())
    assert here["artifacts"]["when"] == "always"
    return {*here["artifacts"]["paths"], here["artifacts"]["reports"]["junit"]}


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_an_example_runs_then_gates_and_keeps_what_they_write(name: str) -> None:
    parser = argparse.ArgumentParser()
    inside = parser.add_subparsers()
    for command in (run, gate):
        command.add_to(inside)
    first, second = (parser.parse_args(words) for words in commands(name))
    assert first.run is run.run_command
    assert second.run is gate.gate_command
    assert (CI.parents[1] / first.dataset / "queries.jsonl").is_file()
    assert first.repeat >= 2  # without repeats no time or energy is compared
    assert {str(second.junit), f"{first.results}/"} <= kept(name)
    assert str(second.markdown) in {*kept(name), "$GITHUB_STEP_SUMMARY"}
    assert first.results == second.results
