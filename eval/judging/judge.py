"""A second opinion on groundedness by a language model: never the default, its cost kept apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from eval.metrics.agreement import Agreement, agreement
from eval.records import Row
from rag.errors import BackendError, BackendRejectedError, ValueRangeError
from rag.types import Interval

GROUNDED: Final = 0.5  # a judge's groundedness from which an answer counts as grounded
_MOST_FAILURES = 3  # in a row, after which there is no use in asking on
_SOURCE = re.compile(r"\n(?=\[\d{1,4}\])")  # a line of the context that begins a new source


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said of one answer, and what that took; None is unknown.

    ``groundedness`` in [0, 1] is None where the judge gave none that can be used: ``reason`` then
    says why. Tokens as the judge's provider counts them; ``joules`` [J] where its power is known.
    """

    groundedness: float | None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    joules: Interval | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.groundedness is not None and not 0 <= self.groundedness <= 1:
            raise ValueRangeError("groundedness", self.groundedness, "use 0 to 1")
        for tokens in (self.prompt_tokens, self.completion_tokens):
            if tokens is not None and (not isinstance(tokens, int) or tokens < 0):
                raise ValueRangeError("tokens", repr(tokens), "use a whole number, or None")
        if not isinstance(self.joules, Interval | None):
            raise ValueRangeError("joules", repr(self.joules), "use an Interval, or None")
        if not isinstance(self.reason, str | None):
            raise ValueRangeError("reason", repr(self.reason), "use a string, or None")


class Judge(Protocol):
    """Says how far an answer is supported by its evidence."""

    def judge(self, question: str, answer: str, evidence: Sequence[str]) -> Judgement:
        """Return the judgement on one answer, ``evidence`` being the texts it may rest on.

        Raises:
            BackendError: The judge could not be reached, or refused.
        """


@dataclass(frozen=True, slots=True)
class Judged:
    """The answers of a record as a judge sees them, and what that took: evaluation's own cost.

    ``judgements`` pairs the ids of the answered questions with theirs. Tokens and ``joules`` [J]
    are sums over the judgements that state them, None where none does: ``without_usage`` and
    ``without_energy`` count those that do not. ``agreement`` is that of judge (in the
    person's place) and automatic score on which answers are grounded, over those both have judged.
    """

    judgements: tuple[tuple[str, Judgement], ...]
    prompt_tokens: int | None
    completion_tokens: int | None
    joules: Interval | None
    without_usage: int
    without_energy: int
    agreement: Agreement | None


class Memory(Protocol):
    """What was judged before; ``Kept`` keeps it on disk."""

    def known(self, row: Row) -> Judgement | None:
        """Return what was said of a row's answer before, None where it was not asked."""

    def add(self, row: Row, judgement: Judgement) -> None:
        """Keep a judgement."""


def judged_rows(rows: Sequence[Row], judge: Judge, memory: Memory | None = None) -> Judged:
    """Return a judge's view of the answered rows of a record, in their order.

    An answer that the judge's service fails on is left unjudged, with the reason. What is in the
    memory is not asked again; what the judge says is put there as it comes, failures are not.

    Raises:
        BackendRejectedError: The service refuses: it is set up wrongly.
        BackendError: It failed three times in a row.
    """
    answered = [row for row in rows if row.outcome.answer is not None]
    judgements = tuple(_asked(answered, judge, memory))
    spent = [(j.prompt_tokens, j.completion_tokens) for j in judgements]
    energy = [j.joules for j in judgements if j.joules is not None]
    return Judged(
        judgements=tuple((row.id, each) for row, each in zip(answered, judgements, strict=True)),
        prompt_tokens=_total(prompt for prompt, _ in spent),
        completion_tokens=_total(completion for _, completion in spent),
        joules=sum(energy[1:], start=energy[0]) if energy else None,
        without_usage=sum(None in pair for pair in spent),
        without_energy=len(judgements) - len(energy),
        agreement=_agreement(answered, judgements),
    )


def _asked(rows: Sequence[Row], judge: Judge, memory: Memory | None) -> Iterator[Judgement]:
    failures = 0
    for row in rows:
        known = None if memory is None else memory.known(row)
        if known is not None:
            yield known
            continue
        try:
            judgement = judge.judge(row.question, row.outcome.answer or "", _evidence(row))
        except BackendRejectedError:
            raise
        except BackendError as exc:
            failures += 1
            if failures == _MOST_FAILURES:
                raise
            yield Judgement(None, reason=str(exc))
            continue
        failures = 0
        if memory is not None:
            memory.add(row, judgement)
        yield judgement


def _evidence(row: Row) -> tuple[str, ...]:
    return tuple(part for part in _SOURCE.split(row.outcome.context) if part.strip())


def _agreement(rows: Sequence[Row], judgements: Sequence[Judgement]) -> Agreement | None:
    pairs = [
        (judgement.groundedness >= GROUNDED, automatic == 1)
        for row, judgement in zip(rows, judgements, strict=True)
        if judgement.groundedness is not None
        and (automatic := row.scores.get("grounded")) is not None
    ]
    return agreement(pairs) if pairs else None


def _total(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
