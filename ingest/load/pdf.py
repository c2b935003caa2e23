"""PDF: text with its place on the page, through PDFium."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise

import pypdfium2
from pypdfium2 import raw

from ingest.load.builder import DocumentBuilder
from ingest.load.dates import iso_date
from ingest.load.pdf_blocks import LINE_HYPHEN, add_page, typography
from ingest.load.pdf_layout import WIDE_GAP, Piece, join, reading_order
from ingest.load.source import Source
from rag.errors import LoadError

_HEADER_BYTES = 1024  # Source: ISO 32000-1 Annex H.3, implementation note 13
_LINE = re.compile(rf"[^\r\n{LINE_HYPHEN}]+{LINE_HYPHEN}?")
_WORD = re.compile(r"\S+")
_PLACEHOLDERS = frozenset(("untitled", "(anonymous)", "document", "(unspecified)"))
_BOLD = re.compile(r"bold|black|heavy|cmbx|cmssbx|-bd|medi$", re.IGNORECASE)
_BOLD_WEIGHT = 600  # Source: OpenType 1.9, OS/2 usWeightClass: semi-bold
_NAME_BYTES = 128


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the pages' text in reading order; blocks carry their page number.

    Raises:
        LoadError: The file is damaged or encrypted.
    """
    if b"%PDF-" not in source.head(_HEADER_BYTES):
        raise LoadError("not a PDF file", source.path.name, "check where the file comes from")
    with closing(_open(source)) as pdf:
        info = pdf.get_metadata_dict(skip_empty=True)
        title = info.get("Title", "").strip()
        into.title = None if title.lower() in _PLACEHOLDERS else title
        into.date = iso_date(info.get("CreationDate"))
        pages = [_page_lines(pdf, index) for index in range(len(pdf))]
    readable = [lines for lines in pages if lines is not None]
    if not readable:
        raise LoadError("PDF without a readable page", source.path.name, "print it to PDF again")
    look = typography(readable)
    for number, lines in enumerate(pages, 1):
        add_page(into, number, lines or [], look)


def _open(source: Source) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(source.data())
    except pypdfium2.PdfiumError as exc:
        encrypted = getattr(exc, "err_code", None) in {
            raw.FPDF_ERR_PASSWORD,
            raw.FPDF_ERR_SECURITY,
        }
        what, remedy = ("damaged PDF file", "open it in a viewer and print it to PDF again")
        if encrypted:
            what, remedy = ("encrypted PDF file", "remove the password")
        raise LoadError(what, f"{source.path.name}: {str(exc).rstrip('.')}", remedy) from exc


def _page_lines(pdf: pypdfium2.PdfDocument, index: int) -> list[Piece] | None:
    """Return a page's lines, or None for a page that is damaged: the others still count."""
    try:
        with closing(pdf[index]) as page, closing(page.get_textpage()) as text_page:
            return reading_order(list(_PageReader(page, text_page).lines()))
    except pypdfium2.PdfiumError:
        return None


class _PageReader:
    """Cuts a page's text into words with boxes, and these into pieces at wide gaps."""

    def __init__(self, page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage) -> None:
        self._text_page = text_page
        self._rotation = page.get_rotation()
        width, height = page.get_size()
        self._turned = self._rotation in {90, 270}
        self._width, self._height = (height, width) if self._turned else (width, height)
        self._box = raw.FS_RECTF()
        self._flags = ctypes.c_int()

    def lines(self) -> Iterator[list[Piece]]:
        """Yield the lines in the order in which they are drawn."""
        text = self._characters()
        for line in _LINE.finditer(text):
            words = list(_WORD.finditer(text, line.start(), line.end()))
            if words:
                bold = self._is_bold(words[0].start()) and self._is_bold(words[-1].end() - 1)
                yield _pieces([self._piece(word, bold=bold) for word in words])

    def _characters(self) -> str:
        """Return one character, or half of one, per index of PDFium's character array."""
        count = self._text_page.count_chars()
        text = str(self._text_page.get_text_range(errors="replace"))
        if len(text) == count:
            return text
        codes = (raw.FPDFText_GetUnicode(self._text_page, index) for index in range(count))
        return "".join(LINE_HYPHEN if code == 2 else chr(code) for code in codes)

    def _piece(self, word: re.Match[str], *, bold: bool) -> Piece:
        first = self._place(word.start())
        last = self._place(word.end() - 1)
        left, right = min(first[0], last[0]), max(first[2], last[2])
        bottom, top = min(first[1], last[1]), max(first[3], last[3])
        return Piece(_paired(word[0]), left, bottom, right, top, first[3] - first[1], bold)

    def _is_bold(self, index: int) -> bool:
        if raw.FPDFText_GetFontWeight(self._text_page, index) >= _BOLD_WEIGHT:
            return True
        name = ctypes.create_string_buffer(_NAME_BYTES)
        raw.FPDFText_GetFontInfo(self._text_page, index, name, _NAME_BYTES, self._flags)
        return _BOLD.search(name.value.decode("utf-8", errors="replace")) is not None

    def _place(self, index: int) -> tuple[float, float, float, float]:
        """Return a character's box (left, bottom, right, top) as the page is shown [points]."""
        box = self._box
        if not raw.FPDFText_GetLooseCharBox(self._text_page, index, box):
            return 0.0, 0.0, 0.0, 0.0
        left, bottom, right, top = box.left, box.bottom, box.right, box.top
        if self._rotation == 90:
            return bottom, self._width - right, top, self._width - left
        if self._rotation == 180:
            return (
                self._width - right,
                self._height - top,
                self._width - left,
                self._height - bottom,
            )
        if self._rotation == 270:
            return self._height - top, left, self._height - bottom, right
        return left, bottom, right, top


def _paired(text: str) -> str:
    """Return text with surrogate halves, which PDFium counts as characters, put together."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _pieces(words: Sequence[Piece]) -> list[Piece]:
    groups = [[words[0]]]
    for before, word in pairwise(words):
        if -word.size < word.left - before.right < WIDE_GAP * word.size:
            groups[-1].append(word)
        else:
            groups.append([word])
    return [join(group) for group in groups]
