"""Which way an answer is made: cut out of the sources, written by a model, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from rag.answer import Choice
from rag.errors import ValueRangeError
from rag.results import Writing

Way: TypeAlias = Literal["extract", "generate", "abstain"]
IfUnwritten: TypeAlias = Literal["extract", "refuse", "error"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Confidences, in [0, 1], by which the way is chosen; a sentence's is calibrated.

    Attributes:
        answer: From which a sentence is an answer at all.
        extract: From which it is one although a model could write; ``answer`` if that is higher.
        generate: From which a model is asked; below, the sources hardly hold an answer.
        if_unwritten: What is done where no model's answer stands: the sentence is taken if it is
            one, or nothing is answered, or also a failing provider's error is passed on.
    """

    answer: float = 0.5
    extract: float = 0.5
    generate: float = 0.4
    if_unwritten: IfUnwritten = "extract"

    def __post_init__(self) -> None:
        if not 0 <= self.answer <= 1:
            raise ValueRangeError("threshold of answers", self.answer, "use 0 to 1")
        if not 0 <= self.generate <= self.extract <= 1:
            found = f"{self.generate:g} and {self.extract:g}"
            remedy = "use 0 <= generate_from <= extract_from <= 1"
            raise ValueRangeError("thresholds of generation", found, remedy)


class Route(NamedTuple):
    """The way to take, and why."""

    way: Way
    why: str


def route(choice: Choice | None, writing: Writing, limits: Thresholds) -> Route:
    """Return the way for a question; ``writing`` is "never" where there is no model to ask.

    With a model nothing is lost that would be answered without: below ``generate`` a sentence is
    still taken if it is an answer.
    """
    if choice is None:
        return Route("abstain", "no sentence of the passages found fits the budget")
    sure = choice.confidence
    if writing == "never":
        return extracted(sure, limits.answer)
    if writing == "always":
        return Route("generate", "a model was asked for")
    enough = max(limits.extract, limits.answer)
    if sure >= enough:
        return Route("extract", f"sure enough without a model ({sure:.2f} >= {enough:.2f})")
    if sure >= limits.generate:
        return Route("generate", f"not sure enough ({sure:.2f} < {enough:.2f})")
    return extracted(sure, min(limits.answer, limits.generate))


def extracted(sure: float, least: float) -> Route:
    """Return whether a sentence of this confidence is an answer."""
    if sure >= least:
        return Route("extract", "the best sentence")
    why = f"no sentence answers it with enough confidence ({sure:.2f} < {least:.2f})"
    return Route("abstain", why)
