"""EPUB and OpenDocument files, and what every zip container is checked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.load.limits import ParseLimits
from ingest.load.registry import load_document
from rag.errors import LoadError, ParseLimitError, UnsupportedFormatError
from rag.types import Document

Load = Callable[[str, str | bytes], Document]
Zipped = Callable[[dict[str, str | bytes]], bytes]
ODF = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
)


def odf(body: str) -> str:
    inner = f"<office:body>{body}</office:body>"
    return f"<office:document-content {ODF}>{inner}</office:document-content>"


def test_epub_chapters_in_spine_order(
    load: Load, zipped: Zipped, texts: Callable[..., list[str]]
) -> None:
    package = (
        '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Book</dc:title>'
        "<dc:date>2020-01-02</dc:date></metadata><manifest>"
        '<item id="b" href="two%20b.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="a" href="one.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    document = load(
        "a.epub",
        zipped(
            {
                "META-INF/container.xml": "<c><rootfile full-path='OPS/p.opf'/></c>",
                "OPS/p.opf": package,
                "OPS/one.xhtml": "<html><body><h1>One</h1><p>First</p></body></html>",
                "OPS/two b.xhtml": "<html><body><h1>Two</h1><p>Second</p></body></html>",
            }
        ),
    )
    assert texts(document) == ["One", "First", "Two", "Second"]
    assert (document.title, document.date) == ("Book", "2020-01-02")


def test_odt_blocks(load: Load, zipped: Zipped, texts: Callable[..., list[str]]) -> None:
    body = (
        "<office:text><text:tracked-changes><text:p>old</text:p></text:tracked-changes>"
        '<text:h text:outline-level="1">Guide</text:h>'
        '<text:p>A<text:s text:c="2"/>b<text:span>c</text:span><text:note>'
        "<text:note-citation>1</text:note-citation><text:note-body><text:p>note</text:p>"
        "</text:note-body></text:note>.</text:p>"
        "<text:list><text:list-item><text:p>item</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>Product</text:p>"
        "</table:table-cell><table:table-cell><text:p>Price</text:p></table:table-cell>"
        "</table:table-row><table:table-row><table:table-cell><text:p>X</text:p>"
        "</table:table-cell><table:table-cell><text:p>3</text:p></table:table-cell>"
        '<table:table-cell table:number-columns-repeated="16000000"/></table:table-row>'
        '<table:table-row table:number-rows-repeated="1048576"><table:table-cell/>'
        "</table:table-row></table:table></office:text>"
    )
    document = load("a.odt", zipped({"content.xml": odf(body)}))
    assert texts(document) == ["Guide", "A  bc[1].", "note", "item", "Product: X; Price: 3."]
    assert [block.kind for block in document.blocks][-2:] == ["list_item", "table_row"]


def test_odp_pages(load: Load, zipped: Zipped) -> None:
    box = "<draw:text-box><text:p>{}</text:p></draw:text-box>"
    page = f"<draw:page><draw:frame>{box}</draw:frame></draw:page>"
    body = f"<office:presentation>{page.format('one')}{page.format('two')}</office:presentation>"
    document = load("a.odp", zipped({"content.xml": odf(body)}))
    assert [block.page for block in document.blocks] == [1, 2]


def test_encrypted_odt_is_named_so(load: Load, zipped: Zipped) -> None:
    manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>"
    with pytest.raises(UnsupportedFormatError, match="encrypted"):
        load("a.odt", zipped({"META-INF/manifest.xml": manifest, "content.xml": "x"}))


@pytest.mark.parametrize("name", ["a.docx", "a.odt", "a.epub", "a.xlsx"])
def test_zip_bombs_are_refused_before_parsing(
    write: Callable[..., Path], zipped: Zipped, name: str
) -> None:
    path = write(name, zipped({"content.xml": b"\0" * 30_000_000}))
    with pytest.raises(ParseLimitError, match="200 times"):
        load_document(path, "doc")
    with pytest.raises(ParseLimitError, match="unpacks to too much"):
        load_document(path, "doc", limits=ParseLimits(unpacked_bytes=1_000_000))


@pytest.mark.parametrize("name", ["a.docx", "a.odt", "a.epub"])
def test_entity_declarations_in_containers_are_refused(
    load: Load, zipped: Zipped, name: str
) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
    with pytest.raises(LoadError, match="entity"):
        load(name, zipped({"content.xml": bomb, "word/document.xml": bomb}))


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.odt"])
def test_protected_or_legacy_office_files_are_named_so(load: Load, name: str) -> None:
    with pytest.raises(UnsupportedFormatError, match="password"):
        load(name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500)


def test_truncated_containers_are_damaged(load: Load, zipped: Zipped) -> None:
    whole = zipped({"content.xml": odf("<office:text><text:p>x</text:p></office:text>")})
    with pytest.raises(LoadError, match="damaged container"):
        load("a.odt", whole[: len(whole) // 2])
    with pytest.raises(LoadError, match="lacks a part"):
        load("a.odt", zipped({"other.txt": "x"}))
