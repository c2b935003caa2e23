"""What each stage of a question costs: tokens in and out, time, energy, gas and water."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from eval.report.contents import Entry
from eval.report.markup import Html, element, joined
from eval.report.numbers import Scale, scale_of
from eval.report.plots import bar
from eval.report.tables import table
from eval.summary import Spent, StageSpent, by_stage, per_grounded_answer, per_question
from rag.types import Interval

Amount: TypeAlias = Literal["seconds", "joules", "gco2e", "litres"]
Direction: TypeAlias = Literal["in", "out"]

_AMOUNTS: Final[tuple[tuple[Amount, str, str], ...]] = (
    ("seconds", "Wall time", "s"),
    ("joules", "Energy", "J"),
    ("gco2e", "Greenhouse gas", "g"),
    ("litres", "Water", "L"),
)


def stages(entry: Entry) -> Html | None:
    """Return the table of a record's stages; None where it has none.

    An amount that is known of no stage has no column.
    """
    found, question = by_stage(entry.record), per_question(entry.record)
    if not found or not question:
        return None
    head = ["Stage", "Questions", "Tokens in", "Tokens out", "Share of the time"]
    columns = [
        [stage.stage for stage in found],
        [f"{100 * stage.runs:.0f} %" for stage in found],
        _tokens(found, question, "in"),
        _tokens(found, question, "out"),
        _shares(found),
    ]
    grounded = per_grounded_answer(entry.record)
    factor = question.count / grounded.count if grounded else None
    for amount, name, unit in _AMOUNTS:
        taken = [staged(stage, amount, question) for stage in found]
        if any(taken):
            scale = scale_of(unit, [each.high for each in taken if each])
            head.append(f"{name} [{scale.unit}]")
            columns.append([_twice(each, scale, factor) for each in taken])
    caption = f"{entry.name}, by stage: a question, and below it a grounded answer"
    return table(caption, head, zip(*columns, strict=True))


def staged(stage: StageSpent, amount: Amount, question: Spent) -> Interval | None:
    """Return what a stage took of an amount: gas and water by its share of the energy.

    Source: both are energy times a constant of the place (``rag.impact``).
    """
    if amount == "seconds":
        return Interval(stage.seconds, stage.seconds)
    if amount == "joules":
        return stage.joules
    total = question.gco2e if amount == "gco2e" else question.litres
    if not stage.joules or not total or not question.joules or not question.joules.high:
        return None
    return _times(stage.joules, total.high / question.joules.high)


def _tokens(found: Sequence[StageSpent], question: Spent, direction: Direction) -> list[str]:
    """Return what goes in or out of each stage: the context, and the generator's call."""
    names = [stage.stage for stage in found]
    packing = "pack" if "pack" in names else "retrieve"
    counts = {
        (packing, "out"): question.context_tokens,
        ("answer", "in"): question.prompt_tokens,
        ("answer", "out"): question.completion_tokens,
    }
    return [
        _counted(counts[name, direction]) if (name, direction) in counts else "" for name in names
    ]


def _counted(tokens: float | None) -> str:
    return "no generator" if tokens is None else Scale("tokens").shown(tokens)


def _shares(found: Sequence[StageSpent]) -> list[Html]:
    total = sum(stage.seconds for stage in found)
    shares = (stage.seconds / total if total else 0.0 for stage in found)
    return [joined((bar(share), f" {100 * share:.0f} %")) for share in shares]


def _twice(each: Interval | None, scale: Scale, factor: float | None) -> str:
    """Return an amount for a question, and below it for a grounded answer."""
    if each is None or factor is None:
        return scale.interval(each)
    return joined((scale.interval(each), element("small", scale.interval(_times(each, factor)))))


def _times(interval: Interval, factor: float) -> Interval:
    return interval * Interval(factor, factor)
