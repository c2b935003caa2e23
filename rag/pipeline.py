"""The way of a question, top to bottom: guard, find, pack, answer, verify, account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rag import guard
from rag.answer import Choice, choose
from rag.finding import Finder, Finding
from rag.meter import RequestMeter
from rag.metering.power import EstimatedPower, PowerSource
from rag.pack import Need, Packer, TokenAllowance
from rag.place import Place
from rag.protocols import Analyzer, Embedder, IndexReader, Reranker
from rag.results import Answer, Citation, Context, Question, Receipt, Retrieved, Usage
from rag.retrieve import Retrieval
from rag.saved import Comparison
from rag.verify import cite, groundedness
from rag.worth import price

_NEAREST = 3  # sources shown with an abstention


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pipeline is made of; ``embedder`` is None in the lexical tier."""

    packer: Packer
    analyzer: Analyzer
    embedder: Embedder | None
    index: IndexReader
    generation: Callable[[], int | None]
    reranker: Reranker | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a pipeline was configured to do."""

    retrieval: Retrieval
    answer_threshold: float
    max_question_chars: int
    place: Callable[[], Place]
    fingerprint: str
    baseline: Comparison | None = None
    power: PowerSource = field(default_factory=EstimatedPower)


class Pipeline:
    """Answers questions; safe to use from several threads."""

    def __init__(self, parts: Parts, policy: Policy) -> None:
        self._parts = parts
        self._policy = policy
        self._finder = Finder(
            parts.analyzer, parts.embedder, parts.index, policy.retrieval, parts.reranker
        )

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question, within its budget.

        Raises:
            UsageError: The question is blank or too long.
            IndexStateError: Nothing has been ingested yet.
            DeadlineError: The deadline passed.
        """
        meter = self._meter()
        _, context = self._context(question, meter)
        return Retrieved(context, self._receipt(context, meter))

    def answer(self, question: Question) -> Answer:
        """Return a grounded answer, or an abstention with its reason.

        Raises:
            UsageError: The question is blank or too long.
            IndexStateError: Nothing has been ingested yet.
            DeadlineError: The deadline passed.
        """
        meter = self._meter()
        finding, context = self._context(question, meter)
        with meter.stage("answer") as step:
            guard.check_deadline(question, "answer")
            choice = self._choice(finding, context)
            reason = self._reason_to_abstain(finding, choice)
            step.decision = f"abstain: {reason}" if reason else "extract the best sentence"
        if choice is None or reason:
            return self._abstention(reason or "", choice, context, meter)
        return self._extracted(choice, context, meter)

    def choice(self, question: Question) -> Choice | None:
        """Return the sentence that would answer, however unsure; None if there is no evidence.

        For calibration: the signals behind an answer's confidence stand in it.

        Raises:
            UsageError: The question is blank or too long.
            IndexStateError: Nothing has been ingested yet.
            DeadlineError: The deadline passed.
        """
        return self._choice(*self._context(question, self._meter()))

    def _meter(self) -> RequestMeter:
        return RequestMeter(self._policy.place(), self._policy.power)

    def _choice(self, finding: Finding, context: Context) -> Choice | None:
        return choose(finding.question.text, finding.found, context, self._parts.analyzer)

    def _context(self, question: Question, meter: RequestMeter) -> tuple[Finding, Context]:
        parts, policy = self._parts, self._policy
        with meter.stage("guard") as step:
            guard.check(question, policy.max_question_chars)
            sparing = question.sparing
            step.decision = f"admitted sparingly: {sparing}" if sparing else "admitted"
        finding = self._finder.find(question, meter)
        with meter.stage("pack") as step:
            guard.check_deadline(question, "pack")
            allowance = TokenAllowance(question.budget_tokens, price(question.frugality))
            need = Need(finding.found.idf, finding.question.text)
            context = parts.packer.pack(finding.found.passages, need, allowance)
            offered = tuple(dict.fromkeys(p.chunk.doc_id for p in finding.found.passages))
            size = f"{len(context.evidence)} sentences, {context.tokens} tokens"
            step.decision = f"{size}: {context.stopped}"
        return finding, replace(context, offered=offered)

    def _reason_to_abstain(self, finding: Finding, choice: Choice | None) -> str | None:
        if not finding.found.passages:
            return "no document holds a word of the question, or none may be looked at"
        if choice is None:
            return "no sentence of the passages found fits the budget"
        if choice.confidence < self._policy.answer_threshold:
            return (
                f"no sentence answers it with enough confidence "
                f"({choice.confidence:.2f} < {self._policy.answer_threshold:.2f})"
            )
        return None

    def _extracted(self, choice: Choice, context: Context, meter: RequestMeter) -> Answer:
        with meter.stage("verify") as step:
            citations = tuple(cite(evidence) for evidence in choice.support)
            text = " ".join(choice.evidence.text.split())
            grounded = groundedness(text, citations, self._parts.analyzer)
            step.decision = f"{grounded:.2f} of the answer is in its citations"
        short = choice.short
        if short is not None and short.confidence < self._policy.answer_threshold:
            short = None
        return Answer(
            text=text,
            short=short,
            citations=citations,
            abstained=False,
            reason=None,
            confidence=choice.confidence,
            groundedness=grounded,
            nearest=(),
            context=context,
            receipt=self._receipt(context, meter),
        )

    def _abstention(
        self, reason: str, choice: Choice | None, context: Context, meter: RequestMeter
    ) -> Answer:
        return Answer(
            text=None,
            citations=(),
            abstained=True,
            reason=reason,
            confidence=choice.confidence if choice else 0.0,
            groundedness=None,
            nearest=_nearest(context),
            context=context,
            receipt=self._receipt(context, meter),
        )

    def _receipt(self, context: Context, meter: RequestMeter) -> Receipt:
        usage = Usage(
            context_tokens=context.tokens,
            budget_tokens=context.budget_tokens,
            prompt_tokens=None,
            cached_tokens=None,
            completion_tokens=None,
            tokenizer=self._parts.packer.tokenizer.name,
        )
        impact, baseline = meter.impact(), self._policy.baseline
        return Receipt(
            usage=usage,
            impact=impact,
            saved=baseline.saved(usage, impact) if baseline else None,
            cache="off",
            trace=meter.trace(),
            fingerprint=self._policy.fingerprint,
            generation=self._parts.generation(),
            seconds=meter.seconds(),
        )


def _nearest(context: Context) -> tuple[Citation, ...]:
    """Return citations of the best sentences, one a document."""
    best = sorted(context.evidence, key=lambda e: -e.score)
    by_document = {e.chunk.doc_id: e for e in reversed(best)}
    chosen = sorted(by_document.values(), key=lambda e: -e.score)[:_NEAREST]
    return tuple(cite(e) for e in chosen)
