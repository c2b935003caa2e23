"""The commands that tell what things cost: ``rag impact`` and ``rag prompts``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rag.errors import UsageError
from rag.options import add_place_options, sentence, settings_of
from rag.terminal import Parser

if TYPE_CHECKING:
    from rag.ledger_sums import Period


def add_impact(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``rag impact``."""
    text = "tell what answers and ingest cost: energy, carbon, water, tokens"
    impact = commands.add_parser("impact", help=text, description=sentence(text))
    impact.add_argument(
        "--from", dest="first", metavar="DATE", help="first day (UTC; default: of the month)"
    )
    impact.add_argument(
        "--to", dest="last", metavar="DATE", help="last day, inclusive (default: today)"
    )
    impact.add_argument(
        "--by", choices=("tenant", "tier", "model", "stage", "kind"), help="what to group by"
    )
    form = impact.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="print the body that the HTTP service returns"
    )
    form.add_argument("--csv", action="store_true", help="one row a period and group, exact sums")
    impact.add_argument(
        "--period", choices=("day", "month"), help="period of a row of --csv (default: month)"
    )
    add_place_options(impact)
    impact.add_argument("--debug", action="store_true", help="show tracebacks")
    impact.set_defaults(command=_impact, tenant=None, tier=None)


def add_prompts(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``rag prompts``."""
    text = "list the versions of the prompts, and what each costs a question"
    prompts = commands.add_parser("prompts", help=text, description=sentence(text))
    prompts.add_argument("--json", action="store_true", help="print one JSON array")
    prompts.add_argument("--debug", action="store_true", help="show tracebacks")
    prompts.set_defaults(command=_prompts, tenant=None, tier=None, collection=None, data_dir=None)


def _impact(options: argparse.Namespace) -> None:
    from rag.impact_text import impact_csv, impact_text
    from rag.ledger import ledger_folder
    from rag.ledger_sums import days_between, read_report, today
    from rag.service.impact_schemas import report_body

    if options.period and not options.csv:
        raise UsageError("no periods without --csv", f"--period {options.period}", "add --csv")
    settings = settings_of(options)
    days = days_between(options.first, options.last, today())
    period: Period = (options.period or "month") if options.csv else "all"
    report = read_report(ledger_folder(settings), days, options.by, period)
    if options.csv:
        sys.stdout.write(impact_csv(report))
    elif options.json:
        _say(report_body(report).model_dump_json(by_alias=True))
    else:
        _say(impact_text(report))


def _prompts(options: argparse.Namespace) -> None:
    import json

    from rag.build import build_tokenizer
    from rag.prompting import Prompts

    settings, prompts = settings_of(options), Prompts()
    tokenizer, used = build_tokenizer(settings), (settings.prompt, settings.condense_prompt)
    rows = [
        {
            "version": version,
            "tokens": file.tokens(tokenizer),
            "digest": file.digest[:12],
            "configured": version in used,
        }
        for version in prompts.versions()
        for file in (prompts.load(version),)
    ]
    if options.json:
        _say(json.dumps(rows))
        return
    for row in rows:
        mark = "  configured" if row["configured"] else ""
        price = f"{row['tokens']} {tokenizer.name} tokens a question"
        _say(f"{row['version']:<16} {price}, {row['digest']}{mark}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
