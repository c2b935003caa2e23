"""A record's cost of a question in few numbers: what receipts compare an answer's cost with."""

from __future__ import annotations

from eval.records import Record
from eval.summary import per_question
from rag.errors import UsageError
from rag.saved import Baseline, named


def baseline_of(record: Record) -> Baseline:
    """Return the baseline that a record measured: means over its questions and repeats.

    Raises:
        UsageError: No question was asked, so there is nothing to compare with.
    """
    spent = per_question(record)
    if spent is None:
        raise UsageError("record without questions", record.identity.key, "name another record")
    machine = record.environment.get("machine") or {}
    tokenizer = record.settings.get("tokenizer")
    return Baseline(
        system=record.system,
        record=record.identity.key,
        data=record.data.name,
        questions=len(record.rows),
        machine=named(machine.get("cpu"), machine.get("cores")),
        tokenizer=None if tokenizer is None else str(tokenizer),
        context_tokens=spent.context_tokens,
        prompt_tokens=spent.prompt_tokens,
        joules=spent.joules,
    )
