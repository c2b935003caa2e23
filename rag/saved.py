"""What an answer saved against a measured baseline: the same question put to another system.

    saved = baseline's mean of a question - this answer's own

Carbon and water of both are counted at this answer's grid: a greener hour is no saving of ours.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.errors import SettingsError, ValueRangeError
from rag.metering.machine import read_machine
from rag.results import Impact, Saved, SignedInterval, Usage
from rag.types import Interval

FORMAT = 1
_REMEDY = "write it again with rag-eval saved-baseline"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a question cost another system, as a mean over the questions of an evaluation.

    ``record`` names the evaluation, ``machine`` where it ran. ``context_tokens`` and
    ``prompt_tokens`` are counted by ``tokenizer``; ``joules`` [J]. None is unknown.
    """

    system: str
    record: str
    data: str
    questions: int
    machine: str
    tokenizer: str | None
    context_tokens: float
    prompt_tokens: float | None
    joules: Interval | None

    def __post_init__(self) -> None:
        for tokens in (self.context_tokens, self.prompt_tokens):
            if tokens is not None and not (math.isfinite(tokens) and tokens >= 0):
                raise ValueRangeError("tokens of a baseline", tokens, "use a finite number from 0")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A baseline, and whether this is the machine that it was measured on."""

    baseline: Baseline
    same_machine: bool

    def saved(self, usage: Usage, impact: Impact) -> Saved:
        """Return what an answer saved; unknown where either side is.

        Tokens are compared in one tokenizer only, energy on one machine only.
        """
        baseline = self.baseline
        one_tokenizer = baseline.tokenizer == usage.tokenizer
        energy = baseline.joules if self.same_machine else None
        joules = difference(energy, impact.joules)
        return Saved(
            context_tokens=baseline.context_tokens - usage.context_tokens
            if one_tokenizer
            else None,
            prompt_tokens=_less(baseline.prompt_tokens, usage.prompt_tokens)
            if one_tokenizer
            else None,
            joules=joules,
            gco2e=_at_rate(joules, impact.gco2e, impact.joules),
            litres=_at_rate(joules, impact.litres, impact.joules),
            system=baseline.system,
            record=baseline.record,
            machine=baseline.machine,
            same_machine=self.same_machine,
        )


def difference(a: Interval | None, b: Interval | None) -> SignedInterval | None:
    """Return ``a - b`` of quantities that are not tied to each other; None if one is unknown.

    Source: Moore, Kearfott, Cloud, Introduction to Interval Analysis (SIAM 2009), equation 2.16:
    ``[a.low - b.high, a.high - b.low]``.
    """
    if a is None or b is None:
        return None
    return SignedInterval(a.low - b.high, a.high - b.low)


def machine_name() -> str:
    """Return what this machine is called in baselines: its processor and its CPUs."""
    return named(read_machine().model or platform.machine(), os.cpu_count())


def named(cpu: object, cores: object) -> str:
    """Return the name of a machine with such processors."""
    return f"{cpu}, {cores} CPUs"


def read_comparison(path: Path) -> Comparison:
    """Return the baseline in a file, to compare answers on this machine with.

    Raises:
        SettingsError: It cannot be read, or is none.
    """
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state.pop("format") != FORMAT:
            raise ValueError("another format")
        baseline = _baseline(state)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        value = f"{path} ({type(exc).__name__} {exc})"[:200]
        raise SettingsError("saved_baseline cannot be used", value, _REMEDY) from exc
    return Comparison(baseline, baseline.machine == machine_name())


def baseline_json(baseline: Baseline) -> str:
    """Return a baseline as ``read_comparison`` reads it."""
    return json.dumps({"format": FORMAT, **asdict(baseline)}, indent=1) + "\n"


def _baseline(state: Mapping[str, Any]) -> Baseline:
    joules, tokenizer, prompt = (state[name] for name in ("joules", "tokenizer", "prompt_tokens"))
    return Baseline(
        **{name: str(state[name]) for name in ("system", "record", "data", "machine")},
        questions=int(state["questions"]),
        tokenizer=None if tokenizer is None else str(tokenizer),
        context_tokens=float(state["context_tokens"]),
        prompt_tokens=None if prompt is None else float(prompt),
        joules=None if joules is None else Interval(float(joules["low"]), float(joules["high"])),
    )


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _at_rate(
    joules: SignedInterval | None, quantity: Interval | None, of: Interval | None
) -> SignedInterval | None:
    """Return what a difference in energy is of a quantity that the answer has so much of [J]."""
    if joules is None or quantity is None or of is None or not of.high:
        return None
    rate = quantity.high / of.high
    return SignedInterval(joules.low * rate, joules.high * rate)
