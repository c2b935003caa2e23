"""``rag-eval compare A B``: what differs between two records, and what may be chance."""

from __future__ import annotations

import argparse
from pathlib import Path

from eval.commands.options import add_json, add_results, add_seed, record_named
from eval.commands.outputs import check_writable, write_text


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("compare", help="show what differs between two records")
    for name in ("a", "b"):
        parser.add_argument(
            name, metavar=name.upper(), help="a record's file, or its name in --results"
        )
    add_results(parser)
    parser.add_argument(
        "--questions", type=int, default=5, metavar="N", help="questions side by side (default 5)"
    )
    add_seed(parser, "draws what intervals and tests need")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it as Markdown too")
    add_json(parser)
    parser.set_defaults(run=compare_command)


def compare_command(options: argparse.Namespace) -> int:
    """Show the comparison; that something is worse is no error here."""
    import json

    from eval.comparing import text as comparison_text
    from eval.comparing.compare import compared

    if options.markdown:
        check_writable(options.markdown)
    a, b = (record_named(name, options.results) for name in (options.a, options.b))
    found = compared(a, b, options.seed)
    count = max(0, options.questions)
    if options.markdown:
        write_text(options.markdown, comparison_text.to_markdown(found, count))
    if options.json:
        print(json.dumps(comparison_text.to_json(found, count)))
    else:
        print(comparison_text.to_text(found, count))
    return 0
