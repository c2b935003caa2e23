"""What a generation takes on the machines of others: estimated from its tokens."""

from __future__ import annotations

from dataclasses import dataclass

from rag.generating import TokensUsed
from rag.generation_energy.estimate import Tokens, generation_energy
from rag.generation_energy.models import Models, known_models
from rag.impact import carbon, water
from rag.types import Interval


@dataclass(frozen=True, slots=True)
class Remote:
    """Energy [J], emissions by location [gCO2e] and water [L] elsewhere; None is unknown."""

    joules: Interval | None
    gco2e: Interval | None
    litres: Interval | None

    def at_most(self) -> Remote:
        """Return the same as an upper bound: nothing is known to have been done."""
        return Remote(*map(_from_nothing, (self.joules, self.gco2e, self.litres)))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where a model runs: its name among the known models, and the grid there if it is known.

    ``gco2e_per_kwh`` [gCO2e/kWh] and ``litres_per_kwh`` [L/kWh, on site and off] are by location.
    """

    model: str
    gco2e_per_kwh: float | None = None
    litres_per_kwh: float | None = None
    models: Models | None = None

    def cost(self, used: TokensUsed) -> Remote:
        """Return what one call took there, the overheads of servers and building included."""
        cached = min(used.cached or 0, used.prompt)
        tokens = Tokens(used.prompt, cached, used.completion)
        joules = generation_energy(self.model, tokens, models=self.models or known_models())
        return Remote(
            joules, carbon(joules, self.gco2e_per_kwh), water(joules, self.litres_per_kwh)
        )


def _from_nothing(cost: Interval | None) -> Interval | None:
    return None if cost is None else Interval(0.0, cost.high)
