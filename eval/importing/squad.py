"""The SQuAD layout, versions 1.1 and 2.0: one JSON file of articles, passages and questions.

Source: Rajpurkar et al. 2016 (v1.1) and 2018 (v2.0, ``is_impossible``), their published files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from eval.datasets import Case, Text
from eval.importing.target import new_folder
from eval.importing.writer import DatasetWriter, Imported
from eval.problems import Problems
from eval.rows import has_lone_surrogate, text_of
from rag.errors import LoadError, UsageError

# JSON is read whole: ten times the training set of SQuAD 2.0, which has 42 MB (its page, 2018).
FILE_BYTES: Final = 420_000_000


def import_squad(
    source: Path, target: Path, name: str | None = None, *, replace: bool = False
) -> Imported:
    """Write a SQuAD file in the common schema and return what was made.

    Each passage is a text ``<title>#<number>``; equal passages are one. Each question's gold is
    its passage; those marked ``is_impossible`` are unanswerable and have none.

    Raises:
        UsageError: There is no such file, or the target may not be used.
        LoadError: Something in the file cannot be used; all of it is said.
    """
    problems = Problems(source)
    articles = _articles(source)
    with (
        new_folder(target, (source,), replace=replace) as folder,
        DatasetWriter(folder, problems) as writer,
    ):
        passages = _Passages(writer)
        for where, article in _objects(articles, "data", problems):
            title = text_of(article, "title").strip() or "untitled"
            for place, paragraph in _objects(
                article.get("paragraphs"), f"{where}.paragraphs", problems
            ):
                context = text_of(paragraph, "context")
                if not context.strip():
                    problems.add("blank text", place, title)
                    continue
                gold = passages.added(place, title, context)
                for at, asked in _objects(paragraph.get("qas"), f"{place}.qas", problems):
                    writer.add_question(at, _case(asked, at, gold, context, (problems, writer)))
        return writer.finish(target, "squad", name or source.stem)


def _articles(source: Path) -> object:
    try:
        if source.stat().st_size > FILE_BYTES:
            raise LoadError("SQuAD file is too large", source, f"give at most {FILE_BYTES} bytes")
        text = source.read_text(encoding="utf-8-sig")
        content = json.loads(text)
    except FileNotFoundError as exc:
        raise UsageError("no such file", source, "name a SQuAD JSON file") from exc
    except UnicodeDecodeError as exc:
        raise LoadError("wrong encoding", f"{source} ({exc})", "save the file as UTF-8") from exc
    except (ValueError, RecursionError) as exc:
        raise LoadError("not JSON", f"{source} ({exc})", "name a SQuAD JSON file") from exc
    except OSError as exc:
        raise LoadError("file cannot be read", source, f"mend it ({exc})") from exc
    if has_lone_surrogate(text, content):
        raise LoadError("wrong encoding", f"{source} (lone surrogate)", "save the file as UTF-8")
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise LoadError("not the SQuAD layout", f"{source} (no list 'data')", "name a SQuAD file")
    return content["data"]


def _objects(value: object, where: str, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and content of the objects of a list."""
    if not isinstance(value, list):
        problems.add("unusable row", where, "no list")
        return
    for number, each in enumerate(value):
        place = f"{where}[{number}]"
        if isinstance(each, dict):
            yield place, each
        else:
            problems.add("unusable row", place, "no object")


class _Passages:
    """Gives each distinct passage one id."""

    def __init__(self, writer: DatasetWriter) -> None:
        self._writer = writer
        self._ids: dict[str, str] = {}
        self._next: dict[str, int] = {}

    def added(self, where: str, title: str, context: str) -> str:
        """Return the id of a passage, which is added if it is new."""
        if context in self._ids:
            self._writer.warn("passages that repeat another, kept once", where)
            return self._ids[context]
        article = "_".join(title.split())
        number = self._next.get(article, 0)
        self._next[article] = number + 1
        text_id = self._ids[context] = f"{article}#{number}"
        self._writer.add_text(where, Text(text_id, title.replace("_", " "), context))
        return text_id


def _case(
    asked: dict[str, Any],
    where: str,
    gold: str,
    context: str,
    notes: tuple[Problems, DatasetWriter],
) -> Case:
    problems, writer = notes
    impossible = asked.get("is_impossible") is True
    answers: tuple[str, ...] = ()
    if not impossible:
        given = _objects(asked.get("answers"), f"{where}.answers", problems)
        answers = tuple(dict.fromkeys(text_of(answer, "text") for _, answer in given))
        if not answers:
            problems.add("empty answer", where, text_of(asked, "question"))
    if any(answer not in context for answer in answers):
        writer.warn("answers that do not stand in their passage", where)
    return Case(
        id=text_of(asked, "id"),
        text=text_of(asked, "question"),
        answers=answers,
        gold=() if impossible else ((gold, 1),),
        answerable=not impossible,
        meta={},
    )
