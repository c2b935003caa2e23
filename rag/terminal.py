"""What all command lines share: one line for an error, and the exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TextIO

from rag.access import OPERATOR, acting
from rag.errors import RagError, UsageError

_INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line and exit with 2."""
        self.exit(UsageError.exit_code, f"error: {message}. Run {self.prog} --help.\n")


def finished(
    command: Callable[[argparse.Namespace], int | None],
    options: argparse.Namespace,
    interrupted: str | None = None,
) -> int:
    """Run a command, for whoever runs it, and return its exit status.

    Every fault becomes one line on stderr.

    ``options.debug`` shows tracebacks instead. ``interrupted`` is what to say after Ctrl-C.
    """
    try:
        with acting(OPERATOR):
            return _status(command, options, interrupted)
    except Exception as exc:  # the boundary: a fault must not end in a stack trace
        if options.debug:
            raise
        complain(f"unexpected {type(exc).__name__}: {exc}. Run it again with --debug.")
        return RagError.exit_code
    finally:
        _let_go_if_closed(sys.stderr)


def _status(
    command: Callable[[argparse.Namespace], int | None],
    options: argparse.Namespace,
    interrupted: str | None,
) -> int:
    try:
        status = command(options) or 0
        sys.stdout.flush()
    except RagError as exc:
        if options.debug:
            raise
        complain(str(exc))
        return exc.exit_code
    except KeyboardInterrupt:
        if interrupted:
            tell(interrupted)
        return _INTERRUPTED
    except BrokenPipeError:
        _let_go_if_closed(sys.stdout)
        return RagError.exit_code
    return status


def complain(message: str) -> None:
    """Say on stderr what went wrong, in one line that a terminal cannot be fooled with."""
    from rag.receipts import printable

    tell(f"error: {' '.join(printable(message).split())}")


def tell(line: str) -> None:
    """Write a line to stderr, if anybody reads it."""
    with suppress(BrokenPipeError):  # nobody reads it any more; the exit status says enough
        sys.stderr.write(f"{line}\n")


def _let_go_if_closed(stream: TextIO | None) -> None:
    """Drop what a stream still holds if nobody reads it: the interpreter's last flush would fail.

    Without this the exit status would be that of the failed flush.
    """
    if stream is None:
        return
    try:
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
