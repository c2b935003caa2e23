"""Builds a document block by block so that its spans are right by construction."""

from __future__ import annotations

import re

from ingest.load.limits import DEFAULT_LIMITS, ParseLimits
from rag.errors import EmptyDocumentError, ParseLimitError
from rag.types import Block, BlockKind, Document

_BREAK = re.compile("\r\n?|[\x0b\x0c\x1c-\x1f\x85]")
# What is left of the control characters, and halves of surrogate pairs: not storable as UTF-8.
_UNWANTED = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f\ud800-\udfff]")
_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TIGHT: frozenset[BlockKind] = frozenset(("list_item", "table_row"))


def clean(text: str) -> str:
    r"""Return ``text`` without control characters and lone surrogates, with ``\n`` line ends.

    Control characters that separate lines become ``\n``; all other characters stay as they are.
    """
    if _ODD.search(text) is None:
        return text
    return _UNWANTED.sub("", _BREAK.sub("\n", text))


class DocumentBuilder:
    """Collects blocks; what lies between two of them in the text is line ends only.

    ``title``, ``date`` (``YYYY-MM-DD``), ``tags`` and ``access`` are for the loader to set when
    the file names them; ``access`` as it stands there, right or wrong: who judges it must see it.
    """

    def __init__(self, limits: ParseLimits = DEFAULT_LIMITS) -> None:
        self.title: str | None = None
        self.date: str | None = None
        self.tags: tuple[str, ...] = ()
        self.access: tuple[str, ...] = ()
        self._limit = limits.output_chars
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._end = 0
        self._path: list[tuple[int, str]] = []
        self._headings: tuple[str, ...] = ()
        self._first_heading: str | None = None

    @property
    def position(self) -> int:
        """Return the length of the text so far [characters]."""
        return self._end

    def heading(self, text: str, level: int, page: int | None = None) -> None:
        """Add a heading; what follows stands under it until one of the same or a lower level.

        Args:
            text: The heading's words; blank ones are ignored.
            level: 1 for the highest rank.
            page: Page or slide number, counted from 1.

        Raises:
            ParseLimitError: The document has grown past ``limits.output_chars``.
        """
        line = " ".join(clean(text).split())
        if not line:
            return
        self.end_section(level)
        self.add(line, "heading", page)
        self._path.append((level, line))
        self._headings = (*self._headings, line)
        self._first_heading = self._first_heading or line

    def end_section(self, level: int) -> None:
        """Let what follows stand under no heading of ``level`` or of a lower rank."""
        self._path = [entry for entry in self._path if entry[0] < level]
        self._headings = tuple(name for _, name in self._path)

    def add(self, text: str, kind: BlockKind = "paragraph", page: int | None = None) -> None:
        """Add a block under the current headings; blank text is ignored.

        Raises:
            ParseLimitError: The document has grown past ``limits.output_chars``.
        """
        stripped = clean(text).strip()
        if not stripped:
            return
        self._separate(kind)
        start = self._end
        self._append(stripped)
        self._blocks.append(Block(start, self._end, kind, self._headings, page))

    def build(self, doc_id: str, media_type: str, fallback_title: str) -> Document:
        """Return the document; its title is the one set, else its first heading, else the last.

        Raises:
            EmptyDocumentError: No block was added.
        """
        if not self._blocks:
            raise EmptyDocumentError(
                "no text found", doc_id, "leave the file out, or run OCR if it is a scan"
            )
        title = " ".join(clean(self.title or "").split())
        return Document(
            id=doc_id,
            title=title or self._first_heading or fallback_title,
            text="".join(self._parts),
            blocks=tuple(self._blocks),
            media_type=media_type,
            tags=tuple(dict.fromkeys(tag for raw in self.tags if (tag := clean(raw).strip()))),
            date=self.date,
            access=tuple(dict.fromkeys(_UNWANTED.sub("\ufffd", raw) for raw in self.access)),
        )

    def _separate(self, kind: BlockKind) -> None:
        if self._blocks:
            previous = self._blocks[-1].kind
            self._append("\n" if kind == previous and kind in _TIGHT else "\n\n")

    def _append(self, text: str) -> None:
        self._end += len(text)
        if self._end > self._limit:
            raise ParseLimitError(
                f"more than {self._limit} characters of text", self._end, "split the file"
            )
        self._parts.append(text)
