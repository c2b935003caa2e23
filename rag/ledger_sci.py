"""Software carbon intensity of what the ledger has summed: SCI = (E x I + M) / R."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from rag.impact import sci
from rag.ledger_entry import Sums
from rag.ledger_sums import interval
from rag.sci import STANDARD
from rag.types import Interval

Per: TypeAlias = Literal["question", "grounded_answer", "thousand_chunks"]

# Source: Green Software Foundation, SCI specification (ISO/IEC 21031:2024). E x I is by location:
# the standard does not let certificates lower it.
SCI_FORMULA: Final = f"SCI ({STANDARD}) = (energy x intensity by location + making) / R"
_CHUNKS_PER_UNIT: Final = 1000


def sci_of(sums: Sums, per: Per) -> Interval | None:
    """Return emissions per functional unit [gCO2e]; unknown where any part of them is.

    Args:
        sums: Of questions, or of runs of ingest for ``thousand_chunks``. All that was spent
            counts, also on abstentions.
        per: The functional unit R. A question is any result; a grounded answer is one that was
            not abstained from and whose citations support all of it.
    """
    if sums.gco2e_unknown or sums.embodied_gco2e_unknown:
        return None
    return sci(interval(sums, "gco2e"), interval(sums, "embodied_gco2e"), _units(sums, per))


def _units(sums: Sums, per: Per) -> float | None:
    if per == "question":
        return sums.answers
    if per == "thousand_chunks":
        return sums.chunks / _CHUNKS_PER_UNIT
    return None if sums.grounded_unknown else sums.grounded
