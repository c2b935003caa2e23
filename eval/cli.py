"""The command line: ``rag-eval run``.

Stdout carries the result and nothing else. Exit status: 0 done, 1 error, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rag import __version__
from rag.errors import RagError

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except RagError as exc:
        if options.debug:
            raise
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print("interrupted: nothing was kept", file=sys.stderr)
        return _INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    from eval.datasets import load_dataset
    from eval.run import evaluate
    from rag.settings import load_settings

    settings = load_settings(
        tier=options.tier, budget_tokens=options.budget, frugality=options.frugality
    )
    report = evaluate(load_dataset(options.dataset), settings)
    print(report.to_json() if options.json else report.to_text())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rag-eval", description="Measures the pipeline on questions with known answers."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser("run", help="index a question set and ask all its questions")
    run.add_argument("dataset", type=Path, help="folder with queries.jsonl and qrels.tsv")
    run.add_argument("--budget", type=int, metavar="TOKENS", help="context budget")
    run.add_argument("--frugality", type=float, metavar="SHARE", help="recall that may be lost")
    run.add_argument("--tier", choices=("lexical", "neural"), help="with or without a model")
    run.add_argument("--json", action="store_true", help="print one JSON object")
    run.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
