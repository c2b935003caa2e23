"""A generated answer must cite: each sentence is held against the sources it names, as it comes.

A sentence is kept if the lines of the context that it cites support it. One that cites nothing, or
nothing that supports it, may be attributed by us, as small models hardly ever cite: it is kept if
packed sentences support it above a stricter threshold, and says that it was us who named them. The
marks of what is kept count the answer's citations: "[2]" is ``citations[1]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from rag.addressing import speaks_to_the_writer
from rag.claims import grounded_share, word_count
from rag.errors import ValueRangeError
from rag.protocols import GroundednessScorer, SentenceSplitter
from rag.results import Citation, Context, Evidence
from rag.streamed import Said, SentenceStream
from rag.verify import cite

Fault: TypeAlias = Literal[
    "says that the sources do not answer",
    "follows a refusal",
    "says nothing",
    "is too long to be judged",
    "was cut off",
    "comes after too many sentences",
    "cites no source",
    "cites sources that are not there",
    "is not supported by what it cites",
    "is not supported by the sources",
]
MOST_SENTENCES: Final = 200  # that are judged; more is no answer
_MOST_SUPPORT = 3  # packed sentences that one sentence may rest on
_AROUND = " .!\"'`*"  # what may stand around a refusal
_FEWEST_WORDS = 3  # of a sentence that we attribute: "2)" stands in some source or other
_WHOLE = (*'.!?…。\uff01\uff1f"”)', "```")  # how a sentence ends
# What a reader could follow: the target of a link, an address, a name of the net.
_ADDRESS = re.compile(
    r"\]\(\s*<?(?P<target>[^\s()<>]+)|//[^\s<>\"'`)\]|]+|\b(?i:javascript|data|mailto):\S+"
    r"|(?<![\w.-])[\w-]{2,}(?:\.[\w-]{2,})*\.[a-z]{2,}\b"
)


@dataclass(frozen=True, slots=True)
class Demands:
    """What is asked of a sentence: probabilities of support, and what counts as a refusal.

    ``attributed`` is asked of a sentence that we attribute; None attributes nothing. ``refusal``
    is what the prompt asks a model to write for no answer; empty where it asks for nothing.
    """

    supported: float = 0.5
    attributed: float | None = 0.7
    refusal: str = "NONE"

    def __post_init__(self) -> None:
        highest = self.supported if self.attributed is None else self.attributed
        if not 0 <= self.supported <= highest <= 1:
            found = f"{self.supported}, {self.attributed}"
            remedy = "use 0 <= supported <= attributed <= 1"
            raise ValueRangeError("thresholds of support", found, remedy)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer as it was judged; ``fault`` is None for one that is kept.

    ``cited`` are the source numbers that it names, ``sources`` those that support it, and
    ``marks`` its citations' places in the answer's list, from 1. ``groundedness`` is the
    probability that ``sources``, or else what it cites, support it. ``attributed``: the sources
    were named by us.
    """

    text: str
    lead: str
    cited: tuple[int, ...]
    sources: tuple[int, ...]
    marks: tuple[int, ...]
    groundedness: float
    attributed: bool
    fault: Fault | None

    @property
    def shown(self) -> str:
        """What is said of it: with what stands before it and its marks behind it."""
        gap = "\n" if self.text.endswith("```") else " "
        return f"{self.lead}{self.text}{gap}{''.join(f'[{mark}]' for mark in self.marks)}"


@dataclass(frozen=True, slots=True)
class CitedAnswer:
    """What is left of an answer; ``text`` and ``groundedness`` are None if nothing is.

    ``groundedness``: share of the kept words that the citations support. ``refused``: the model
    said that the sources do not answer.
    """

    text: str | None
    citations: tuple[Citation, ...]
    groundedness: float | None
    kept: tuple[Sentence, ...]
    dropped: tuple[Sentence, ...]
    refused: bool


class CitedReader:
    """Reads one answer; what it remembers is bounded, whatever comes."""

    def __init__(
        self,
        scorer: GroundednessScorer,
        context: Context,
        splitter: SentenceSplitter,
        demands: Demands = Demands(),
    ) -> None:
        self._judge = _judge(scorer, context, demands)
        self._stream = SentenceStream(splitter)
        self._demands = demands
        self._citations: dict[Citation, None] = {}
        self._sentences: list[Sentence] = []
        self._refused = False

    @property
    def done(self) -> bool:
        """Whether nothing that may still come can be kept: the generation can be stopped."""
        return self._refused or len(self._sentences) >= MOST_SENTENCES

    def feed(self, piece: str) -> tuple[Sentence, ...]:
        """Return the sentences that are complete with the next piece, judged."""
        return self._judged(self._stream.feed(piece))

    def end(self, *, cut: bool = False) -> tuple[Sentence, ...]:
        """Return what is left at the end of the answer, judged.

        ``cut``: the generation ended at its limit, and the last sentence is perhaps not whole.
        """
        amid_line = self._stream.amid_line
        left = list(self._stream.end())
        if not (cut and amid_line and left) or left[-1].text.endswith(_WHOLE):
            return self._judged(left)
        return (*self._judged(left[:-1]), *self._judged(left[-1:], fault="was cut off"))

    def answer(self) -> CitedAnswer:
        """Return what was read so far as one answer."""
        kept = tuple(each for each in self._sentences if each.fault is None)
        dropped = tuple(each for each in self._sentences if each.fault is not None)
        shares = [each.groundedness for each in kept]
        grounded = grounded_share([each.text for each in kept], shares) if kept else None
        text = "".join(each.shown for each in kept) or None
        return CitedAnswer(
            text, tuple(self._citations), grounded, kept, dropped, self._refused and not kept
        )

    def _judged(self, said: Iterable[Said], fault: Fault | None = None) -> tuple[Sentence, ...]:
        judged = []
        for each in said:
            if len(self._sentences) > MOST_SENTENCES:
                break
            sentence = _dropped(each, fault) if fault else self._sentence(each)
            self._sentences.append(sentence)
            judged.append(sentence)
        return tuple(judged)

    def _sentence(self, said: Said) -> Sentence:
        if (fault := self._fault(said)) is not None:
            return _dropped(said, fault)
        verdict = self._judge.verdict(said)
        if isinstance(verdict, _Refuted):
            return _dropped(said, verdict.fault, verdict.probability)
        for evidence in verdict.support:
            self._citations.setdefault(cite(evidence))
        places = {citation: place for place, citation in enumerate(self._citations, start=1)}
        anything_kept = any(each.fault is None for each in self._sentences)
        return Sentence(
            text=said.text,
            lead=said.lead if anything_kept else "",
            cited=said.marks,
            sources=tuple(sorted({evidence.source for evidence in verdict.support})),
            marks=tuple(sorted({places[cite(evidence)] for evidence in verdict.support})),
            groundedness=verdict.probability,
            attributed=verdict.attributed,
            fault=None,
        )

    def _fault(self, said: Said) -> Fault | None:
        """Return what is wrong with a sentence before its support is looked at."""
        if self._refused:
            return "follows a refusal"
        refusal = self._demands.refusal
        if refusal and said.text.strip(_AROUND) == refusal.strip(_AROUND):
            self._refused = True
            return "says that the sources do not answer"
        if len(self._sentences) >= MOST_SENTENCES:
            return "comes after too many sentences"
        if said.too_long:
            return "is too long to be judged"
        return None if word_count(said.text) else "says nothing"


class _Supported(NamedTuple):
    probability: float
    support: tuple[Evidence, ...]
    attributed: bool


class _Refuted(NamedTuple):
    probability: float
    fault: Fault


@dataclass(frozen=True, slots=True)
class _Judge:
    """Holds sentences against the lines of a context; ``pieces`` are their packed sentences.

    Groundedness looks at words; what a sentence links to must stand in the sources as it is, or an
    answer could carry its reader, or what it knows, to wherever a document wants.
    """

    scorer: GroundednessScorer
    lines: Mapping[int, str]
    pieces: tuple[_Piece, ...]
    addresses: frozenset[str]
    demands: Demands

    def verdict(self, said: Said) -> _Supported | _Refuted:
        """Return what supports a sentence, or what is wrong with it."""
        if not _addresses(said.text) <= self.addresses:
            return _Refuted(0.0, "is not supported by the sources")
        cited = [source for source in said.marks if source in self.lines]
        own = self._score(said, [self.lines[source] for source in cited])
        if cited and own >= self.demands.supported:
            return _Supported(own, self._cited_support(said, cited), attributed=False)
        asked = self.demands.attributed
        if asked is not None and word_count(said.text) >= _FEWEST_WORDS:
            # No part of the sources supports what all of them do not.
            best = self._score(said, list(self.lines.values()))
            if best >= asked and (support := self._support(said, self.pieces, asked)).enough:
                return _Supported(support.probability, support.evidence, attributed=True)
            return _Refuted(best, "is not supported by the sources")
        if cited:
            return _Refuted(own, "is not supported by what it cites")
        fault: Fault = "cites sources that are not there" if said.marks else "cites no source"
        return _Refuted(0.0, fault)

    def _cited_support(self, said: Said, cited: Sequence[int]) -> tuple[Evidence, ...]:
        """Return the sentences that carry it, and of further sources those that do alone."""
        asked = self.demands.supported
        pieces = [piece for piece in self.pieces if piece.evidence.source in cited]
        found = list(self._support(said, pieces, asked).evidence)
        for source in cited:
            if all(evidence.source != source for evidence in found):
                own = [piece for piece in pieces if piece.evidence.source == source]
                alone = self._support(said, own, asked, most=1)
                found += alone.evidence if alone.enough else ()
        return tuple(found)

    def _support(
        self, said: Said, pieces: Sequence[_Piece], asked: float, most: int = _MOST_SUPPORT
    ) -> _Support:
        """Return the fewest of the best sentences that reach ``asked`` together, or the best."""
        alone = [(self._score(said, [piece.text]), piece) for piece in pieces]
        ranked = sorted(alone, key=lambda each: -each[0])
        best = _Support(ranked[0][0], (ranked[0][1].evidence,), ranked[0][0] >= asked)
        for count in range(2, min(most, len(ranked)) + 1 if not best.enough else 0):
            # In the order of the context, in one text: neighbours are read together.
            chosen = sorted((piece for _, piece in ranked[:count]), key=pieces.index)
            share = self._score(said, [" ".join(piece.text for piece in chosen)])
            if share >= asked:
                return _Support(share, tuple(piece.evidence for piece in chosen), enough=True)
        return best

    def _score(self, said: Said, texts: Sequence[str]) -> float:
        return self.scorer.score([said.text], texts)[0] if texts else 0.0


class _Support(NamedTuple):
    probability: float
    evidence: tuple[Evidence, ...]
    enough: bool


class _Piece(NamedTuple):
    """A packed sentence, and how it is read: behind the header of its line."""

    evidence: Evidence
    text: str


def _judge(scorer: GroundednessScorer, context: Context, demands: Demands) -> _Judge:
    """Return the judge of a context; lines that state nothing cannot be cited."""
    written = context.text.split("\n")
    headers: dict[int, str] = {}
    stated: dict[int, list[str]] = {}
    pieces = []
    for evidence in context.evidence:
        text = " ".join(evidence.text.split())
        line = written[evidence.source - 1]
        header = headers.setdefault(evidence.source, _header(line[: max(0, line.find(text))]))
        if not speaks_to_the_writer(text):
            stated.setdefault(evidence.source, []).append(text)
            pieces.append(_Piece(evidence, header + text))
    lines = {source: headers[source] + " ".join(texts) for source, texts in stated.items()}
    addresses = frozenset().union(*map(_addresses, lines.values()))
    return _Judge(scorer, lines, tuple(pieces), addresses, demands)


def _header(text: str) -> str:
    return "" if speaks_to_the_writer(text) else text


def _addresses(text: str) -> frozenset[str]:
    """Return what leads a reader elsewhere: it is taken from a source letter by letter or not."""
    found = (match["target"] or match[0] for match in _ADDRESS.finditer(text))
    return frozenset(each.rstrip(".,;:!?*_").lower() for each in found)


def _dropped(said: Said, fault: Fault, probability: float = 0.0) -> Sentence:
    return Sentence(
        said.text, said.lead, said.marks, (), (), probability, attributed=False, fault=fault
    )
