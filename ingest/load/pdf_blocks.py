"""Lines of a PDF to headings, paragraphs, list items and rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ingest.load.builder import DocumentBuilder
from ingest.load.pdf_layout import Piece
from rag.types import BlockKind

_HEADING_RATIO = 1.15  # how much larger than the body a heading's letters are
_HEADING_CHARS = 200
_MOST_LEVELS = 4
LINE_HYPHEN = "\ufffe"  # a hyphen at the end of a line, as PDFium reports it
_HYPHENS = (LINE_HYPHEN, "\u00ad", "-", "\u2010")
_COMPOUND = re.compile(r"\w+-\w+")
_BULLET = re.compile(r"\s*(?:[•◦▪●‣∙·*–—-]|\(?[0-9]{1,3}[.)]|\.[0-9]{1,2}|\(?[a-zA-Z][.)])\s+\S")
_ENDED = (".", "!", "?", ":", ";", '."', ".”", ".)")


@dataclass(frozen=True, slots=True)
class Typography:
    """What a document's letters look like: body size, heading sizes, compounds seen.

    ``body`` and ``headings`` (largest first) are in points, rounded to half ones;
    ``bold_stands_out`` says that most of the text is not bold.
    """

    body: float
    headings: tuple[float, ...]
    bold_stands_out: bool
    compounds: frozenset[str]


def typography(pages: Sequence[Sequence[Piece]]) -> Typography:
    """Return the sizes and the hyphenated compounds of a document."""
    sizes: Counter[float] = Counter()
    compounds: set[str] = set()
    bold = 0
    for line in (line for page in pages for line in page):
        sizes[_rounded(line.size)] += len(line.text)
        bold += len(line.text) if line.bold else 0
        compounds.update(_COMPOUND.findall(line.text))
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    larger = sorted((size for size in sizes if size >= _HEADING_RATIO * body), reverse=True)
    return Typography(body, tuple(larger), 3 * bold < sizes.total(), frozenset(compounds))


def add_page(into: DocumentBuilder, page: int, lines: Sequence[Piece], look: Typography) -> None:
    """Add the blocks of one page; paragraphs end with the page."""
    steps = [above.middle - below.middle for above, below in pairwise(lines)]
    pitch = median([step for step in steps if step > 0] or [look.body])
    group: list[Piece] = []
    for line in lines:
        if group and _breaks(group, line, pitch, look):
            _add(into, page, group, look)
            group = []
        group.append(line)
    if group:
        _add(into, page, group, look)


def join_lines(lines: Iterable[str], compounds: frozenset[str] = frozenset()) -> str:
    """Return lines as running text; words cut by a hyphen at a line's end are made whole.

    A hyphen before a lower-case letter is dropped unless the word is found with it elsewhere,
    in ``compounds``.
    """
    text = ""
    for line in (line.strip() for line in lines):
        if not text.endswith(_HYPHENS) or len(text) < 2 or not text[-2].isalnum():
            text = f"{text} {line}" if text else line
            continue
        stem = text[:-1]
        cut = f"{stem.rpartition(' ')[2]}-{line.split(' ', 1)[0]}".rstrip(".,;:!?)")
        soft = line[:1].islower() and cut not in compounds
        text = f"{stem}{line}" if soft else f"{stem}-{line}"
    return text.replace(LINE_HYPHEN, "-")


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def _level(line: Piece, look: Typography) -> int | None:
    """Return a heading's level: by size if its letters are larger, the lowest if only bold."""
    text = line.text.lstrip("0123456789. ")
    if not text[:1].isalpha() or text[0].islower() or len(line.text) > _HEADING_CHARS:
        return None
    if _is_row(line):
        return None
    size = _rounded(line.size)
    if size in look.headings:
        return min(look.headings.index(size) + 1, _MOST_LEVELS)
    stands_out = look.bold_stands_out and line.bold and size >= 0.95 * look.body
    return _MOST_LEVELS + 1 if stands_out and not line.text.endswith((".", ",", ";")) else None


def _is_row(line: Piece) -> bool:
    if len(line.cells) == 2:  # a row if the second part holds a figure, not a numbered heading
        return any(char.isdigit() for char in line.cells[1]) and not _BULLET.match(line.text)
    return len(line.cells) > 2


def _breaks(group: Sequence[Piece], line: Piece, pitch: float, look: Typography) -> bool:
    """Tell whether ``line`` begins a new block after the lines of ``group``."""
    last = group[-1]
    if _level(last, look) != _level(line, look) or _is_row(last) or _is_row(line):
        return True
    if _BULLET.match(line.text):
        return True
    step = last.middle - line.middle
    if _level(line, look) is not None:
        return not 0 <= step < 1.8 * line.size or line.text[0].isdigit()
    if 0 <= step < line.size / 2:  # set a little lower or higher, as an index is
        return False
    too_far = step > 1.35 * max(pitch, 0.9 * line.size)
    at_an_end = step < 0 or _ends_early(group, line)
    return too_far or (at_an_end and last.text.rstrip().endswith(_ENDED))


def _ends_early(group: Sequence[Piece], line: Piece) -> bool:
    """Tell whether a paragraph's look ends with ``group``: a short line, or an indent after it."""
    last = group[-1]
    indented = line.left - last.left > 0.8 * line.size and len(group) > 1
    widest = max(piece.right for piece in group) - min(piece.left for piece in group)
    return indented or last.right - last.left < 0.75 * max(widest, line.right - line.left)


def _add(into: DocumentBuilder, page: int, group: Sequence[Piece], look: Typography) -> None:
    text = join_lines((line.text for line in group), look.compounds)
    level = _level(group[0], look)
    if level is not None and len(text) <= _HEADING_CHARS:
        into.heading(text, level, page)
        return
    kind: BlockKind = "paragraph"
    if _is_row(group[0]):
        kind = "table_row"
    elif _BULLET.match(text):
        kind = "list_item"
    into.add(text, kind, page)
