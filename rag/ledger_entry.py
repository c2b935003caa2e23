"""What the ledger keeps of an answer or run: whole numbers of small units, so sums are exact."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias, get_args

from rag.results import Impact, Receipt
from rag.types import Basis, Interval

Kind: TypeAlias = Literal["answer", "retrieve", "ingest"]
Quantity: TypeAlias = Literal["joules", "gco2e", "embodied_gco2e", "market_gco2e", "litres"]
Tokens: TypeAlias = Literal["prompt", "cached", "completion"]
Bounds: TypeAlias = tuple[int, int]  # low and high, in the quantity's small unit

# Source: SI prefixes, BIPM SI Brochure, 9th edition, 2019, table 7: nano is 1e-9, pico is 1e-12.
# A question costs some 0.01 J, 1e-6 gCO2e and 1e-8 L: these units keep four digits of the least.
PER_UNIT: Final[Mapping[str, int]] = {
    "joules": 10**9,  # nanojoules
    "gco2e": 10**12,  # picograms
    "embodied_gco2e": 10**12,
    "market_gco2e": 10**12,
    "litres": 10**12,  # picolitres
    "seconds": 10**9,  # nanoseconds
}
# Source: IEEE 754-2019, binary64: up to here a double tells neighbouring whole numbers apart. A
# thousand entries of this size still fit into one of SQLite's 64-bit sums.
LARGEST: Final = 2**53
QUANTITIES: Final[tuple[Quantity, ...]] = get_args(Quantity)
TOKENS: Final[tuple[Tokens, ...]] = ("prompt", "cached", "completion")


@dataclass(frozen=True, slots=True)
class Asker:
    """For whom and how something was answered or ingested; ``model`` is None without a generator.

    ``grounded``: answered, and its citations support all of it.
    """

    tenant: str
    tier: str
    model: str | None
    kind: Kind
    abstained: bool
    grounded: bool = False


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage cost, all its passes together; ``joules`` [nJ] is None if unknown."""

    stage: str
    nanoseconds: int
    joules: Bounds | None


@dataclass(frozen=True, slots=True)
class Entry:
    """The costs of one answer or run; never a text. None is unknown, or no generator was called.

    ``at`` is POSIX time [us]. Units: ns, nJ, pgCO2e, pL, tokens. ``gco2e`` is of operation by
    location. ``chunks`` is how many a run of ingest worked on.
    """

    at: int
    asker: Asker
    nanoseconds: int
    joules: Bounds | None
    gco2e: Bounds | None
    litres: Bounds | None
    basis: Basis
    context_tokens: int
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    stages: tuple[StageCost, ...]
    fingerprint: str
    generation: int | None
    embodied_gco2e: Bounds | None = None
    market_gco2e: Bounds | None = None
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums over entries, or over one stage of them, in the small units of an ``Entry``.

    Each ``*_unknown`` counts the entries whose value is unknown, which the sums leave out;
    ``measured`` counts those whose energy was measured. An entry is an answer or a run of ingest.
    """

    answers: int = 0
    abstained: int = 0
    measured: int = 0
    nanoseconds: int = 0
    joules_low: int = 0
    joules_high: int = 0
    joules_unknown: int = 0
    gco2e_low: int = 0
    gco2e_high: int = 0
    gco2e_unknown: int = 0
    litres_low: int = 0
    litres_high: int = 0
    litres_unknown: int = 0
    context_tokens: int = 0
    prompt_tokens: int = 0
    prompt_unknown: int = 0
    cached_tokens: int = 0
    cached_unknown: int = 0
    completion_tokens: int = 0
    completion_unknown: int = 0
    grounded: int = 0
    grounded_unknown: int = 0
    runs: int = 0
    chunks: int = 0
    embodied_gco2e_low: int = 0
    embodied_gco2e_high: int = 0
    embodied_gco2e_unknown: int = 0
    market_gco2e_low: int = 0
    market_gco2e_high: int = 0
    market_gco2e_unknown: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in SUMMED))

    @property
    def entries(self) -> int:
        """Answers and runs of ingest."""
        return self.answers + self.runs

    @property
    def basis(self) -> Literal["measured", "estimated", "mixed"] | None:
        """How the energy is known; None without entries."""
        if not self.entries:
            return None
        if self.measured in (0, self.entries):
            return "measured" if self.measured else "estimated"
        return "mixed"

    def known(self, quantity: Quantity) -> Bounds | None:
        """Return the sum over the entries that know a quantity; None if some exist and none do."""
        unknown: int = getattr(self, f"{quantity}_unknown")
        if unknown and unknown == self.entries:
            return None
        return getattr(self, f"{quantity}_low"), getattr(self, f"{quantity}_high")

    def known_tokens(self, tokens: Tokens) -> int | None:
        """Return the sum of a generator's tokens; None if no entry knows them."""
        unknown: int = getattr(self, f"{tokens}_unknown")
        total: int = getattr(self, f"{tokens}_tokens")
        return None if unknown and unknown == self.entries else total


SUMMED: Final = tuple(field.name for field in fields(Sums))


def entry_of(receipt: Receipt, asker: Asker, at_seconds: float) -> Entry:
    """Return what the ledger keeps of a receipt, answered at a POSIX time [s]."""
    impact, usage = receipt.impact, receipt.usage
    return Entry(
        at=round(at_seconds * 1e6),
        asker=asker,
        nanoseconds=whole(receipt.seconds, "seconds") or 0,
        **bounds_of(impact),
        basis=impact.basis,
        context_tokens=usage.context_tokens,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        stages=_stages(receipt),
        fingerprint=receipt.fingerprint,
        generation=receipt.generation,
        chunks=0,
    )


def bounds_of(impact: Impact) -> dict[str, Bounds | None]:
    """Return all quantities of a cost as whole numbers of small units."""
    return {name: whole_bounds(getattr(impact, name), name) for name in QUANTITIES}


def sums_of(entry: Entry) -> Sums:
    """Return one entry as the sums over itself."""
    amounts: dict[str, int] = {}
    for quantity in QUANTITIES:
        amounts |= _amount(quantity, getattr(entry, quantity))
    for tokens in TOKENS:
        count = getattr(entry, f"{tokens}_tokens")
        amounts |= {f"{tokens}_tokens": count or 0, f"{tokens}_unknown": int(count is None)}
    return Sums(
        **_counts(entry),
        nanoseconds=entry.nanoseconds,
        context_tokens=entry.context_tokens,
        chunks=entry.chunks,
        **amounts,
    )


def stage_sums(entry: Entry, cost: StageCost) -> Sums:
    """Return one stage of an entry as sums; of stages only time and energy are known."""
    return Sums(
        **_counts(entry),
        nanoseconds=cost.nanoseconds,
        gco2e_unknown=1,
        embodied_gco2e_unknown=1,
        market_gco2e_unknown=1,
        litres_unknown=1,
        prompt_unknown=1,
        cached_unknown=1,
        completion_unknown=1,
        **_amount("joules", cost.joules),
    )


def _counts(entry: Entry) -> dict[str, int]:
    asker, ingest = entry.asker, entry.asker.kind == "ingest"
    return {
        "answers": int(not ingest),
        "runs": int(ingest),
        "abstained": int(asker.abstained),
        "grounded": int(asker.grounded),
        "measured": int(entry.basis == "measured"),
    }


def whole(value: float | None, unit: str) -> int | None:
    """Return a value as the nearest whole number of small units; None if unknown or absurd.

    Computed on the float's exact fraction, so that no product is rounded in between.
    """
    if value is None or not math.isfinite(value):
        return None
    numerator, denominator = value.as_integer_ratio()
    number = (2 * numerator * PER_UNIT[unit] + denominator) // (2 * denominator)
    return number if 0 <= number <= LARGEST else None


def whole_bounds(interval: Interval | None, unit: str) -> Bounds | None:
    """Return an interval's bounds as whole numbers of small units; None if unknown."""
    if interval is None:
        return None
    low, high = whole(interval.low, unit), whole(interval.high, unit)
    return None if low is None or high is None else (low, high)


def _amount(quantity: str, bounds: Bounds | None) -> dict[str, int]:
    low, high = bounds or (0, 0)
    return {
        f"{quantity}_low": low,
        f"{quantity}_high": high,
        f"{quantity}_unknown": int(bounds is None),
    }


def _stages(receipt: Receipt) -> tuple[StageCost, ...]:
    costs: dict[str, StageCost] = {}
    for step in receipt.trace:
        seconds = whole(step.seconds, "seconds") or 0
        joules = whole_bounds(step.joules, "joules")
        before = costs.get(step.stage)
        if before is not None:
            seconds += before.nanoseconds
            joules = _added(before.joules, joules)
        costs[step.stage] = StageCost(step.stage, seconds, joules)
    return tuple(costs.values())


def _added(left: Bounds | None, right: Bounds | None) -> Bounds | None:
    if left is None or right is None:
        return None
    return left[0] + right[0], left[1] + right[1]
