"""Bodies of the impact report, with units; also the command line's ``--json``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.ledger_entry import PER_UNIT, QUANTITIES, TOKENS, Sums
from rag.ledger_sci import sci_of
from rag.ledger_sums import By, Line, Report, Work, interval
from rag.sci import STANDARD
from rag.service.schemas import IntervalBody
from rag.types import Interval

_UNKNOWN = "entries of which it is unknown; the sum leaves them out"
_NULL = "null if no entry knows it"
_SCI = (
    f"software carbon intensity, {STANDARD}: (energy x intensity by location + making the "
    "machine) / R, of all that was spent [g CO2e per {}]; null where a part of it is unknown"
)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SpentBody(_Body):
    """Sums over entries of any work; null is unknown, never zero."""

    basis: Literal["measured", "estimated", "mixed"] | None = Field(
        description="how the energy is known; null without entries"
    )
    seconds: float = Field(description="wall time [s]")
    joules: IntervalBody | None = Field(description=f"energy [J]; {_NULL}")
    joules_unknown: int = Field(description=_UNKNOWN)
    gco2e: IntervalBody | None = Field(
        description=f"greenhouse gas of operation, by location [g CO2e]; {_NULL}"
    )
    gco2e_unknown: int = Field(description=_UNKNOWN)
    embodied_gco2e: IntervalBody | None = Field(
        description=f"share of making the machine, not in gco2e [g CO2e]; {_NULL}"
    )
    embodied_gco2e_unknown: int = Field(description=_UNKNOWN)
    market_gco2e: IntervalBody | None = Field(
        description=f"of operation by the contract for the power, instead of gco2e; {_NULL}"
    )
    market_gco2e_unknown: int = Field(description=_UNKNOWN)
    litres: IntervalBody | None = Field(description=f"water [L]; {_NULL}")
    litres_unknown: int = Field(description=_UNKNOWN)


class CostBody(SpentBody):
    """Sums over answers; null is unknown, never zero."""

    answers: int = Field(description="results that were given, or stages that were run")
    abstained: int = Field(description="of those, abstentions")
    grounded: int = Field(
        description="of those, answers whose citations support all of them (groundedness 1)"
    )
    grounded_unknown: int = Field(description="answers of which it was not kept")
    sci_question: IntervalBody | None = Field(description=_SCI.format("question"))
    sci_grounded_answer: IntervalBody | None = Field(description=_SCI.format("grounded answer"))
    context_tokens: int | None = Field(description="packed context [tokens]; null of a stage")
    prompt_tokens: int | None = Field(description=f"sent to a generator [tokens]; {_NULL}")
    prompt_unknown: int = Field(description="entries without a generator, or of which unknown")
    cached_tokens: int | None = Field(description=f"of those, from its cache [tokens]; {_NULL}")
    cached_unknown: int = Field(description="entries without a generator, or of which unknown")
    completion_tokens: int | None = Field(description=f"written by it [tokens]; {_NULL}")
    completion_unknown: int = Field(description="entries without a generator, or of which unknown")


class RunsBody(SpentBody):
    """Sums over runs of ingest; null is unknown, never zero."""

    runs: int = Field(description="runs of ingest, or their stages")
    chunks: int = Field(description="chunks that they worked on")
    sci_thousand_chunks: IntervalBody | None = Field(description=_SCI.format("1,000 chunks"))


class GroupBody(CostBody):
    """The sums of one group of questions."""

    group: str | None = Field(description="name of the group; null: no generator, by model")


class RunsGroupBody(RunsBody):
    """The sums of one group of runs of ingest."""

    group: str | None = Field(description="name of the group; null: no generator, by model")


class ImpactReport(_Body):
    """What the questions and the ingest of some days cost, never added together."""

    first: str = Field(alias="from", description="first day (UTC), inclusive")
    last: str = Field(alias="to", description="last day (UTC), inclusive")
    by: By | None = Field(
        description="what the groups are; stages leave out what happens between them"
    )
    groups: tuple[GroupBody, ...] = Field(
        description="sums of questions by group, in order of their names"
    )
    total: CostBody = Field(description="sums over all questions, whatever the groups are")
    ingest_groups: tuple[RunsGroupBody, ...] = Field(description="sums of ingest by group")
    ingest: RunsBody = Field(description="sums over all runs of ingest, which total leaves out")
    unreadable: tuple[str, ...] = Field(
        description="months of which entries are missing: the file is damaged or cannot be read"
    )


def report_body(report: Report) -> ImpactReport:
    """Return the body of a report over a single period."""
    groups = [GroupBody(group=line.group, **_cost(line.sums)) for line in _of(report, "questions")]
    if report.by == "stage":
        groups = [group.model_copy(update={"context_tokens": None}) for group in groups]
    runs = [RunsGroupBody(group=line.group, **_runs(line.sums)) for line in _of(report, "ingest")]
    fields: dict[str, Any] = {
        "from": report.days.first.isoformat(),
        "to": report.days.last.isoformat(),
    }
    return ImpactReport(
        **fields,
        by=report.by,
        groups=tuple(groups),
        total=CostBody(**_cost(report.total)),
        ingest_groups=tuple(runs),
        ingest=RunsBody(**_runs(report.ingest)),
        unreadable=report.unreadable,
    )


def _of(report: Report, work: Work) -> tuple[Line, ...]:
    if report.by is None:
        return ()
    return tuple(line for line in report.lines if line.work == work)


def _cost(sums: Sums) -> dict[str, Any]:
    fields = _spent(sums) | {
        "answers": sums.answers,
        "abstained": sums.abstained,
        "grounded": sums.grounded,
        "grounded_unknown": sums.grounded_unknown,
        "sci_question": _body(sci_of(sums, "question")),
        "sci_grounded_answer": _body(sci_of(sums, "grounded_answer")),
        "context_tokens": sums.context_tokens,
    }
    for tokens in TOKENS:
        fields[f"{tokens}_tokens"] = sums.known_tokens(tokens)
        fields[f"{tokens}_unknown"] = getattr(sums, f"{tokens}_unknown")
    return fields


def _runs(sums: Sums) -> dict[str, Any]:
    return _spent(sums) | {
        "runs": sums.runs,
        "chunks": sums.chunks,
        "sci_thousand_chunks": _body(sci_of(sums, "thousand_chunks")),
    }


def _spent(sums: Sums) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "basis": sums.basis,
        "seconds": sums.nanoseconds / PER_UNIT["seconds"],
    }
    for quantity in QUANTITIES:
        fields[quantity] = _body(interval(sums, quantity))
        fields[f"{quantity}_unknown"] = getattr(sums, f"{quantity}_unknown")
    return fields


def _body(bounds: Interval | None) -> IntervalBody | None:
    return None if bounds is None else IntervalBody(low=bounds.low, high=bounds.high)
