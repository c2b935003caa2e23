"""Bodies of the impact report, with units; also the command line's ``--json``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.ledger_entry import PER_UNIT, QUANTITIES, TOKENS, Sums
from rag.ledger_sums import Line, Report, interval
from rag.service.schemas import IntervalBody

_UNKNOWN = "entries of which it is unknown; the sum leaves them out"
_NULL = "null if no entry knows it"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CostBody(_Body):
    """Sums over answers; null is unknown, never zero."""

    answers: int = Field(description="results that were given, or stages that were run")
    abstained: int = Field(description="of those, abstentions")
    basis: Literal["measured", "estimated", "mixed"] | None = Field(
        description="how the energy is known; null without answers"
    )
    seconds: float = Field(description="wall time in the pipeline [s]")
    joules: IntervalBody | None = Field(description=f"energy [J]; {_NULL}")
    joules_unknown: int = Field(description=_UNKNOWN)
    gco2e: IntervalBody | None = Field(description=f"greenhouse gas [g CO2e]; {_NULL}")
    gco2e_unknown: int = Field(description=_UNKNOWN)
    litres: IntervalBody | None = Field(description=f"water [L]; {_NULL}")
    litres_unknown: int = Field(description=_UNKNOWN)
    context_tokens: int | None = Field(description="packed context [tokens]; null of a stage")
    prompt_tokens: int | None = Field(description=f"sent to a generator [tokens]; {_NULL}")
    prompt_unknown: int = Field(description="entries without a generator, or of which unknown")
    cached_tokens: int | None = Field(description=f"of those, from its cache [tokens]; {_NULL}")
    cached_unknown: int = Field(description="entries without a generator, or of which unknown")
    completion_tokens: int | None = Field(description=f"written by it [tokens]; {_NULL}")
    completion_unknown: int = Field(description="entries without a generator, or of which unknown")


class GroupBody(CostBody):
    """The sums of one group."""

    group: str | None = Field(description="name of the group; null: no generator, by model")


class ImpactReport(_Body):
    """What the answers of some days cost."""

    first: str = Field(alias="from", description="first day (UTC), inclusive")
    last: str = Field(alias="to", description="last day (UTC), inclusive")
    by: Literal["tenant", "tier", "model", "stage"] | None = Field(
        description="what the groups are; stages leave out what happens between them"
    )
    groups: tuple[GroupBody, ...] = Field(description="sums by group, in order of their names")
    total: CostBody = Field(description="sums over all answers, whatever the groups are")
    unreadable: tuple[str, ...] = Field(
        description="months of which entries are missing: the file is damaged or cannot be read"
    )


def report_body(report: Report) -> ImpactReport:
    """Return the body of a report over a single period."""
    groups = () if report.by is None else tuple(map(_group, report.lines))
    if report.by == "stage":
        groups = tuple(group.model_copy(update={"context_tokens": None}) for group in groups)
    fields: dict[str, Any] = {
        "from": report.days.first.isoformat(),
        "to": report.days.last.isoformat(),
    }
    return ImpactReport(
        **fields,
        by=report.by,
        groups=groups,
        total=CostBody(**_cost(report.total)),
        unreadable=report.unreadable,
    )


def _group(line: Line) -> GroupBody:
    return GroupBody(group=line.group, **_cost(line.sums))


def _cost(sums: Sums) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "answers": sums.answers,
        "abstained": sums.abstained,
        "basis": sums.basis,
        "seconds": sums.nanoseconds / PER_UNIT["seconds"],
        "context_tokens": sums.context_tokens,
    }
    for quantity in QUANTITIES:
        bounds = interval(sums, quantity)
        fields[quantity] = bounds and IntervalBody(low=bounds.low, high=bounds.high)
        fields[f"{quantity}_unknown"] = getattr(sums, f"{quantity}_unknown")
    for tokens in TOKENS:
        fields[f"{tokens}_tokens"] = sums.known_tokens(tokens)
        fields[f"{tokens}_unknown"] = getattr(sums, f"{tokens}_unknown")
    return fields
