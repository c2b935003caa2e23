"""Results as text for people: answer, sources, and the receipt in one line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.service.saved_schemas import SavedBody
    from rag.service.schemas import (
        CitationBody,
        ImpactBody,
        IntervalBody,
        QueryResponse,
        ReceiptBody,
        RetrieveResponse,
    )

# Explicit directional controls: they can make a line read as what it is not.
_DIRECTIONAL = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Return text without what a terminal would obey; line feeds and tabs stay."""
    return "".join(
        character
        for character in text
        if character in "\n\t"
        or (unicodedata.category(character) not in ("Cc", "Cs") and character not in _DIRECTIONAL)
    )


def answer_text(response: QueryResponse, *, trace: bool) -> str:
    """Return the answer with its sources, or the abstention with the nearest, and the receipt."""
    if response.abstained:
        lines = [f"No answer: {response.reason}."]
        sources, heading = response.nearest, "Nearest sources:"
    else:
        lines = [*([f"{response.short}\n"] if response.short else []), response.answer or ""]
        sources, heading = response.citations, ""
    if sources:
        lines += ["", *([heading] if heading else [])]
    lines += [_source_line(number, source) for number, source in enumerate(sources, 1)]
    lines += ["", receipt_line(response), *_trace_lines(response, trace=trace)]
    return printable("\n".join(lines))


def context_text(response: RetrieveResponse, *, trace: bool) -> str:
    """Return the packed context, and the stages below it if they were asked for."""
    lines = [response.context.text]
    if trace:
        lines += ["", receipt_line(response), *_trace_lines(response, trace=True)]
    return printable("\n".join(lines))


def receipt_line(response: ReceiptBody) -> str:
    """Return what the request used and cost, in one line."""
    usage = response.usage
    return ", ".join(
        (
            f"{usage.context_tokens} of {usage.budget_tokens} context tokens",
            *_generated(response),
            f"{response.seconds * 1000:.0f} ms",
            _energy(response.impact),
            *_carbon(response.impact),
            *_saved(response.saved),
        )
    )


def _generated(response: ReceiptBody) -> Iterator[str]:
    usage = response.usage
    if usage.prompt_tokens is not None and usage.completion_tokens is not None:
        tokens = f"{usage.prompt_tokens} + {usage.completion_tokens} tokens"
        yield f"{response.model}: {tokens} {'reported' if usage.reported else 'counted'}"
    if response.cache in ("exact", "semantic"):
        yield f"from the cache ({response.cache})"
    elif response.cache == "shared":
        yield "answered together with the same question"


def _saved(saved: SavedBody | None) -> Iterator[str]:
    if saved is not None and saved.context_tokens is not None:
        few = "fewer" if saved.context_tokens >= 0 else "more"
        yield f"{abs(saved.context_tokens):.0f} context tokens {few} than {saved.system}"


def _energy(impact: ImpactBody) -> str:
    if impact.joules is None:
        return "energy unknown"
    return f"{_range(impact.joules)} J {impact.basis}"


def _carbon(impact: ImpactBody) -> Iterator[str]:
    if impact.gco2e is None:
        yield "carbon unknown (set grid_gco2e_per_kwh)"
    else:
        stands_in = f" ({impact.grid.source})" if impact.grid and impact.grid.fallback else ""
        yield f"{_range(impact.gco2e)} gCO2e{stands_in}"
    if impact.market_gco2e is not None:
        yield f"by market {_range(impact.market_gco2e)} gCO2e"
    if impact.embodied_gco2e is not None:
        yield f"making the machine {_range(impact.embodied_gco2e)} gCO2e"


def _range(interval: IntervalBody) -> str:
    return f"{interval.low:.2g} to {interval.high:.2g}"


def _source_line(number: int, source: CitationBody) -> str:
    place = source.doc_id if source.page is None else f"{source.doc_id}, page {source.page}"
    line = f'[{number}] {source.title} ({place}): "{source.quote}"'
    return " ".join(line.split())


def _trace_lines(response: ReceiptBody, *, trace: bool) -> Iterator[str]:
    for step in response.trace or () if trace else ():
        yield f"{step.stage} {step.seconds * 1000:.1f} ms: {step.decision}"
