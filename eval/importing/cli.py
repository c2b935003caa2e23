"""The command line of imports: ``rag-eval import beir | squad | csv SOURCE TARGET``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from eval.commands.options import add_to_step

if TYPE_CHECKING:
    from eval.importing.writer import Imported


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``import`` with its layouts."""
    text = "bring a question set in another layout into the common schema"
    importing = commands.add_parser("import", help=text, description=f"{text.capitalize()}.")
    layouts = importing.add_subparsers(metavar="LAYOUT", required=True)
    beir = _layout(layouts, "beir", "a folder with corpus.jsonl, queries.jsonl, qrels/")
    beir.add_argument("--split", help="of qrels/ (default: test)")
    beir.set_defaults(run=_run(_beir))
    squad = _layout(layouts, "squad", "a SQuAD JSON file, version 1.1 or 2.0")
    squad.set_defaults(run=_run(_squad))
    csv = _layout(layouts, "csv", "a CSV with the columns question and answer")
    csv.add_argument("--documents", type=Path, metavar="DIR", help="what the questions are about")
    csv.set_defaults(run=_run(_csv))


def _layout(
    layouts: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = layouts.add_parser(name, help=text, description=f"Imports {text}.")
    parser.add_argument("source", type=Path, help=text)
    parser.add_argument("target", type=Path, help="folder to make")
    parser.add_argument("--name", help="name of the set (default: that of the source)")
    parser.add_argument("--replace", action="store_true", help="give up the set that stands there")
    add_to_step(parser)
    return parser


def _run(
    command: Callable[[argparse.Namespace], Imported],
) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        imported = command(options)
        print(imported.to_json() if options.json else imported.to_text())
        return 0

    return run


def _beir(options: argparse.Namespace) -> Imported:
    from eval.importing.beir import import_beir

    paths = (options.source, options.target)
    return import_beir(*paths, options.split, options.name, replace=options.replace)


def _squad(options: argparse.Namespace) -> Imported:
    from eval.importing.squad import import_squad

    return import_squad(options.source, options.target, options.name, replace=options.replace)


def _csv(options: argparse.Namespace) -> Imported:
    from eval.importing.table import import_table

    paths = (options.source, options.target, options.documents)
    return import_table(*paths, options.name, replace=options.replace)
