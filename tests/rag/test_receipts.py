from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.receipts import answer_text, context_text, printable, receipt_line
from rag.service.examples import ANSWER, CONTEXT
from rag.service.schemas import QueryResponse, RetrieveResponse

ANSWERED = QueryResponse.model_validate(ANSWER)
ABSTAINED = QueryResponse.model_validate(
    {
        **ANSWER,
        "answer": None,
        "abstained": True,
        "reason": "nothing fits",
        "citations": [],
        "nearest": ANSWER["citations"],
        "groundedness": None,
        "short": None,
        "short_form": None,
        "short_spans": [],
        "short_confidence": None,
    }
)
SOURCE = (
    '[1] Pump manual (manuals/pump.pdf, page 7): "The pump is covered for 24 months from delivery."'
)
RECEIPT = (
    "118 of 256 context tokens, 14 ms, 0.03 to 0.09 J estimated, "
    "carbon unknown (set grid_gco2e_per_kwh)"
)


def with_impact(**fields: object) -> QueryResponse:
    impact = ANSWER["impact"]
    assert isinstance(impact, dict)
    return QueryResponse.model_validate({**ANSWER, "impact": impact | fields})


def test_an_answer_is_followed_by_its_sources_and_the_receipt() -> None:
    assert answer_text(ANSWERED, trace=False).splitlines() == [
        "24 months",
        "",
        "The pump is covered for 24 months from delivery.",
        "",
        SOURCE,
        "",
        RECEIPT,
    ]


def test_without_an_exact_answer_the_sentence_stands_first() -> None:
    plain = ANSWERED.model_copy(update={"short": None})
    assert answer_text(plain, trace=False).startswith("The pump is covered for 24 months")


def test_an_abstention_gives_its_reason_and_the_nearest_sources() -> None:
    assert answer_text(ABSTAINED, trace=False).splitlines() == [
        "No answer: nothing fits.",
        "",
        "Nearest sources:",
        SOURCE,
        "",
        RECEIPT,
    ]


def test_the_trace_has_a_line_a_stage() -> None:
    step = {"stage": "pack", "decision": "2 sentences", "seconds": 0.0012, "joules": None}
    response = QueryResponse.model_validate({**ANSWER, "trace": [step]})
    assert answer_text(response, trace=True).splitlines()[-1] == "pack 1.2 ms: 2 sentences"


def test_known_carbon_and_unknown_energy_are_said() -> None:
    line = receipt_line(with_impact(joules=None, gco2e={"low": 0.00012, "high": 0.5}))
    assert line.endswith("energy unknown, 0.00012 to 0.5 gCO2e")


SAVED = {
    "context_tokens": 1382.4,
    "prompt_tokens": None,
    "joules": {"low": -0.01, "high": 0.2},
    "gco2e": None,
    "litres": None,
    "system": "llama-index",
    "record": "0123456789ab",
    "machine": "Some CPU, 8 CPUs",
    "same_machine": True,
}


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (1382.4, ", 1382 context tokens fewer than llama-index"),
        (-3.0, ", 3 context tokens more than llama-index"),
        (None, "(set grid_gco2e_per_kwh)"),
    ],
)
def test_saved_tokens_are_said(tokens: float | None, said: str) -> None:
    saved = SAVED | {"context_tokens": tokens}
    line = receipt_line(QueryResponse.model_validate({**ANSWER, "saved": saved}))
    assert line.endswith(said)


def test_market_and_making_are_said_apart() -> None:
    amounts = {name: {"low": 1, "high": 2} for name in ("gco2e", "market_gco2e")}
    line = receipt_line(with_impact(**amounts, embodied_gco2e={"low": 0.25, "high": 0.5}))
    assert line.endswith(
        "1 to 2 gCO2e, by market 1 to 2 gCO2e, making the machine 0.25 to 0.5 gCO2e"
    )
    assert "market" not in receipt_line(ANSWERED)
    assert "machine" not in receipt_line(ANSWERED)


def test_a_context_is_printed_as_it_is() -> None:
    response = RetrieveResponse.model_validate(CONTEXT)
    assert context_text(response, trace=False) == response.context.text


def test_a_quote_stays_on_its_line() -> None:
    [citation] = ANSWERED.citations
    broken = ANSWERED.model_copy(
        update={"citations": (citation.model_copy(update={"quote": "a\nb\tc"}),)}
    )
    assert '"a b c"' in answer_text(broken, trace=False)


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x07", "\r", "\x9b31m", "\x7f", "\u202e", "\u2066", "\ud800"]
)
def test_what_a_terminal_would_obey_is_left_out(text: str) -> None:
    answer = ANSWERED.model_copy(update={"answer": f"a{text}b"})
    assert text not in answer_text(answer, trace=False)
    assert printable(text).isprintable()


@given(st.text())
def test_printable_text_has_no_controls_and_is_stable(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert printable(shown) == shown
