"""Calls to a provider: tried again where that can help, and what they took always known.

Wrappers around any ``Generator``: ``Retrying``, ``Counting`` and ``Bounded``.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from rag.errors import BackendError, BackendRejectedError
from rag.generating import Ended, Generator, Prompt, Sampling, TokensUsed
from rag.protocols import Tokenizer
from rag.relay import Piece, too_late

_T = TypeVar("_T")
# Tokens that a chat template may add to a prompt. Source: those of ChatML and Llama 3 add about 5
# for a message, and up to 30 of a default system message; chosen with room to spare.
_TEMPLATE_TOKENS: Final = 64
# Source: chosen. Tokenizers of common models differ by less than twice on text in any language.
_FAR: Final = 4
_FAR_TOKENS: Final = 16  # of short texts: chosen
# Characters that are counted at once. Source: chosen; cl100k takes half a
# millisecond of the slowest text found; time grows faster than length.
_AT_ONCE: Final = 4_000
_LOOK_SECONDS: Final = 0.2  # between two looks, during a wait, at whether it is still wanted


class PassingError(BackendError):
    """A failure that may pass: no connection, too many requests, an error on the other side.

    ``retry_after`` [s]: the wait that the provider asks for; None if it asks for none.
    """

    retry_after: float | None = None


class RetryBudget:
    """How many requests may be repeated, over all requests: an outage is not made worse.

    Each request adds ``share`` of a retry, up to ``most``, which is also what there is at first.
    Safe to use from several threads.
    Source: Site Reliability Engineering (O'Reilly 2016), chapter 21, "Deciding to Retry": a
    client repeats at most 10 % of its requests.
    """

    def __init__(self, share: float = 0.1, most: float = 10.0) -> None:
        self._share, self._most = share, most
        self._left = most
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Count a new request."""
        with self._lock:
            self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Take one retry; False if there is none."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


@dataclass(frozen=True, slots=True)
class Waits:
    """How often one call is tried, and the waits between.

    Before try n + 1: a random time up to ``base_seconds`` x 2^(n - 1), at most ``most_seconds``.
    Source: M. Brooker, Exponential Backoff And Jitter (AWS Architecture Blog, 2015), "full jitter".
    """

    tries: int = 3
    base_seconds: float = 0.5
    most_seconds: float = 8.0

    def before(self, attempt: int, asked: float | None, chance: float) -> float:
        """Return the wait after a failed attempt [s]; one that the provider asked for is kept.

        Args:
            attempt: That failed, from 1.
            asked: By the provider [s]; the jitter is added, for it asks everybody at once.
            chance: Even between 0 and 1.
        """
        bound = min(self.most_seconds, self.base_seconds * 2.0 ** (attempt - 1))
        return max(0.0, asked or 0.0) + chance * bound


def _waited(seconds: float) -> Iterator[str]:
    """Yield empty pieces until so many seconds [s] have passed, so that whoever waits can leave."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_SECONDS))
        yield ""


class Retrying:
    """A generator that asks again after passing failures, while nothing was written yet."""

    def __init__(
        self,
        generator: Generator,
        budget: RetryBudget,
        waits: Waits | None = None,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Iterable[str] | None] = _waited,
    ) -> None:
        self._generator = generator
        self._budget = budget
        self._waits = waits or Waits()
        self._chance, self._sleep = chance, sleep

    @property
    def name(self) -> str:
        """The model's name."""
        return self._generator.name

    def stream(self, prompt: Prompt, sampling: Sampling, deadline: float) -> Iterator[Piece]:
        """Yield the pieces of the first try that begins; see ``Generator.stream``.

        A try is repeated if its wait ends before the deadline and the budget allows it; else its
        failure is raised.
        """
        self._budget.earn()
        attempt = 1
        while True:
            begun = False
            with closed(self._generator.stream(prompt, sampling, deadline)) as pieces:
                try:
                    for piece in pieces:
                        begun = begun or piece != ""
                        yield piece
                except PassingError as exc:
                    wait = self._waits.before(attempt, exc.retry_after, self._chance())
                    late = begun or time.monotonic() + wait >= deadline
                    if late or attempt >= self._waits.tries or not self._budget.spend():
                        raise
                else:
                    return
            yield from self._sleep(wait) or ()
            attempt += 1


class Counting:
    """A generator whose tokens are always known, and that ends a text without end.

    What the provider reports is taken if it can be true (``plausible``), else the tokens are
    counted. A text of more than twice the tokens that were asked for is cut.
    """

    def __init__(self, generator: Generator, tokenizer: Tokenizer) -> None:
        self._generator = generator
        self._tokenizer = tokenizer

    @property
    def name(self) -> str:
        """The model's name."""
        return self._generator.name

    def stream(self, prompt: Prompt, sampling: Sampling, deadline: float) -> Iterator[Piece]:
        """Yield the pieces, and ``Ended`` with what was used; see ``Generator.stream``."""
        written = _Written(self._tokenizer)
        most = 2 * sampling.max_tokens + _FAR_TOKENS
        with closed(self._generator.stream(prompt, sampling, deadline)) as pieces:
            for piece in pieces:
                if isinstance(piece, Ended):
                    yield replace(piece, used=_believed(piece, written.used(prompt), sampling))
                    return
                for part in _parts(piece):
                    if time.monotonic() >= deadline:
                        raise too_late()
                    written.add(part)
                    yield part
                    if written.passes(most):
                        yield Ended("length", written.used(prompt))
                        return


def _parts(piece: str) -> Iterator[str]:
    """Yield a piece in parts that are counted in no time."""
    yield piece[:_AT_ONCE]
    for start in range(_AT_ONCE, len(piece), _AT_ONCE):
        yield piece[start : start + _AT_ONCE]


class _Written:
    """A text as it grows, counted as seldom as its bound allows, and no part of it often."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._rest = ""
        self._before = 0  # tokens of the text before the rest
        self._at_most = 0  # a text has no more tokens than its pieces have together

    def add(self, piece: str) -> None:
        self._rest += piece
        self._at_most += self._tokenizer.count(piece)
        if len(self._rest) >= _AT_ONCE:
            self._before, self._rest = self.count(), ""

    def count(self) -> int:
        return self._before + self._tokenizer.count(self._rest)

    def passes(self, most: int) -> bool:
        if self._at_most > most:
            self._at_most = self.count()
        return self._at_most > most

    def used(self, prompt: Prompt) -> TokensUsed:
        return TokensUsed(prompt.tokens, None, self.count(), reported=False)


def _believed(end: Ended, counted: TokensUsed, sampling: Sampling) -> TokensUsed:
    reported = end.used
    return reported if reported and plausible(reported, counted, sampling) else counted


def plausible(reported: TokensUsed, counted: TokensUsed, sampling: Sampling) -> bool:
    """Return whether a provider's report can be true, given what our own tokenizer counts.

    It cannot where a number is negative, more was cached than sent, nothing was written and yet
    there is text, or a number is less than a quarter or more than four times of what is counted
    (and ``64`` more for the chat template, ``16`` more for a short answer). Hidden reasoning may
    make an answer longer than its text, up to ``max_tokens``.
    """
    cached = reported.cached or 0
    if min(reported.prompt, reported.completion, cached) < 0 or cached > reported.prompt:
        return False
    longest = max(_FAR * counted.completion + _FAR_TOKENS, sampling.max_tokens)
    return (
        counted.prompt <= _FAR * reported.prompt
        and reported.prompt <= _FAR * counted.prompt + _TEMPLATE_TOKENS
        and counted.completion <= _FAR * reported.completion
        and reported.completion <= longest
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may take: ``seconds`` [s], tokens of an answer, tokens of prompt and answer."""

    seconds: float
    max_tokens: int
    context_tokens: int

    def prompt_tokens(self, answer_tokens: int) -> int:
        """Return the longest prompt beside which such an answer has room [tokens].

        A quarter of the context is the most that is kept free for it.
        """
        kept_free = min(answer_tokens, self.max_tokens, self.context_tokens // 4)
        return self.context_tokens - _TEMPLATE_TOKENS - kept_free


class Bounded:
    """A generator within the bounds of its configuration, whatever a request asks for."""

    def __init__(self, generator: Generator, bounds: Bounds) -> None:
        self._generator = generator
        self._bounds = bounds

    @property
    def name(self) -> str:
        """The model's name."""
        return self._generator.name

    def stream(self, prompt: Prompt, sampling: Sampling, deadline: float) -> Iterator[Piece]:
        """Yield the pieces; see ``Generator.stream``.

        Raises:
            BackendRejectedError: The prompt leaves no room for an answer; nothing is sent.
        """
        room = self._bounds.context_tokens - prompt.tokens - _TEMPLATE_TOKENS
        if room < 1:
            what = f"the prompt does not fit into the context of {self.name}"
            found = f"{prompt.tokens} of {self._bounds.context_tokens} tokens"
            raise BackendRejectedError(what, found, "lower budget_tokens, or use a larger context")
        fitting = min(sampling.max_tokens, self._bounds.max_tokens, room)
        soonest = min(deadline, time.monotonic() + self._bounds.seconds)
        asked = replace(sampling, max_tokens=fitting)
        with closed(self._generator.stream(prompt, asked, soonest)) as pieces:
            yield from pieces


@contextmanager
def closed(pieces: Iterator[_T]) -> Iterator[Iterator[_T]]:
    """Yield an iterator and close it after use, so that what it stands for ends."""
    try:
        yield pieces
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
