"""The pack stage: the sentences that earn their tokens, never over the budget.

Sentences are scored one by one, taken greedily by score while they fit, and written out in
document order. Each line of the context holds the sentences of one section of one document, behind
its title or heading where that says something of the question that the sentences do not:
"Retention, EU: Records are kept for 30 days." A line's number is its source's number; written out
in front ("2 Retention, EU: ...") it costs two tokens a line, so that is left to the template.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rag.protocols import Analyzer, Tokenizer
from rag.results import Context, Evidence, Passage

# Source: chosen on half of the 1,000 questions of the SQuAD development set with cl100k budgets
# 64 to 192; 0.3 to 1.0 differ by less than one point there (docs/adr/0003-packing.md).
_PASSAGE_WEIGHT = 0.5
_SMALLEST_SENTENCE = 4  # tokens: with less room left nothing is tried any more
_MOST_TRIED = 200  # sentences: bounds the work for large budgets of tiny sentences


@dataclass(frozen=True, slots=True)
class Template:
    """How the context is written; its tokens count against the budget."""

    numbered: bool = False
    name_separator: str = ", "
    header_end: str = ": "
    sentence_separator: str = " "
    line_separator: str = "\n"


@dataclass(frozen=True, slots=True)
class Need:
    """What a question asks for: its terms, and their corpus IDF as weights."""

    idf: dict[int, float]

    def coverage(self, terms: Iterable[int]) -> float:
        """Return the share of the question's IDF mass that ``terms`` hold, in [0, 1]."""
        held = self.idf.keys() & terms
        mass = sum(self.idf.values()) if held else 0.0
        return sum(self.idf[term] for term in held) / mass if mass > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Packer:
    """Packs evidence for questions in one tokenizer and one template."""

    tokenizer: Tokenizer
    analyzer: Analyzer
    template: Template = Template()

    def pack(self, passages: Sequence[Passage], need: Need, budget_tokens: int) -> Context:
        """Return the context: ``context.tokens <= budget_tokens`` always.

        ``context.tokens`` is the tokenizer's count of ``context.text``, headers included.
        """
        ranked = self._ranked(passages, need)
        chosen = self._choose(ranked, need, budget_tokens)
        while True:
            text, evidence = self._write(chosen, need)
            tokens = self.tokenizer.count(text)
            if tokens <= budget_tokens:
                return Context(text, tokens, budget_tokens, evidence)
            chosen = chosen[:-1]  # counts are not additive: drop the least promising and recount

    def _ranked(self, passages: Sequence[Passage], need: Need) -> list[Evidence]:
        """Return every sentence of every passage, best first."""
        scored = [e for passage in passages for e in self._scored(passage, need)]
        return sorted(scored, key=lambda e: (-e.score, e.chunk.id, e.sentence))

    def _scored(self, passage: Passage, need: Need) -> Iterable[Evidence]:
        chunk = passage.chunk
        for i in range(len(chunk.sentences)):
            if i in chunk.headlines:
                continue  # shown as the line's header where it helps
            text = chunk.sentence(i)
            coverage = need.coverage(self.analyzer.terms(text))
            cosine = passage.cosines[i] if passage.cosines else None
            score = _PASSAGE_WEIGHT * passage.score + coverage + (cosine or 0.0)
            yield Evidence(chunk, i, score, cosine, coverage, source=0)

    def _choose(self, ranked: Sequence[Evidence], need: Need, budget: int) -> list[Evidence]:
        """Return what fits by estimated cost, best first, no sentence twice."""
        chosen: list[Evidence] = []
        seen: set[str] = set()
        sections: set[tuple[str, tuple[str, ...]]] = set()
        left = budget
        for evidence in ranked[:_MOST_TRIED]:
            if left < _SMALLEST_SENTENCE:
                break
            if evidence.text.count(" ") >= left:
                continue  # hardly a tokenizer spends less than a token a word: spare the count
            plain = _on_one_line(evidence.text).casefold()
            if plain in seen:
                continue
            seen.add(plain)
            cost = self.tokenizer.count(self.template.sentence_separator + evidence.text)
            if _section(evidence) not in sections:
                cost += self._header_cost(evidence, need)
            if cost <= left:
                chosen.append(evidence)
                sections.add(_section(evidence))
                left -= cost
        return chosen

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


def _section(evidence: Evidence) -> tuple[str, tuple[str, ...]]:
    return evidence.chunk.doc_id, evidence.headings


def _names(evidence: Evidence) -> tuple[str, ...]:
    names = (_on_one_line(name) for name in (evidence.chunk.title, *evidence.headings))
    return tuple(dict.fromkeys(name for name in names if name))


def _sections_in_order(chosen: Sequence[Evidence]) -> list[list[Evidence]]:
    """Return sections, those of the document with the best sentence first, each by place."""
    rank = {e.chunk.doc_id: i for i, e in reversed(list(enumerate(chosen)))}
    ordered = sorted(chosen, key=lambda e: (rank[e.chunk.doc_id], e.span.start))
    sections: dict[tuple[str, tuple[str, ...]], list[Evidence]] = {}
    for evidence in ordered:
        sections.setdefault(_section(evidence), []).append(evidence)
    return list(sections.values())


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
