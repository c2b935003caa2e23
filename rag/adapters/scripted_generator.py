"""A generator that writes what it is told to: the fake behind the generator seam, for tests."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from rag.errors import BackendError
from rag.generating import Ended, EndReason, Prompt, Sampling, TokensUsed
from rag.relay import Piece, too_late


@dataclass(frozen=True, slots=True)
class Script:
    """One answer, word by word; a word counts as a token.

    Attributes:
        text: What is written, over and over if ``endless``.
        fails: Raised at its end, in place of the end.
        reason: How it ends; one that is longer than asked for ends with "length".
        used: What is reported of its tokens.
        cpu_seconds: What is said that it took [s].
        wait_seconds: Before each word [s].
    """

    text: str = ""
    endless: bool = False
    fails: BackendError | None = None
    reason: EndReason = "stop"
    used: TokensUsed | None = None
    cpu_seconds: float = 0.0
    wait_seconds: float = 0.0


class ScriptedGenerator:
    """Writes one script a call, the last one for ever; safe to use from several threads.

    ``prompts``, ``samplings`` and ``deadlines`` are what it was asked with, ``written`` the words
    that were taken.
    """

    def __init__(self, *scripts: Script, name: str = "scripted") -> None:
        self.name = name
        self.prompts: list[Prompt] = []
        self.samplings: list[Sampling] = []
        self.deadlines: list[float] = []
        self.written = 0
        self._scripts = scripts or (Script(),)
        self._lock = threading.Lock()

    def stream(self, prompt: Prompt, sampling: Sampling, deadline: float) -> Iterator[Piece]:
        """Yield the words of the next script; see ``Generator.stream``."""
        with self._lock:
            script = self._scripts[min(len(self.prompts), len(self._scripts) - 1)]
            self.prompts.append(prompt)
            self.samplings.append(sampling)
            self.deadlines.append(deadline)
        words = script.text.split(" ") if script.text else []
        whole = (f"{word} " for word in (itertools.cycle(words) if script.endless else words))
        for count, word in enumerate(whole):
            _wait(script.wait_seconds, deadline)
            if count == sampling.max_tokens:
                yield Ended("length", script.used, script.cpu_seconds)
                return
            with self._lock:
                self.written += 1
            yield word
        _wait(script.wait_seconds, deadline)
        if script.fails is not None:
            raise script.fails
        yield Ended(script.reason, script.used, script.cpu_seconds)


def _wait(seconds: float, deadline: float) -> None:
    left = deadline - time.monotonic()
    if left <= seconds:
        time.sleep(max(0.0, left))
        raise too_late()
    if seconds:
        time.sleep(seconds)
