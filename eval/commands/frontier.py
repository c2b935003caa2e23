"""``rag-eval frontier``: what records measured, as the service's page shows it."""

from __future__ import annotations

import argparse
from pathlib import Path

from eval.commands.options import add_results, record_named
from eval.commands.outputs import write_text
from eval.commands.report import newest

_OUT = Path("frontier.json")
_QUALITIES = ("answer_recall", "groundedness")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "frontier", help="write what quality costs in context tokens, for the service's page"
    )
    parser.add_argument(
        "records",
        nargs="*",
        metavar="RECORD",
        help="files or names (default: all of the newest one's questions)",
    )
    parser.add_argument(
        "--quality",
        choices=_QUALITIES,
        default=_QUALITIES[0],
        help="the measure (default: %(default)s)",
    )
    add_results(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", default=_OUT, help=f"the file (default: {_OUT})"
    )
    parser.set_defaults(run=frontier_command)


def frontier_command(options: argparse.Namespace) -> int:
    """Write the file, and print where it is."""
    from eval.frontier import frontier_of
    from rag.frontier import frontier_json

    records = [record_named(name, options.results) for name in options.records]
    frontier = frontier_of(records or newest(options.results), options.quality)
    write_text(options.out, frontier_json(frontier))
    print(options.out)
    return 0
