"""``rag-eval judge``: a second opinion on a record's answers, its cost apart."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.commands.options import add_json, add_results, record_named
from eval.commands.outputs import check_writable, write_text

if TYPE_CHECKING:
    from eval.judging.http import HttpJudge, PluggedJudge
    from eval.judging.judge import Judged
    from eval.records import Record


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    judge = commands.add_parser("judge", help="ask a judge model about a record's answers")
    judge.add_argument("record", help="a record's file or name")
    judge.add_argument("--judge", metavar="MODULE:FACTORY", help="a judge of your own")
    judge.add_argument("--judge-url", metavar="URL", help="an OpenAI-compatible endpoint instead")
    judge.add_argument("--judge-model", metavar="NAME", help="what is asked there")
    judge.add_argument("--watts", type=float, help="power of the endpoint's machine [W], if known")
    judge.add_argument("--out", type=Path, metavar="FILE", help="write every judgement as JSON")
    judge.add_argument("--restart", action="store_true", help="ask again what was judged before")
    add_results(judge)
    add_json(judge)
    judge.set_defaults(run=judge_command)


def judge_command(options: argparse.Namespace) -> int:
    """Judge the answers of a record and show how far judge and score agree."""
    import os

    from eval.judging.http import asked_judge
    from rag.errors import UsageError

    record = record_named(options.record, options.results)
    judge = asked_judge(
        options.judge, options.judge_url, options.judge_model, os.environ, options.watts
    )
    if judge is None:
        raise UsageError("no judge is named", options.record, "give --judge or --judge-url")
    if options.out:
        check_writable(options.out)
    judged = _judged(record, judge, options)
    text = json.dumps({"record": record.identity.key, **_as_json(judged)})
    if options.out:
        write_text(options.out, text + "\n")
    print(text if options.json else _as_text(judged))
    for _, judgement in judged.judgements:
        if judgement.groundedness is None and not options.json:
            print(f"not judged: {judgement.reason}", file=sys.stderr)
            break
    return 0


def _judged(record: Record, judge: HttpJudge | PluggedJudge, options: argparse.Namespace) -> Judged:
    """Return what the judge says, kept line by line in a file as it comes."""
    from eval.judging.judge import judged_rows
    from eval.judging.kept import Asked, kept_at
    from rag.errors import RagError

    asked = Asked(record.identity.key, judge.name)
    path = _lines_file(options.out, options.results, asked.record)
    with kept_at(path, asked, anew=options.restart) as kept:
        before = len(kept)
        if before:
            print(f"judged before: {before} answers, from {path}", file=sys.stderr)
        try:
            return judged_rows(record.rows, judge, kept)
        except (RagError, KeyboardInterrupt):
            print(f"kept: {len(kept)} judgements in {path}; run it again", file=sys.stderr)
            raise


def _lines_file(out: Path | None, results: Path, key: str) -> Path:
    """Return where judgements are kept as they come: beside ``out``, if that is named."""
    if out is None:
        return results / "judged" / f"{key}.jsonl"
    beside = out.with_suffix(".jsonl")
    return beside if beside != out else out.with_suffix(".kept.jsonl")


def _as_json(judged: Judged) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "judgements": [{"id": i, **asdict(each)} for i, each in judged.judgements],
        "prompt_tokens": judged.prompt_tokens,
        "completion_tokens": judged.completion_tokens,
        "joules": asdict(judged.joules) if judged.joules else None,
        "without_usage": judged.without_usage,
        "without_energy": judged.without_energy,
        "agreement": judged.agreement.to_fields() if judged.agreement else None,
    }


def _as_text(judged: Judged) -> str:
    known = [j.groundedness for _, j in judged.judgements if j.groundedness is not None]
    joules = judged.joules
    energy = f"{joules.low:.3g} to {joules.high:.3g} J" if joules else "energy unknown"
    tokens = (judged.prompt_tokens, judged.completion_tokens)
    counted = "tokens unknown" if None in tokens else f"{tokens[0]} tokens in, {tokens[1]} out"
    mean = f", mean groundedness {sum(known) / len(known):.3f}" if known else ""
    agreement = judged.agreement.to_text() if judged.agreement else "nothing judged by both"
    return "\n".join(
        (
            f"{len(known)} of {len(judged.judgements)} answers judged{mean}",
            f"with the automatic score: {agreement}",
            f"spent on judging: {counted}, {energy}",
        )
    )
