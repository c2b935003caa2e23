"""CSV and TSV: every row a sentence that names its columns."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from ingest.load.builder import DocumentBuilder
from ingest.load.source import Source
from ingest.load.tables import write_table
from rag.errors import LoadError

_SAMPLE_CHARS = 65_536
_SAMPLE_ROWS = 50
_DELIMITERS = ",;\t|"
_HINT = re.compile(r'"?sep=(.)"?\n', re.IGNORECASE)  # written and read by Excel


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the file's rows.

    Raises:
        LoadError: The file is not text, or not CSV.
    """
    text = source.text()
    hint = _HINT.match(text)
    body = text[hint.end() :] if hint else text
    delimiter = hint[1] if hint else _delimiter(body, source.suffix)
    csv.field_size_limit(max(len(body), csv.field_size_limit()))
    try:
        write_table(into, csv.reader(io.StringIO(body), delimiter=delimiter))
    except (csv.Error, TypeError) as exc:  # TypeError: a delimiter that csv refuses
        raise LoadError("not a CSV file", f"{source.path.name}: {exc}", "export it again") from exc


def _delimiter(text: str, suffix: str) -> str:
    """Return the delimiter that gives most rows the same number of columns, above one."""
    if suffix == ".tsv":
        return "\t"
    lines = text[:_SAMPLE_CHARS].splitlines()[:_SAMPLE_ROWS]
    return max(_DELIMITERS, key=lambda delimiter: _regularity(lines, delimiter))


def _regularity(lines: list[str], delimiter: str) -> tuple[float, int]:
    try:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
    except csv.Error:
        return 0.0, 0
    widths.pop(1, None)
    if not widths:
        return 0.0, 0
    width, count = widths.most_common(1)[0]
    return count / len(lines), width
