"""The command line ``rag``: asking and serving here, its other commands in modules of their own.

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
from rag.costs import add_impact, add_prompts
from rag.jobs_command import add_jobs
from rag.keys_command import add_keys
from rag.options import add_common_options, sentence, settings_of
from rag.terminal import Parser, finished
from rag.upkeep import add_backup, add_doctor, add_restore

if TYPE_CHECKING:
    from rag.answering import Answering
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
    _add_mcp(commands)
    add_impact(commands)
    add_prompts(commands)
    add_doctor(commands)
    add_backup(commands)
    add_restore(commands)
    add_keys(commands)
    add_jobs(commands)
    return parser


def _add_ask(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "answer a question, or abstain with the reason and the nearest sources"
    ask = commands.add_parser("ask", help=text, description=sentence(text))
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
    retrieve = commands.add_parser("retrieve", help=text, description=sentence(text))
    _add_question_options(retrieve)
    retrieve.set_defaults(command=_retrieve)


def _add_serve(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "serve questions over HTTP until told to stop"
    serve = commands.add_parser("serve", help=text, description=sentence(text))
    serve.add_argument("--host", help="address to bind (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port; 0 picks a free one (default: 8080)")
    add_common_options(serve)
    serve.set_defaults(command=_serve)


def _add_mcp(commands: argparse._SubParsersAction[Parser]) -> None:
    text = "offer agents the tools search and answer (Model Context Protocol over stdio)"
    mcp = commands.add_parser("mcp", help=text, description=sentence(text))
    mcp.add_argument("--about", default="", metavar="TEXT", help="what the documents are about")
    usual, most = "context budget of a call that names none", "largest budget of a call"
    mcp.add_argument("--budget", type=int, metavar="TOKENS", help=f"{usual} [tokens]")
    mcp.add_argument("--most", type=int, default=32768, metavar="TOKENS", help=f"{most} [tokens]")
    add_common_options(mcp)
    mcp.set_defaults(command=_mcp)


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
    add_common_options(parser)


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


@contextmanager
def _answering(options: argparse.Namespace) -> Iterator[tuple[Settings, Answering]]:
    from rag import logs
    from rag.build import build_answering, build_cache, build_ledger, build_live_index

    settings = settings_of(options)
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
    from rag.serve_command import serve_questions

    serve_questions(settings_of(options, host=options.host, port=options.port))


def _mcp(options: argparse.Namespace) -> None:
    from rag.mcp_command import serve_agents

    settings = settings_of(options, budget_tokens=options.budget)
    serve_agents(settings, options.about, options.most)
