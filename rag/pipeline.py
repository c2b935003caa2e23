"""The way of a question, top to bottom.

Guard, condense, cache, find, pack, cache, answer, generate, verify, account: every stage may end it
early, and that is where compute is saved. What a stage needs stands in a module of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from rag import guard
from rag.answer import Choice, choose
from rag.cache.values import Said
from rag.caching import CacheStage, Lookup
from rag.cited import CitedAnswer
from rag.condensing import Condenser
from rag.finding import Finder, Finding
from rag.generating import Listener, Sampling
from rag.listening import NOBODY
from rag.meter import RequestMeter
from rag.metering.power import EstimatedPower, PowerSource
from rag.pack import Need, Packer, TokenAllowance
from rag.place import Place
from rag.protocols import Analyzer, Embedder, IndexReader, Reranker
from rag.results import Answer, Citation, Context, Question, Receipt, Retrieved, Usage
from rag.retrieve import Retrieval
from rag.routing import Route, Thresholds, extracted, route
from rag.saved import Comparison
from rag.verify import cite, groundedness
from rag.worth import price
from rag.writing import Brief, Call, Writer, Written

_NEAREST = 3  # sources shown with an abstention


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pipeline is made of.

    ``embedder`` is None in the lexical tier, ``writer`` where no generator is configured, and
    ``cache`` where nothing is kept.
    """

    packer: Packer
    analyzer: Analyzer
    embedder: Embedder | None
    index: IndexReader
    generation: Callable[[], int | None]
    reranker: Reranker | None = None
    writer: Writer | None = None
    cache: CacheStage | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a pipeline was configured to do."""

    retrieval: Retrieval
    thresholds: Thresholds
    max_question_chars: int
    place: Callable[[], Place]
    fingerprint: str
    baseline: Comparison | None = None
    power: PowerSource = field(default_factory=EstimatedPower)
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(slots=True)
class _Way:
    """One question on its way: who listens, what it costs, and what has come of it so far.

    ``calls`` are those of models; ``lasts``: whether the answer would be the same another time.
    """

    question: Question
    meter: RequestMeter
    listener: Listener = NOBODY
    lookup: Lookup | None = None
    calls: tuple[Call, ...] = ()
    lasts: bool = True


class Pipeline:
    """Answers questions; safe to use from several threads."""

    def __init__(self, parts: Parts, policy: Policy) -> None:
        self._parts = parts
        self._policy = policy
        self._condenser = Condenser(parts.analyzer, parts.writer)
        self._finder = Finder(
            parts.analyzer, parts.embedder, parts.index, policy.retrieval, parts.reranker
        )

    def meter(self) -> RequestMeter:
        """Return a meter for a question that begins now."""
        return RequestMeter(self._policy.place(), self._policy.power)

    def retrieve(self, question: Question) -> Retrieved:
        """Return the context for a question, within its budget.

        Raises:
            UsageError: The question is blank or too long.
            IndexStateError: Nothing has been ingested yet.
            DeadlineError: The deadline passed.
            OverloadedError: There is no time to look now.
        """
        way = _Way(question, self.meter())
        self._admit(way)
        _, context = self._context(way)
        return Retrieved(context, self._receipt(context, way))

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        """Return a grounded answer, or an abstention with its reason.

        Raises:
            UsageError: The question is blank or too long.
            IndexStateError: Nothing has been ingested yet.
            DeadlineError: The deadline passed.
            OverloadedError: There is no time for more than the cache now, which has no answer.
            BackendError: The generators failed, and that is to be told.
        """
        way = _Way(question, self.meter(), listener)
        self._admit(way)
        if self._parts.cache is not None:
            way.lookup = self._parts.cache.lookup(way.question)
            said = way.lookup.before(way.meter)
            if said is not None:
                return self._again(said, way)
        finding, context = self._context(way)
        if way.lookup is not None:
            said = way.lookup.after(finding.asked, finding.found, context, way.meter)
            if said is not None:
                return self._again(said, way)
        said = self._anew(finding, context, way)
        answer = said.answer(self._receipt(context, way))
        if way.lookup is not None and way.lasts:
            way.lookup.keep(answer)
        return answer

    def choice(self, question: Question) -> Choice | None:
        """Return the sentence that would answer, however unsure; None if there is no evidence.

        For calibration: the signals behind an answer's confidence stand in it.

        Raises:
            UsageError: The question is blank or too long.
            IndexStateError: Nothing has been ingested yet.
            DeadlineError: The deadline passed.
        """
        way = _Way(question, self.meter())
        self._admit(way)
        return self._choice(*self._context(way))

    def _choice(self, finding: Finding, context: Context) -> Choice | None:
        return choose(finding.question.text, finding.found, context, self._parts.analyzer)

    def _admit(self, way: _Way) -> None:
        """Check a question, and make it one that stands alone if it follows others."""
        question = way.question
        with way.meter.stage("guard") as step:
            guard.check(question, self._policy.max_question_chars)
            sparing = question.sparing
            step.decision = f"admitted sparingly: {sparing}" if sparing else "admitted"
        way.question, call = self._condenser.condensed(question, way.meter)
        way.calls += () if call is None else (call,)

    def _context(self, way: _Way) -> tuple[Finding, Context]:
        parts, question = self._parts, way.question
        guard.check_search(question)
        finding = self._finder.find(question, way.meter)
        with way.meter.stage("pack") as step:
            guard.check_deadline(question, "pack")
            allowance = TokenAllowance(question.budget_tokens, price(question.frugality))
            need = Need(finding.found.idf, finding.question.text)
            context = parts.packer.pack(finding.found.passages, need, allowance)
            offered = tuple(dict.fromkeys(p.chunk.doc_id for p in finding.found.passages))
            size = f"{len(context.evidence)} sentences, {context.tokens} tokens"
            step.decision = f"{size}: {context.stopped}"
        return finding, replace(context, offered=offered)

    def _anew(self, finding: Finding, context: Context, way: _Way) -> Said:
        """Return an answer that is made now: cut out, written, or none."""
        with way.meter.stage("answer") as step:
            guard.check_deadline(way.question, "answer")
            choice = self._choice(finding, context)
            chosen = self._route(finding, choice, way.question)
            step.decision = f"{chosen.way}: {chosen.why}"
        if chosen.way == "generate" and self._parts.writer is not None:
            brief = self._brief(way.question, context)
            written = self._parts.writer.write(brief, way.meter, way.listener)
            way.calls, way.lasts = way.calls + written.calls, written.lasts
            if written.answer is not None:
                return self._generated(written.answer, choice, context, way)
            with way.meter.stage("answer") as step:
                chosen = self._unwritten(written, choice)
                step.decision = f"{chosen.way} instead: {chosen.why}"
        if choice is None or chosen.way == "abstain":
            return _abstention(chosen.why, choice, context)
        return self._extracted(choice, context, way)

    def _route(self, finding: Finding, choice: Choice | None, question: Question) -> Route:
        if not finding.found.passages:
            why = "no document holds a word of the question, or none may be looked at"
            return Route("abstain", why)
        may_write = self._parts.writer is not None and not question.without("generate")
        return route(choice, question.generate if may_write else "never", self._policy.thresholds)

    def _brief(self, question: Question, context: Context) -> Brief:
        sampling = question.sampling or self._policy.sampling
        deadline = guard.writing_deadline(question)
        return Brief(question.text, question.history, context, sampling, deadline)

    def _unwritten(self, written: Written, choice: Choice | None) -> Route:
        """Return what is done where no model's answer stands.

        Raises:
            BackendError: That is to be told, and it is why.
        """
        limits = self._policy.thresholds
        if written.failed is not None and limits.if_unwritten == "error":
            raise written.failed
        if limits.if_unwritten != "extract" or choice is None:
            return Route("abstain", written.why)
        instead = extracted(choice.confidence, limits.answer)
        if instead.way == "extract":
            return instead
        return Route("abstain", f"{written.why}; {instead.why}")

    def _generated(
        self, written: CitedAnswer, choice: Choice | None, context: Context, way: _Way
    ) -> Said:
        with way.meter.stage("verify") as step:
            step.decision = f"{written.groundedness or 0:.2f} of the answer is in its citations"
        return Said(
            text=written.text,
            citations=written.citations,
            abstained=False,
            reason=None,
            confidence=choice.confidence if choice else 0.0,
            groundedness=written.groundedness,
            nearest=(),
            context=context,
        )

    def _extracted(self, choice: Choice, context: Context, way: _Way) -> Said:
        with way.meter.stage("verify") as step:
            citations = tuple(cite(evidence) for evidence in choice.support)
            text = " ".join(choice.evidence.text.split())
            grounded = groundedness(text, citations, self._parts.analyzer)
            step.decision = f"{grounded:.2f} of the answer is in its citations"
        short = choice.short
        if short is not None and short.confidence < self._policy.thresholds.answer:
            short = None
        way.listener.say(text)
        return Said(
            text=text,
            short=short,
            citations=citations,
            abstained=False,
            reason=None,
            confidence=choice.confidence,
            groundedness=grounded,
            nearest=(),
            context=context,
        )

    def _again(self, said: Said, way: _Way) -> Answer:
        """Return what was answered before, with the receipt of having looked it up."""
        if said.text is not None:
            way.listener.say(said.text)
        return said.answer(self._receipt(said.context, way))

    def _receipt(self, context: Context, way: _Way) -> Receipt:
        usage = _usage(context, self._parts.packer.tokenizer.name, way.calls)
        impact, baseline = way.meter.impact(), self._policy.baseline
        return Receipt(
            usage=usage,
            impact=impact,
            saved=baseline.saved(usage, impact) if baseline else None,
            cache=way.lookup.use if way.lookup else "off",
            trace=way.meter.trace(),
            fingerprint=self._policy.fingerprint,
            generation=self._parts.generation(),
            seconds=way.meter.seconds(),
            model=way.calls[-1].model if way.calls else None,
        )


def _abstention(reason: str, choice: Choice | None, context: Context) -> Said:
    return Said(
        text=None,
        citations=(),
        abstained=True,
        reason=reason,
        confidence=choice.confidence if choice else 0.0,
        groundedness=None,
        nearest=_nearest(context),
        context=context,
    )


def _usage(context: Context, tokenizer: str, calls: Sequence[Call]) -> Usage:
    """Return the tokens of a context and of all calls of generators together."""
    each = [call.used for call in calls]
    cached = [used.cached for used in each if used.cached is not None]
    return Usage(
        context_tokens=context.tokens,
        budget_tokens=context.budget_tokens,
        prompt_tokens=sum(used.prompt for used in each) if each else None,
        cached_tokens=sum(cached) if cached and len(cached) == len(each) else None,
        completion_tokens=sum(used.completion for used in each) if each else None,
        tokenizer=tokenizer,
        reported=all(used.reported for used in each) if each else None,
    )


def _nearest(context: Context) -> tuple[Citation, ...]:
    """Return citations of the best sentences, one a document."""
    best = sorted(context.evidence, key=lambda e: -e.score)
    by_document = {e.chunk.doc_id: e for e in reversed(best)}
    chosen = sorted(by_document.values(), key=lambda e: -e.score)[:_NEAREST]
    return tuple(cite(e) for e in chosen)
