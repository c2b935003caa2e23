"""The results of ``rag-eval breakeven`` for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from eval.breakeven import ASSUMPTIONS, Plan, Result, Unit
from eval.layout import text_table
from rag.results import SignedInterval
from rag.types import Interval


def to_text(plan: Plan, found: Sequence[Result]) -> str:
    """Return the tables of all ways, and below them what they rest on."""
    header = ["way", "in", "a question now", "then", "saves", "costs once", "pays", "in time"]
    header += ["longest prompt that pays"]
    rows = [_row(plan, result) for result in found]
    traffic = f"{plan.questions_per_day:,.0f} questions a day for {plan.days:,.0f} days"
    lines = [f"- {text}" for text in (traffic, *ASSUMPTIONS)]
    table = text_table(header, rows, range(2, 6))
    return "\n".join([table, "", "Assumed:", *lines, *_unknown(found)])


def to_json(plan: Plan, found: Sequence[Result]) -> dict[str, Any]:
    """Return the results with the plan that they are of."""
    return {
        "plan": asdict(plan),
        "results": [asdict(result) for result in found],
        "assumptions": list(ASSUMPTIONS),
    }


def _row(plan: Plan, result: Result) -> list[str]:
    prompt = result.longest_prompt
    return [
        result.way,
        _unit(plan, result.unit),
        *(_range(value) for value in (result.now, result.then, result.saving, result.once)),
        _verdict(plan, result),
        {True: "yes", False: "no", None: "unknown"}[result.in_time],
        "unknown" if prompt is None else f"{_range(prompt)} tokens",
    ]


def _unit(plan: Plan, unit: Unit) -> str:
    return {"tokens": "tokens", "joules": "J", "money": plan.currency}[unit]


def _verdict(plan: Plan, result: Result) -> str:
    low, high = result.questions_low, result.questions_high
    if low is None or result.verdict == "pays at once":
        return result.verdict
    days = low / plan.questions_per_day
    if high is None and low == 0:
        return "may pay at once, or never"
    if high is None:
        return f"{result.verdict} {low:,.0f} questions ({days:,.3g} days), or never"
    last = high / plan.questions_per_day
    return f"{result.verdict} {_span(low, high)} questions ({_span(days, last)} days)"


def _unknown(found: Sequence[Result]) -> list[str]:
    missing = [
        f"{result.unit} of {result.way}: "
        + ("what it costs once" if result.saving is not None else "what a token costs")
        for result in found
        if result.verdict == "unknown"
    ]
    return ["", "Not known, so nothing is said:", *(f"- {line}" for line in missing)] * bool(
        missing
    )


def _range(value: Interval | SignedInterval | None) -> str:
    return "unknown" if value is None else _span(value.low, value.high)


def _span(low: float, high: float) -> str:
    a, b = _number(low), _number(high)
    return a if a == b else f"{a} to {b}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
