"""``rag jobs``: what is to be done later, listed, cancelled, and worked off without a service."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rag.options import add_common_options, add_place_options, sentence, settings_of
from rag.terminal import Parser

if TYPE_CHECKING:
    from rag.jobs.job import Job
    from rag.jobs.parts import Jobs

_MOST = 100


def add_jobs(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``rag jobs``."""
    text = "batches and other work for later: list, show, cancel, or do what waits"
    jobs = commands.add_parser("jobs", help=text, description=sentence(text))
    actions = jobs.add_subparsers(required=True, metavar="ACTION")
    _add_list(actions)
    for name, help_text, command in (
        ("show", "tell how a job is getting on", _show),
        ("cancel", "cancel a job; what is done of it stays", _cancel),
    ):
        parser = actions.add_parser(name, help=help_text, description=sentence(help_text))
        parser.add_argument("job", metavar="ID", help="the job's name")
        _add_look_options(parser)
        parser.set_defaults(command=command)
    _add_run(actions)


def _add_list(actions: argparse._SubParsersAction[Parser]) -> None:
    text = "list jobs, the newest first"
    parser = actions.add_parser("list", help=text, description=sentence(text))
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many at most")
    _add_look_options(parser)
    parser.set_defaults(command=_list)


def _add_run(actions: argparse._SubParsersAction[Parser]) -> None:
    text = "do all jobs that can be done now, then end; where no service does them"
    parser = actions.add_parser("run", help=text, description=sentence(text))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_common_options(parser)
    parser.set_defaults(command=_run)


def _add_look_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, as the HTTP service does")
    add_place_options(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def _list(options: argparse.Namespace) -> None:
    with ExitStack() as kept:
        found = _jobs(options, kept).store.list(limit=max(1, min(options.limit, _MOST)))
    if options.json:
        from rag.service.job_schemas import JobBody

        _say(json.dumps([JobBody.of(job).model_dump(mode="json") for job in found]))
        return
    _say("\n".join(_line(job) for job in found) or "no jobs")


def _show(options: argparse.Namespace) -> None:
    with ExitStack() as kept:
        _tell(options, _jobs(options, kept).store.get(options.job))


def _cancel(options: argparse.Namespace) -> None:
    with ExitStack() as kept:
        _tell(options, _jobs(options, kept).store.cancel(options.job))


def _run(options: argparse.Namespace) -> int:
    from rag import logs
    from rag.run_jobs import worked_off

    settings = settings_of(options)
    if options.debug:
        logs.configure(sys.stderr)
    else:
        logs.discard()
    off = worked_off(settings)
    if options.json:
        _say(json.dumps({"ended": off.ended, "failed": off.failed, "left": off.left}))
    else:
        _say(f"{off.ended} jobs ended, {off.failed} of them failed; {off.left} wait")
    return 1 if off.failed else 0


def _jobs(options: argparse.Namespace, kept: ExitStack) -> Jobs:
    from rag.build_jobs import build_jobs
    from rag.settings import load_settings

    jobs = build_jobs(load_settings(collection=options.collection, data_dir=options.data_dir))
    kept.callback(jobs.close)
    return jobs


def _tell(options: argparse.Namespace, job: Job) -> None:
    if options.json:
        from rag.service.job_schemas import JobBody

        _say(JobBody.of(job).model_dump_json())
        return
    lines = [_line(job)]
    if job.order.deadline is not None:
        lines.append(f"  deadline  {_moment(job.order.deadline)}")
    if job.starts is not None:
        lines.append(f"  starts    {_moment(job.starts)}")
    lines += [f"  {name:<9} {json.dumps(value)}" for name, value in job.detail.items()]
    _say("\n".join(lines))


def _line(job: Job) -> str:
    """Return a job as one line: name, state, how far it got, when it was given, and why."""
    total = job.order.total
    parts = f"{job.done + job.failed}/{total}" if total else "-"
    failed = f", {job.failed} failed" if job.failed else ""
    why = f"  {job.reason}" if job.reason else ""
    state = "cancelling" if job.cancelling and job.open else job.state
    return f"{job.id}  {job.kind:<6}  {state:<10}  {parts}{failed}  {_moment(job.created)}{why}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _say(text: str) -> None:
    from rag.receipts import printable

    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.stdout.write(f"{printable(text)}\n")
