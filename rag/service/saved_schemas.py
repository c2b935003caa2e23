"""Bodies of what an answer saved against a measured baseline, with units."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class DifferenceBody(_Body):
    """A difference known to lie between two bounds; below 0 where the second was the larger."""

    low: float = Field(description="lower bound")
    high: float = Field(description="upper bound")


class SavedBody(_Body):
    """A measured baseline's mean cost of a question, less this one's; null is unknown."""

    context_tokens: float | None = Field(description="packed context [tokens]")
    prompt_tokens: float | None = Field(description="sent to the generator [tokens]")
    joules: DifferenceBody | None = Field(description="energy [J]; null on another machine")
    gco2e: DifferenceBody | None = Field(description="greenhouse gas, at this grid [g CO2e]")
    litres: DifferenceBody | None = Field(description="water, of this place [L]")
    system: str = Field(description="what the baseline is")
    record: str = Field(description="name of the evaluation that measured it")
    machine: str = Field(description="the machine that it was measured on")
    same_machine: bool = Field(description="whether this is that machine")
