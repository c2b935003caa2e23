"""What providers say, each in its own shape: tokens, the end of an answer, failures.

Replies are objects or mappings of whatever a provider sent, so nothing is taken on trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from rag.errors import BackendError, BackendRejectedError
from rag.generating import EndReason, TokensUsed
from rag.provider_calls import PassingError

_TOO_MANY: Final = 429
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_SHORTEST_PIECE: Final = 6  # characters of a key that a message may not hold

# Source: the API references of OpenAI (chat completions), Anthropic (messages) and Amazon Bedrock
# (ConverseStream), read November 2026.
_PROMPT = ("prompt_tokens", "input_tokens", "inputTokens")
_COMPLETION = ("completion_tokens", "output_tokens", "outputTokens")
# Parts of the prompt that the last two do not count into it.
_READ = ("cache_read_input_tokens", "cacheReadInputTokens")
_WRITTEN = ("cache_creation_input_tokens", "cacheWriteInputTokens")
_LENGTH = {"length", "max_tokens"}
_WITHHELD = {"content_filter", "content_filtered", "guardrail_intervened", "refusal"}
# Source: OpenRouter's reference of errors amid a stream; vLLM's FinishReason; November 2026.
_FAILED = {"error", "abort"}


def usage_of(raw: object) -> TokensUsed | None:
    """Return the tokens that a reply reports; None if it reports none, or not as numbers."""
    usage = _at(raw, "usage") or _at(raw, "metadata", "usage")
    prompt, completion = _first(usage, _PROMPT), _first(usage, _COMPLETION)
    if prompt is None or completion is None:
        return None
    cached = _number(_at(usage, "prompt_tokens_details", "cached_tokens"))
    read, written = _first(usage, _READ), _first(usage, _WRITTEN)
    if cached is None and read is not None:
        prompt, cached = prompt + read + (written or 0), read
    return TokensUsed(prompt, cached, completion, reported=True)


def end_of(raw: object) -> EndReason | None:
    """Return why the answer ended; None while it has not.

    Raises:
        BackendRejectedError: The provider withheld it.
        PassingError: It failed before the end.
    """
    choices = _at(raw, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    said = _at(choice, "finish_reason") or _at(raw, "messageStop", "stopReason")
    said = said or _at(raw, "delta", "stop_reason")
    if not isinstance(said, str):
        return None
    if said in _FAILED:
        raise PassingError("the provider broke the answer off", said, "try again later")
    if said in _WITHHELD:
        raise BackendRejectedError("the provider withheld the answer", said, "ask another model")
    return "length" if said in _LENGTH else "stop"


def refusal_of(exc: BaseException, where: str, secrets: tuple[str, ...]) -> BackendError | None:
    """Return our error for one that carries an HTTP status; None if it carries none.

    Of the provider's own words only a code is shown: they may hold the prompt, or the key.
    """
    status = next(filter(None, map(_status, _causes(exc))), None)
    if status is None:
        return None
    code = next(filter(None, map(_code, _causes(exc))), "")
    shown = f" ({code})" if code and not any(holds_piece(code, each) for each in secrets) else ""
    found = f"status {status}{shown} from {where}"
    if status != _TOO_MANY and status < 500:
        remedy = "check address, key, model and the length of the prompt"
        return BackendRejectedError("the provider refused the request", found, remedy)
    busy = "is busy" if status == _TOO_MANY else "failed"
    error = PassingError(f"the provider {busy}", found, "try again later")
    error.retry_after = _wait(exc)
    return error


class Characters:
    """Joins the halves of a character that JSON cut in two; a half alone becomes U+FFFD.

    Source: RFC 8259, section 7: outside the basic plane, a character is written as a pair.
    """

    def __init__(self) -> None:
        self._half = ""

    def whole(self, text: str, *, last: bool = False) -> str:
        """Return the whole characters up to the end of a piece; all that is left with the last."""
        text = self._half + text
        self._half = text[-1:] if not last and "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text.removesuffix(self._half)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def strings_of(value: object) -> Iterator[str]:
    """Yield every text in nested mappings and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from strings_of(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from strings_of(each)


def seconds_to_wait(value: str, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header names, as a number or as an HTTP date."""
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def holds_piece(text: str, key: str) -> bool:
    """Return whether a text holds a piece of a key."""
    length = min(_SHORTEST_PIECE, len(key))
    return bool(key) and any(key[at : at + length] in text for at in range(len(key) - length + 1))


def whole_chain(exc: BaseException) -> tuple[BaseException, ...]:
    """Return an error with all that it was raised from or amid."""
    chain: dict[int, BaseException] = {}
    left: list[BaseException | None] = [exc]
    while left:
        each = left.pop()
        if each is not None and id(each) not in chain:
            chain[id(each)] = each
            left += (each.__cause__, each.__context__)
    return tuple(chain.values())


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__


def _status(exc: BaseException) -> int | None:
    for path in (
        ("status_code",),
        ("response", "ResponseMetadata", "HTTPStatusCode"),
        ("body", "code"),
    ):
        status = _number(_at(exc, *path))
        if status is not None and 300 <= status <= 599:
            return status
    return None


def _code(exc: BaseException) -> str | None:
    for path in (("code",), ("type",), ("response", "Error", "Code")):
        code = _at(exc, *path)
        if isinstance(code, str) and _CODE.fullmatch(code):
            return code
    return None


def _wait(exc: BaseException) -> float | None:
    for each in _causes(exc):
        headers = _at(each, "response", "headers")
        if isinstance(headers, Mapping) and isinstance(named := headers.get("retry-after"), str):
            return seconds_to_wait(named, datetime.now(UTC))
    return None


def _first(thing: object, names: tuple[str, ...]) -> int | None:
    return next((n for name in names if (n := _number(_at(thing, name))) is not None), None)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _at(thing: object, *path: str) -> object:
    for name in path:
        thing = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
    return thing
