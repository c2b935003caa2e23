"""Parts that a team brings along are loaded by name, or refused by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from eval.judging.judge import Judge, Judgement
from eval.plugins import loaded
from eval.safety.checker import Finding, RuleChecker, SafetyChecker
from rag.errors import LoadError, UsageError

SOURCE = '''
from eval.safety.checker import Finding
from rag.errors import LoadError

class Shouting:
    """Finds answers in capitals."""

    def check(self, question, answer, context):
        return (Finding("shouting", answer, "capitals"),) if answer.isupper() else ()

class Nest:
    Inner = Shouting

def made():
    return Shouting()

def broken():
    raise KeyError("table")

def unread():
    raise LoadError("word list cannot be read", "words.txt", "add it")

def wanting(size):
    return Shouting()

number = 7
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module in the current folder, as a newcomer has it."""
    (tmp_path / "team_checks.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "team_checks", raising=False)
    monkeypatch.chdir(tmp_path)
    return "team_checks"


@pytest.mark.parametrize("name", ["made", "Shouting", "Nest.Inner"])
def test_a_checker_is_made(plugin: str, name: str) -> None:
    checker = loaded(f"{plugin}:{name}", SafetyChecker)
    assert checker.check("q", "NO", "") == (Finding("shouting", "NO", "capitals"),)
    assert checker.check("q", "No", "") == ()


def test_the_built_in_can_be_named() -> None:
    assert isinstance(loaded("eval.safety.checker:RuleChecker", SafetyChecker), RuleChecker)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "cannot be read"),
        ("team_checks", "Write package.module:factory"),
        (":made", "cannot be read"),
        ("team_checks:", "cannot be read"),
        (".team_checks:made", "cannot be read"),
        ("no_such_module:made", "no such plug-in module: no_such_module"),
        ("team_checks.inner:made", "no such plug-in module: team_checks.inner"),
        ("team_checks:absent", "no such attribute: absent in team_checks:absent"),
        ("team_checks:Nest.absent", "no such attribute: absent"),
        ("team_checks:number", "not callable: team_checks:number"),
        ("team_checks:broken", r"could not be made: team_checks:broken \(KeyError: 'table'\)"),
        ("team_checks:wanting", "could not be made: .*TypeError"),
        ("team_checks:Nest", r"makes a Nest without check\(\)"),
    ],
)
@pytest.mark.usefixtures("plugin")
def test_what_cannot_be_loaded_is_named(spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        loaded(spec, SafetyChecker)
    assert raised.value.exit_code == 2


def test_our_own_errors_pass_as_they_are(plugin: str) -> None:
    with pytest.raises(LoadError, match=r"words\.txt"):
        loaded(f"{plugin}:unread", SafetyChecker)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import a_module_nobody_has", "needs a module: a_module_nobody_has for half:made"),
        ("def made(:", r"cannot be imported: half:made \(SyntaxError"),
        ("1 / 0", "cannot be imported: .*ZeroDivisionError"),
    ],
)
def test_a_module_that_fails_on_import_is_told_from_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str
) -> None:
    (tmp_path / "half.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "half", raising=False)
    with pytest.raises(UsageError, match=says):
        loaded("half:made", SafetyChecker)


def test_a_checker_is_no_judge(plugin: str) -> None:
    with pytest.raises(UsageError, match=r"no Judge: .* without judge\(\)"):
        loaded(f"{plugin}:made", Judge)


class Kind:
    """A judge in a test."""

    def judge(self, question: str, answer: str, evidence: object) -> Judgement:  # noqa: ARG002
        return Judgement(1.0)


def test_a_judge_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "team_judge", sys.modules[__name__])
    assert loaded("team_judge:Kind", Judge).judge("q", "a", ()).groundedness == 1.0
