"""Records of three systems on the same questions: one answers, two only find context."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from eval.outcomes import Outcome, Quote
from eval.records import Record, Row
from eval.report.contents import Contents, arranged
from rag.settings import Settings

RecordOf = Callable[..., Record]
SECOND = "See <script>alert(1)</script> & \"https://evil.example/x.js\" onload='x'."
FOUND = ("recall_at_5", "answer_recall", "context_tokens")


@pytest.fixture
def ours(record_of: RecordOf) -> Record:
    """Eight questions: right, wrong, ungrounded, two refused, one answered wrongly, two right."""
    none, one, zero = None, 1.0, 0.0
    record = record_of(
        {
            "recall_at_5": [one, one, one, one, zero, none, one, one],
            "answer_recall": [one, zero, one, one, zero, none, one, one],
            "context_tokens": [20.0, 30.0, 20.0, 25.0, 20.0, 40.0, 20.0, 21.0],
            "right_when_answered": [one, zero, one, none, none, none, one, one],
            "groundedness": [one, one, 0.5, none, none, one, one, one],
            "grounded": [one, one, zero, none, none, one, one, one],
        },
        fingerprint="a" * 12,
    )
    rows = list(record.rows)
    rows[1] = replace(rows[1], question=f"What? {SECOND}", findings=("says <b>too</b> much",))
    for i in (3, 4):
        rows[i] = _refused(rows[i])
    rows[5] = replace(rows[5], answerable=False, answers=(), gold=())
    settings = {**Settings.model_construct().answering(), "budget_tokens": 99}
    return replace(record, rows=tuple(_cited(row) for row in rows), settings=settings)


@pytest.fixture
def theirs(ours: Record) -> tuple[Record, Record]:
    """Two systems that do not answer, with other settings and no cost by stage."""
    return _finding(ours, "plain", 2450.0), _finding(ours, "hybrid", 1000.0)


@pytest.fixture
def contents(ours: Record, theirs: Sequence[Record]) -> Contents:
    """The three of them, the one that answers judged."""
    return arranged((ours, *theirs))


def _refused(row: Row) -> Row:
    outcome = replace(row.outcome, answer=None, refused=True, reason="not likely enough")
    return replace(row, outcome=outcome)


def _cited(row: Row) -> Row:
    said = row.outcome.answer
    context = f"{row.outcome.context}\n{SECOND}"
    quotes = (Quote("a", said, 0, len(said)),) if said else ()
    return replace(row, outcome=replace(row.outcome, context=context, citations=quotes))


def _finding(record: Record, name: str, tokens: float) -> Record:
    rows = tuple(_found(row, tokens) for row in record.rows)
    repeats = tuple(
        tuple(replace(cost, stages=(), joules=None) for cost in costs)
        for costs in record.measured.repeats
    )
    settings: Mapping[str, Any] = {"chunk_tokens": 1024, "name": f"<i>{name}</i>"}
    identity = replace(record.identity, system=name, fingerprint=name)
    measured = replace(record.measured, repeats=repeats, indexing=None)
    return replace(
        record, system=name, rows=rows, settings=settings, identity=identity, measured=measured
    )


def _found(row: Row, tokens: float) -> Row:
    outcome = Outcome(row.outcome.ranking, row.outcome.context, int(tokens), 4096)
    scores = {name: row.scores[name] for name in FOUND} | {"context_tokens": tokens}
    return replace(row, outcome=outcome, scores=scores, findings=())
