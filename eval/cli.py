"""The command line: ``rag-eval`` and its commands, each in ``eval/commands``.

Stdout carries the result and nothing else; progress goes to stderr. Exit status: 0 done, 1 error,
2 usage, 3 the gate is closed, 130 interrupted.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from eval.collecting import cli as collecting
from eval.commands import (
    breakeven,
    compare,
    frontier,
    gate,
    judge,
    regions,
    report,
    run,
    saved_baseline,
    sweep,
)
from eval.importing import cli as importing
from rag import __version__
from rag.terminal import Parser, finished

_COMMANDS = (
    *(run, compare, gate, sweep, report, judge, regions, breakeven, saved_baseline),
    frontier,
    *(importing, collecting),
)
_LEFT_OFF = "interrupted: what was done is kept; run it again to go on from there"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    return finished(options.run, options, _LEFT_OFF)


def _parser() -> ArgumentParser:
    parser: ArgumentParser = Parser(
        prog="rag-eval",
        description="Measures the service on questions with known answers, and closes the gate on "
        "a deploy that got worse.",
        epilog="Settings: flag > RAG_* environment > rag.toml > default. Exit status: 0 done, 1 "
        "error, 2 usage, 3 the gate is closed, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"rag-eval {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    for each in commands.choices.values():
        each.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
