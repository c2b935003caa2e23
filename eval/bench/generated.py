"""Generations kept by their content, so that a benchmark pays for each prompt once."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rag.generating import Ended, Generator, Prompt, Sampling

_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Generated:
    """A whole answer; ``cut``: it ended at its limit. Tokens are the provider's, None if unsaid."""

    text: str
    cut: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    cpu_seconds: float


class KeptGenerations:
    """Asks a generator what it has not been asked before with the same words and sampling."""

    def __init__(self, generator: Generator, folder: Path) -> None:
        self._generator = generator
        self._folder = folder

    def answer(self, prompt: Prompt, sampling: Sampling) -> Generated:
        """Return the answer to a prompt.

        Raises:
            BackendError: The generator failed or took five minutes.
        """
        path = self._folder / f"{self._key(prompt, sampling)}.json"
        if path.is_file():
            return Generated(**json.loads(path.read_text(encoding="utf-8")))
        made = self._made(prompt, sampling)
        self._folder.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(".part")  # a run that is killed leaves nothing half written
        whole.write_text(json.dumps(asdict(made)), encoding="utf-8")
        whole.replace(path)
        return made

    def _key(self, prompt: Prompt, sampling: Sampling) -> str:
        said = [(message.role, message.text) for message in prompt.messages]
        asked = json.dumps([self._generator.name, said, asdict(sampling)])
        return hashlib.sha256(asked.encode()).hexdigest()

    def _made(self, prompt: Prompt, sampling: Sampling) -> Generated:
        pieces: list[str] = []
        end = Ended("stop", None)
        for piece in self._generator.stream(prompt, sampling, time.monotonic() + _PATIENCE_SECONDS):
            if isinstance(piece, Ended):
                end = piece
            else:
                pieces.append(piece)
        used = end.used
        return Generated(
            text="".join(pieces),
            cut=end.reason == "length",
            prompt_tokens=used.prompt if used else None,
            completion_tokens=used.completion if used else None,
            cpu_seconds=end.cpu_seconds,
        )
