"""``rag-eval breakeven PLAN``: when another model, another prompt or fine-tuning pays."""

from __future__ import annotations

import argparse
from pathlib import Path

from eval.commands.options import add_json


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "breakeven", help="when fine-tuning, a smaller model or a longer prompt pays"
    )
    parser.add_argument("plan", type=Path, metavar="PLAN", help="TOML: models, now, other ways")
    parser.add_argument(
        "--questions-per-day", type=float, metavar="N", help="instead of the plan's"
    )
    add_json(parser)
    parser.set_defaults(run=breakeven_command)


def breakeven_command(options: argparse.Namespace) -> int:
    """Print what each way comes to; that none pays is no error."""
    import json

    from eval.breakeven import results
    from eval.breakeven_file import read_plan
    from eval.breakeven_text import to_json, to_text

    plan = read_plan(options.plan, options.questions_per_day)
    found = results(plan)
    print(json.dumps(to_json(plan, found)) if options.json else to_text(plan, found))
    return 0
