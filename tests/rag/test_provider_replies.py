from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import BackendRejectedError
from rag.generating import TokensUsed
from rag.provider_calls import PassingError
from rag.provider_replies import (
    Characters,
    end_of,
    holds_piece,
    refusal_of,
    seconds_to_wait,
    strings_of,
    usage_of,
    whole_chain,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
WORDS = st.sampled_from(
    ["usage", "choices", "metadata", "delta", "prompt_tokens", "completion_tokens", "inputTokens"]
)


class FailedError(Exception):
    """A vendor's error with whatever it carries."""

    def __init__(self, **carried: Any) -> None:
        super().__init__("vendor's words")
        for name, value in carried.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    ("raw", "used"),
    [
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 2}}, (9, None, 2)),
        (
            {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 2,
                    "prompt_tokens_details": {"cached_tokens": 8},
                }
            },
            (9, 8, 2),
        ),
        ({"metadata": {"usage": {"inputTokens": 9, "outputTokens": 2}}}, (9, None, 2)),
        (
            {
                "metadata": {
                    "usage": {
                        "inputTokens": 9,
                        "outputTokens": 2,
                        "cacheReadInputTokens": 5,
                        "cacheWriteInputTokens": 3,
                    }
                }
            },
            (17, 5, 2),
        ),
        (
            {"usage": {"input_tokens": 9, "output_tokens": 2, "cache_read_input_tokens": 0}},
            (9, 0, 2),
        ),
        (
            SimpleNamespace(usage=SimpleNamespace(prompt_tokens=9, completion_tokens=2)),
            (9, None, 2),
        ),
        ({"usage": {"prompt_tokens": True, "completion_tokens": 2}}, None),
        ({"usage": {"prompt_tokens": "9", "completion_tokens": 2}}, None),
        ({"usage": [9, 2]}, None),
        ({}, None),
        (None, None),
    ],
)
def test_usage(raw: object, used: tuple[int, int | None, int] | None) -> None:
    assert usage_of(raw) == (TokensUsed(*used, reported=True) if used else None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"choices": [{"finish_reason": "stop"}]}, "stop"),
        ({"choices": [{"finish_reason": "length"}]}, "length"),
        ({"choices": [{"finish_reason": None}]}, None),
        ({"choices": []}, None),
        ({"choices": "stop"}, None),
        ({"messageStop": {"stopReason": "max_tokens"}}, "length"),
        ({"messageStop": {"stopReason": "end_turn"}}, "stop"),
        ({"delta": {"stop_reason": "stop_sequence"}}, "stop"),
    ],
)
def test_the_end(raw: object, reason: str | None) -> None:
    assert end_of(raw) == reason


@given(st.dictionaries(WORDS, st.dictionaries(WORDS, JSON) | JSON) | JSON)
def test_nothing_that_is_sent_is_an_error_by_itself(raw: object) -> None:
    used = usage_of(raw)
    assert used is None or isinstance(used.prompt, int)
    assert end_of(raw) in {None, "stop", "length"}


def test_an_answer_that_is_withheld() -> None:
    with pytest.raises(BackendRejectedError, match="content_filter"):
        end_of({"choices": [{"finish_reason": "content_filter"}]})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FailedError(status_code=404), 404),
        (FailedError(response={"ResponseMetadata": {"HTTPStatusCode": 403}}), 403),
        (FailedError(body={"code": 400}), 400),
    ],
)
def test_a_status_is_found_wherever_it_stands(error: Exception, status: int) -> None:
    refused = refusal_of(error, "there", ())
    assert isinstance(refused, BackendRejectedError)
    assert f"status {status} from there" in str(refused)
    outer = RuntimeError("wrapped")
    outer.__cause__ = error
    assert isinstance(refusal_of(outer, "there", ()), BackendRejectedError)


def test_an_error_without_status_is_not_ours_to_name() -> None:
    assert refusal_of(ValueError("what"), "there", ()) is None
    assert refusal_of(FailedError(status_code="401"), "there", ()) is None


def test_a_busy_provider_says_how_long() -> None:
    response = SimpleNamespace(headers={"retry-after": "3"})
    error = refusal_of(FailedError(status_code=503, response=response), "there", ())
    assert isinstance(error, PassingError)
    assert error.retry_after == 3


def test_only_a_code_is_quoted() -> None:
    def said(code: str) -> str:
        return str(refusal_of(FailedError(status_code=400, code=code), "there", ("sk-12345678",)))

    assert "(model_not_found)" in said("model_not_found")
    assert "(" not in said("Your question 'How tall?' is bad")
    assert "(" not in said("sk-12345678")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_waits(value: str, seconds: float | None) -> None:
    assert seconds_to_wait(value, NOW) == seconds


@given(st.text())
def test_any_wait_can_be_read(value: str) -> None:
    seconds = seconds_to_wait(value, NOW)
    assert seconds is None or seconds >= 0


@given(st.text(min_size=6), st.text(), st.text())
def test_a_key_is_found_in_any_text(key: str, before: str, after: str) -> None:
    assert holds_piece(before + key[-6:] + after, key)


def test_no_key_is_in_no_text() -> None:
    assert not holds_piece("anything", "")


@given(st.text(st.characters(categories=["L", "Cs", "So"]), max_size=12), st.integers(1, 4))
def test_pieces_of_text_are_whole_characters(text: str, size: int) -> None:
    characters = Characters()
    pieces = [characters.whole(text[at : at + size]) for at in range(0, len(text), size)]
    pieces.append(characters.whole("", last=True))
    wanted = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert "".join(pieces) == wanted
    assert all(piece.encode() is not None for piece in pieces)


@given(st.text(max_size=40))
def test_any_wait_is_read_or_none(said: str) -> None:
    seconds = seconds_to_wait(said, NOW)
    assert seconds is None or seconds >= 0


def test_texts_of_nested_options() -> None:
    options = {"a": "1", "b": {"c": ["2", {"d": ("3",)}]}, "e": 4, "f": None}
    assert list(strings_of(options)) == ["1", "2", "3"]


def test_a_chain_of_errors_is_whole_and_ends() -> None:
    cause, context, top = ValueError("cause"), KeyError("context"), RuntimeError("top")
    top.__cause__, cause.__context__, context.__cause__ = cause, context, top
    assert set(whole_chain(top)) == {top, cause, context}
