"""``rag-eval gate`` closes on a record that got worse; ``rag-eval baseline`` stores a new one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from eval.commands.options import add_json, add_policy, add_results, record_named, records_in
from eval.commands.outputs import check_writable, write_text

if TYPE_CHECKING:
    from eval.gating.gate import Verdict
    from eval.gating.policy import Policy
    from eval.records import Record


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register both commands."""
    gate = commands.add_parser(
        "gate", help="exit with 3 where a record breaks the policy or lost against the baseline"
    )
    gate.add_argument(
        "record", nargs="?", help="a record's file or name (default: the newest in --results)"
    )
    _add_common(gate)
    gate.add_argument(
        "--baseline", type=Path, metavar="FILE", help="the record to hold it to (default: policy's)"
    )
    gate.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    gate.add_argument("--markdown", type=Path, metavar="FILE", help="write a Markdown summary")
    gate.set_defaults(run=gate_command)
    baseline = commands.add_parser(
        "baseline", help="store a record as what the gate compares with from now on"
    )
    baseline.add_argument("record", help="a record's file or name")
    baseline.add_argument(
        "--replace", action="store_true", help="even if the one there is of other questions or data"
    )
    _add_common(baseline)
    baseline.set_defaults(run=baseline_command)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_policy(parser)
    add_results(parser)
    add_json(parser)


def gate_command(options: argparse.Namespace) -> int:
    """Judge a record; returns 3 where the gate is closed."""
    from dataclasses import replace

    from eval.gating.gate import judged
    from eval.gating.policy import load_policy
    from eval.gating.text import to_junit, to_markdown
    from eval.provenance import code_version

    for output in filter(None, (options.junit, options.markdown)):
        check_writable(output)
    policy = load_policy(options.policy)
    baseline = _baseline(policy, options)
    candidate = _candidate(options, baseline)
    verdict = judged(candidate, baseline, policy)
    if not options.record and candidate.identity.code != code_version():
        stale = "the newest record is of other code than this: run rag-eval run"
        verdict = replace(verdict, warnings=(*verdict.warnings, stale))
    if options.junit:
        write_text(options.junit, to_junit(verdict))
    if options.markdown:
        write_text(options.markdown, to_markdown(verdict))
    _show(verdict, as_json=options.json)
    return verdict.exit_code


def baseline_command(options: argparse.Namespace) -> int:
    """Store a record, and show how it stands to the one that it replaces."""
    from eval.gating.gate import judged
    from eval.gating.policy import baseline_path, load_policy
    from eval.records import write
    from rag.errors import UsageError

    policy = load_policy(options.policy)
    path = baseline_path(policy, options.policy)
    if path is None:
        raise UsageError("the policy names no baseline", options.policy, "add a line baseline")
    check_writable(path)
    record = record_named(options.record, options.results)
    old = _replaced(path, record, anyway=options.replace)
    _show(judged(record, old, policy), as_json=options.json)
    write(record, path)
    if not options.json:
        print(f"\nstored as {path}")
    return 0


def _show(verdict: Verdict, *, as_json: bool) -> None:
    import json

    from eval.gating.text import to_json, to_text

    print(json.dumps(to_json(verdict)) if as_json else to_text(verdict))


def _baseline(policy: Policy, options: argparse.Namespace) -> Record | None:
    from eval.gating.policy import baseline_path
    from eval.records import read
    from rag.errors import UsageError

    path = options.baseline or baseline_path(policy, options.policy)
    if path is not None and not path.is_file():
        raise UsageError("there is no baseline yet", path, "store one: rag-eval baseline RECORD")
    return read(path) if path else None


def _candidate(options: argparse.Namespace, baseline: Record | None) -> Record:
    """Return the record named, or the newest of the baseline's system and questions."""
    from eval.records import same_questions
    from rag.errors import UsageError

    if options.record:
        return record_named(options.record, options.results)
    others = 0
    for record in records_in(options.results):
        if baseline is None or record.system == baseline.system:
            if baseline is None or same_questions(record, baseline):
                return record
            others += 1
    of = f" of {baseline.system}" if baseline else ""
    if others and baseline:
        of += f" on the baseline's questions of {baseline.data.name}, only {others} on others,"
    remedy = "run rag-eval run on the baseline's data" if others else "run rag-eval run first"
    raise UsageError(f"there is no record{of} yet", options.results, remedy)


def _replaced(path: Path, record: Record, *, anyway: bool) -> Record | None:
    """Return the baseline that stood there, None where there was none that can be compared.

    Raises:
        UsageError: It is of other questions or data, and is not to be replaced ``anyway``.
    """
    from eval.gating.gate import of_data
    from eval.records import read, same_questions
    from rag.errors import LoadError, UsageError

    try:
        old = read(path) if path.is_file() else None
    except LoadError:
        return None
    if old is None or same_questions(old, record):
        return old
    if not anyway:
        was, now = (f"{len(each.rows)} questions of {of_data(each)}" for each in (old, record))
        remedy = "give --replace if it shall go, or name another baseline in the policy"
        raise UsageError(f"{path} is of other data or questions", f"{was}, not {now}", remedy)
    return None
