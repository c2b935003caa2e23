"""The cache stage: what was answered before, where it surely answers this question too."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from rag.cache.answer_cache import AnswerCache
from rag.cache.values import Asked, Cached, Clue, Cost, Said, Scope
from rag.meter import RequestMeter
from rag.results import Answer, CacheUse, Context, Question
from rag.retrieve import Asked as Sought
from rag.retrieve import Found


@dataclass(frozen=True, slots=True)
class CacheStage:
    """A cache in a pipeline: ``fingerprint`` names all that is configured and shapes an answer.

    ``generation`` tells the identity of what is served. Without ``semantic`` only the same question
    is found.
    """

    cache: AnswerCache
    fingerprint: str
    generation: Callable[[], str]
    semantic: bool = True

    def lookup(self, question: Question) -> Lookup:
        """Return the looking up of one question."""
        parts = (self.fingerprint, question.generate, question.sampling, question.history)
        name = hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()
        scope = Scope(question.where, question.budget_tokens, question.frugality, name)
        sparing = question.sparing is not None
        return Lookup(self, Asked(question.text, scope, self.generation(), sparing))


@dataclass(slots=True)
class Lookup:
    """One question on its way past the cache; ``use`` is what the cache was good for."""

    stage: CacheStage
    asked: Asked
    use: CacheUse = "miss"
    _stale: Cached | None = None
    _shadowed: Cached | None = None
    _clue: Clue = field(default_factory=lambda: Clue(None))

    def before(self, meter: RequestMeter) -> Said | None:
        """Return what the same question got, if the documents are the same since."""
        with meter.stage("cache") as step:
            cached = self.stage.cache.exact(self.asked)
            if cached is None:
                step.decision = "miss"
                return None
            if not cached.fresh:
                self._stale, step.decision = cached, "known from before the documents changed"
                return None
            step.decision = "the same question"
        return self._given(cached, meter)

    def after(
        self, sought: Sought, found: Found, context: Context, meter: RequestMeter
    ) -> Said | None:
        """Return what this or the same question in other words got, over this very context."""
        self._clue = Clue(sought.vector, sought.terms, found.idf)
        with meter.stage("cache") as step:
            cached, step.decision = self._over(context)
        return None if cached is None else self._given(cached, meter)

    def keep(self, answer: Answer) -> None:
        """Keep what was answered anew, and hold it against what the cache would have given."""
        cache, said, receipt = self.stage.cache, Said.of(answer), answer.receipt
        if self._shadowed is not None:
            cache.shadow(self._shadowed, said)
        usage = receipt.usage
        tokens = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
        cache.keep(self.asked, self._clue, said, Cost(receipt.impact.joules, tokens))

    def _over(self, context: Context) -> tuple[Cached | None, str]:
        cache, stale, whole = self.stage.cache, self._stale, not self.asked.sparing
        # What is found with less does not tell what a whole search would have found.
        if stale is not None and whole and cache.revalidate(stale, context, self.asked.generation):
            return stale, "the same question, over the same evidence as before"
        if not self.stage.semantic:
            return None, "miss"
        similar = cache.similar(self.asked, self._clue, context)
        if similar is None:
            return None, "miss: no other wording over this evidence"
        if whole and cache.shadow_due():
            self._shadowed = similar
            return None, "answered anew, to check the cache"
        return similar, "the same question in other words, over the same evidence"

    def _given(self, cached: Cached, meter: RequestMeter) -> Said:
        self.use = cached.level
        joules = meter.impact().joules
        self.stage.cache.used(cached, (joules.low + joules.high) / 2 if joules else 0.0)
        return cached.said
