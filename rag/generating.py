"""What a generator is given and gives back, whoever runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from rag.errors import ValueRangeError

Role: TypeAlias = Literal["system", "user", "assistant"]
EndReason: TypeAlias = Literal["stop", "length"]

MOST_STOPS: Final = 4  # stop sequences; more is refused by common providers


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent, and which version of the prompt file it was made from.

    ``tokens`` are counted in the configured tokenizer, without the provider's chat template.
    """

    messages: tuple[Message, ...]
    version: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn, and when to stop; the defaults are deterministic and short.

    ``max_tokens`` [tokens]; penalties in [-2, 2] and ``temperature`` in [0, 2] as in OpenAI's API.
    """

    max_tokens: int = 160
    temperature: float = 0.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        bounds = (
            ("max_tokens", self.max_tokens, 1, 32_768),
            ("temperature", self.temperature, 0, 2),
            ("top_p", self.top_p, 0, 1),
            ("frequency_penalty", self.frequency_penalty, -2, 2),
            ("presence_penalty", self.presence_penalty, -2, 2),
        )
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise ValueRangeError(name, value, f"use {low} to {high}")
        if len(self.stop) > MOST_STOPS or "" in self.stop:
            remedy = f"use at most {MOST_STOPS}, none of them empty"
            raise ValueRangeError("stop sequences", list(self.stop), remedy)


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """Tokens of one call; ``cached`` ones are part of ``prompt``, None where nobody says.

    ``reported``: the provider said so; else they were counted in the configured tokenizer.
    """

    prompt: int
    cached: int | None
    completion: int
    reported: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a generation: why it ended, and what it took.

    ``used`` is None where the provider reported nothing. ``cpu_seconds`` [s]: processor time that
    it took in this process on threads of its own, 0 where it ran elsewhere.
    """

    reason: EndReason
    used: TokensUsed | None
    cpu_seconds: float = 0.0


class Generator(Protocol):
    """Writes text from a prompt; safe to use from several threads."""

    @property
    def name(self) -> str:
        """The model's name, as receipts and the ledger show it."""

    def stream(self, prompt: Prompt, sampling: Sampling, deadline: float) -> Iterator[str | Ended]:
        """Yield pieces of text as they are written, and ``Ended`` last.

        Closing the iterator before its end stops the generation. A piece may be empty: nothing is
        written yet, and whoever waits may leave. Nothing is asked, and nothing waited for, after
        ``deadline`` (monotonic clock [s]).

        Raises:
            BackendTimeoutError: The deadline passed, before the first piece or between two.
            BackendRejectedError: The provider refused the request.
            BackendError: It cannot be reached, failed, broke off, or sent what is no answer.
        """


class Listener(Protocol):
    """Hears an answer while it is made."""

    def say(self, text: str) -> None:
        """Take the next piece of the answer; what was said is not taken back."""

    def gone(self) -> bool:
        """Whether nobody listens any more, so that the rest need not be made."""
