"""What an agent is told by a tool: the responses over HTTP, made small.

An agent pays for every token of a schema and of a result. So what is unknown is left out instead of
being null, numbers have three digits, and nothing is said twice. What documents say is given so
that no chat template takes it for its own marks (``rag.defusing``); where it stands is exact.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.defusing import on_one_line
from rag.service.schemas import (
    CitationBody,
    EvidenceBody,
    IntervalBody,
    QueryResponse,
    ReceiptBody,
    RetrieveResponse,
)
from rag.service.tool_bodies import plain

_DEFUSED_MARK = re.compile(r"\[ (\d{1,3})\]")

Range = Annotated[tuple[float, float], Field(description="it lies between these two")]


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def fields(self) -> dict[str, Any]:
        """Return it as JSON values, without what is unknown."""
        return self.model_dump(mode="json", exclude_none=True)


class ReceiptTold(_Told):
    """What the call cost; what is unknown is left out."""

    context_tokens: int = Field(description="of the documents' text")
    budget_tokens: int = Field(description="what they were allowed to be")
    prompt_tokens: int | None = Field(default=None, description="sent to the model")
    completion_tokens: int | None = Field(default=None, description="written by it")
    model: str | None = Field(default=None, description="the model that was called")
    cache: str = Field(description="what the answer cache did")
    joules: Range | None = Field(default=None, description="energy [J]")
    gco2e: Range | None = Field(default=None, description="of operation [g CO2e]")
    basis: Literal["measured", "estimated"] = Field(description="how the energy is known")
    seconds: float = Field(description="time taken [s]")
    generation: int | None = Field(default=None, description="state of the documents")

    @property
    def line(self) -> str:
        """The receipt in one short line."""
        parts = [f"{self.context_tokens} of {self.budget_tokens} context tokens"]
        if self.prompt_tokens is not None:
            parts.append(f"{self.model}: {self.prompt_tokens} + {self.completion_tokens} tokens")
        if self.joules is not None:
            parts.append(f"{self.joules[0]:.2g} to {self.joules[1]:.2g} J {self.basis}")
        return f"({', '.join(parts)})"


class _Placed(_Told):
    number: int = Field(description="its number, to cite it by")
    doc_id: str = Field(description="id of the document")
    title: str = Field(description="title of the document")
    page: int | None = Field(default=None, description="page, from 1")

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return self.doc_id if self.page is None else f"{self.doc_id}, page {self.page}"


class PassageTold(_Placed):
    """One numbered line of the context: sentences of one section of one document."""

    text: str = Field(description="the sentences, behind their heading where it is needed")
    spans: tuple[tuple[int, int], ...] = Field(
        description="first character, and the one after the last, of each in the document's text"
    )


class SourceTold(_Placed):
    """What an answer rests on."""

    quote: str = Field(description="the sentence")
    start: int = Field(description="its first character in the document's text, from 0")
    end: int = Field(description="the character after its last")


class SearchTold(_Told):
    """The result of ``search``."""

    passages: tuple[PassageTold, ...] = Field(description="the context, line by line")
    receipt: ReceiptTold

    @property
    def text(self) -> str:
        """The passages, numbered, with their documents."""
        if not self.passages:
            return f"Nothing found. Ask in other words, or filter less.\n\n{self.receipt.line}"
        lines = (f"[{each.number}] {each.text} ({each.place})" for each in self.passages)
        return "\n".join((*lines, "", self.receipt.line))


class AnswerTold(_Told):
    """The result of ``answer``; an abstention has a reason and no answer."""

    abstained: bool = Field(description="whether the documents do not answer it well enough")
    reason: str | None = Field(default=None, description="why it abstained")
    answer: str | None = Field(default=None, description='the answer; "[1]" is its first citation')
    short: str | None = Field(default=None, description="the exact answer in it")
    confidence: float = Field(description="probability that it is right, 0 to 1")
    groundedness: float | None = Field(
        default=None, description="share of it that the citations support, 0 to 1"
    )
    citations: tuple[SourceTold, ...] = Field(description="what the answer rests on")
    nearest: tuple[SourceTold, ...] = Field(description="nearest sources of an abstention")
    receipt: ReceiptTold

    @property
    def text(self) -> str:
        """The answer with its sources, or the abstention with the nearest."""
        said = f"No answer: {self.reason}." if self.answer is None else self.answer
        parts = [said] if self.short is None else [self.short, said]
        lines = ["Nearest sources:"] if self.nearest else []
        lines += [_source_line(each, said) for each in self.citations or self.nearest]
        parts += ["\n".join(lines)] if lines else []
        return "\n\n".join((*parts, self.receipt.line))


def search_told(response: RetrieveResponse) -> SearchTold:
    """Return what an agent is told of a context."""
    lines = response.context.text.split("\n") if response.evidence else []
    passages = (
        _passage(number, line, tuple(e for e in response.evidence if e.source == number))
        for number, line in enumerate(lines, 1)
    )
    return SearchTold(passages=tuple(passages), receipt=_receipt(response))


def answer_told(response: QueryResponse) -> AnswerTold:
    """Return what an agent is told of an answer."""
    said = response.answer
    return AnswerTold(
        abstained=response.abstained,
        reason=response.reason,
        answer=None if said is None else _marked(said, len(response.citations)),
        short=None if response.short is None else on_one_line(response.short),
        confidence=_rounded(response.confidence),
        groundedness=None if response.groundedness is None else _rounded(response.groundedness),
        citations=_sources(response.citations),
        nearest=_sources(response.nearest),
        receipt=_receipt(response),
    )


def output_schema(told: type[SearchTold | AnswerTold]) -> dict[str, Any]:
    """Return the JSON schema of what a tool gives back."""
    return plain(told.model_json_schema(mode="serialization"))


def _passage(number: int, line: str, evidence: tuple[EvidenceBody, ...]) -> PassageTold:
    first = evidence[0]
    return PassageTold(
        number=number,
        text=on_one_line(line),
        doc_id=first.doc_id,
        title=on_one_line(first.title),
        page=first.page,
        spans=tuple((each.start, each.end) for each in evidence),
    )


def _sources(citations: tuple[CitationBody, ...]) -> tuple[SourceTold, ...]:
    return tuple(
        SourceTold(
            number=number,
            doc_id=each.doc_id,
            title=on_one_line(each.title),
            page=each.page,
            quote=on_one_line(each.quote),
            start=each.start,
            end=each.end,
        )
        for number, each in enumerate(citations, 1)
    )


def _source_line(source: SourceTold, said: str) -> str:
    quote = "" if source.quote in said else f': "{source.quote}"'
    return f"[{source.number}] {source.title} ({source.place}){quote}"


def _marked(answer: str, citations: int) -> str:
    """Return an answer made harmless, but for the marks that count its citations."""

    def restored(mark: re.Match[str]) -> str:
        return f"[{mark[1]}]" if 1 <= int(mark[1]) <= citations else mark[0]

    lines = (on_one_line(line) for line in answer.splitlines())
    return _DEFUSED_MARK.sub(restored, "\n".join(lines))


def _receipt(response: ReceiptBody) -> ReceiptTold:
    usage, impact = response.usage, response.impact
    return ReceiptTold(
        context_tokens=usage.context_tokens,
        budget_tokens=usage.budget_tokens,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        model=response.model,
        cache=response.cache,
        joules=_range(impact.joules),
        gco2e=_range(impact.gco2e),
        basis=impact.basis,
        seconds=_rounded(response.seconds),
        generation=response.generation,
    )


def _range(interval: IntervalBody | None) -> tuple[float, float] | None:
    return None if interval is None else (_rounded(interval.low), _rounded(interval.high))


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
