"""The command line: ``rag-ingest sync``, ``retry``, ``embed``, ``push``, ``rollback`` and so on.

Stdout carries the result and nothing else; progress goes to stderr. Exit status: 0 all is well,
1 files failed or the run did, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rag import __version__
from rag.errors import UsageError
from rag.terminal import Parser, finished

if TYPE_CHECKING:
    from ingest.green import Green
    from ingest.labels import AccessRule
    from ingest.progress import Progress
    from ingest.sync import SyncRequest
    from rag.settings import Settings

_LEFT_OFF = "interrupted: the published generation is as it was; run it again"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    return finished(options.command, options, _LEFT_OFF)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="rag-ingest",
        description="Brings an index up to date with files, safely and at the least compute.",
        epilog="Settings: flag > RAG_* environment > rag.toml > default. Exit status: 0 all is "
        "well, 1 files failed or the run did, 2 usage, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"rag-ingest {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_sync(commands)
    _add_retry(commands)
    _add_embed(commands)
    _add_push(commands)
    _add_upkeep(commands)
    return parser


def _add_sync(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "index new and changed files, leave unchanged ones alone"
    sync = commands.add_parser("sync", help=text, description=f"{text.capitalize()}.")
    sync.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files and folders")
    sync.add_argument(
        "--delete-missing",
        action="store_true",
        help="remove this tenant's documents whose files under PATH are gone",
    )
    sync.add_argument("--dry-run", action="store_true", help="say what would be done")
    _add_access_options(sync)
    _add_green_options(sync)
    _add_run_options(sync)
    sync.set_defaults(command=_sync)


def _add_access_options(sync: Parser) -> None:
    said = sync.add_mutually_exclusive_group()
    said.add_argument(
        "--access",
        action="append",
        metavar="LABEL",
        help="only holders of this label may read what is under PATH, from now on; repeatable",
    )
    said.add_argument(
        "--access-all", action="store_true", help="everybody may read what is under PATH again"
    )
    said.add_argument(
        "--access-list",
        type=Path,
        metavar="FILE",
        help='labels of files and folders: {"path": ["label"]}',
    )


def _add_green_options(sync: Parser) -> None:
    sync.add_argument(
        "--when-green",
        action="store_true",
        help="wait for the hours in which the grid emits least, by --forecast",
    )
    sync.add_argument("--deadline", metavar="TIME", help="be done within: 90m, 6h; --when-green")
    sync.add_argument("--expect", metavar="TIME", help="how long it takes (default: as it took)")
    sync.add_argument("--forecast", type=Path, metavar="FILE", help="of the grid, CSV or JSON")


def _add_retry(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "parse the files again that failed in earlier runs"
    retry = commands.add_parser("retry", help=text, description=f"{text.capitalize()}.")
    _add_run_options(retry)
    retry.set_defaults(command=_retry)


def _add_embed(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "embed chunks that were ingested with vectors = later, most asked for first"
    embed = commands.add_parser("embed", help=text, description=f"{text.capitalize()}.")
    embed.add_argument("--limit", type=int, metavar="N", help="embed at most so many chunks")
    embed.add_argument("--seconds", type=float, metavar="S", help="embed for so long [s]")
    embed.add_argument(
        "--asked-only", action="store_true", help="only chunks that questions have needed"
    )
    _add_common_options(embed)
    embed.set_defaults(command=_embed)


def _add_push(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "copy the published embedded index, of all tenants, to the Qdrant server"
    push = commands.add_parser("push", help=text, description=f"{text.capitalize()}.")
    push.add_argument(
        "--questions", type=int, default=50, metavar="N", help="ask so many of both (default: 50)"
    )
    push.add_argument(
        "--agreement",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="passages that both must have in common (default: 0.9)",
    )
    push.add_argument(
        "--replace", action="store_true", help="take over a collection that holds something"
    )
    _add_common_options(push)
    push.set_defaults(command=_push)


def _add_upkeep(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "publish an earlier generation again"
    rollback = commands.add_parser("rollback", help=text, description=f"{text.capitalize()}.")
    rollback.add_argument(
        "--to", type=int, metavar="N", help="number of the generation (default: the parent)"
    )
    _add_common_options(rollback)
    rollback.set_defaults(command=_rollback)
    text = "remove old generations and unused copies"
    prune = commands.add_parser("prune", help=text, description=f"{text.capitalize()}.")
    _add_common_options(prune)
    prune.set_defaults(command=_prune)
    text = "show the published generation and the files that are not in it"
    status = commands.add_parser("status", help=text, description=f"{text.capitalize()}.")
    _add_common_options(status)
    status.set_defaults(command=_status)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tier", choices=("lexical", "neural"), help="with or without vectors")
    parser.add_argument(
        "--drop-near-duplicates",
        action="store_true",
        default=None,
        help="leave out chunks that nearly repeat an earlier one",
    )
    _add_common_options(parser)


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant", help="whose documents")
    parser.add_argument("--collection", help="which set of documents")
    parser.add_argument("--data-dir", metavar="DIR", help="where collections are stored")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


class _Result(Protocol):
    def to_json(self) -> str:
        """Return the result as one JSON object."""

    def to_text(self) -> str:
        """Return the result for a person."""


def _sync(options: argparse.Namespace) -> int:
    from ingest.sync import SyncRequest

    if not options.when_green and (options.deadline or options.expect or options.forecast):
        remedy = "add --when-green, or leave them out"
        raise UsageError("nothing waits", "--deadline, --expect, --forecast", remedy)
    request = SyncRequest(
        tuple(options.paths), delete_missing=options.delete_missing, access=_access(options)
    )
    return _work(options, request, dry_run=options.dry_run, when_green=options.when_green)


def _access(options: argparse.Namespace) -> tuple[AccessRule, ...]:
    from ingest.labels import AccessRule, read_access_list

    if options.access_list:
        return read_access_list(options.access_list)
    if not (options.access or options.access_all):
        return ()
    labels = tuple(options.access or ())
    return tuple(AccessRule(str(path), labels) for path in options.paths)


def _retry(options: argparse.Namespace) -> int:
    from ingest.sync import SyncRequest

    return _work(options, SyncRequest(retry=True), dry_run=False)


def _work(
    options: argparse.Namespace,
    request: SyncRequest,
    *,
    dry_run: bool,
    when_green: bool = False,
) -> int:
    from ingest.build import build_toolkit
    from ingest.pace import remember
    from ingest.recording import recorded_sync
    from ingest.sync import preview, sync

    settings = _settings(
        options, tier=options.tier, drop_near_duplicates=options.drop_near_duplicates
    )
    toolkit, run = build_toolkit(settings), preview if dry_run else sync
    if when_green:
        green = _green(options, settings)
        run = green.preview if dry_run else green.sync
    report = run(request, toolkit, _progress(settings, metered=not dry_run))
    remember(toolkit.collection_dir, report)
    _show(options, recorded_sync(settings, report))
    return report.exit_code


def _green(options: argparse.Namespace, settings: Settings) -> Green:
    from ingest.green import Green, forecast_source
    from rag.durations import seconds_of
    from rag.terminal import tell

    if options.deadline is None:
        raise UsageError("no deadline", "--when-green", "say when it must be done: --deadline 6h")
    expected = None if options.expect is None else seconds_of(options.expect)
    source = forecast_source(settings, options.forecast)
    return Green(seconds_of(options.deadline), expected, source, tell)


def _embed(options: argparse.Namespace) -> int:
    from ingest.build import build_toolkit
    from ingest.embed import EmbedRequest, embed
    from ingest.recording import recorded_embed

    request = EmbedRequest(options.limit, options.seconds, options.asked_only)
    settings = _settings(options)
    _check_there(settings.data_dir / settings.collection)
    report = embed(request, build_toolkit(settings), _progress(settings, metered=True))
    _show(options, recorded_embed(settings, report))
    return 0


def _push(options: argparse.Namespace) -> int:
    from ingest.build_push import build_push
    from ingest.push import PushRequest, push
    from ingest.recording import recorded_push

    request = PushRequest(options.questions, options.agreement, options.replace)
    settings = _settings(options)
    _check_there(settings.data_dir / settings.collection)
    report = push(request, build_push(settings), _progress(settings, metered=True))
    _show(options, recorded_push(settings, report))
    return 0


def _progress(settings: Settings, *, metered: bool) -> Progress:
    from ingest.build import build_meter
    from ingest.progress import Progress

    return Progress(sys.stderr, build_meter(settings) if metered else None)


def _rollback(options: argparse.Namespace) -> int:
    from ingest.publish import rollback, writing

    settings = _settings(options)
    directory = settings.data_dir / settings.collection
    _check_there(directory)
    with writing(directory):
        generation = rollback(directory, options.to)
    text = f"Generation {generation.number} of {generation.created} is published again"
    _say(options, {"generation": generation.number, "created": generation.created}, text)
    return 0


def _prune(options: argparse.Namespace) -> int:
    from ingest.publish import prune, writing

    settings = _settings(options)
    directory = settings.data_dir / settings.collection
    _check_there(directory)
    with writing(directory):
        removed = prune(directory, settings.keep_generations)
    text = f"{len(removed)} generations removed" + (": " if removed else "")
    _say(options, {"removed": removed}, text + ", ".join(map(str, removed)))
    return 0


def _status(options: argparse.Namespace) -> int:
    from ingest.status import collection_status

    _show(options, collection_status(_settings(options)))
    return 0


def _check_there(directory: Path) -> None:
    if not directory.is_dir():
        raise UsageError("no such collection", directory, "run rag-ingest sync PATH first")


def _settings(options: argparse.Namespace, **more: object) -> Settings:
    from rag.settings import load_settings

    return load_settings(
        tenant=options.tenant, collection=options.collection, data_dir=options.data_dir, **more
    )


def _show(options: argparse.Namespace, result: _Result) -> None:
    from rag.receipts import printable

    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    print(result.to_json() if options.json else printable(result.to_text()))


def _say(options: argparse.Namespace, state: dict[str, object], text: str) -> None:
    print(json.dumps(state) if options.json else text)


if __name__ == "__main__":
    sys.exit(main())
