"""An estimate of what one generation took, from its tokens and the name of its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rag.errors import ValueRangeError
from rag.generation_energy import equations as eq
from rag.generation_energy import serving as served
from rag.generation_energy.models import Model, Models, known_models
from rag.generation_energy.serving import Serving
from rag.results import Usage
from rag.types import Interval

DEFAULT_SERVING = Serving()
_End: TypeAlias = Callable[[Interval], float]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one call sent and got; ``cached`` tokens are part of ``prompt``, as APIs report them."""

    prompt: int
    cached: int
    completion: int

    def __post_init__(self) -> None:
        if not 0 <= self.cached <= self.prompt or self.completion < 0:
            raise ValueRangeError("tokens", self, "use 0 <= cached <= prompt and completion >= 0")

    @classmethod
    def of(cls, usage: Usage) -> Tokens | None:
        """Return a call's tokens, None if no generator was called; unreported cache counts as 0."""
        if usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
        return cls(usage.prompt_tokens, cached, usage.completion_tokens)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Energy of one call [J] and its parts; all None where the model is unknown, with a reason."""

    prefill: Interval | None
    cached: Interval | None
    decode: Interval | None
    reason: str | None = None

    @property
    def joules(self) -> Interval | None:
        """The whole call [J]."""
        if self.prefill is None or self.cached is None or self.decode is None:
            return None
        return self.prefill + self.cached + self.decode


@dataclass(frozen=True, slots=True)
class _Corner:
    """One end of every range: all that makes a call cheap, or all that makes it dear."""

    active: float
    batch: float
    step_bytes: float
    cache_bytes: float
    joules_per_byte: float
    prefill_joules_per_flop: float
    decode_joules_per_flop: float
    server: float
    pue: float

    def prefill(self, tokens: Tokens) -> float:
        flop = eq.prefill_flop(self.active, tokens.prompt - tokens.cached, tokens.cached)
        return self._drawn(flop * self.prefill_joules_per_flop)

    def cached(self, tokens: Tokens) -> float:
        return self._drawn(tokens.cached * self.cache_bytes * self.joules_per_byte)

    def decode(self, tokens: Tokens) -> float:
        read = eq.weight_reads(tokens.completion, self.step_bytes, self.batch)
        read += eq.context_reads(tokens.completion, tokens.prompt, self.cache_bytes)
        flop = eq.decode_flop(self.active, tokens.completion, tokens.prompt)
        return self._drawn(read * self.joules_per_byte + flop * self.decode_joules_per_flop)

    def _drawn(self, joules: float) -> float:
        return eq.facility_energy(joules, self.server, self.pue)


def generation_energy(
    model: str,
    tokens: Tokens,
    *,
    serving: Serving = DEFAULT_SERVING,
    models: Models | None = None,
) -> Interval | None:
    """Return the energy of one generation [J]; None if the model is unknown (see ``estimate``).

    Args:
        model: Name as the API takes it.
        tokens: Tokens of the call.
        serving: Hardware, batch, precision and overheads, as far as they are known.
        models: Known models; the packaged ones by default.
    """
    return estimate(model, tokens, serving=serving, models=models).joules


def estimate(
    model: str,
    tokens: Tokens,
    *,
    serving: Serving = DEFAULT_SERVING,
    models: Models | None = None,
) -> Estimate:
    """Return the energy of one generation by phase [J], or the reason why it is not known."""
    known = known_models() if models is None else models
    found = known.find(model)
    if found is None:
        return Estimate(None, None, None, known.missing(model))
    cheap, dear = _corners(found, serving)
    return Estimate(
        prefill=Interval(cheap.prefill(tokens), dear.prefill(tokens)),
        cached=Interval(cheap.cached(tokens), dear.cached(tokens)),
        decode=Interval(cheap.decode(tokens), dear.decode(tokens)),
    )


def _corners(model: Model, serving: Serving) -> tuple[_Corner, _Corner]:
    return _corner(model, serving, _low, _high), _corner(model, serving, _high, _low)


def _corner(model: Model, serving: Serving, end: _End, other: _End) -> _Corner:
    best = min if end is _low else max
    byte = best(eq.joules_per_byte(h.power_watts, h.bytes_per_second) for h in serving.hardware)
    flop = best(eq.joules_per_flop(h.power_watts, h.flop_per_second) for h in serving.hardware)
    sparse, active, batch = model.sparse, end(model.active), other(serving.batch)
    touched = eq.touched_parameters(end(model.total), active, batch)
    return _Corner(
        active=active,
        batch=batch,
        step_bytes=eq.weight_bytes(touched, end(serving.bits or model.bits)),
        cache_bytes=eq.cache_bytes(active, end(served.CACHE_ROOT)),
        joules_per_byte=byte * end(served.SPARSE_BYTE_EXCESS if sparse else served.BYTE_EXCESS),
        prefill_joules_per_flop=flop * end(served.FLOP_EXCESS),
        decode_joules_per_flop=flop
        * end(served.SPARSE_FLOP_EXCESS if sparse else served.FLOP_EXCESS),
        server=end(serving.server),
        pue=end(serving.pue),
    )


def _low(interval: Interval) -> float:
    return interval.low


def _high(interval: Interval) -> float:
    return interval.high
