"""The command line of collecting: ``rag-eval collect draft | review | finish``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from eval.commands.options import add_to_step
from rag.errors import UsageError

if TYPE_CHECKING:
    from eval.collecting.sheet import Draft
    from rag.settings import Settings


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``collect`` with its steps."""
    text = "make a labelled question set of real questions"
    collect = commands.add_parser("collect", help=text, description=f"{text.capitalize()}.")
    steps = collect.add_subparsers(metavar="STEP", required=True)
    draft = _step(steps, "draft", "answer questions by the real pipeline, for a person to judge")
    draft.add_argument("questions", type=Path, help="one a line, or a log of questions")
    draft.add_argument("drafts", type=Path, help="CSV to make")
    _add_collection(draft)
    draft.set_defaults(run=_draft)
    review = _step(steps, "review", "judge drafts in the terminal; go on where it was left")
    review.add_argument("drafts", type=Path, help="CSV made by draft")
    review.set_defaults(run=_review)
    finish = _step(steps, "finish", "write judged drafts as a question set")
    finish.add_argument("drafts", type=Path, help="CSV made by draft and judged")
    finish.add_argument("target", type=Path, help="folder to make")
    finish.add_argument(
        "--documents", type=Path, metavar="DIR", help="copy these instead of the indexed texts"
    )
    finish.add_argument("--name", help="name of the set (default: that of the drafts)")
    finish.add_argument("--replace", action="store_true", help="give up the set that stands there")
    _add_collection(finish)
    finish.set_defaults(run=_finish)


def _step(
    steps: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    step = steps.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    add_to_step(step)
    return step


def _add_collection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant", help="whose documents and questions")
    parser.add_argument("--collection", help="which set of documents")
    parser.add_argument("--data-dir", metavar="DIR", help="where collections are stored")
    parser.add_argument("--tier", choices=("lexical", "neural"), help="with or without vectors")


def _settings(options: argparse.Namespace) -> Settings:
    from rag.settings import load_settings

    names = ("tenant", "collection", "data_dir", "tier")
    return load_settings(**{name: getattr(options, name) for name in names})


def _draft(options: argparse.Namespace) -> int:
    from eval.collecting.collection import opened
    from eval.collecting.drafts import built_grounding, drafted
    from eval.collecting.questions import read_questions
    from eval.collecting.sheet import write_drafts

    if options.drafts.exists():
        remedy = "name another file: judgements may stand in this one"
        raise UsageError("drafts are there already", options.drafts, remedy)
    settings = _settings(options)
    asked = read_questions(options.questions, settings.tenant, settings.max_question_chars)
    with opened(settings) as answering:
        made = drafted(asked.questions, answering, settings, built_grounding(settings))
        drafts = list(_counted(made, len(asked.questions)))
    write_drafts(drafts, options.drafts)
    answered = sum(bool(draft.draft_answer) for draft in drafts)
    counts = {name: value for name, value in asdict(asked).items() if name != "questions"}
    fields = {"drafts": str(options.drafts), "questions": len(drafts), "answered": answered}
    text = f"{options.drafts}: {asked.to_text()}; {answered} have a draft answer"
    print(json.dumps(fields | counts) if options.json else text)
    return 0


def _counted(drafts: Iterable[Draft], total: int) -> Iterator[Draft]:
    for number, draft in enumerate(drafts, start=1):
        if sys.stderr.isatty():
            end = "\n" if number == total else ""
            print(f"\r{number} of {total} questions", end=end, file=sys.stderr, flush=True)
        yield draft


class _Console:
    """The terminal of a person; standard output stays free for the result."""

    def show(self, text: str) -> None:
        """Show lines of text, without what a terminal would obey."""
        from rag.receipts import printable

        print(printable(text), file=sys.stderr)

    def ask(self, prompt: str) -> str | None:
        """Return the line that was typed, or None at the end of the input."""
        print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None


def _review(options: argparse.Namespace) -> int:
    from eval.collecting.review import review
    from eval.collecting.sheet import merged, read_drafts, write_drafts

    placed = read_drafts(options.drafts)

    def save(draft: Draft) -> None:
        nonlocal placed
        placed = merged(placed, draft)
        write_drafts([each.draft for each in placed], options.drafts)

    progress = review([each.draft for each in placed], _Console(), save)
    text = f"{options.drafts}: {progress.judged} judged, {progress.left} left"
    print(json.dumps(asdict(progress)) if options.json else text)
    return 0


def _finish(options: argparse.Namespace) -> int:
    from eval.collecting.collection import documents
    from eval.collecting.labelled import Corpus, finish

    texts = () if options.documents else documents(_settings(options))
    corpus = Corpus(texts, options.documents)
    labelled = finish(options.drafts, options.target, corpus, options.name, replace=options.replace)
    print(labelled.to_json() if options.json else labelled.to_text())
    return 0
