"""From judged drafts to a question set, with how far the person and the program agreed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from eval.collecting.sheet import Draft, Placed, read_drafts
from eval.datasets import Case, Text
from eval.importing.documents import document_files, read_folder
from eval.importing.target import new_folder
from eval.importing.writer import DatasetWriter, Imported
from eval.metrics.agreement import Agreement, agreement
from eval.metrics.words import answer_recall
from eval.problems import Problems

JUDGEMENTS: Final = "judgements.jsonl"
_GROUNDED_FROM = 0.5  # more likely than not


@dataclass(frozen=True, slots=True)
class Labelled:
    """The question set that was made, and how far the person and the program agreed."""

    made: Imported
    grounded: Agreement
    helpful: Agreement

    def to_json(self) -> str:
        """Return the result as one JSON object."""
        agreed = {"grounded": self.grounded.to_fields(), "helpful": self.helpful.to_fields()}
        return json.dumps({**asdict(self.made), "agreement": agreed}, ensure_ascii=False)

    def to_text(self) -> str:
        """Return the result for a person."""
        agreed = (f"grounded: {self.grounded.to_text()}", f"helpful: {self.helpful.to_text()}")
        return "\n".join((self.made.to_text(), *agreed))


@dataclass(frozen=True, slots=True)
class Corpus:
    """What the questions are about: texts, or the folder ``files`` where one is given."""

    texts: Iterable[Text]
    files: Path | None = None


def finish(
    drafts: Path, target: Path, corpus: Corpus, name: str | None = None, *, replace: bool = False
) -> Labelled:
    """Write the judged drafts of a file as a question set in the common schema.

    Gold are the sources that the person left in place. What is not judged or skipped is left out,
    and counted. ``judgements.jsonl`` keeps what the person said beside what the program said.

    Raises:
        UsageError: A file is missing, or the target may not be used.
        LoadError: Something in the drafts cannot be used; all of it is said.
    """
    placed = read_drafts(drafts)
    problems = Problems(drafts)
    sources = (drafts, *([corpus.files] if corpus.files else []))
    with (
        new_folder(target, sources, replace=replace) as folder,
        DatasetWriter(folder, problems) as writer,
    ):
        _add_corpus(corpus, writer)
        for each in placed:
            _add(each, problems, writer)
        made = writer.finish(target, "collected", name or drafts.stem)
        judged = [p.draft for p in placed if p.draft.judged and p.draft.verdict != "skip"]
        lines = [json.dumps(judgement(draft), ensure_ascii=False) + "\n" for draft in judged]
        (folder / JUDGEMENTS).write_text("".join(lines), encoding="utf-8")
    return Labelled(made, *agreements(judged))


def judgement(draft: Draft) -> dict[str, Any]:
    """Return what the person and the program said of a draft, as JSON values."""
    return {
        "id": draft.id,
        "verdict": draft.verdict,
        "grounded": draft.grounded,
        "grounded_automatic": draft.grounded_automatic,
        "helpful": draft.helpful,
        "helpful_automatic": helped(draft),
        "note": draft.note,
    }


def agreements(drafts: Sequence[Draft]) -> tuple[Agreement, Agreement]:
    """Return how far they agree on what is grounded, and on what is helpful.

    The program calls a draft grounded from a score of one half on.
    """
    grounded = (
        (draft.grounded, draft.grounded_automatic >= _GROUNDED_FROM)
        for draft in drafts
        if draft.grounded is not None and draft.grounded_automatic is not None
    )
    helpful = ((d.helpful, helped(d)) for d in drafts if d.helpful is not None)
    return agreement(grounded), agreement(helpful)


def helped(draft: Draft) -> bool:
    """Return whether a draft is right: it holds the answer, or there is none and it said so."""
    if draft.verdict == "unanswerable":
        return not draft.draft_answer
    return answer_recall(draft.draft_answer, draft.answers)


def _add_corpus(corpus: Corpus, writer: DatasetWriter) -> None:
    if corpus.files is not None:
        read_folder(corpus.files, document_files(corpus.files), (), writer)
        return
    for text in corpus.texts:
        if text.text.strip():
            writer.add_text(text.id, text)
        else:
            writer.leave_out("documents without words")


def _add(placed: Placed, problems: Problems, writer: DatasetWriter) -> None:
    draft, where = placed.draft, placed.where
    if draft.verdict is None or draft.verdict == "skip":
        skipped = draft.verdict == "skip"
        writer.leave_out("questions skipped" if skipped else "questions not judged")
        return
    answerable = draft.verdict != "unanswerable"
    if draft.answerable is not None and draft.answerable != answerable:
        said = "yes" if draft.answerable else "no"
        problems.add("verdict in doubt", where, f"{draft.verdict}, answerable {said}")
    if answerable and not draft.answers:
        problems.add("empty answer", where, draft.question)
    meta = {"kind": "collected"} | ({"note": draft.note} if draft.note else {})
    gold = tuple((source, 1) for source in dict.fromkeys(draft.source)) if answerable else ()
    writer.add_question(
        where, Case(draft.id, draft.question, draft.answers, gold, answerable, meta)
    )
