"""``rag-eval sweep``: which settings are good enough, and which of them is the cheapest."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.commands.options import add_jobs, add_json, add_questions, add_settings
from eval.commands.outputs import check_writable, write_text
from eval.commands.run import asked_dataset, asked_settings
from eval.places import RESULTS

if TYPE_CHECKING:
    from eval.sweeping.sweep import Goal, Swept, Tried
    from rag.settings import Settings

_USUAL_TARGET = "answer_recall=0.9"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    sweep = commands.add_parser(
        "sweep", help="try settings and recommend the cheapest that is good enough"
    )
    sweep.add_argument("dataset", type=Path, help="folder with queries.jsonl")
    sweep.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=A,B,...",
        help="values of one setting; may be repeated (default: tier, budget and frugality)",
    )
    sweep.add_argument(
        "--generation",
        action="store_true",
        help="vary from when models write: extract_from, generate_from and grounded_from",
    )
    _add_goal(sweep)
    sweep.add_argument(
        "--search",
        choices=("grid", "halving"),
        default="grid",
        help="grid: every setting gets all questions; halving: every setting gets a few, and only "
        "the best third goes on to more (default: grid)",
    )
    add_jobs(sweep, "settings tried")
    sweep.add_argument("--write", type=Path, metavar="FILE", help="write it as rag.toml")
    sweep.add_argument("--restart", action="store_true", help="ask again what was asked before")
    add_settings(sweep)
    add_questions(sweep)
    add_json(sweep)
    sweep.set_defaults(run=sweep_command, results=RESULTS / "sweep")


def _add_goal(sweep: argparse.ArgumentParser) -> None:
    sweep.add_argument(
        "--target",
        metavar="MEASURE=VALUE",
        help="what is good enough (default: answer_recall=0.9)",
    )
    sweep.add_argument(
        "--cheapest",
        choices=("context_tokens", "joules"),
        default="context_tokens",
        help="the cost that counts first (default: context_tokens)",
    )


def sweep_command(options: argparse.Namespace) -> int:
    """Run the sweep and show what it found."""
    from eval.run import Plan
    from eval.sweeping.recommended import as_text, as_toml
    from eval.sweeping.sweep import DEFAULT_GRID, Sweep, choices
    from eval.systems.subjects import FrugalSubject
    from ingest.progress import Progress
    from rag.errors import UsageError

    if options.write is not None:
        if options.write.exists():
            raise UsageError("there is such a file already", options.write, "name another one")
        check_writable(options.write)
    goal = _goal(options)
    settings = asked_settings(options)
    wanted = choices(_grid(options, settings) or DEFAULT_GRID)
    dataset = asked_dataset(options)
    plan = Plan(
        dataset,
        FrugalSubject(settings),
        settings,
        seed=options.seed,
        results=options.results,
        cache=options.cache,
    )
    progress = Progress(sys.stderr if sys.stderr.isatty() else None)
    with progress.stage("sweep", None, "settings") as advance:
        sweep = Sweep(plan, settings, goal, options.jobs, options.restart)
        swept = sweep.run(wanted, options.search, advance)
    print(json.dumps(_as_json(swept)) if options.json else as_text(swept))
    toml = as_toml(swept, settings, dataset.name)
    return 0 if options.write is None else _written(toml, options.write)


def _written(toml: str | None, path: Path) -> int:
    if toml is None:
        print(f"nothing is recommended: {path} is not written", file=sys.stderr)
        return 1
    write_text(path, toml)
    print(f"written: {path}", file=sys.stderr)
    return 0


def _grid(options: argparse.Namespace, settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """Return the values of each setting that is varied; empty where none is named."""
    from eval.sweeping.sweep import GENERATION_GRID
    from rag.errors import UsageError

    grid = _values(options.set)
    if options.generation:
        grid = {**GENERATION_GRID, **grid}
    idle = [name for name in grid if name in GENERATION_GRID]
    if idle and not settings.generators:
        remedy = "configure one as [[generators]] of rag.toml: without it this changes nothing"
        raise UsageError("no generator", ", ".join(idle), remedy)
    return grid


def _values(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    from rag.errors import UsageError
    from rag.settings import Settings

    grid: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, _, values = text.partition("=")
        if name not in Settings.model_fields or not values:
            remedy = "write --set NAME=A,B,... with a name of docs/configuration.md"
            raise UsageError("not a setting with values", text, remedy)
        grid[name] = grid.get(name, ()) + tuple(value.strip() for value in values.split(","))
    return grid


def _goal(options: argparse.Namespace) -> Goal:
    from eval.measures import MEASURES
    from eval.sweeping.sweep import Goal
    from rag.errors import UsageError

    if options.target is None and options.generation:
        remedy = "name it, as --target token_f1=0.4: contexts are the same, whoever writes"
        raise UsageError("no target", "of answers", remedy)
    target_text = options.target or _USUAL_TARGET
    name, _, value = target_text.partition("=")
    try:
        target = float(value)
    except ValueError:
        target = math.nan
    measure = MEASURES.get(name)
    if measure is None or measure.better != "higher" or not math.isfinite(target):
        remedy = "write --target MEASURE=VALUE with a measure of which more is better"
        raise UsageError("not a target", target_text, remedy)
    if measure.unit == "share" and not 0 <= target <= 1:
        raise UsageError("not a target", target_text, "give a share, from 0 to 1")
    return Goal(name, target, options.cheapest)


def _as_json(swept: Swept) -> dict[str, Any]:
    return {
        "tried": [_tried(tried) for tried in swept.tried],
        "front": [_tried(tried) for tried in swept.front],
        "recommended": _tried(swept.recommended),
        "confirmed": _tried(swept.confirmed),
        "reached": swept.reached,
        "next": _tried(swept.better),
        "reason": swept.reason,
    }


def _tried(tried: Tried | None) -> dict[str, Any] | None:
    from dataclasses import asdict

    if tried is None:
        return None
    return {
        "settings": dict(tried.choice),
        "quality": asdict(tried.quality),
        "context_tokens": tried.context_tokens,
        "joules": tried.joules,
        "questions": tried.questions,
        "record": tried.record.identity.key,
    }
