"""A process that does a job's work: what it says is bounded, and it ends when the job does."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Final

from rag.errors import ParseLimitError, RagError

# So that questions, which somebody waits for, come first.
_NICENESS: Final = 10
_LOOK_SECONDS: Final = 0.2
_GRACE_SECONDS: Final = 5.0
_MOST_BYTES: Final = 4 << 20  # of what a process says; the rest is read and forgotten


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its status, and the beginning of what it said."""

    status: int
    stdout: str
    stderr: str


def run_child(
    command: Sequence[str], pause: Callable[[float], None], longest_seconds: float
) -> Ended:
    """Run a command at low priority, with its children in a group of their own.

    Args:
        command: The program and its arguments.
        pause: Is called while it runs with how long to wait [s]; what it raises ends the process.
        longest_seconds: When it is ended anyway [s].

    Raises:
        ParseLimitError: It took too long.
        RagError: It cannot be started.
    """
    with _started(command) as process:
        said, complained = _Heard(process.stdout), _Heard(process.stderr)
        waited = 0.0
        while process.poll() is None:
            if waited >= longest_seconds:
                remedy = "look at the log for what hangs, or give it less at once"
                raise ParseLimitError("ingest took too long", f"{waited:.0f} s", remedy)
            pause(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
        return Ended(process.returncode, said.text(), complained.text())


@contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(  # noqa: S603 -- made by this program alone
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as exc:
        remedy = "look whether there is memory and room for another process"
        raise RagError("a process cannot be started", exc.strerror or exc, remedy) from exc
    with process:
        try:
            with suppress(OSError):  # it has ended already
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    _signal(process, signal.SIGKILL)  # its children too, which would hold the pipes open


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class _Heard:
    """Reads what a process says on a thread of its own, and keeps the beginning."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return the beginning of what it said, once it has said all."""
        self._thread.join(_GRACE_SECONDS)
        return self._kept.decode("utf-8", "replace")

    def _read(self, stream: IO[bytes] | None) -> None:
        while stream is not None and (block := stream.read1(1 << 16)):  # type: ignore[attr-defined]
            self._kept += block[: _MOST_BYTES - len(self._kept)]
