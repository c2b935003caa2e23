"""Published measurements of the energy of generations, and the ideal each would have taken."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag.generation_energy import equations as eq
from rag.generation_energy import serving
from rag.generation_energy.estimate import Tokens, estimate
from rag.generation_energy.hardware import KNOWN
from rag.generation_energy.models import Model, known_models
from rag.generation_energy.serving import Serving
from rag.types import Interval

TABLE = Path(__file__).with_suffix(".toml")
_ALONE = Interval(1.0, 1.0)  # accelerators without servers and building


@dataclass(frozen=True, slots=True)
class Measurement:
    """One published figure; ``joules`` [J] per token, accelerators only.

    Per prompt token where the ``phase`` is the prefill, else per completion token.

    ``prompt`` is the range of mean prompt tokens, ``batch`` the mean number of requests in a step.
    """

    model: str
    hardware: str
    gpus: int
    bits: float
    batch: float
    prompt: Interval
    completion: int
    joules: float
    phase: Literal["whole", "prefill", "decode"]
    part: Literal["calibration", "check"]
    source: str
    date: str
    note: str = ""

    @property
    def name(self) -> str:
        """What tells it from the others."""
        setting = f"{self.gpus}x {self.hardware}, {self.bits:g} bit, batch {self.batch:g}"
        tokens = f"{self.prompt.low:g}-{self.prompt.high:g} + {self.completion}"
        return f"{self.model}, {setting}, {tokens}, {self.phase}"


def measurements() -> tuple[Measurement, ...]:
    """Return the table."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["measurement"]
    return tuple(Measurement(**row | {"prompt": Interval(*row["prompt"])}) for row in rows)


def modelled(row: Measurement) -> Interval:
    """Return what the model says of a measurement's setting [J per token of its phase]."""
    bits, batch = Interval(row.bits, row.bits), Interval(row.batch, row.batch)
    told = Serving((KNOWN[row.hardware],), batch, bits, server=_ALONE, pue=_ALONE)
    low, high = (_per_token(row, int(n), told) for n in (row.prompt.low, row.prompt.high))
    return Interval(low.low, high.high)


def _per_token(row: Measurement, prompt: int, told: Serving) -> Interval:
    phases = estimate(row.model, Tokens(prompt, 0, row.completion), serving=told)
    by_phase = {"whole": phases.joules, "prefill": phases.prefill, "decode": phases.decode}
    joules = by_phase[row.phase]
    if joules is None:
        raise AssertionError(phases.reason)
    tokens = prompt if row.phase == "prefill" else row.completion
    return joules * Interval(1 / tokens, 1 / tokens)


@dataclass(frozen=True, slots=True)
class Ideal:
    """What a measurement would take at rated figures [J per token]: reading and computing."""

    reading: float
    computing: float

    @property
    def joules(self) -> float:
        """Both together [J per token]."""
        return self.reading + self.computing


def ideal(row: Measurement, prompt: float) -> Ideal:
    """Return the ideal of a measurement for one of the prompt lengths that it may have had.

    The cache is that of grouped queries, which all the models have that the excesses are fitted to.
    """
    model, hardware = sizes(row), KNOWN[row.hardware]
    active = model.active.low
    per_flop = eq.joules_per_flop(hardware.power_watts, hardware.flop_per_second)
    prefill = eq.prefill_flop(active, prompt, 0) * per_flop
    if row.phase == "prefill":
        return Ideal(0.0, prefill / prompt)
    touched = eq.touched_parameters(model.total.low, active, row.batch)
    read = eq.weight_reads(row.completion, eq.weight_bytes(touched, row.bits), row.batch)
    cache = eq.cache_bytes(active, serving.CACHE_ROOT.high)
    read += eq.context_reads(row.completion, prompt, cache)
    per_byte = eq.joules_per_byte(hardware.power_watts, hardware.bytes_per_second)
    decode = eq.decode_flop(active, row.completion, prompt) * per_flop
    computing = decode + (prefill if row.phase == "whole" else 0.0)
    return Ideal(read * per_byte / row.completion, computing / row.completion)


def sizes(row: Measurement) -> Model:
    """Return the model of a measurement."""
    model = known_models().find(row.model)
    if model is None:
        raise AssertionError(known_models().missing(row.model))
    return model
