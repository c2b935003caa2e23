"""``rag-eval run``: all questions of a set put to one or more systems, a record each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.commands.options import add_jobs, add_questions, add_settings, positive

if TYPE_CHECKING:
    from eval.datasets import Dataset
    from eval.records import Record
    from eval.run import Plan
    from ingest.progress import Progress
    from rag.settings import Settings

_SYSTEMS = ("frugal-rag", "llama-index", "llama-index-hybrid")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    run = commands.add_parser("run", help="ask all questions of a set and write a record")
    run.add_argument(
        "dataset", nargs="?", type=Path, default=Path("samples"), help="folder with queries.jsonl"
    )
    run.add_argument(
        "--system",
        action="append",
        choices=_SYSTEMS,
        help="what is asked; may be given several times (default: frugal-rag)",
    )
    add_settings(run)
    add_questions(run)
    run.add_argument(
        "--repeat", type=positive, default=1, metavar="N", help="ask everything N times"
    )
    add_jobs(run, "systems run")
    run.add_argument("--safety", metavar="MODULE:FACTORY", help="what looks for unsafe answers")
    run.add_argument("--restart", action="store_true", help="forget what a killed run has done")
    run.add_argument("--json", action="store_true", help="print one JSON object a record")
    run.set_defaults(run=run_command)


def run_command(options: argparse.Namespace) -> int:
    """Run the evaluations and show what came out."""
    from functools import partial

    from eval.parallel import each
    from eval.run import evaluate
    from eval.summary import summary
    from ingest.progress import Progress

    dataset = asked_dataset(options)
    settings = asked_settings(options)
    progress = Progress(sys.stderr if sys.stderr.isatty() else None)
    plans = _plans(options, dataset, settings)
    if options.jobs > 1 and len(plans) > 1:
        with progress.stage("systems", len(plans), "systems") as advance:
            done = each(partial(evaluate, anew=options.restart), plans, options.jobs, advance)
    else:
        done = [_alone(plan, progress, anew=options.restart) for plan in plans]
    for plan, record in zip(plans, done, strict=True):
        if options.json:
            print(json.dumps(_as_json(record, plan)))
        else:
            print(f"{plan.subject.name}: {plan.path}", file=sys.stderr)
    if not options.json:
        from eval.sci import sci_table
        from eval.tables import summary_table

        print(summary_table([(record.system, summary(record)) for record in done]))
        print(f"\n{sci_table([(record.system, record) for record in done])}")
    return 0


def _alone(plan: Plan, progress: Progress, *, anew: bool) -> Record:
    from eval.run import evaluate

    with progress.stage(plan.subject.name, plan.steps, "questions") as advance:
        return evaluate(plan, advance, anew=anew)


def asked_settings(options: argparse.Namespace) -> Settings:
    """Return the settings in force, with what the command line changes."""
    from rag.settings import load_settings

    return load_settings(
        tier=options.tier, budget_tokens=options.budget, frugality=options.frugality
    )


def asked_dataset(options: argparse.Namespace) -> Dataset:
    """Return the questions that the command line names."""
    from eval.datasets import load_dataset, sampled

    dataset = load_dataset(options.dataset, options.split)
    if options.questions is not None:
        dataset = sampled(dataset, options.questions, options.seed)
    return dataset


def _plans(options: argparse.Namespace, dataset: Dataset, settings: Settings) -> Sequence[Plan]:
    from functools import partial

    from eval.plugins import loaded
    from eval.run import Plan
    from eval.safety.checker import RuleChecker, SafetyChecker
    from eval.systems.subjects import named

    checker: Callable[[], SafetyChecker] = RuleChecker
    if options.safety:
        checker = partial(loaded, options.safety, SafetyChecker)
        checker()  # a wrong name shall not be found after the index was built
    return [
        Plan(
            dataset,
            named(name, settings),
            settings,
            seed=options.seed,
            repeats=options.repeat,
            results=options.results,
            cache=options.cache,
            safety=checker,
            checker=options.safety or "built in",
        )
        for name in options.system or _SYSTEMS[:1]
    ]


def _as_json(record: Record, plan: Plan) -> dict[str, Any]:
    from dataclasses import asdict

    from eval.sci import rates
    from eval.summary import per_grounded_answer, per_question, summary

    lines = {line.measure: asdict(line) for line in summary(record)}
    each, grounded = per_question(record), per_grounded_answer(record)
    return {
        "record": str(plan.path),
        "system": record.system,
        "dataset": record.data.name,
        "identity": asdict(record.identity),
        "summary": lines,
        "per_question": asdict(each) if each else None,
        "per_grounded_answer": asdict(grounded) if grounded else None,
        "sci": asdict(rates(record)),
    }
