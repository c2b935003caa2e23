"""Lines of text and JSON, one at a time, each with its place; faults are noted, not raised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from eval.problems import Problems
from rag.errors import LoadError, UsageError

# A whole book is about a million characters: what is longer is no line of a question set.
LINE_BYTES: Final = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_FOUND = 40  # characters of a line that is no JSON, to know it by


def lines(path: Path, problems: Problems) -> Iterator[tuple[int, str]]:
    """Yield number and text of every line that can be read, its line break included.

    A byte order mark is passed over. At most ``LINE_BYTES`` are held at a time.

    Raises:
        UsageError: There is no such file.
        LoadError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LINE_BYTES + 1):
                number += 1
                where = f"{path.name}:{number}"
                if len(line) > LINE_BYTES:
                    problems.add("line too long", where, f"over {LINE_BYTES} bytes")
                    while line and not line.endswith(b"\n"):
                        line = file.readline(LINE_BYTES)
                    continue
                try:
                    text = line.removeprefix(_BOM if number == 1 else b"").decode()
                except UnicodeDecodeError as exc:
                    problems.add("wrong encoding", where, f"not UTF-8 ({exc.reason})")
                    continue
                yield number, text
    except FileNotFoundError as exc:
        raise UsageError("no such file", path, "name a file that is there") from exc
    except OSError as exc:
        raise LoadError("file cannot be read", path, f"mend it ({exc})") from exc


def json_rows(path: Path, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and content of every JSON object of a JSONL file; blank lines are none.

    Raises:
        UsageError: There is no such file.
        LoadError: It cannot be read.
    """
    for number, line in lines(path, problems):
        if line.strip():
            where = f"{path.name}:{number}"
            row = json_object(line, where, problems)
            if row is not None:
                yield where, row


def json_object(text: str, where: str, problems: Problems) -> dict[str, Any] | None:
    """Return a text as a JSON object, or None where it is none, which is noted."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        problems.add("not JSON", where, text[:_FOUND])
        return None
    if not isinstance(row, dict):
        problems.add("not JSON", where, f"no object: {text[:_FOUND]}")
        return None
    if has_lone_surrogate(text, row):
        problems.add("wrong encoding", where, "lone surrogate")
        return None
    return row


def has_lone_surrogate(line: str, row: object) -> bool:
    """Return whether a parsed line holds half a character, which no tokenizer can read."""
    if "\\ud" not in line.lower():  # only an escape can bring one in
        return False
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def text_of(row: dict[str, Any], *names: str) -> str:
    """Return the first of some fields that is a string or a whole number, as text, else ""."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""
