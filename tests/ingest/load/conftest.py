"""Builders of small input files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.load.registry import load_document
from rag.types import BlockKind, Document


@dataclass(frozen=True)
class Show:
    """One string shown on a PDF page at (x, y) points from the lower left corner."""

    x: float
    y: float
    text: str
    size: float = 10.0


def pdf_bytes(pages: Sequence[Sequence[Show]], info: str = "", page_extra: str = "") -> bytes:
    """Return a PDF 1.4 file with one content stream of text operators per page."""
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    kids = " ".join(f"{5 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        font,
        f"<< {info} >>",
    ]
    for index, shows in enumerate(pages):
        stream = "\n".join(_operators(show) for show in shows)
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {6 + 2 * index} 0 R {page_extra} >>"
        )
        size = len(stream.encode("cp1252"))
        objects.append(f"<< /Length {size} >>\nstream\n{stream}\nendstream")
    return _assembled(objects)


def _operators(show: Show) -> str:
    text = show.text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /F1 {show.size} Tf {show.x} {show.y} Td ({text}) Tj ET"


def _assembled(objects: Sequence[str]) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252")
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    for offset in offsets:
        out += f"{offset:010d} 00000 n \n".encode()
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R /Info 4 0 R >>"
    out += f"trailer\n{trailer}\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


@pytest.fixture
def show() -> type[Show]:
    return Show


@pytest.fixture
def make_pdf(tmp_path: Path) -> Callable[..., Path]:
    def make(pages: Sequence[Sequence[Show]], info: str = "", page_extra: str = "") -> Path:
        path = tmp_path / "made.pdf"
        path.write_bytes(pdf_bytes(pages, info, page_extra))
        return path

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def check(document: Document) -> Document:
    """Assert what every document promises, and return it."""
    end = 0
    for block in document.blocks:
        piece = document.text[block.start : block.end]
        assert block.start >= end
        assert piece
        assert piece == piece.strip()
        assert not document.text[end : block.start].strip()
        end = block.end
    assert end == len(document.text)
    document.text.encode("utf-8")
    return document


def pieces(document: Document, kind: BlockKind | None = None) -> list[str]:
    """Return the texts of a document's blocks, or of those of one kind."""
    chosen = [block for block in document.blocks if kind in {None, block.kind}]
    return [document.text[block.start : block.end] for block in chosen]


@pytest.fixture(scope="session")
def checked() -> Callable[[Document], Document]:
    return check


@pytest.fixture(scope="session")
def texts() -> Callable[..., list[str]]:
    return pieces


@pytest.fixture
def load(write: Callable[[str, str | bytes], Path]) -> Callable[[str, str | bytes], Document]:
    def make(name: str, content: str | bytes) -> Document:
        return check(load_document(write(name, content), "doc"))

    return make


@pytest.fixture
def zipped() -> Callable[[dict[str, str | bytes]], bytes]:
    def make(members: dict[str, str | bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    return make
