"""What the gate says: one table for a person, Markdown and JUnit XML for CI, JSON values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final
from xml.etree import ElementTree as ET

from eval.gating.gate import Held, Status, Verdict
from eval.layout import markdown_table, markdown_text, shortened, shown, signed, step, text_table
from eval.measures import MEASURES
from eval.records import Record
from rag.receipts import printable

_HEADER: Final = ("", "measure", "value", "baseline", "change", "may lose", "noise", "why")
_RIGHT: Final = (2, 3, 4, 5, 6)
_ORDER: Final = ("block", "warn", "not compared", "pass")
_SIGNS: Final[dict[Status, str]] = {
    "block": "BLOCK",
    "warn": "warn",
    "pass": "ok",
    "not compared": "-",
}
_OTHERS: Final[dict[Status, str]] = {"warn": "with a warning", "not compared": "not compared"}
_BLAMED = 5  # questions that stand under a measure
# What XML 1.0 cannot hold, not even escaped. Source: https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_text(verdict: Verdict) -> str:
    """Return the verdict and the one table: what blocked, and under it the questions to blame."""
    cells = [_cells(held) for held in _ordered(verdict)]
    lines = text_table(_HEADER, cells, _RIGHT).split("\n")
    table = [lines[0]]
    for line, held in zip(lines[1:], _ordered(verdict), strict=True):
        table += [line, *(f"         {blamed}" for blamed in _blamed(held, verdict))]
    parts = [headline(verdict), "\n".join(_heading(verdict)), "\n".join(table)]
    return printable("\n\n".join(parts))


def to_markdown(verdict: Verdict) -> str:
    """Return the verdict as Markdown, for a summary page of CI."""
    ordered = _ordered(verdict)
    told = [
        f"**{markdown_text(MEASURES[held.measure].label)}**: {markdown_text(held.why)}\n\n{listed}"
        for held in ordered
        if (listed := "\n".join(f"- {markdown_text(line)}" for line in _blamed(held, verdict)))
    ]
    parts = [
        f"## {markdown_text(headline(verdict))}",
        "\n".join(f"- {markdown_text(line)}" for line in _heading(verdict)),
        markdown_table(_HEADER, [_cells(held) for held in ordered], _RIGHT),
        *told,
    ]
    return "\n\n".join(parts) + "\n"


def to_junit(verdict: Verdict) -> str:
    """Return the verdict as JUnit XML: a test case a measure, in the order of the policy.

    Source: the schema that Jenkins reads, junit-10.xsd of its xUnit plugin.
    """
    statuses = [held.status for held in verdict.measures]
    suite = {
        "name": "rag-eval gate",
        "tests": str(len(statuses)),
        "failures": str(statuses.count("block")),
        "errors": "0",
        "skipped": str(statuses.count("not compared")),
    }
    root = ET.Element("testsuites")
    inside = ET.SubElement(root, "testsuite", suite)
    for held in verdict.measures:
        _case(inside, held, verdict)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def to_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as JSON values."""
    return {
        "passed": not verdict.blocked_by,
        "blocked_by": list(verdict.blocked_by),
        "record": verdict.candidate.identity.key,
        "baseline": verdict.baseline.identity.key if verdict.baseline else None,
        "warnings": list(verdict.warnings),
        "measures": [asdict(held) for held in verdict.measures],
    }


def headline(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    if verdict.blocked_by:
        labels = (MEASURES[name].label for name in verdict.blocked_by)
        return f"gate: BLOCKED by {', '.join(labels)}"
    statuses = [held.status for held in verdict.measures]
    counts = {s: statuses.count(s) for s in ("pass", "warn", "not compared")}
    said = f"{counts['pass']} of {len(statuses)} measures hold"
    more = [f"{counts[s]} {word}" for s, word in _OTHERS.items() if counts[s]]
    return f"gate: open, {', '.join([said, *more])}"


def _ordered(verdict: Verdict) -> list[Held]:
    return sorted(verdict.measures, key=lambda held: _ORDER.index(held.status))


def _heading(verdict: Verdict) -> Iterator[str]:
    yield f"record    {_named(verdict.candidate)}"
    if verdict.baseline:
        yield f"baseline  {_named(verdict.baseline)}"
    yield from (f"careful   {warning}" for warning in verdict.warnings)


def _named(record: Record) -> str:
    data, identity = record.data, record.identity
    return (
        f"{identity.key}: {record.system} on {data.name}, {len(record.rows)} questions,"
        f" code {identity.code}, {record.measured.at}"
    )


def _cells(held: Held) -> tuple[str, ...]:
    measure = MEASURES[held.measure]
    unit = measure.unit
    change = held.loss if measure.better == "lower" or held.loss is None else -held.loss
    return (
        _SIGNS[held.status],
        measure.label if unit == "share" else f"{measure.label} [{unit}]",
        shown(held.value, unit),
        shown(held.baseline, unit),
        signed(change, unit),
        shown(held.allowed, unit),
        "0" if held.noise == 0 else shown(held.noise, unit),
        held.why,
    )


def _blamed(held: Held, verdict: Verdict) -> Iterator[str]:
    unit = MEASURES[held.measure].unit
    texts = {row.id: row.question for row in verdict.candidate.rows}
    for change in held.questions[:_BLAMED]:
        moved = step(change.a, change.b, unit)
        yield f"{change.id}  {moved}  {shortened(texts[change.id], 64)}"
    if len(held.questions) > _BLAMED:
        yield f"and {len(held.questions) - _BLAMED} more questions"


def _case(suite: ET.Element, held: Held, verdict: Verdict) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": "rag-eval.gate", "name": held.measure})
    cells = dict(zip(_HEADER[1:], _cells(held)[1:], strict=True))
    said = ", ".join(f"{name} {cell}" for name, cell in cells.items() if cell not in ("", "-"))
    body = _xml("\n".join([said, *_blamed(held, verdict)]))
    if held.status == "block":
        message = _xml(f"{cells['measure']}: {held.why}")
        ET.SubElement(case, "failure", {"message": message, "type": "block"}).text = body
    elif held.status == "not compared":
        ET.SubElement(case, "skipped", {"message": _xml(held.why)})
    elif held.status == "warn":
        ET.SubElement(case, "system-out").text = f"warning: {body}"


def _xml(text: str) -> str:
    return _NOT_XML.sub("", printable(text))
