"""A search over settings: what quality costs, and the cheapest setting that is good enough.

The setting is chosen on one half of the questions and reported on the other, so that its figures
are not those of the luckiest draw.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, Final, Literal, TypeAlias

from eval import records
from eval.datasets import Dataset
from eval.parallel import each
from eval.records import Record
from eval.run import Advance, Plan, evaluate
from eval.statistics import Column, Estimate, set_means
from eval.summary import Line, summary
from eval.sweeping.pareto import Point, front, layers
from eval.systems.subjects import FrugalSubject
from rag.errors import LoadError, UsageError, ValueRangeError
from rag.settings import Settings, load_settings

Choice: TypeAlias = Mapping[str, Any]
Search: TypeAlias = Literal["grid", "halving"]
Cheap: TypeAlias = Literal["context_tokens", "joules"]

DEFAULT_GRID: Final[Mapping[str, tuple[str, ...]]] = {
    "tier": ("lexical", "neural"),
    "budget_tokens": ("64", "128", "192", "256"),
    "frugality": ("0", "0.02", "0.1"),
}
# Where models may write; what they do is no matter of the context, so these are asked for.
GENERATION_GRID: Final[Mapping[str, tuple[str, ...]]] = {
    "extract_from": ("0.5", "0.65", "0.8", "0.95"),
    "generate_from": ("0.05", "0.2", "0.5"),
    "grounded_from": ("0.5", "0.7"),
}
# Measures of what is right in an answer: one that is not given has none of it.
_OF_ALL: Final = frozenset({"exact_match", "token_f1", "right_when_answered", "key_points"})
# A round keeps one in so many settings and asks so many times as many questions.
# Source: Jamieson and Talwalkar 2016 (arXiv 1502.07943), successive halving with eta = 3.
_ETA = 3
_FEWEST_QUESTIONS = 30
_AS_CHEAP = 1.05  # settings within 5 % of the fewest tokens count as equally cheap
_AS_HUNGRY = 1.25  # energy is measured: within a quarter it may be chance


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted: at least ``target`` of a measure, at the lowest cost.

    In measures of right answers a refusal counts as 0, so that none is won by refusing more.
    """

    quality: str = "answer_recall"
    target: float = 0.9
    cheapest: Cheap = "context_tokens"

    @property
    def costs(self) -> tuple[Cheap, Cheap]:
        """Both costs, the one that counts first."""
        return (self.cheapest, "joules" if self.cheapest == "context_tokens" else "context_tokens")


@dataclass(frozen=True, slots=True)
class Tried:
    """One setting with its means over the questions it was judged by."""

    choice: Choice
    quality: Estimate
    context_tokens: float
    joules: float
    questions: int
    record: Record

    def cost(self, name: Cheap) -> float:
        """Return the mean of a cost per question."""
        return self.context_tokens if name == "context_tokens" else self.joules

    def point(self, goal: Goal) -> Point:
        """Return quality and costs as a point."""
        return Point(self.quality.mean, tuple(self.cost(name) for name in goal.costs))


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found.

    ``tried``: all settings, each as judged last. ``front``: those asked all questions of the first
    half that no other beats on every side, cheapest first. ``recommended`` is None where none
    reaches the target; ``confirmed`` are its figures on the second half. ``better`` is the next
    setting on the front with more quality.
    """

    goal: Goal
    tried: tuple[Tried, ...]
    front: tuple[Tried, ...]
    recommended: Tried | None
    confirmed: Tried | None
    better: Tried | None
    reason: str

    @property
    def reached(self) -> bool | None:
        """Whether the second half confirms the target; None where nothing is recommended."""
        return None if self.confirmed is None else self.confirmed.quality.mean >= self.goal.target


def choices(grid: Mapping[str, Sequence[str]]) -> tuple[Choice, ...]:
    """Return every combination of values that can be, checked.

    Those with ``generate_from`` over ``extract_from`` cannot.

    Raises:
        SettingsError: A name or a value is no setting's.
        UsageError: A setting has no value, or no combination can be.
    """
    empty = [name for name, values in grid.items() if not values]
    if empty or not grid:
        raise UsageError("nothing to try", ", ".join(empty) or "no setting", "name values")
    made = (dict(zip(grid, values, strict=True)) for values in product(*grid.values()))
    usual = load_settings()
    possible = [one for one in made if not _crossing(one, usual)]
    if not possible:
        remedy = "give extract_from values that are not below those of generate_from"
        raise UsageError("nothing to try", "generate_from over extract_from", remedy)
    # Read by the settings, so that "64" and "064" are one value.
    read = [{name: getattr(load_settings(**one), name) for name in one} for one in possible]
    return tuple({tuple(one.items()): one for one in read}.values())


def _crossing(one: Mapping[str, str], usual: Settings) -> bool:
    """Whether a model would be asked from a confidence on from which none is asked."""
    low, high = (one.get(n, getattr(usual, n)) for n in ("generate_from", "extract_from"))
    try:
        return float(low) > float(high)
    except ValueError:
        return False  # the settings say what is wrong


@dataclass(frozen=True, slots=True)
class Sweep:
    """A plan whose settings are varied; records go to ``plan.results``.

    Those that are there already are used, unless it is done ``anew``.
    """

    plan: Plan
    settings: Settings
    goal: Goal
    jobs: int = 1
    anew: bool = False

    def run(self, wanted: Sequence[Choice], search: Search, advance: Advance = int) -> Swept:
        """Return what was found; ``advance`` is called once a setting is judged.

        Raises:
            ValueRangeError: The set is too small to be halved.
        """
        choosing, reporting = halves(self.plan.dataset)
        judged = self._rounds(choosing, wanted, search, advance)
        whole = [tried for tried in judged if tried.questions == len(choosing.cases)]
        points = [tried.point(self.goal) for tried in whole]
        best = sorted((whole[i] for i in front(points)), key=lambda t: t.cost(self.goal.cheapest))
        chosen = recommended(whole, self.goal)
        confirmed = None
        if chosen is not None:
            (confirmed,) = self._judged(reporting, [chosen.choice], advance)
        better = _better(best, chosen, self.goal)
        reason = _reason(chosen, whole, self.goal)
        return Swept(self.goal, tuple(judged), tuple(best), chosen, confirmed, better, reason)

    def _rounds(
        self, choosing: Dataset, wanted: Sequence[Choice], search: Search, advance: Advance
    ) -> list[Tried]:
        if search == "grid":
            return self._judged(choosing, wanted, advance)
        left, dropped = list(wanted), list[Tried]()
        for count in rounds(len(wanted), len(choosing.cases)):
            few = replace(choosing, cases=choosing.cases[:count])
            judged = self._judged(few, left, advance)
            if count == len(choosing.cases):
                return judged + dropped
            order = _best_first(judged, self.goal)
            keep = math.ceil(len(judged) / _ETA)
            left = [tried.choice for tried in order[:keep]]
            dropped = order[keep:] + dropped
        return dropped

    def _judged(self, dataset: Dataset, wanted: Sequence[Choice], advance: Advance) -> list[Tried]:
        plans = [self._plan(dataset, choice) for choice in wanted]
        found = each(partial(recorded, anew=self.anew), plans, self.jobs, advance)
        return [
            _tried(record, choice, self.goal) for record, choice in zip(found, wanted, strict=True)
        ]

    def _plan(self, dataset: Dataset, choice: Choice) -> Plan:
        settings = Settings.model_validate(self.settings.model_dump() | dict(choice))
        return replace(self.plan, dataset=dataset, subject=FrugalSubject(settings))


def halves(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Return two sets of about half the questions each, drawn by the hash of the id.

    Raises:
        ValueRangeError: One of them would be empty.
    """
    sides: tuple[list[Any], list[Any]] = ([], [])
    for case in dataset.cases:
        sides[hashlib.sha256(case.id.encode()).digest()[0] % 2].append(case)
    if not all(sides):
        raise ValueRangeError("questions", len(dataset.cases), "give a set that can be halved")
    first, second = (replace(dataset, cases=tuple(side)) for side in sides)
    return first, second


def rounds(settings: int, questions: int) -> tuple[int, ...]:
    """Return how many questions each round of successive halving asks; the last asks all."""
    count = max(1, math.ceil(math.log(max(settings, 1), _ETA)))
    sizes = [math.ceil(questions / _ETA**i) for i in reversed(range(count))]
    return tuple(dict.fromkeys(min(questions, max(_FEWEST_QUESTIONS, size)) for size in sizes))


def recorded(plan: Plan, *, anew: bool = False) -> Record:
    """Return a plan's record; one that is there and can be read is used instead of asking again."""
    if not anew and plan.path.is_file():
        # One that cannot be read says nothing: it is replaced.
        with suppress(LoadError):
            return records.read(plan.path)
    return evaluate(plan, anew=anew)


def _tried(record: Record, choice: Choice, goal: Goal) -> Tried:
    lines = {line.measure: line for line in summary(record)}
    quality = _quality(record, lines[goal.quality])
    if quality is None:
        remedy = "use a measure that these questions have"
        raise UsageError("no question has this measure", goal.quality, remedy)
    return Tried(
        choice=choice,
        quality=quality,
        context_tokens=_cost(lines["context_tokens"]),
        joules=_cost(lines["joules"]),
        questions=len(record.rows),
        record=record,
    )


def _quality(record: Record, line: Line) -> Estimate | None:
    """Return a measure as a sweep judges by it."""
    if line.measure in _OF_ALL:
        return set_means([answers_given(record, line.measure)])[0]
    if line.mean is None or line.low is None or line.high is None:
        return None
    return Estimate(line.mean, line.low, line.high, line.n)


def answers_given(record: Record, measure: str) -> Column:
    """Return a measure question by question, 0 where an answerable one was refused."""
    return [
        0.0 if value is None and row.answerable and row.outcome.refused else value
        for value, row in zip(record.values(measure), record.rows, strict=True)
    ]


def _cost(line: Line) -> float:
    if line.mean is None:
        remedy = "sweep a system that has a receipt"
        raise UsageError("no question has this cost", line.measure, remedy)
    return line.mean


def _best_first(judged: Sequence[Tried], goal: Goal) -> list[Tried]:
    depth = layers([tried.point(goal) for tried in judged])
    order = sorted(
        range(len(judged)), key=lambda i: (depth[i], -judged[i].quality.mean, str(judged[i].choice))
    )
    return [judged[i] for i in order]


def recommended(whole: Sequence[Tried], goal: Goal) -> Tried | None:
    """Return the setting that reaches the target at the lowest cost, then the lowest other cost.

    Of those that are alike in both, the one with the most quality.
    """
    alike = [tried for tried in whole if tried.quality.mean >= goal.target]
    if not alike:
        return None
    for cost in goal.costs:
        slack = _AS_CHEAP if cost == "context_tokens" else _AS_HUNGRY
        limit = slack * min(tried.cost(cost) for tried in alike)
        alike = [tried for tried in alike if tried.cost(cost) <= limit]
    return max(alike, key=lambda tried: (tried.quality.mean, str(tried.choice)))


def _better(best: Sequence[Tried], recommended: Tried | None, goal: Goal) -> Tried | None:
    if recommended is None:
        return None
    more = [tried for tried in best if tried.quality.mean > recommended.quality.mean]
    return min(more, key=lambda tried: tried.cost(goal.cheapest), default=None)


def _reason(recommended: Tried | None, whole: Sequence[Tried], goal: Goal) -> str:
    words, cost = goal.quality.replace("_", " "), goal.cheapest.replace("_", " ")
    if recommended is None:
        most = max(whole, key=lambda tried: tried.quality.mean)
        return (
            f"none of {len(whole)} settings reaches {goal.target:g} {words}; "
            f"the most is {most.quality.mean:.3f}"
        )
    enough = sum(tried.quality.mean >= goal.target for tried in whole)
    other = goal.costs[1].replace("_", " ")
    return (
        f"{enough} of {len(whole)} settings reach {goal.target:g} {words}; this one needs the "
        f"fewest {cost} and, of those about as cheap, the fewest {other}"
    )
