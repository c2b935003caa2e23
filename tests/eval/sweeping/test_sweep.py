"""A sweep over real settings on the samples, and its rules by hand."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from eval.cli import main
from eval.datasets import load_dataset
from eval.records import Record
from eval.run import Plan
from eval.statistics import Estimate
from eval.summary import summary
from eval.sweeping.recommended import as_text, as_toml, named
from eval.sweeping.sweep import Goal, Sweep, Tried, choices, halves, recommended, rounds
from eval.systems.subjects import FrugalSubject
from rag.errors import SettingsError, UsageError, ValueRangeError
from rag.settings import load_settings

SAMPLES = Path(__file__).parents[3] / "samples"
GRID = {"tier": ("lexical",), "budget_tokens": ("32", "64", "128"), "frugality": ("0", "0.2")}


def test_every_combination_is_a_choice_once() -> None:
    found = choices({"budget_tokens": ("64", "064", "128"), "second_hop": ("true", "false")})
    assert [tuple(choice.values()) for choice in found] == [
        (64, True),
        (64, False),
        (128, True),
        (128, False),
    ]


@pytest.mark.parametrize(
    ("grid", "error", "said"),
    [
        ({"budget_tokens": ("8",)}, SettingsError, "budget_tokens"),
        ({"tier": ()}, UsageError, "tier"),
        ({}, UsageError, "no setting"),
    ],
)
def test_bad_grids_are_refused(
    grid: Mapping[str, Sequence[str]], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        choices(grid)


def test_halves_share_no_question_and_lose_none() -> None:
    samples = load_dataset(SAMPLES)
    first, second = halves(samples)
    ids = [{case.id for case in half.cases} for half in (first, second)]
    assert not ids[0] & ids[1]
    assert ids[0] | ids[1] == {case.id for case in samples.cases}
    assert 40 < len(ids[0]) < 80
    with pytest.raises(ValueRangeError, match="halved"):
        halves(replace(samples, cases=samples.cases[:1]))


@pytest.mark.parametrize(
    ("settings", "questions", "expected"),
    [
        (27, 900, (100, 300, 900)),
        (24, 500, (56, 167, 500)),
        (24, 60, (30, 60)),  # never fewer than 30
        (3, 500, (500,)),
        (1, 10, (10,)),
    ],
)
def test_rounds_of_halving(settings: int, questions: int, expected: tuple[int, ...]) -> None:
    assert rounds(settings, questions) == expected


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    folder = tmp_path_factory.mktemp("sweep")
    settings = load_settings()
    subject = FrugalSubject(settings)
    plan = Plan(load_dataset(SAMPLES), subject, settings, results=folder, cache=folder / "c")
    return Sweep(plan, settings, Goal(target=0.5))


def test_the_cheapest_that_is_good_enough_is_recommended(sweep: Sweep) -> None:
    swept = sweep.run(choices(GRID), "grid")
    assert len(swept.tried) == 6
    assert swept.recommended is not None
    enough = [tried for tried in swept.tried if tried.quality.mean >= 0.5]
    assert 0 < len(enough) < 6
    cheapest = min(tried.context_tokens for tried in enough)
    assert swept.recommended.context_tokens <= 1.05 * cheapest
    assert swept.confirmed is not None
    asked = {row.id for row in swept.recommended.record.rows}
    assert not asked & {row.id for row in swept.confirmed.record.rows}
    assert swept.better is not None
    assert swept.better.quality.mean > swept.recommended.quality.mean
    tokens = [tried.context_tokens for tried in swept.front]
    assert tokens == sorted(tokens)


def tried(name: str, quality: float, tokens: float, joules: float, record: Record) -> Tried:
    estimate = Estimate(quality, quality, quality, 10)
    return Tried({"name": name}, estimate, tokens, joules, 10, record)


def test_which_cost_counts_first(record_of: Callable[..., Record]) -> None:
    record = record_of({"answer_recall": [1.0]})
    whole = [
        tried("poor", 0.80, 10, 0.001, record),
        tried("few tokens, hungry", 0.91, 100, 0.040, record),
        tried("about as few, spare", 0.90, 104, 0.010, record),
        tried("more tokens, sparest", 0.95, 130, 0.005, record),
        tried("as spare, fewer", 0.92, 120, 0.006, record),
    ]
    for cheapest, expected in (
        ("context_tokens", "about as few, spare"),
        ("joules", "as spare, fewer"),
    ):
        found = recommended(whole, Goal(target=0.9, cheapest=cheapest))
        assert found is not None
        assert found.choice == {"name": expected}
    assert recommended(whole, Goal(target=0.99)) is None


def test_what_was_asked_is_not_asked_again(sweep: Sweep) -> None:
    def stamps() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in sweep.plan.results.glob("*.json")}

    sweep.run(choices(GRID), "grid")
    before = stamps()
    swept = replace(sweep, goal=Goal(target=2.0)).run(choices(GRID), "grid")
    assert stamps() == before
    assert swept.recommended is None
    assert "none of 6 settings reaches 2 answer recall" in swept.reason


def test_figures_are_those_of_the_records_own_summary(sweep: Sweep) -> None:
    swept = replace(sweep, goal=Goal("groundedness", 0.5)).run(choices(GRID), "grid")
    for tried in swept.tried:
        line = {line.measure: line for line in summary(tried.record)}["groundedness"]
        assert line.n < tried.questions  # not every question is answered
        assert tried.quality == Estimate(line.mean or 0, line.low or 0, line.high or 0, line.n)


def test_a_record_that_cannot_be_read_is_made_anew(sweep: Sweep) -> None:
    one = choices({"tier": ("lexical",), "budget_tokens": ("64",), "frugality": ("0",)})
    before = sweep.run(one, "grid")
    assert before.recommended is not None
    path = sweep.plan.results / f"{before.recommended.record.identity.key}.json"
    path.write_text("{")
    after = sweep.run(one, "grid")
    assert after.recommended is not None
    assert after.recommended.quality == before.recommended.quality
    stamp = path.stat().st_mtime_ns
    assert json.loads(path.read_text())["version"]
    replace(sweep, anew=True).run(one, "grid")
    assert path.stat().st_mtime_ns > stamp


def test_a_target_that_is_not_confirmed_is_said_plainly(sweep: Sweep) -> None:
    swept = sweep.run(choices(GRID), "grid")
    assert swept.confirmed is not None
    assert swept.better is not None
    assert swept.reached == (swept.confirmed.quality.mean >= 0.5)
    low, high = Estimate(0.49, 0.3, 0.6, 60), Estimate(0.5, 0.4, 0.6, 60)
    short = replace(swept, confirmed=replace(swept.confirmed, quality=low))
    told = (
        f"Not confirmed: on these it falls short of 0.5; the next better setting is "
        f"{named(swept.better.choice)}"
    )
    assert told in as_text(short)
    assert f"# {told}" in (as_toml(short, sweep.settings, "samples") or "")
    last = replace(short, better=None)
    assert "falls short of 0.5; no setting tried is better." in as_text(last)
    fine = replace(swept, confirmed=replace(swept.confirmed, quality=high))
    assert "falls short" not in as_text(fine) + (as_toml(fine, sweep.settings, "samples") or "")


def test_halving_asks_the_losers_less(sweep: Sweep) -> None:
    swept = sweep.run(choices(GRID), "halving")
    assert len(swept.tried) == 6
    whole = max(tried.questions for tried in swept.tried)
    assert [tried.questions == whole for tried in swept.tried] == [True, True] + 4 * [False]
    assert {tuple(tried.choice.items()) for tried in swept.front} <= {
        tuple(tried.choice.items()) for tried in swept.tried[:2]
    }


def test_the_recommended_file_can_be_used_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "rag.toml"
    command = [
        *("sweep", str(SAMPLES), "--set", "budget_tokens=48,96", "--tier", "lexical", "--json"),
        *("--target", "answer_recall=0.4", "--jobs", "2", "--write", str(written)),
        *("--results", str(tmp_path / "r"), "--cache", str(tmp_path / "c")),
    ]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    recommended = found["recommended"]["settings"]
    assert tomllib.loads(written.read_text())["tier"] == "lexical"
    monkeypatch.setitem(os.environ, "RAG_CONFIG", str(written))
    settings = load_settings()
    assert (settings.tier, settings.budget_tokens) == ("lexical", recommended["budget_tokens"])
    assert main(command) == 2
    assert "such a file already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "colour=red"), "not a setting with values: colour=red"),
        (("--set", "budget_tokens"), "not a setting with values: budget_tokens"),
        (("--target", "answer_recall"), "not a target: answer_recall"),
        (("--target", "context_tokens=100"), "not a target: context_tokens=100"),
        (("--target", "answer_recall=nan"), "not a target: answer_recall=nan"),
        (("--target", "answer_recall=inf"), "not a target: answer_recall=inf"),
        (("--target", "answer_recall=7"), "not a target: answer_recall=7. Give a share"),
        (("--target", "answer_recall=-0.1"), "not a target: answer_recall=-0.1. Give a share"),
        (("--write", "/proc/x"), "file cannot be written: /proc/x"),
    ],
)
def test_bad_options_are_refused(
    options: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", str(SAMPLES), *options]) == 2
    assert said in capsys.readouterr().err


def test_values_are_joined_and_nothing_recommended_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "rag.toml"
    command = [
        *("sweep", str(SAMPLES), "--tier", "lexical", "--questions", "16", "--json"),
        *("--set", "budget_tokens=32", "--set", "budget_tokens=48"),
        *("--target", "answer_recall=1", "--write", str(written)),
        *("--results", str(tmp_path / "r"), "--cache", str(tmp_path / "c")),
    ]
    assert main(command) == 1
    said = capsys.readouterr()
    tried = [one["settings"]["budget_tokens"] for one in json.loads(said.out)["tried"]]
    assert tried == [32, 48]
    assert said.err == f"nothing is recommended: {written} is not written\n"
    assert not written.exists()
