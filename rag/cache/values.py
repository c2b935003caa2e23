"""What the cache is asked, what it keeps, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rag.errors import ValueRangeError
from rag.results import Answer, Citation, Context, Receipt, Short
from rag.types import Filter, Interval, Vector

Level: TypeAlias = Literal["exact", "semantic"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What two questions must share besides their words; the tenant stands in ``where``.

    ``fingerprint`` names all else that can change an answer: settings, generator, prompt version,
    sampling. ``language`` is None where nobody has told it.
    """

    where: Filter
    budget_tokens: int
    frugality: float
    fingerprint: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it comes to the cache, and the identity of the generation now served.

    ``sparing`` questions are answered from the cache, but what they get is not kept.
    """

    text: str
    scope: Scope
    generation: str
    sparing: bool = False

    @property
    def tenant(self) -> str:
        """Whose question it is."""
        return self.scope.where.tenant


@dataclass(frozen=True, slots=True)
class Clue:
    """What finds other wordings of a question: its unit vector, else the IDF of its index terms.

    ``vector``: (dim,) float32, None in the lexical tier. A term in no document has no IDF.
    """

    vector: Vector | None
    terms: tuple[int, ...] = ()
    idf: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer took: energy [J], None if unknown, and tokens of generation."""

    joules: Interval | None
    tokens: int = 0

    @property
    def mean_joules(self) -> float:
        """Middle of the interval [J]; 0 if unknown, so that such an entry leaves first."""
        return (self.joules.low + self.joules.high) / 2 if self.joules else 0.0


@dataclass(frozen=True, slots=True)
class Said:
    """An answer without its receipt: all that is needed to give it again."""

    text: str | None
    citations: tuple[Citation, ...]
    abstained: bool
    reason: str | None
    confidence: float
    groundedness: float | None
    nearest: tuple[Citation, ...]
    context: Context
    short: Short | None = None

    @classmethod
    def of(cls, answer: Answer) -> Said:
        """Return what an answer said."""
        return cls(**{name: getattr(answer, name) for name in cls.__slots__})

    def answer(self, receipt: Receipt) -> Answer:
        """Return the answer once more, with a receipt of its own."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return Answer(**fields, receipt=receipt)


@dataclass(frozen=True, slots=True)
class Cached:
    """An entry that fits a question; ``created`` is POSIX time [s].

    Unless ``fresh`` it was made on another generation: it may be used only after
    ``AnswerCache.revalidate`` said so. ``question`` is the one it was made for.
    """

    entry: int
    tenant: str
    level: Level
    fresh: bool
    question: str
    said: Said
    cost: Cost
    generation: str
    created: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a cache: age [s], size [bytes], and how often its semantic level may err.

    ``shadow_share`` of the semantic hits is answered anew; ``most_false`` is the share of false
    hits beyond which the level switches itself off.
    """

    ttl_seconds: float = 7 * 86_400.0
    most_bytes: int = 256 * 2**20
    shadow_share: float = 0.05
    most_false: float = 0.01

    def __post_init__(self) -> None:
        bounds = (
            ("ttl_seconds", self.ttl_seconds, 0.0, 1e10),
            ("most_bytes", self.most_bytes, 0, 2**50),
            ("shadow_share", self.shadow_share, 0, 1),
            ("most_false", self.most_false, 0, 1),
        )
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise ValueRangeError(name, value, f"use {low} to {high}")


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """How often answered-anew semantic hits were false, with exact 95 % bounds.

    ``low`` and ``high`` are the two-sided bounds, ``surely`` the one-sided lower one; None where
    nothing was checked yet. ``undecided`` ones, where the fresh answer abstained, are not among
    those ``checked``. ``on``: the semantic level is in use.
    """

    checked: int
    false: int
    undecided: int
    low: float | None
    high: float | None
    surely: float | None
    on: bool


@dataclass(frozen=True, slots=True)
class CacheState:
    """What a cache holds [bytes], and what its hits saved since it was emptied last [J, tokens]."""

    entries: int
    bytes: int
    exact_hits: int
    semantic_hits: int
    joules_saved: float
    tokens_saved: int
    shadow: ShadowReport
