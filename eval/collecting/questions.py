"""Real questions out of a file: one a line, or JSON lines such as the service's question log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.importing.writer import counted
from eval.problems import Problems
from eval.rows import json_object, lines


@dataclass(frozen=True, slots=True)
class Asked:
    """The distinct questions of a file in the order they were first asked, and what was not taken.

    Questions are the same if they are but for case and white space.
    """

    questions: tuple[str, ...]
    repeated: int
    other_tenants: int
    too_long: int
    unfinished: int

    def to_text(self) -> str:
        """Return the counts in words."""
        asked = counted(len(self.questions), "questions")
        not_taken = (
            f"{self.repeated} repeated",
            f"{self.too_long} too long",
            f"{self.other_tenants} of other tenants",
            f"{self.unfinished} unfinished",
        )
        return f"{asked}; left out: {', '.join(not_taken)}"


def folded(question: str) -> str:
    """Return what is equal for questions that count as one."""
    return " ".join(question.casefold().split())


def read_questions(path: Path, tenant: str, max_chars: int) -> Asked:
    """Return the questions in a file that are the tenant's, or of no tenant.

    Raises:
        UsageError: There is no such file.
        LoadError: It has no questions, or lines that cannot be read; all of them are said.
    """
    problems = Problems(path)
    found: dict[str, str] = {}
    repeated = other = long = unfinished = 0
    for number, line in lines(path, problems):
        if not line.strip():
            continue
        if _is_unfinished(line):
            unfinished += 1
            continue
        text = _question(line, f"{path.name}:{number}", problems, tenant)
        if text is None:
            other += 1
        elif len(text) > max_chars:
            long += 1
        elif text and folded(text) in found:
            repeated += 1
        elif text:
            found[folded(text)] = text
    if not found and not problems:
        problems.add("no questions", path.name)
    problems.raise_if_any()
    return Asked(tuple(found.values()), repeated, other, long, unfinished)


def _question(line: str, where: str, problems: Problems, tenant: str) -> str | None:
    """Return a line's question, "" where it has none that can be used, None for another tenant."""
    if not line.lstrip().startswith("{"):
        return _clean(line)
    row = json_object(line, where, problems)
    if row is None:
        return ""
    if str(row.get("tenant", tenant)) != tenant:
        return None
    return _text(row, where, problems)


def _text(row: dict[str, Any], where: str, problems: Problems) -> str:
    question = row.get("question")
    if not isinstance(question, str) or not question.strip():
        problems.add("blank question", where, "no field question with a text")
        return ""
    return _clean(question)


def _clean(text: str) -> str:
    # No spreadsheet holds a NUL, and what was cut in the middle of a character is no text.
    return text.replace("\0", "\ufffd").strip()


def _is_unfinished(line: str) -> bool:
    """Return whether a log's writer was stopped in the middle of this line, its last."""
    if line.endswith("\n") or not line.lstrip().startswith("{"):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    return False
