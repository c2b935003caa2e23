"""The carbon intensity that a receipt counted with, and who says so."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class GridBody(BaseModel):
    """The electricity's carbon intensity where the request was worked on."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    gco2e_per_kwh: float = Field(description="emissions of electricity used there [g CO2e/kWh]")
    kind: Literal["location", "market"] = Field(description="by the grid there, or by contract")
    source: str = Field(description="who says so")
    at: str | None = Field(description="time or release of the figure; null if nobody said")
    fallback: bool = Field(description="whether it stands in for a source that did not answer")
