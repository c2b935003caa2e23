"""The pack stage: the sentences that earn their tokens, never over the budget.

Each sentence offered has a share: how likely it is to hold the answer (``rag.worth``). Best first,
it is taken if it fits, if its share pays the price of its tokens, and if it says something new;
with it comes the sentence that it leans on (``rag.leaning``). What is taken is written out in
document order. Each line of the context holds the sentences of one section of one document, behind
its title or heading where that says something of the question that the sentences do not:
"Retention, EU: Records are kept for 30 days." A line's number is its source's number; written out
in front ("2 Retention, EU: ...") it costs two tokens a line, so that is left to the template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

from rag.kinds import fitting
from rag.leaning import leans_on
from rag.links import POINTING, pointed_to
from rag.protocols import Analyzer, Tokenizer
from rag.results import Context, Evidence, Passage, Stop
from rag.types import Chunk
from rag.worth import Worth, shares

_SMALLEST_SENTENCE = 4  # tokens: with less room left nothing is tried any more
_MOST_TRIED = 200  # sentences: bounds the work for large budgets of tiny sentences
# Words that turn what is said; index terms leave most of them out.
_TURNS = re.compile(
    r"\b(?:not?|never|none|nor|without|cannot|\w+n['’]t|may|might|must|should|only)\b"
)


_Section: TypeAlias = tuple[str, tuple[str, ...]]  # a document and the headings


@dataclass(frozen=True, slots=True)
class Template:
    """How the context is written; its tokens count against the budget."""

    numbered: bool = False
    name_separator: str = ", "
    header_end: str = ": "
    sentence_separator: str = " "
    line_separator: str = "\n"


@dataclass(frozen=True)
class Need:
    """What a question asks for: its wording, and its terms with their corpus IDF as weights."""

    idf: dict[int, float]
    question: str = ""

    @cached_property
    def _mass(self) -> float:
        return sum(self.idf.values())

    def coverage(self, terms: Iterable[int]) -> float:
        """Return the share of the question's IDF mass that ``terms`` hold, in [0, 1]."""
        held = self.idf.keys() & terms
        return sum(self.idf[term] for term in held) / self._mass if held and self._mass else 0.0


@dataclass(frozen=True, slots=True)
class TokenAllowance:
    """What a context may cost: tokens at most, and the share that each of them has to bring.

    ``price`` 0 fills the budget; 0.001 asks of 10 tokens that they are the answer one time in 100.
    The first sentence is not asked.
    """

    budget_tokens: int
    price: float = 0.0


class Offered(NamedTuple):
    """A sentence on offer: ``share`` is how likely it is to hold the answer if one does."""

    chunk: Chunk
    sentence: int  # index into chunk.sentences
    worth: Worth
    terms: tuple[int, ...]
    share: float = 0.0

    @property
    def key(self) -> tuple[str, int]:
        """Its chunk and its place in it."""
        return self.chunk.id, self.sentence

    @property
    def text(self) -> str:
        """The sentence, verbatim."""
        return self.chunk.sentence(self.sentence)

    @property
    def evidence(self) -> Evidence:
        """The sentence as evidence that is not written yet."""
        worth = self.worth
        return Evidence(
            self.chunk, self.sentence, self.share, worth.cosine, worth.coverage, source=0
        )


@dataclass(frozen=True, slots=True)
class Packer:
    """Packs evidence for questions in one tokenizer and one template."""

    tokenizer: Tokenizer
    analyzer: Analyzer
    template: Template = Template()

    def pack(self, passages: Sequence[Passage], need: Need, allowance: TokenAllowance) -> Context:
        """Return the context: ``context.tokens <= allowance.budget_tokens`` always.

        ``context.tokens`` is the tokenizer's count of ``context.text``, headers included.
        """
        return self.packed(self.ranked(passages, need), need, allowance)

    def packed(self, ranked: Sequence[Offered], need: Need, allowance: TokenAllowance) -> Context:
        """Return the context made of ranked sentences, as ``pack`` does."""
        chosen, stopped = self._choose(ranked, need, allowance)
        while True:
            text, evidence = self._write(chosen, need)
            tokens = self.tokenizer.count(text)
            if tokens <= allowance.budget_tokens:
                return Context(text, tokens, allowance.budget_tokens, evidence, stopped)
            # Counts are not additive: drop the least promising and recount.
            chosen, stopped = chosen[:-1], "the next one does not fit"

    def ranked(self, passages: Sequence[Passage], need: Need) -> list[Offered]:
        """Return every sentence of every passage with its share as score, best first.

        Once the best are known, what they point to is worth more.
        """
        fit = fitting(need.question)
        offered = [o for passage in passages for o in self._offered(passage, need, fit)]
        ranked = _by_share(offered)
        best = [(o.chunk.title, o.text) for o in ranked[:POINTING]]
        documents = pointed_to(best, passages, need.question)
        if not documents:
            return ranked
        return _by_share(
            [
                o._replace(worth=o.worth._replace(link=1.0)) if o.chunk.doc_id in documents else o
                for o in offered
            ]
        )

    def _offered(
        self, passage: Passage, need: Need, fit: Callable[[str], float]
    ) -> Iterable[Offered]:
        chunk = passage.chunk
        # Headlines are shown as their lines' headers where that helps.
        places = [i for i in range(len(chunk.sentences)) if i not in chunk.headlines]
        for i in places:
            text = chunk.sentence(i)
            terms = tuple(self.analyzer.terms(text))
            cosine = passage.cosines[i] if passage.cosines else None
            worth = Worth(
                passage.score, cosine, need.coverage(terms), fit(text), siblings=len(places)
            )
            yield Offered(chunk, i, worth, terms)

    def _choose(
        self, ranked: Sequence[Offered], need: Need, allowance: TokenAllowance
    ) -> tuple[list[Evidence], Stop]:
        """Return what pays and fits by estimated cost, best first, nothing said twice.

        And what speaks against the best sentence that is left out for another reason.
        """
        chosen: dict[tuple[str, int], Offered] = {}
        offers = {offered.key: offered for offered in ranked}
        sections: set[_Section] = set()
        left = allowance.budget_tokens
        stopped: Stop | None = None
        for offered in ranked[:_MOST_TRIED]:
            price = allowance.price if chosen else 0.0  # something is better than nothing
            if against := _against((offered,), _SMALLEST_SENTENCE, left, price):
                stopped = stopped or against
                break
            # Hardly a tokenizer spends less than a token a word: spare the count.
            if against := _against((offered,), offered.text.count(" "), left, price):
                stopped = stopped or against
                continue
            if _said(offered, chosen.values()):
                continue
            for group in _groups(offered, offers, chosen):
                evidence = [member.evidence for member in group]
                cost = self._cost(evidence, sections, need)
                if not (against := _against(group, cost, left, price)):
                    chosen |= {member.key: member for member in group}
                    sections |= set(map(_section, evidence))
                    left -= cost
                    break
            stopped = stopped or against
        return [o.evidence for o in chosen.values()], stopped or "nothing is left"

    def _cost(self, group: Sequence[Evidence], shown: set[_Section], need: Need) -> int:
        """Return about how many tokens a group adds to the sections that are shown already."""
        cost = 0
        sections = set(shown)
        for evidence in group:
            cost += self.tokenizer.count(self.template.sentence_separator + evidence.text)
            if _section(evidence) not in sections:
                sections.add(_section(evidence))
                cost += self._header_cost(evidence, need)
        return cost

    def _header_cost(self, evidence: Evidence, need: Need) -> int:
        header = self.template.line_separator + self._header([evidence], 1, need)
        return self.tokenizer.count(header)

    def _write(self, chosen: Sequence[Evidence], need: Need) -> tuple[str, tuple[Evidence, ...]]:
        """Return the context and its evidence in the order written, lines numbered from 1."""
        lines: list[str] = []
        written: list[Evidence] = []
        for number, section in enumerate(_sections_in_order(chosen), start=1):
            text = self.template.sentence_separator.join(_on_one_line(e.text) for e in section)
            lines.append(self._header(section, number, need) + text)
            written += [replace(e, source=number) for e in section]
        return self.template.line_separator.join(lines), tuple(written)

    def _header(self, section: Sequence[Evidence], number: int, need: Need) -> str:
        """Return the line's number, if written, and the names that add question terms to it."""
        said = {term for e in section for term in self.analyzer.terms(e.text)}
        names = []
        for name in _names(section[0]):
            new = (need.idf.keys() & set(self.analyzer.terms(name))) - said
            if new:
                names.append(name)
                said |= new
        parts = [str(number)] if self.template.numbered else []
        if names:
            parts.append(self.template.name_separator.join(names))
        return " ".join(parts) + self.template.header_end if parts else ""


def _by_share(offered: Sequence[Offered]) -> list[Offered]:
    """Return sentences with their shares, best first, whatever order they come in."""
    found = shares([o.worth for o in offered])
    shared = [Offered(*o[:-1], share) for o, share in zip(offered, found, strict=True)]
    return sorted(shared, key=lambda o: (-o.share, o.chunk.id, o.sentence))


def _against(group: Iterable[Offered], cost: int, left: int, price: float) -> Stop | None:
    """Return why sentences that cost so many tokens are not taken, None if they are."""
    if cost > left:
        return "the next one does not fit"
    return "the next one does not pay" if sum(o.share for o in group) < price * cost else None


def _said(offered: Offered, chosen: Iterable[Offered]) -> bool:
    """Return whether a chosen sentence says every term of this one, in order, turned the same way.

    Numbers are terms: "30 days" does not repeat "60 days", nor "A pays B" "B pays A".
    """
    return any(_within(offered.terms, c.terms) and _turns(offered) == _turns(c) for c in chosen)


def _within(terms: Sequence[int], others: Sequence[int]) -> bool:
    rest = iter(others)
    return all(term in rest for term in terms)


def _turns(offered: Offered) -> set[str]:
    return set(_TURNS.findall(offered.text.lower()))


def _groups(
    offered: Offered,
    offers: dict[tuple[str, int], Offered],
    chosen: dict[tuple[str, int], Offered],
) -> Iterable[tuple[Offered, ...]]:
    """Yield a sentence with the one it leans on, unless that is said already, and then alone."""
    chunk_id, sentence = offered.key
    needed = leans_on(offered.chunk, sentence)
    support = None if needed is None else offers.get((chunk_id, needed))
    if support and not _said(support, (offered, *chosen.values())):
        yield support, offered
    yield (offered,)


def _section(evidence: Evidence) -> _Section:
    return evidence.chunk.doc_id, evidence.headings


def _names(evidence: Evidence) -> tuple[str, ...]:
    names = (_on_one_line(name) for name in (evidence.chunk.title, *evidence.headings))
    return tuple(dict.fromkeys(name for name in names if name))


def _sections_in_order(chosen: Sequence[Evidence]) -> list[list[Evidence]]:
    """Return sections, those of the document with the best sentence first, each by place."""
    rank = {e.chunk.doc_id: i for i, e in reversed(list(enumerate(chosen)))}
    ordered = sorted(chosen, key=lambda e: (rank[e.chunk.doc_id], e.span.start))
    sections: dict[_Section, list[Evidence]] = {}
    for evidence in ordered:
        sections.setdefault(_section(evidence), []).append(evidence)
    return list(sections.values())


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
