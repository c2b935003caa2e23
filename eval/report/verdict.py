"""What comes first: whether it passes, and in one sentence what it costs, beside the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from eval.gating.gate import Held, Status, Verdict
from eval.measures import MEASURES
from eval.report.contents import Contents, Entry
from eval.report.markup import Html, element, joined
from eval.report.numbers import UNKNOWN, ratio, scale_of, whole
from eval.report.questions import anchors
from eval.report.tables import cell, table
from eval.summary import per_grounded_answer, per_question

_GLANCE: Final = ("answer_recall", "groundedness", "context_tokens", "joules")
_BLAMED: Final = 8  # questions named for a measure
_NUMBERS: Final = ("Value", "Baseline", "Change", "May lose", "Noise")
_SYMBOLS: Final = {"passes": "✔", "blocked": "✘", "not judged": "–"}
_STATUSES: Final[Mapping[Status, str]] = {
    "block": "✘ blocks",
    "warn": "! warns",
    "not compared": "– not compared",
    "pass": "✔ passes",
}


def outcome(verdict: Verdict | None) -> str:
    """Return the verdict in one or two words."""
    if verdict is None:
        return "not judged"
    return "blocked" if verdict.blocked_by else "passes"


def banner(contents: Contents) -> Html:
    """Return the verdict, what it rests on, and what the judged record gives and costs."""
    word = outcome(contents.verdict)
    symbol = element("span", f"{_SYMBOLS[word]} ", aria_hidden="true")
    said = element("p", symbol, word.capitalize(), class_="word")
    beside = [element("li", each) for each in _ratios(contents)]
    return element(
        "div",
        said,
        element("p", _reason(contents)),
        element("p", _gives(contents.judged)),
        element("ul", *beside) if beside else None,
        class_=f"verdict {word.replace(' ', '-')}",
    )


def glance(contents: Contents) -> Html:
    """Return the table of what matters most, a row a record."""
    scales = {
        name: scale_of(MEASURES[name].unit, [e.lines[name].mean for e in contents.compared])
        for name in _GLANCE
    }
    grounded = [per_grounded_answer(entry.record) for entry in contents.compared]
    joules = [spent.joules if spent else None for spent in grounded]
    each = scale_of("J", [interval.high for interval in joules if interval])
    rows = [
        [
            entry.name,
            *(cell(entry, MEASURES[name], scales[name]) for name in _GLANCE),
            each.interval(joule) if entry.answers else "does not answer",
        ]
        for entry, joule in zip(contents.compared, joules, strict=True)
    ]
    head = (
        "Record",
        "Answer recall",
        "Groundedness",
        "Context a question [tokens]",
        f"Energy a question [{scales['joules'].unit}]",
        f"Energy a grounded answer [{each.unit}]",
    )
    return table("At a glance: means with their 95 % intervals", head, rows)


def checks(contents: Contents) -> Html | None:
    """Return the table of the policy's measures, those that block first; None without a policy."""
    if not contents.verdict:
        return None
    order = list(_STATUSES)
    ordered = sorted(contents.verdict.measures, key=lambda held: order.index(held.status))
    head = ("Measure", "Verdict", *_NUMBERS, "Why", "Questions that did it")
    shown = anchors(contents)
    rows = [head, *(_held(held, shown) for held in ordered)]
    # A column without anything in it would only take room: most policies need not all of them.
    kept = [i for i in range(len(head)) if any(row[i] for row in rows[1:])]
    top, *body = ([row[i] for i in kept] for row in rows)
    return table("What the policy holds it to", top, body)


def _held(held: Held, anchors_by_id: Mapping[str, str]) -> list[str]:
    measure = MEASURES[held.measure]
    better = measure.better == "higher"
    change = None if held.loss is None else -held.loss if better else held.loss
    numbers = (held.value, held.baseline, change, held.allowed, held.noise)
    scale = scale_of(measure.unit, [held.value, held.baseline])
    name = joined((measure.label, element("small", scale.unit)))
    status = element("span", _STATUSES[held.status], class_=f"status {held.status}")
    shown = ("" if value is None else scale.shown(value) for value in numbers)
    links = [_linked(change.id, anchors_by_id) for change in held.questions[:_BLAMED]]
    more = len(held.questions) - len(links)
    blamed = joined([*links, *([f"{whole(more)} more"] if more > 0 else [])], ", ")
    words = (element("div", each, class_="words") if each else "" for each in (held.why, blamed))
    return [name, status, *shown, *words]


def _linked(question: str, anchors_by_id: Mapping[str, str]) -> str:
    anchor = anchors_by_id.get(question)
    return element("a", question, href=anchor) if anchor else question


def _reason(contents: Contents) -> str:
    verdict = contents.verdict
    if verdict is None:
        return f"Nothing was demanded of this record: {contents.unjudged}."
    blocking = ", ".join(MEASURES[name].label for name in verdict.blocked_by)
    said = f"It is blocked by {blocking}." if blocking else "Nothing blocks it."
    odd = "".join(f" Careful: {warning}." for warning in verdict.warnings)
    return f"{said} Measures held to the policy: {whole(len(verdict.measures))}.{odd}"


def _gives(entry: Entry) -> str:
    recall, grounded = (_valued(entry, name) for name in ("answer_recall", "groundedness"))
    tokens, joules = (_valued(entry, name) for name in ("context_tokens", "joules"))
    if not entry.answers:
        grounded = "not measured, as the system does not answer"
    spent = per_grounded_answer(entry.record)
    each = scale_of("J", [spent.joules.high if spent and spent.joules else None])
    cost = f"{each.interval(spent.joules)} {each.unit}" if spent and spent.joules else UNKNOWN
    asked = per_question(entry.record)
    return (
        f"{entry.name}, asked {whole(asked.count if asked else 0)} questions: answer recall "
        f"{recall}, groundedness {grounded}, {tokens} of context and {joules} a question, "
        f"{cost} a grounded answer."
    )


def _valued(entry: Entry, name: str) -> str:
    mean = entry.lines[name].mean
    scale = scale_of(MEASURES[name].unit, [mean])
    unit = "" if scale.unit == "share" or mean is None else f" {scale.unit}"
    return f"{scale.shown(mean)}{unit}"


def _ratios(contents: Contents) -> Iterator[str]:
    """Yield what the judged record costs in terms of each other, and the recall of both."""
    ours = contents.judged
    for entry in contents.beside:
        parts = [
            part
            for name, words in (("context_tokens", "the tokens"), ("joules", "the energy"))
            if (part := ratio(ours.lines[name].mean, entry.lines[name].mean, words))
        ]
        if parts:
            recalls = " against ".join(_valued(each, "answer_recall") for each in (ours, entry))
            yield f"{' and '.join(parts)} of {entry.name}, at answer recall {recalls}"
