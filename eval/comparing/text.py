"""A comparison for a person, as text or Markdown, and for a program, as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from eval.comparing.compare import Compared, Comparison
from eval.layout import (
    markdown_table,
    markdown_text,
    p_shown,
    shortened,
    shown,
    side_by_side,
    signed,
    step,
    text_table,
)
from eval.measures import MEASURES
from eval.records import Record, Row
from eval.sci import differing_grids, rates, sci_line
from rag.receipts import printable

_HEADER: Final = ("measure", "A", "B", "B - A", "95 %", "p (Holm)", "verdict", "")
_RIGHT: Final = (1, 2, 3, 4, 5)
_NAMED = 5  # changed questions that a measure's line names
_ORDER = ("worse", "better", "no difference shown", "not compared")


def to_text(comparison: Comparison, count: int = 5) -> str:
    """Return the comparison in words, with ``count`` questions side by side."""
    rows = [_cells(each) for each in comparison.measures]
    parts = [
        verdict(comparison),
        "\n".join(_heading(comparison)),
        text_table(_HEADER, rows, _RIGHT),
        "\n".join(_changed_lines(comparison)),
        *("\n".join(_pair_text(a, b)) for a, b in most_changed(comparison, count)),
    ]
    return printable("\n\n".join(part for part in parts if part))


def to_markdown(comparison: Comparison, count: int = 5) -> str:
    """Return the comparison as Markdown, with ``count`` questions side by side."""
    rows = [_cells(each) for each in comparison.measures]
    listed = "\n".join(f"- {markdown_text(line)}" for line in _heading(comparison))
    changed = "\n".join(f"- {markdown_text(line)}" for line in _changed_lines(comparison))
    parts = [
        f"## {markdown_text(verdict(comparison))}",
        listed,
        markdown_table(_HEADER, rows, _RIGHT),
        changed,
        *(_pair_markdown(a, b) for a, b in most_changed(comparison, count)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_json(comparison: Comparison, count: int = 5) -> dict[str, Any]:
    """Return the comparison as JSON values, with ``count`` questions side by side."""
    return {
        "verdict": verdict(comparison),
        "a": _named(comparison.a),
        "b": _named(comparison.b),
        "questions": len(comparison.pairs),
        "warnings": list(comparison.warnings),
        "sci": {
            letter: asdict(rates(record))
            for letter, record in (("a", comparison.a), ("b", comparison.b))
        },
        "settings": {name: {"a": a, "b": b} for name, a, b in comparison.settings},
        "measures": [asdict(each) for each in comparison.measures],
        "side_by_side": [_pair_json(a, b) for a, b in most_changed(comparison, count)],
    }


def verdict(comparison: Comparison) -> str:
    """Return in one line what is better and what is worse."""
    found = {way: _labels(comparison, way) for way in ("worse", "better")}
    said = [f"{way}: {', '.join(labels)}" for way, labels in found.items() if labels]
    if said:
        return f"B is {'; '.join(said)}"
    able = sum(each.verdict != "not compared" for each in comparison.measures)
    return f"no difference shown in any of {able} measures over {len(comparison.pairs)} questions"


def most_changed(comparison: Comparison, count: int) -> list[tuple[Row, Row]]:
    """Return the rows of the questions that changed most: of each measure in turn, its largest.

    Measures with a verdict come first; times and energies change everywhere and say nothing here.
    """
    lists = [
        [change.id for change in each.changed]
        for each in sorted(comparison.measures, key=lambda each: _ORDER.index(each.verdict))
        if not MEASURES[each.measure].repeats
    ]
    depth = max(map(len, lists), default=0)
    turns = (ids[rank] for rank in range(depth) for ids in lists if rank < len(ids))
    rows = {a.id: (a, b) for a, b in comparison.pairs}
    return [rows[question] for question in list(dict.fromkeys(turns))[:count]]


def _labels(comparison: Comparison, way: str) -> list[str]:
    return [MEASURES[e.measure].label for e in comparison.measures if e.verdict == way]


def _named(record: Record) -> Mapping[str, Any]:
    return {
        "record": record.identity.key,
        "system": record.system,
        "data": record.data.name,
        "at": record.measured.at,
        "code": record.identity.code,
    }


def _heading(comparison: Comparison) -> Iterator[str]:
    for letter, record in (("A", comparison.a), ("B", comparison.b)):
        named = _named(record)
        yield (
            f"{letter}: {named['system']} on {named['data']}, record {named['record']},"
            f" code {named['code']}, {named['at']}"
        )
        yield f"{letter}: {sci_line(rates(record))}"
    yield f"{len(comparison.pairs)} questions"
    yield from (f"careful: {warning}" for warning in comparison.warnings)
    if differing_grids((comparison.a, comparison.b)):
        yield "careful: the grids differ: SCI and greenhouse gas cannot be compared"
    for name, a, b in comparison.settings:
        yield f"set otherwise: {name} {a} -> {b}"


def _cells(each: Compared) -> tuple[str, ...]:
    measure = MEASURES[each.measure]
    low, high = each.interval or (None, None)
    unit = measure.unit
    return (
        measure.label if unit == "share" else f"{measure.label} [{unit}]",
        shown(each.a.mean if each.a else None, unit),
        shown(each.b.mean if each.b else None, unit),
        signed(each.difference, unit),
        f"{signed(low, unit)} to {signed(high, unit)}" if each.interval and each.changed else "-",
        p_shown(each.p_holm),
        each.verdict,
        _why(each),
    )


def _why(each: Compared) -> str:
    over = f", at the {each.over} questions where both have a value" if each.over else ""
    return f"{each.why or each.test}{over}"


def _changed_lines(comparison: Comparison) -> Iterator[str]:
    for each in comparison.measures:
        measure = MEASURES[each.measure]
        if not each.changed or measure.repeats:
            continue
        first = each.changed[:_NAMED]
        named = ", ".join(f"{c.id} {step(c.a, c.b, measure.unit)}" for c in first)
        more = len(each.changed) - len(first)
        yield (
            f"{measure.label} changed at {len(each.changed)}: {named}"
            f"{f' and {more} more' if more else ''}"
        )


def _pair_text(a: Row, b: Row) -> Iterator[str]:
    yield f"{a.id}  {shortened(a.question, 88)}"
    yield f"      {_gold(a)}"
    yield from side_by_side("A", "B")
    yield from side_by_side(*_told(a, b))


def _pair_markdown(a: Row, b: Row) -> str:
    heading = f"### {markdown_text(a.id)}: {markdown_text(shortened(a.question, 200))}"
    return f"{heading}\n\n{markdown_text(_gold(a))}\n\n{markdown_table(('A', 'B'), [_told(a, b)])}"


def _pair_json(a: Row, b: Row) -> dict[str, Any]:
    sides = {name: asdict(row.outcome) for name, row in (("a", a), ("b", b))}
    return {"id": a.id, "question": a.question, "answers": list(a.answers), **sides}


def _gold(row: Row) -> str:
    if not row.answerable:
        return "not answerable"
    return f"right: {shortened(' / '.join(row.answers) or ', '.join(row.gold), 88)}"


def _told(a: Row, b: Row) -> tuple[str, str]:
    """Return both sides' answer and context; a context that is the same stands once."""
    mine, other = _answer(a), _answer(b)
    if a.outcome.context == b.outcome.context:
        return f"{mine}\n\n{a.outcome.context}", f"{other}\n\n(the same context)"
    return f"{mine}\n\n{a.outcome.context}", f"{other}\n\n{b.outcome.context}"


def _answer(row: Row) -> str:
    outcome = row.outcome
    if outcome.refused:
        return f"refused: {outcome.reason or 'no reason given'}"
    if outcome.answer is None:
        return "gives contexts only"
    short = f" ({outcome.short})" if outcome.short else ""
    places = ", ".join(f"{q.doc_id}[{q.start}:{q.end}]" for q in outcome.citations)
    written = "".join(f"\nasked: {call}" for call in outcome.calls)
    return f"{outcome.answer}{short}\ncites: {places or 'nothing'}{written}"
