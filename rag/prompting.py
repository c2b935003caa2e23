"""Prompts as versioned files: instruction first, sources next, the question last.

    system   the instruction, the same bytes for every question
    user     <sources>
             [1] first line of the context
             [2] second line of the context
             </sources>
             Earlier:
             User: an earlier question
             Assistant: its answer
             Question: the question

Whatever comes from outside is on one line behind a number or a role, and defused
(``rag.defusing``): no text can end the sources, begin another message or pose as another source.
Questions over the same sources share everything up to the conversation or, without one, up to the
question, so that a provider's prefix cache serves all of it.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from rag.defusing import on_one_line
from rag.errors import SettingsError, ValueRangeError
from rag.generating import Message, Prompt
from rag.protocols import Tokenizer
from rag.results import Context

PACKAGED: Final = Path(__file__).with_name("prompts")
LAYOUT: Final = "1"  # of what is written around the texts of a file; goes into digests
_ROLES: Final = {"user": "User: ", "assistant": "Assistant: "}
_TEXTS: Final = (
    *("instruction", "sources_begin", "sources_end"),
    *("earlier", "question", "refusal"),
)


@dataclass(frozen=True, slots=True)
class PromptFile:
    """One version of a prompt; ``refusal`` is what it asks a model to write for no answer.

    ``digest`` is the SHA-256 of its texts: it belongs into fingerprints and cache keys.
    """

    version: str
    instruction: str
    sources_begin: str
    sources_end: str
    earlier: str
    question: str
    refusal: str

    @property
    def digest(self) -> str:
        """The content hash, without the version's name, with the layout's."""
        texts = [LAYOUT, *(getattr(self, field.name) for field in fields(self)[1:])]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()

    def tokens(self, tokenizer: Tokenizer) -> int:
        """Return what every question pays for instruction and frame [tokens]."""
        frame = "\n".join((self.sources_begin, self.sources_end, self.question))
        return tokenizer.count(self.instruction) + tokenizer.count(frame)

    def build(
        self,
        question: str,
        context: Context | None,
        history: Sequence[Message],
        tokenizer: Tokenizer,
        limit_tokens: int,
    ) -> Prompt:
        """Return the prompt: ``prompt.tokens <= limit_tokens`` always.

        The conversation gets what sources and question leave. Its turns (a user's message with
        the replies to it) are taken whole, newest first; the first that does not fit is dropped
        with all before it. Messages of the role "system" are not taken: the instruction is ours.

        Raises:
            ValueRangeError: Instruction, sources and question alone are over the limit.
        """
        base = self._written(question, context, (), tokenizer)
        if base.tokens > limit_tokens:
            remedy = "lower the context's budget, shorten the question or raise the limit"
            found = f"{base.tokens} > {limit_tokens} tokens"
            raise ValueRangeError("prompt over its limit", found, remedy)
        turns = _newest_that_fit(history, tokenizer, limit_tokens - base.tokens)
        while turns:
            prompt = self._written(question, context, turns, tokenizer)
            if prompt.tokens <= limit_tokens:
                return prompt
            turns = turns[1:]  # counts are not additive
        return base

    def _written(
        self,
        question: str,
        context: Context | None,
        turns: Sequence[str],
        tokenizer: Tokenizer,
    ) -> Prompt:
        earlier = (self.earlier, *turns) if turns else ()
        asked = f"{self.question}{on_one_line(question)}"
        user = "\n".join((*self._sources(context), *earlier, asked))
        messages = (Message("system", self.instruction), Message("user", user))
        tokens = sum(tokenizer.count(message.text) for message in messages)
        return Prompt(messages, self.version, tokens)

    def _sources(self, context: Context | None) -> tuple[str, ...]:
        """Return the lines that hold the sources, numbered as the context's evidence is."""
        if context is None or not context.text:
            return ()
        lines = enumerate(context.text.split("\n"), start=1)
        numbered = (f"[{number}] {on_one_line(line)}" for number, line in lines)
        return (self.sources_begin, *numbered, self.sources_end)


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompt files of a folder, one version each."""

    folder: Path = PACKAGED

    def versions(self) -> tuple[str, ...]:
        """Return the known versions in order of name."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.toml")))

    def load(self, version: str) -> PromptFile:
        """Return one version.

        Raises:
            SettingsError: It is not known, or its file is no prompt.
        """
        known = self.versions()
        if version not in known:
            remedy = f"use one of {', '.join(known)}" if known else f"add one to {self.folder}"
            raise SettingsError("unknown prompt version", repr(version), remedy)
        return _read(self.folder / f"{version}.toml")


def _read(path: Path) -> PromptFile:
    remedy = f"give it the texts {', '.join(_TEXTS)}, and nothing else"
    try:
        texts = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise SettingsError("a prompt file cannot be read", f"{path} ({exc})", remedy) from exc
    if set(texts) != set(_TEXTS) or not all(isinstance(text, str) for text in texts.values()):
        raise SettingsError("a prompt file has other contents", path, remedy)
    if not texts["instruction"].strip():
        raise SettingsError("a prompt file has no instruction", path, remedy)
    return PromptFile(path.stem, **texts)


def _newest_that_fit(
    history: Sequence[Message], tokenizer: Tokenizer, left_tokens: int
) -> tuple[str, ...]:
    """Return the last turns, oldest first, each of them as its lines."""
    fitting: list[str] = []
    for turn in reversed(_turns(history)):
        left_tokens -= tokenizer.count(f"\n{turn}")
        if left_tokens < 0:
            break
        fitting.append(turn)
    return tuple(reversed(fitting))


def _turns(history: Sequence[Message]) -> list[str]:
    """Return each message of a user with the replies to it, a message a line."""
    turns: list[str] = []
    for message in history:
        text = on_one_line(message.text)
        if message.role not in _ROLES or not text:
            continue
        line = f"{_ROLES[message.role]}{text}"
        if message.role == "user" or not turns:
            turns.append(line)
        else:
            turns[-1] += f"\n{line}"
    return turns
