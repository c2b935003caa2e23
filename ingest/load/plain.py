"""Plain text: paragraphs stand between blank lines; a log has one entry per line."""

from __future__ import annotations

import re

from ingest.load.builder import DocumentBuilder
from ingest.load.source import Source

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n")


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the file's paragraphs.

    Raises:
        LoadError: The file is not text.
    """
    render(source.text(), into)


def read_log(source: Source, into: DocumentBuilder) -> None:
    """Add the file's lines, one block each.

    Raises:
        LoadError: The file is not text.
    """
    for line in source.text().split("\n"):
        into.add(line, "list_item")


def render(text: str, into: DocumentBuilder) -> None:
    """Add the paragraphs of ``text``."""
    for paragraph in _BLANK_LINES.split(text.replace("\f", "\n\n")):
        into.add(paragraph)
