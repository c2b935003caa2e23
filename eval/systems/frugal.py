"""frugal-rag as a system to be asked: the pipeline that serves questions, and its receipts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from eval.datasets import Case
from eval.outcomes import Cost, Outcome, Quote, StageCost
from rag.answering import Answering
from rag.errors import DeadlineError, QuestionTooLongError
from rag.grid.siting import fixed_place
from rag.meter import RequestMeter
from rag.place import Place
from rag.results import Answer, Citation, Impact, Question, Receipt, TraceStep, Writing
from rag.settings import Settings
from rag.types import Filter

_PATIENCE_SECONDS = 60.0
_DIGITS = 3  # the engine adds a score's terms in another order in each index: the last bits differ


@dataclass(frozen=True, slots=True)
class FrugalRag:
    """The configured pipeline over an index; ``generate``: whether a model may write."""

    pipeline: Answering
    settings: Settings
    generate: Writing = "auto"
    place: Place = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", place_of(self.settings))

    @property
    def name(self) -> str:
        """What it is called in records."""
        return "frugal-rag"

    def ask(self, case: Case) -> tuple[Outcome, Cost]:
        """Return what the service would answer, and its receipt; its refusals are outcomes too."""
        settings = self.settings
        deadline = time.monotonic() + _PATIENCE_SECONDS
        where = Filter(settings.tenant)
        question = Question(
            case.text,
            where,
            settings.budget_tokens,
            deadline,
            settings.frugality,
            generate=self.generate,
        )
        meter = RequestMeter(self.place)
        try:
            answer = self.pipeline.answer(question)
        except (QuestionTooLongError, DeadlineError) as exc:
            outcome = Outcome((), "", 0, settings.budget_tokens, refused=True, reason=str(exc))
            return outcome, metered(meter)
        return _outcome(answer), cost_of(answer.receipt)


def place_of(settings: Settings) -> Place:
    """Return where the settings say that this runs."""
    return fixed_place(settings)


def metered(meter: RequestMeter) -> Cost:
    """Return what a meter has read."""
    return _cost(meter.seconds(), meter.impact(), meter.trace())


def _outcome(answer: Answer) -> Outcome:
    receipt, usage, grounded = answer.receipt, answer.receipt.usage, answer.groundedness
    return Outcome(
        ranking=answer.context.offered,
        context=answer.context.text,
        context_tokens=answer.context.tokens,
        cap_tokens=answer.context.budget_tokens,
        answer=answer.text,
        short=answer.short.text if answer.short else None,
        citations=tuple(_quote(citation) for citation in answer.citations),
        refused=answer.abstained,
        reason=answer.reason,
        confidence=round(answer.confidence, _DIGITS),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        groundedness=None if grounded is None else round(grounded, _DIGITS),
        model=receipt.model,
        calls=tuple(step.decision for step in receipt.trace if step.stage == "generate"),
    )


def _quote(citation: Citation) -> Quote:
    return Quote(citation.doc_id, citation.quote, citation.start, citation.end)


def cost_of(receipt: Receipt) -> Cost:
    """Return what a receipt says that a question took."""
    return _cost(receipt.seconds, receipt.impact, receipt.trace)


def _cost(seconds: float, impact: Impact, trace: Sequence[TraceStep]) -> Cost:
    stages = tuple(StageCost(step.stage, step.seconds, step.joules) for step in trace)
    return Cost(
        seconds=seconds,
        cpu_seconds=impact.cpu_seconds,
        joules=impact.joules,
        gco2e=impact.gco2e,
        litres=impact.litres,
        stages=stages,
        embodied_gco2e=impact.embodied_gco2e,
        market_gco2e=impact.market_gco2e,
    )
