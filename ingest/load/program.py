"""Source code and configuration: kept as code, cut before unindented lines."""

from __future__ import annotations

import re

from ingest.load.builder import DocumentBuilder
from ingest.load.source import Source

_TOP_LEVEL = re.compile(r"\n(?:[^\S\n]*\n)+(?=[^\s})\]])")


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the file's top-level pieces as code; its path becomes the title.

    Raises:
        LoadError: The file is not text.
    """
    path = source.path
    into.title = source.doc_id if path.is_absolute() else path.as_posix()
    for piece in _TOP_LEVEL.split(source.text()):
        into.add(piece, "code")
