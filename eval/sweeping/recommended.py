"""What a sweep found, in words, and as settings that can be used at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eval.layout import shown, text_table
from eval.sweeping.sweep import Choice, Goal, Swept, Tried
from rag.settings import Settings


def as_toml(swept: Swept, settings: Settings, dataset: str) -> str | None:
    """Return the recommended settings as ``rag.toml``; None where nothing is recommended.

    All settings that differ from the defaults, those that were not varied included.
    """
    if swept.recommended is None or swept.confirmed is None:
        return None
    chosen = Settings.model_validate(settings.model_dump() | dict(swept.recommended.choice))
    lines = [
        f"# Recommended by rag-eval sweep on {dataset}, {_figures(swept.confirmed, swept.goal)}",
        f"# on questions that it was not chosen on: {swept.reason}.",
    ]
    if not swept.reached:
        lines.append(f"# {_shortfall(swept)}")
    values = chosen.answering()
    generators = values.pop("generators")
    lines += [
        f"{name} = {json.dumps(value)}"
        for name, value in values.items()
        if value is not None and value != Settings.model_fields[name].default
    ]
    lines += [line for generator in generators for line in _generator(generator)]
    return "\n".join(lines) + "\n"


def _generator(values: Mapping[str, Any]) -> Sequence[str]:
    """Return a generator's table; its key and options are nobody else's to write down."""
    given = [f"{name} = {json.dumps(value)}" for name, value in values.items() if value is not None]
    return ("", "# Without its api_key and options, if it has some.", "[[generators]]", *given)


def as_text(swept: Swept) -> str:
    """Return the front, the recommendation with its reason, and what the next bit would cost."""
    goal = swept.goal
    header = ["not beaten", goal.quality.replace("_", " "), "95 %", "tokens", "J", "questions"]
    front = text_table(header, [_cells(tried) for tried in swept.front], range(1, len(header)))
    parts = [f"{len(swept.tried)} settings tried.", "", front, ""]
    if swept.recommended is None or swept.confirmed is None:
        return "\n".join([*parts, f"Recommended: none: {swept.reason}."])
    parts += [
        f"Recommended: {named(swept.recommended.choice)}: {swept.reason}.",
        f"On the {swept.confirmed.questions} others: {_figures(swept.confirmed, goal)}.",
        *([] if swept.reached else [_shortfall(swept)]),
        _next(swept.recommended, swept.better, goal),
    ]
    return "\n".join(parts)


def named(choice: Choice) -> str:
    """Return a choice as ``name=value`` pairs."""
    return " ".join(f"{name}={value}" for name, value in choice.items())


def _cells(tried: Tried) -> Sequence[str]:
    quality = tried.quality
    return (
        named(tried.choice),
        f"{quality.mean:.3f}",
        f"{quality.low:.3f} to {quality.high:.3f}",
        shown(tried.context_tokens, "tokens"),
        shown(tried.joules, "J"),
        str(tried.questions),
    )


def _figures(tried: Tried, goal: Goal) -> str:
    quality = tried.quality
    return (
        f"{goal.quality.replace('_', ' ')} {quality.mean:.3f} ({quality.low:.3f} to "
        f"{quality.high:.3f}) at {tried.context_tokens:.0f} tokens and {tried.joules:.2g} J a "
        "question"
    )


def _shortfall(swept: Swept) -> str:
    """Return that the target is missed on the second half, and what to try instead."""
    better, goal = swept.better, swept.goal
    missed = f"Not confirmed: on these it falls short of {goal.target:g}; "
    if better is None:
        return f"{missed}no setting tried is better."
    return (
        f"{missed}the next better setting is {named(better.choice)}, with "
        f"{better.quality.mean:.3f} on the questions chosen on."
    )


def _next(recommended: Tried, better: Tried | None, goal: Goal) -> str:
    words = goal.quality.replace("_", " ")
    if better is None:
        return f"No setting tried has more {words}."
    gain = better.quality.mean - recommended.quality.mean
    tokens = better.context_tokens - recommended.context_tokens
    joules = better.joules - recommended.joules
    return (
        f"The next bit: {named(better.choice)} has {gain:+.3f} {words} for {tokens:+.0f} tokens "
        f"and {joules:+.2g} J a question."
    )
