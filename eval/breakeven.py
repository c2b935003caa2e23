"""When another way of answering pays: what it costs once against what it saves a question.

    cost of a question   c = P * p + D * d
    saving of a question s = c(now) - c(way)
    pays after           n = F / s                      [questions]
    longest prompt       P* = (c(now) - D * d - F / N) / p   [tokens]

P and D are the tokens of prompt and completion, p and d what one of each costs, F what the way
costs once, N the questions of the whole time. In tokens p = d = 1; in joules and money they are
the model's. All of them are intervals; what is not known makes its result unknown.

Source: CIMA Official Terminology (2005): break-even point = fixed cost / contribution per unit.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rag.errors import ValueRangeError
from rag.results import SignedInterval
from rag.types import Interval

Unit: TypeAlias = Literal["tokens", "joules", "money"]
Verdict: TypeAlias = Literal[
    "pays at once", "pays after", "may pay after", "never pays", "costs the same", "unknown"
]

UNITS: Final[tuple[Unit, ...]] = ("tokens", "joules", "money")
ASSUMPTIONS: Final = (
    "every question costs the same, and their number a day does not change",
    "a prompt token costs what the model's does; none is read from a cache",
    "the ways answer equally well: measure that first, with rag-eval run and compare",
    "fine-tuning is paid once; doing it again for new documents is to be counted in",
    "tokens of two models are counted alike, whatever their tokenizers and sizes",
    "what is known of one model holds for both sides alike; of two models independently",
)
_ONE = Interval(1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Model:
    """What one token costs: energy [J] and money [currency]; None is unknown."""

    prompt_joules: Interval | None
    completion_joules: Interval | None
    prompt_money: Interval | None
    completion_money: Interval | None


@dataclass(frozen=True, slots=True)
class Way:
    """A way of answering: its model, its tokens a question, and what it costs once.

    ``once`` holds tokens, joules [J] and money [currency]; None is unknown.
    """

    name: str
    model: str
    prompt_tokens: float
    completion_tokens: float
    once: Mapping[Unit, Interval | None]

    def __post_init__(self) -> None:
        for tokens in (self.prompt_tokens, self.completion_tokens):
            if not (math.isfinite(tokens) and tokens >= 0):
                raise ValueRangeError(f"tokens of {self.name}", tokens, "use finite ones from 0")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done now, what might be instead, and for how many questions [1/day] and days."""

    questions_per_day: float
    days: float
    currency: str
    models: Mapping[str, Model]
    now: Way
    ways: tuple[Way, ...]

    def __post_init__(self) -> None:
        for size in (self.questions_per_day, self.days):
            if not (math.isfinite(size) and size > 0):
                raise ValueRangeError("questions or days of a plan", size, "use ones above 0")
        unknown = {way.model for way in (self.now, *self.ways)} - self.models.keys()
        if unknown:
            remedy = f"use one of {', '.join(sorted(self.models))}"
            raise ValueRangeError("model that is not described", min(unknown), remedy)

    @property
    def questions(self) -> float:
        """All questions of the time."""
        return self.questions_per_day * self.days


@dataclass(frozen=True, slots=True)
class Result:
    """What a way comes to in one unit.

    ``now`` and ``then`` are what a question costs, ``saving`` their difference, ``once`` what the
    way costs at first. ``questions`` is after how many it pays; ``questions_high`` is None where it
    may never. ``in_time`` says whether that is within the plan's days, None where it may be.
    ``longest_prompt`` is the prompt at which it would just pay in that time [tokens], None where
    it is unknown; 0 where not even an empty one does.
    """

    way: str
    unit: Unit
    now: Interval | None
    then: Interval | None
    saving: SignedInterval | None
    once: Interval | None
    verdict: Verdict
    questions_low: float | None
    questions_high: float | None
    in_time: bool | None
    longest_prompt: Interval | None


def results(plan: Plan) -> tuple[Result, ...]:
    """Return what each way comes to in each unit."""
    return tuple(result(plan, way, unit) for way in plan.ways for unit in UNITS)


def result(plan: Plan, way: Way, unit: Unit) -> Result:
    """Return what a way comes to in a unit."""
    saved, once = saving(plan, way, unit), way.once.get(unit)
    verdict, low, high = pays(saved, once)
    return Result(
        way=way.name,
        unit=unit,
        now=cost(plan, plan.now, unit),
        then=cost(plan, way, unit),
        saving=saved,
        once=once,
        verdict=verdict,
        questions_low=low,
        questions_high=high,
        in_time=_in_time(verdict, low, high, plan.questions),
        longest_prompt=longest_prompt(plan, way, unit),
    )


def cost(plan: Plan, way: Way, unit: Unit) -> Interval | None:
    """Return what a question costs [unit]: ``c = P * p + D * d``; None where a rate is unknown."""
    prompt, completion = rates(plan.models[way.model], unit)
    return _plus(_times(prompt, way.prompt_tokens), _times(completion, way.completion_tokens))


def rates(model: Model, unit: Unit) -> tuple[Interval | None, Interval | None]:
    """Return what a token of the prompt and one of the completion cost [unit/token]."""
    if unit == "joules":
        return model.prompt_joules, model.completion_joules
    if unit == "money":
        return model.prompt_money, model.completion_money
    return _ONE, _ONE


def saving(plan: Plan, way: Way, unit: Unit) -> SignedInterval | None:
    """Return what a way saves a question [unit]: ``s = c(now) - c(way)``.

    With one model for both, its rates are the same unknown on both sides: ``dP * p + dD * d``.
    """
    if way.model != plan.now.model:
        a, b = cost(plan, plan.now, unit), cost(plan, way, unit)
        return SignedInterval(a.low - b.high, a.high - b.low) if a and b else None
    prompt, completion = rates(plan.models[way.model], unit)
    parts = (
        _signed(prompt, plan.now.prompt_tokens - way.prompt_tokens),
        _signed(completion, plan.now.completion_tokens - way.completion_tokens),
    )
    if parts[0] is None or parts[1] is None:
        return None
    return SignedInterval(parts[0].low + parts[1].low, parts[0].high + parts[1].high)


def pays(
    saved: SignedInterval | None, once: Interval | None
) -> tuple[Verdict, float | None, float | None]:
    """Return whether it pays and after how many questions, least and most: ``n = F / s``.

    The most is None where the saving may be none. A saving of nothing is never divided by.
    """
    if saved is None:
        return "unknown", None, None
    if saved.high <= 0:
        same = saved.low == 0 and once == Interval(0.0, 0.0)
        return ("costs the same" if same else "never pays"), None, None
    if once is None:
        return "unknown", None, None
    if saved.low <= 0:
        return "may pay after", _ratio(once.low, saved.high), None
    low, high = _ratio(once.low, saved.high), _ratio(once.high, saved.low)
    return ("pays after" if once.high else "pays at once"), low, high


def _ratio(a: float, b: float) -> float:
    return min(a / b, sys.float_info.max)


def longest_prompt(plan: Plan, way: Way, unit: Unit) -> Interval | None:
    """Return the prompt at which a way just pays in the plan's time [tokens].

    ``P* = (c(now) - D * d - F / N) / p``; with one model for both, where p and d are the same
    unknown on both sides, ``P* = P(now) + ((D(now) - D) * d - F / N) / p``. Unknown where a part
    is, or where a prompt token may cost nothing: then no prompt is too long.
    """
    prompt, completion = rates(plan.models[way.model], unit)
    once = _times(way.once.get(unit), 1 / plan.questions)
    if once is None or prompt is None or completion is None or prompt.low <= 0:
        return None
    if way.model == plan.now.model:
        now = plan.now.prompt_tokens
        spared = plan.now.completion_tokens - way.completion_tokens
        less = SignedInterval(*sorted((completion.low * spared, completion.high * spared)))
    else:
        asked = cost(plan, plan.now, unit)
        if asked is None:
            return None
        now, said = 0.0, way.completion_tokens
        less = SignedInterval(
            asked.low - completion.high * said, asked.high - completion.low * said
        )
    left = SignedInterval(less.low - once.high, less.high - once.low)
    low = now + left.low / (prompt.high if left.low > 0 else prompt.low)
    high = now + left.high / (prompt.low if left.high > 0 else prompt.high)
    return Interval(max(0.0, low), max(0.0, high))


def _in_time(
    verdict: Verdict, low: float | None, high: float | None, questions: float
) -> bool | None:
    if verdict in ("never pays", "costs the same"):
        return False
    if low is None or low > questions:
        return None if low is None else False
    return True if high is not None and high <= questions else None


def _times(rate: Interval | None, number: float) -> Interval | None:
    return None if rate is None else rate * Interval(number, number)


def _plus(a: Interval | None, b: Interval | None) -> Interval | None:
    return None if a is None or b is None else a + b


def _signed(rate: Interval | None, number: float) -> SignedInterval | None:
    if rate is None:
        return None
    return SignedInterval(*sorted((rate.low * number, rate.high * number)))
