"""Counters of the process: which names become labels, and what models took."""

from __future__ import annotations

import re
from dataclasses import replace

from rag.results import Impact, Receipt, Usage
from rag.service.metrics import Gauged, Metrics

USAGE = Usage(30, 256, 100, 64, 20, "cl100k_base", reported=True)
IMPACT = Impact(None, None, None, None, "estimated", None)
RECEIPT = Receipt(USAGE, IMPACT, None, "miss", (), "abc", 1, 0.5, "tiny")


def lines(metrics: Metrics, name: str) -> dict[str, float]:
    text = metrics.text().decode()
    found = re.findall(rf"^frugal_rag_{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(number) for labels, number in found}


def test_what_models_took_is_counted_by_model() -> None:
    metrics = Metrics()
    metrics.answered("a", RECEIPT, abstained=False)
    metrics.answered("a", RECEIPT, abstained=True)
    metrics.answered("a", replace(RECEIPT, model="large"), abstained=False)
    assert lines(metrics, "generated_total") == {
        'model="tiny",outcome="answered"': 1,
        'model="tiny",outcome="abstained"': 1,
        'model="large",outcome="answered"': 1,
    }
    tokens = lines(metrics, "generated_tokens_total")
    assert tokens['model="tiny",use="prompt"'] == 200
    assert tokens['model="tiny",use="cached"'] == 128
    assert tokens['model="large",use="completion"'] == 20
    assert lines(metrics, "cache_total") == {'use="miss"': 3}


def test_an_answer_without_a_model_is_no_models() -> None:
    metrics = Metrics()
    none = replace(USAGE, prompt_tokens=None, cached_tokens=None, completion_tokens=None)
    metrics.answered("a", replace(RECEIPT, model=None, usage=none), abstained=False)
    # Another's answer that was waited for names its model, and took nothing of it.
    metrics.answered("a", replace(RECEIPT, cache="shared", usage=none), abstained=False)
    assert lines(metrics, "generated_tokens_total") == lines(metrics, "generated_total") == {}
    assert lines(metrics, "cache_total") == {'use="miss"': 1, 'use="shared"': 1}


def test_names_that_anybody_may_choose_do_not_fill_the_memory() -> None:
    metrics = Metrics()
    for number in range(150):
        receipt = replace(RECEIPT, model=f"m{number}")
        metrics.answered(f"t{number}", receipt, abstained=False)
    models = lines(metrics, "generated_total")
    assert len(models) == 101
    assert models['model="(others)",outcome="answered"'] == 50
    assert len(lines(metrics, "questions_total")) == 101


def test_gauges_are_read_when_they_are_asked_for() -> None:
    metrics, read = Metrics(), []

    def gauges() -> list[Gauged]:
        read.append(1)
        return [Gauged("here", "Here", {"": 2.0}), Gauged("by", "By", {"x": 1.0}, "bound")]

    metrics.gauge(gauges)
    assert not read
    assert lines(metrics, "here") == {"": 2}
    assert lines(metrics, "by") == {'bound="x"': 1}
    assert len(read) == 2
