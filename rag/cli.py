"""The command line: ``rag ask``, ``retrieve``, ``serve``, ``impact`` and ``prompts``.

Stdout carries the result and nothing else. Exit status: 0 done (an abstention is a result), 1
error, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from rag import __version__
from rag.errors import UsageError
from rag.terminal import Parser, finished

if TYPE_CHECKING:
    from rag.answering import Answering
    from rag.ledger_sums import Period
    from rag.service.schemas import QueryResponse, RetrieveResponse
    from rag.settings import Settings


class _Closing(Protocol):
    def close(self) -> None: ...


_Kept = TypeVar("_Kept", bound=_Closing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    return finished(options.command, options)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="rag",
        description="Answers from your own documents, with the fewest tokens and a receipt.",
        epilog="Settings: flag > RAG_* environment > rag.toml > default. Exit status: 0 done, "
        "1 error, 2 usage, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"rag {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_ask(commands)
    _add_retrieve(commands)
    _add_serve(commands)
    _add_impact(commands)
    _add_prompts(commands)
    return parser


def _add_ask(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "answer a question, or abstain with the reason and the nearest sources"
    ask = commands.add_parser("ask", help=text, description=_sentence(text))
    _add_question_options(ask)
    ask.add_argument(
        "--generate",
        choices=("auto", "never", "always"),
        default="auto",
        help="whether a configured model may write the answer (default: where it pays)",
    )
    ask.set_defaults(command=_ask)


def _add_retrieve(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "print the context that a generator would get for a question"
    retrieve = commands.add_parser("retrieve", help=text, description=_sentence(text))
    _add_question_options(retrieve)
    retrieve.set_defaults(command=_retrieve)


def _add_serve(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "serve questions over HTTP until told to stop"
    serve = commands.add_parser("serve", help=text, description=_sentence(text))
    serve.add_argument("--host", help="address to bind (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port; 0 picks a free one (default: 8080)")
    _add_common_options(serve)
    serve.set_defaults(command=_serve)


def _add_impact(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "tell what answers and ingest cost: energy, carbon, water, tokens"
    impact = commands.add_parser("impact", help=text, description=_sentence(text))
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
    _add_place_options(impact)
    impact.add_argument("--debug", action="store_true", help="show tracebacks")
    impact.set_defaults(command=_impact, tenant=None, tier=None)


def _add_prompts(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "list the versions of the prompts, and what each costs a question"
    prompts = commands.add_parser("prompts", help=text, description=_sentence(text))
    prompts.add_argument("--json", action="store_true", help="print one JSON array")
    prompts.add_argument("--debug", action="store_true", help="show tracebacks")
    prompts.set_defaults(command=_prompts, tenant=None, tier=None, collection=None, data_dir=None)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _add_question_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", help="the question; - reads it from standard input")
    parser.add_argument("--budget", type=int, metavar="TOKENS", help="context budget [tokens]")
    parser.add_argument(
        "--frugality",
        type=float,
        metavar="SHARE",
        help="recall that may be lost for fewer tokens; 0 fills the budget",
    )
    parser.add_argument(
        "--document", action="append", default=[], metavar="ID", help="only this; may be repeated"
    )
    parser.add_argument(
        "--tag", action="append", default=[], metavar="T", help="only with it; may be repeated"
    )
    parser.add_argument("--since", metavar="DATE", help="only documents from this date on")
    parser.add_argument("--until", metavar="DATE", help="only documents up to this date")
    parser.add_argument(
        "--json", action="store_true", help="print the body that the HTTP service returns"
    )
    parser.add_argument("--trace", action="store_true", help="add each stage's decision and cost")
    _add_common_options(parser)


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant", help="whose documents")
    _add_place_options(parser)
    parser.add_argument("--tier", choices=("lexical", "neural"), help="with or without vectors")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def _add_place_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--collection", help="which set of documents")
    parser.add_argument("--data-dir", metavar="DIR", help="where collections are stored")


def _ask(options: argparse.Namespace) -> None:
    from rag import receipts

    response = _query(options)
    _print(options, response, lambda: receipts.answer_text(response, trace=options.trace))


def _query(options: argparse.Namespace) -> QueryResponse:
    from rag.service.bodies import QueryBody, to_question
    from rag.service.schemas import query_response

    body = QueryBody.checked({**_body_fields(options), "generate": options.generate})
    with _answering(options) as (settings, answering):
        return query_response(
            body, answering.answer(to_question(body, settings, _deadline(settings)))
        )


def _retrieve(options: argparse.Namespace) -> None:
    from rag import receipts

    response = _context(options)
    _print(options, response, lambda: receipts.context_text(response, trace=options.trace))


def _context(options: argparse.Namespace) -> RetrieveResponse:
    from rag.service.bodies import RetrieveBody, to_question
    from rag.service.schemas import retrieve_response

    body = RetrieveBody.checked(_body_fields(options))
    with _answering(options) as (settings, answering):
        question = to_question(body, settings, _deadline(settings))
        return retrieve_response(body, answering.retrieve(question))


def _print(
    options: argparse.Namespace,
    response: QueryResponse | RetrieveResponse,
    text: Callable[[], str],
) -> None:
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    print(response.model_dump_json() if options.json else text())


def _body_fields(options: argparse.Namespace) -> dict[str, object]:
    question = sys.stdin.read().strip() if options.question == "-" else options.question
    return {
        "question": question,
        "budget_tokens": options.budget,
        "frugality": options.frugality,
        "filter": {
            "documents": options.document,
            "tags": options.tag,
            "since": options.since,
            "until": options.until,
        },
        "trace": options.trace,
    }


def _settings(options: argparse.Namespace, **more: object) -> Settings:
    from rag.settings import load_settings

    names = ("tenant", "collection", "data_dir", "tier")
    return load_settings(**{name: getattr(options, name) for name in names}, **more)


@contextmanager
def _answering(options: argparse.Namespace) -> Iterator[tuple[Settings, Answering]]:
    from rag import logs
    from rag.build import build_answering, build_cache, build_ledger, build_live_index

    settings = _settings(options)
    if options.debug:
        logs.configure(sys.stderr)
    else:
        logs.discard()
    live = build_live_index(settings)
    live.refresh()
    problem = live.problem()
    if problem is not None:  # before the model is loaded, which takes longer
        raise problem
    with _kept(build_ledger(settings)) as ledger, _kept(build_cache(settings)) as cache:
        try:
            yield settings, build_answering(settings, live, ledger, cache)
        finally:
            live.close()


@contextmanager
def _kept(store: _Kept | None) -> Iterator[_Kept | None]:
    """Close what is kept on disk after use, if there is any."""
    try:
        yield store
    finally:
        if store is not None:
            store.close()


def _deadline(settings: Settings) -> float:
    import time

    return time.monotonic() + settings.deadline_seconds


def _serve(options: argparse.Namespace) -> None:
    from rag import logs
    from rag.build import build_answering, build_cache, build_ledger, build_live_index
    from rag.service.app import create_app
    from rag.service.server import listen, serve

    settings = _settings(options, host=options.host, port=options.port)
    bound = listen(settings.host, settings.port)
    logs.configure(sys.stderr)
    live = build_live_index(settings)
    live.follow()
    with _kept(build_ledger(settings)) as ledger, _kept(build_cache(settings)) as cache:
        try:
            answering = build_answering(settings, live, ledger, cache)
            app = create_app(settings, answering, live.problem, ledger, cache)
            serve(app, bound, settings, lambda url: print(f"listening on {url}", file=sys.stderr))
        finally:
            live.close()


def _prompts(options: argparse.Namespace) -> None:
    import json

    from rag.build import build_tokenizer
    from rag.prompting import Prompts

    settings, prompts = _settings(options), Prompts()
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
        print(json.dumps(rows))
        return
    for row in rows:
        mark = "  configured" if row["configured"] else ""
        price = f"{row['tokens']} {tokenizer.name} tokens a question"
        print(f"{row['version']:<16} {price}, {row['digest']}{mark}")


def _impact(options: argparse.Namespace) -> None:
    from rag.impact_text import impact_csv, impact_text
    from rag.ledger import ledger_folder
    from rag.ledger_sums import days_between, read_report, today
    from rag.service.impact_schemas import report_body

    if options.period and not options.csv:
        raise UsageError("no periods without --csv", f"--period {options.period}", "add --csv")
    settings = _settings(options)
    days = days_between(options.first, options.last, today())
    period: Period = (options.period or "month") if options.csv else "all"
    report = read_report(ledger_folder(settings), days, options.by, period)
    if options.csv:
        print(impact_csv(report), end="")
    elif options.json:
        print(report_body(report).model_dump_json(by_alias=True))
    else:
        print(impact_text(report))
