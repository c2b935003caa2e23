"""What a question gives back: context, citations, answer, and the receipt of all it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, get_args

from rag.errors import ValueRangeError
from rag.generating import Message, Sampling
from rag.grid.intensity import Intensity
from rag.types import Basis, Chunk, Filter, Interval, Span

Stage: TypeAlias = Literal[
    "guard",
    "condense",
    "cache",
    "retrieve",
    "rerank",
    "pack",
    "answer",
    "generate",
    "verify",
]
# Whether a model may write the answer: where extracting is not sure enough, never, or always.
Writing: TypeAlias = Literal["auto", "never", "always"]
CacheUse: TypeAlias = Literal["off", "miss", "exact", "semantic", "shared"]
# What a question may have to do without, in this order, each with all before it: the reading of the
# best passages, its own vector, what a model writes, and all looking but that in the cache.
Spared: TypeAlias = Literal["rerank", "vectors", "generate", "search"]
SPARED: Final[tuple[Spared, ...]] = get_args(Spared)
# What speaks against the best sentence that was left out of a context.
Stop: TypeAlias = Literal[
    "nothing is left", "the next one does not fit", "the next one does not pay"
]


@dataclass(frozen=True, slots=True)
class Sparing:
    """How far a question is to be answered with less, and why; ``upto`` includes all before it."""

    upto: Spared
    reason: str

    def __str__(self) -> str:
        said = {
            "rerank": "without reranking",
            "vectors": "by words alone",
            "generate": "by words alone, nothing written",
            "search": "from the cache alone",
        }
        return f"{self.reason}; {said[self.upto]}"


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it enters the pipeline; ``deadline`` is on the monotonic clock [s].

    ``frugality`` is the answer recall that may be lost for fewer tokens, in [0, 0.5]; 0 fills the
    budget. ``sparing`` says what it has to do without, None where that is nothing. ``history``
    are the turns before it, oldest first; ``sampling`` is for what a model writes, None for the
    configured one.
    """

    text: str
    where: Filter
    budget_tokens: int
    deadline: float
    frugality: float = 0.0
    sparing: Sparing | None = None
    history: tuple[Message, ...] = ()
    generate: Writing = "auto"
    sampling: Sampling | None = None

    def without(self, step: Spared) -> bool:
        """Return whether it has to do without a step."""
        spared = self.sparing
        return spared is not None and SPARED.index(step) <= SPARED.index(spared.upto)

    def spared(self, sparing: Sparing) -> Question:
        """Return the question with this left out too; what was to be left out stays so."""
        return self if self.without(sparing.upto) else replace(self, sparing=sparing)


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved chunk with its fused score and its sentences' cosines to the question.

    ``cosines`` is empty where there are no sentence vectors (lexical tier).
    """

    chunk: Chunk
    score: float
    cosines: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One packed sentence: where it stands and how much it promised."""

    chunk: Chunk
    sentence: int  # index into chunk.sentences
    score: float  # share: how likely it is to hold the answer, given that one sentence does
    cosine: float | None  # to the question; None in the lexical tier
    coverage: float  # share of the question's IDF mass that the sentence holds
    source: int  # number of its line in the context, from 1; 0 before it is written

    @property
    def text(self) -> str:
        """The sentence, verbatim."""
        return self.chunk.sentence(self.sentence)

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings that the sentence stands under, outermost first."""
        own, above = self.chunk.headline(self.sentence), self.chunk.headings
        return above if own is None or own in above else (*above, own)

    @property
    def span(self) -> Span:
        """Where the sentence stands in its document [characters]."""
        span = self.chunk.sentences[self.sentence]
        return Span(self.chunk.start + span.start, self.chunk.start + span.end)


@dataclass(frozen=True, slots=True)
class Context:
    """The packed evidence as a generator would read it; never over its budget.

    ``offered`` names the documents whose passages it was packed from, best passage first.
    """

    text: str
    tokens: int
    budget_tokens: int
    evidence: tuple[Evidence, ...]
    stopped: Stop = "nothing is left"
    offered: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.tokens > self.budget_tokens:
            raise ValueRangeError(
                "context over budget", f"{self.tokens} > {self.budget_tokens}", "pack less"
            )


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a statement comes from: ``quote == document.text[start:end]``."""

    doc_id: str
    title: str
    quote: str
    start: int
    end: int
    page: int | None
    headings: tuple[str, ...]
    also_in: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Short:
    """The exact answer inside a cited sentence, with how likely it is right.

    A ``phrase`` is ``document.text[start:end]`` but for white space; a ``list`` is its items joined
    by semicolons, one span each; a ``verdict`` is "yes" or "no", its span the sentence it rests on.
    """

    form: Literal["phrase", "verdict", "list"]
    text: str
    spans: tuple[Span, ...]
    confidence: float

    def __post_init__(self) -> None:
        if not self.text or not self.spans:
            raise ValueRangeError(
                "short answer", repr(self.text), "give a text and where it stands"
            )


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the context in the configured tokenizer, and those of all calls of generators.

    Those are None where no generator was called. ``reported``: the providers said so; else they
    were counted, and None where there is nothing to count.
    """

    context_tokens: int
    budget_tokens: int
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    tokenizer: str
    reported: bool | None = None


@dataclass(frozen=True, slots=True)
class Impact:
    """What the request cost; None is unknown, never zero.

    ``gco2e`` is of operation, by location: making the machine and what the contract for the power
    says are apart.
    """

    joules: Interval | None
    gco2e: Interval | None
    litres: Interval | None
    cpu_seconds: Interval | None
    basis: Basis
    region: str | None
    grid: Intensity | None = None  # what gco2e was counted with, and who says so
    embodied_gco2e: Interval | None = None  # this request's share of making the machine
    market_gco2e: Interval | None = None  # of operation, by the market-based intensity


@dataclass(frozen=True, slots=True)
class SignedInterval:
    """A difference known to lie in ``[low, high]``; below 0 where the second was the larger."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueRangeError("interval", f"[{self.low}, {self.high}]", "use low <= high")


@dataclass(frozen=True, slots=True)
class Saved:
    """A baseline's mean cost of a question less this answer's cost; below 0: this one cost more.

    ``system`` was measured in the evaluation ``record`` on ``machine``: elsewhere only tokens are
    compared. ``joules`` [J], ``gco2e`` [g], ``litres`` [L]. None is unknown.
    """

    context_tokens: float | None
    prompt_tokens: float | None
    joules: SignedInterval | None
    gco2e: SignedInterval | None
    litres: SignedInterval | None
    system: str
    record: str
    machine: str
    same_machine: bool


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One stage's decision with its reason and its cost."""

    stage: Stage
    decision: str
    seconds: float
    joules: Interval | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What every result carries: usage, impact, the way it went, and what produced it.

    ``saved`` is None where no measured baseline is configured. ``model`` is the generator that was
    called last, None where none was.
    """

    usage: Usage
    impact: Impact
    saved: Saved | None
    cache: CacheUse
    trace: tuple[TraceStep, ...]
    fingerprint: str
    generation: int | None
    seconds: float
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The context for a question, without an answer."""

    context: Context
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Answer:
    """A grounded answer, or an abstention with its reason and the nearest sources.

    ``text`` is None exactly when ``abstained``; ``short`` is the exact answer in it, None where it
    is not likely enough. ``confidence`` is the calibrated probability that the cited sentence holds
    the answer. ``groundedness`` is the share of the answer that its citations support, None when
    abstained.
    """

    text: str | None
    citations: tuple[Citation, ...]
    abstained: bool
    reason: str | None
    confidence: float
    groundedness: float | None
    nearest: tuple[Citation, ...]
    context: Context
    receipt: Receipt
    short: Short | None = None

    def __post_init__(self) -> None:
        if self.abstained and self.short is not None:
            raise ValueRangeError("short answer", self.short.text, "an abstention has none")
        if self.abstained != (self.text is None) or self.abstained != (self.reason is not None):
            raise ValueRangeError(
                "abstention", self.abstained, "an abstention has a reason and no text"
            )
