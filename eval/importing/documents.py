"""A folder of documents as the corpus of a question set."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.importing.writer import DatasetWriter
from eval.metrics.words import answer_recall, answer_words
from ingest.load.registry import load_document
from rag.errors import LoadError, UsageError


@dataclass(frozen=True, slots=True)
class Folder:
    """The documents that were taken over, and in which of them each answer stands."""

    ids: tuple[str, ...]
    holders: Mapping[str, Sequence[str]]

    def id_of(self, name: str) -> str:
        """Return the id of a document by its id, or by its file name where only one has it.

        What is unknown is returned as it is.
        """
        wanted = name.replace("\\", "/").removeprefix("./")
        if wanted in self.ids:
            return wanted
        same = [each for each in self.ids if each.rpartition("/")[2] == wanted]
        return same[0] if len(same) == 1 else name

    def holding(self, answers: Sequence[str]) -> tuple[str, ...]:
        """Return the documents that hold any of the answers, in order of id."""
        found = {doc_id for answer in answers for doc_id in self.holders.get(answer, ())}
        return tuple(doc_id for doc_id in self.ids if doc_id in found)


def read_folder(
    folder: Path, paths: Iterable[Path], answers: Collection[str], writer: DatasetWriter
) -> Folder:
    """Copy documents of a folder and return them, with those that hold each answer.

    Files that no loader reads are left out, and said.
    """
    ids: list[str] = []
    holders: dict[str, list[str]] = {answer: [] for answer in sorted(answers)}
    for path in paths:
        doc_id = path.relative_to(folder).as_posix()
        try:
            doc_id.encode()
            text = load_document(path, doc_id).text
        except UnicodeEncodeError:
            writer.leave_out("files with names that are not UTF-8")
            continue
        except LoadError as exc:
            writer.leave_out("files that cannot be read")
            writer.warn("files that cannot be read", f"{doc_id} ({exc.what})")
            continue
        ids.append(doc_id)
        writer.add_document(doc_id, path)
        for answer in held(text, holders):
            holders[answer].append(doc_id)
    return Folder(tuple(ids), holders)


def document_files(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder, in a fixed order, hidden ones left out.

    Raises:
        UsageError: There is no such folder.
    """
    if not folder.is_dir():
        raise UsageError("no such folder of documents", folder, "name the folder they are in")
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place) / name
            if not name.startswith(".") and path.is_file():
                yield path


def held(text: str, answers: Collection[str]) -> Iterator[str]:
    """Yield the answers that stand in a text, by the rule of ``answer_recall``."""
    # The rule with the text's words taken once: there are many answers and the text is long.
    words = f" {' '.join(answer_words(text))} "
    for answer in answers:
        wanted = answer_words(answer)
        stands = f" {' '.join(wanted)} " in words if wanted else answer_recall(text, [answer])
        if stands:
            yield answer
