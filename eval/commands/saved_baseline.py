"""``rag-eval saved-baseline RECORD``: the measured cost that receipts say they saved against."""

from __future__ import annotations

import argparse
from pathlib import Path

from eval.commands.options import add_results, record_named
from eval.commands.outputs import write_text

_OUT = Path("saved-baseline.json")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "saved-baseline", help="write what a record's system costs a question, for receipts"
    )
    parser.add_argument("record", metavar="RECORD", help="its file, or its name in --results")
    add_results(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", default=_OUT, help=f"the file (default: {_OUT})"
    )
    parser.set_defaults(run=saved_baseline_command)


def saved_baseline_command(options: argparse.Namespace) -> int:
    """Write the file, and print where it is."""
    from eval.saved_baseline import baseline_of
    from rag.saved import baseline_json

    baseline = baseline_of(record_named(options.record, options.results))
    write_text(options.out, baseline_json(baseline))
    print(options.out)
    return 0
