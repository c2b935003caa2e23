"""``rag-eval report``: one HTML page of a record, beside the others of its questions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from eval.commands.options import add_policy, add_results, record_named, records_in
from eval.commands.outputs import check_writable, write_text
from eval.places import POLICY

if TYPE_CHECKING:
    from eval.gating.gate import Verdict
    from eval.records import Record

_OUT = Path("report.html")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    report = commands.add_parser("report", help="write one HTML page that needs nothing else")
    report.add_argument(
        "records",
        nargs="*",
        metavar="RECORD",
        help="files or names, the one to judge first (default: all of the newest one's questions)",
    )
    add_results(report)
    report.add_argument(
        "--out", type=Path, metavar="FILE", default=_OUT, help=f"the page (default: {_OUT})"
    )
    add_policy(report, default=None)
    report.set_defaults(run=report_command)


def report_command(options: argparse.Namespace) -> int:
    """Write the page, and print where it is."""
    from dataclasses import replace

    from eval.report.contents import arranged
    from eval.report.page import page

    check_writable(options.out)
    records = [record_named(name, options.results) for name in options.records]
    records = records or newest(options.results)
    contents = arranged(records)
    verdict, why = _judged(records[0], options.policy)
    contents = replace(contents, verdict=verdict, unjudged=why)
    write_text(options.out, page(contents))
    print(options.out)
    return 0


def newest(results: Path) -> list[Record]:
    """Return the records of the newest one's questions, one for each system and settings.

    The newest of this project's own comes first, the others by name.

    Raises:
        UsageError: There is none.
    """
    from eval.records import same_questions
    from eval.systems.subjects import FRUGAL
    from rag.errors import UsageError

    every = list(records_in(results))
    if not every:
        raise UsageError("there is no record yet", results, "run rag-eval run first")
    ours = next((record for record in every if record.system == FRUGAL), every[0])
    judged = ours if same_questions(ours, every[0]) else every[0]
    latest: dict[tuple[str, str], Record] = {}
    for record in (judged, *every):
        if same_questions(record, judged):
            latest.setdefault((record.system, record.identity.fingerprint), record)
    _, *others = latest.values()
    return [judged, *sorted(others, key=lambda record: record.system)]


def _judged(record: Record, policy: Path | None) -> tuple[Verdict | None, str]:
    """Return the gate's verdict, or why there is none; a policy that was asked for must do."""
    from eval.gating.gate import judged
    from eval.gating.policy import baseline_path, load_policy
    from eval.records import read
    from rag.errors import LoadError, UsageError

    path = policy or POLICY
    if policy is None and not path.is_file():
        return None, "there is no policy"
    rules = load_policy(path)
    stored = baseline_path(rules, path)
    try:
        return judged(record, read(stored) if stored else None, rules), ""
    except (LoadError, UsageError) as exc:
        if policy is not None:
            raise
        return None, f"{exc.what}: {exc.value}"
