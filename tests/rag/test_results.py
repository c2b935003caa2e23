from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rag.errors import ValueRangeError
from rag.results import Answer, Context, Evidence, Impact, Receipt, Short, Usage
from rag.types import Chunk, Span

UNKNOWN = Impact(None, None, None, None, "estimated", None)
RECEIPT = Receipt(Usage(0, 16, None, None, None, "t"), UNKNOWN, None, "off", (), "f", None, 0.0)


def answer_with(text: str | None, *, abstained: bool, reason: str | None) -> Answer:
    rest: dict[str, Any] = {"confidence": 0.5, "groundedness": None, "nearest": ()}
    return Answer(
        text=text,
        citations=(),
        abstained=abstained,
        reason=reason,
        context=Context("", 0, 16, ()),
        receipt=RECEIPT,
        **rest,
    )


@pytest.mark.parametrize(
    ("text", "abstained", "reason"),
    [
        ("an answer", True, "a reason"),
        (None, False, None),
        (None, True, None),
        ("an answer", False, "a reason"),
    ],
)
def test_an_answer_has_a_text_or_a_reason_never_both(
    text: str | None, abstained: bool, reason: str | None
) -> None:
    with pytest.raises(ValueRangeError, match="has a reason and no text"):
        answer_with(text, abstained=abstained, reason=reason)


def test_an_answer_and_an_abstention() -> None:
    assert answer_with("yes", abstained=False, reason=None).text == "yes"
    assert answer_with(None, abstained=True, reason="nothing found").text is None


SHORT = Short("phrase", "yes", (Span(0, 3),), 0.9)


def test_an_exact_answer_needs_a_text_a_place_and_an_answer_around_it() -> None:
    with pytest.raises(ValueRangeError, match="where it stands"):
        Short("phrase", "", (Span(0, 0),), 0.9)
    with pytest.raises(ValueRangeError, match="where it stands"):
        Short("phrase", "yes", (), 0.9)
    assert replace(answer_with("yes", abstained=False, reason=None), short=SHORT).short == SHORT
    with pytest.raises(ValueRangeError, match="An abstention has none"):
        replace(answer_with(None, abstained=True, reason="nothing found"), short=SHORT)


def test_evidence_knows_its_words_and_its_place(make_chunk: Callable[..., Chunk]) -> None:
    chunk = make_chunk(["One.", "Twö."], start=100)
    evidence = Evidence(chunk, 1, 1.0, None, 0.0, source=1)
    assert (evidence.text, evidence.span) == ("Twö.", Span(105, 109))


@pytest.mark.parametrize(
    ("headings", "headlines", "expected"),
    [
        (("Data",), (), ("Data",)),
        (("Data",), (0,), ("Data", "Logs")),
        ((), (0,), ("Logs",)),
        (("Data", "Logs"), (0,), ("Data", "Logs")),  # the chunk is that section alone
        (("Data",), (2,), ("Data",)),  # a heading below says nothing of what is above
    ],
)
def test_the_headings_a_sentence_stands_under(
    make_chunk: Callable[..., Chunk],
    headings: tuple[str, ...],
    headlines: tuple[int, ...],
    expected: tuple[str, ...],
) -> None:
    chunk = make_chunk(["Logs", "Logs are kept.", "Backups"], headings=headings)
    chunk = replace(chunk, headlines=headlines)
    assert Evidence(chunk, 1, 1.0, None, 0.0, source=1).headings == expected
