"""Small files that would cost much: they end as errors, before they cost it."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ingest.load.registry import load_document
from ingest.load.wire import LoadOutcome
from rag.errors import LoadError, ParseLimitError, UnsupportedFormatError

Read = Callable[[Path], LoadOutcome]
PARTS = {
    "docx": "word/document.xml",
    "pptx": "ppt/slides/slide1.xml",
    "xlsx": "xl/worksheets/sheet1.xml",
    "odt": "content.xml",
    "epub": "one.xhtml",
}
_MEGABYTE = 1 << 20


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refusal(read: Read, path: Path) -> LoadError:
    outcome = read(path)
    assert outcome.document is None
    assert outcome.error is not None
    return outcome.error


@pytest.mark.parametrize("suffix", PARTS)
def test_a_part_that_packs_too_well(
    tmp_path: Path, forge: Any, read_hostile: Read, suffix: str
) -> None:
    bomb = forge.altered(suffix, {PARTS[suffix]: b" " * (60 * _MEGABYTE)})
    assert len(bomb) < _MEGABYTE
    error = refusal(read_hostile, written(tmp_path, f"a.{suffix}", bomb))
    assert type(error) is ParseLimitError
    assert "times its size" in str(error)


@pytest.mark.parametrize("suffix", PARTS)
def test_a_part_that_says_it_is_small(
    tmp_path: Path, forge: Any, read_hostile: Read, suffix: str
) -> None:
    """The size of a part is the file's own word: libraries unpack all of it, and cut it then."""
    bomb = forge.altered(suffix, {PARTS[suffix]: b" " * (120 * _MEGABYTE)})
    lying = forge.understated(bomb, PARTS[suffix], 20_000)
    error = refusal(read_hostile, written(tmp_path, f"a.{suffix}", lying))
    assert type(error) is ParseLimitError
    assert "more than it says" in str(error)


def test_parts_that_share_their_bytes(tmp_path: Path, forge: Any, read_hostile: Read) -> None:
    """Each says 30 MB honestly; packed they are the same bytes, a hundred times over."""
    one = forge.zipped({"x": b" " * (30 * _MEGABYTE)})
    start, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    central = one[start:end] * 100
    tail = bytearray(one[end:])
    tail[8:10] = tail[10:12] = (100).to_bytes(2, "little")
    tail[12:16] = len(central).to_bytes(4, "little")
    path = written(tmp_path, "a.odt", one[:start] + central + bytes(tail))
    with zipfile.ZipFile(path) as archive:
        assert len(archive.infolist()) == 100
    assert type(refusal(read_hostile, path)) is ParseLimitError


def test_more_parts_than_any_document_has(tmp_path: Path, forge: Any, read_hostile: Read) -> None:
    many = forge.zipped({f"{n}.xml": "" for n in range(20_001)}, zipfile.ZIP_STORED)
    error = refusal(read_hostile, written(tmp_path, "a.docx", many))
    assert "20001 members" in str(error)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_pack_without_bound_are_refused(
    tmp_path: Path, forge: Any, read_hostile: Read, method: int
) -> None:
    data = forge.zipped({"content.xml": b" " * 50_000}, method)
    error = refusal(read_hostile, written(tmp_path, "a.odt", data))
    assert type(error) is UnsupportedFormatError
    assert "packed with method" in str(error)


@pytest.mark.parametrize("inner", ["docx", "xlsx", "odt"])
def test_a_container_in_a_container_is_not_opened(
    tmp_path: Path, forge: Any, read_hostile: Read, inner: str
) -> None:
    bomb = forge.zipped({"content.xml": b" " * (30 * _MEGABYTE)})
    nested = forge.zipped({f"deeper.{inner}": bomb, "content.xml": b"<a/>"})
    data = forge.altered("docx", {f"word/embeddings/object1.{inner}": nested})
    outcome = read_hostile(written(tmp_path, "a.docx", data))
    assert outcome.document is not None
    assert outcome.document.text == "Some words."
    assert outcome.seconds < 2


def test_honest_files_with_large_parts_are_read(tmp_path: Path, forge: Any) -> None:
    noise = random.Random(7).randbytes(3 * _MEGABYTE)  # noqa: S311 -- a picture, to the container
    data = forge.altered("docx", {"word/media/image1.png": noise})
    assert load_document(written(tmp_path, "a.docx", data), "doc").text == "Some words."


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_large_part_that_is_damaged(tmp_path: Path, forge: Any, cut: float) -> None:
    noise = random.Random(7).randbytes(_MEGABYTE)  # noqa: S311 -- see above
    content = "<a><body><p>words</p></body></a>"
    data = bytearray(forge.zipped({"content.xml": content, "Pictures/a.png": noise}))
    place = int(len(data) * cut)
    data[place : place + 64] = b"\xff" * 64
    path = written(tmp_path, "a.odt", bytes(data))
    with suppress(LoadError):  # whether deflate sees the damage depends on where it is
        assert load_document(path, "doc").text == "words"


@pytest.mark.parametrize("depth", [3, 60])
def test_boxes_in_boxes_are_read_once_each(
    tmp_path: Path, forge: Any, read_hostile: Read, depth: int
) -> None:
    """Each level once doubled the text and the time: 2 to the power of the depth."""
    opened = "".join(f"<text:p>level {n}<draw:text-box>" for n in range(depth))
    body = f"{opened}<text:p>innermost</text:p>{'</draw:text-box></text:p>' * depth}"
    outcome = read_hostile(written(tmp_path, "a.odt", forge.text(body)))
    assert outcome.document is not None
    assert outcome.document.text.split("\n\n") == [f"level {n}" for n in range(depth)] + [
        "innermost"
    ]
    assert outcome.seconds < 2


def test_a_chapter_named_a_million_times_is_read_once(
    tmp_path: Path, forge: Any, read_hostile: Read
) -> None:
    data = forge.book(spine='<itemref idref="a"/>' * 20_000)
    outcome = read_hostile(written(tmp_path, "a.epub", data))
    assert outcome.document is not None
    assert outcome.document.text == "Some words."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "[" * 200_000 + "]" * 200_000),
        ("a.json", '{"a":' * 100_000 + "1" + "}" * 100_000),
        ("a.json", "9" * 5_000_000),
        ("a.xml", "<a>" * 100_000 + "</a>" * 100_000),
        ("a.html", "<div>" * 15_000 + "words"),
        ("a.html", "<b>" * 50_000 + "words"),
        ("a.html", "<table><tr><td colspan=1000000000 rowspan=1000000000>words</table>"),
        ("a.md", ">" * 100_000 + " words"),
        ("a.md", "[" * 30_000 + "words"),
        ("a.md", "*a_ " * 50_000),
        ("a.rst", "\n".join(" " * n + "- item" for n in range(3_000))),
        ("a.csv", '"' + "x" * 3_000_000),
        ("a.csv", "," * 3_000_000),
        ("a.eml", "Subject: =?utf-8?q?" + "=41" * 300_000 + "?=\n\nwords"),
        ("a.eml", "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n" * 100_000),
        ("a.ipynb", '{"cells": ' + "[" * 100_000),
    ],
    ids=lambda value: value if len(value) < 10 else value[:12].strip(),
)
def test_depth_and_length_end_in_time(
    tmp_path: Path, read_hostile: Read, name: str, text: str
) -> None:
    outcome = read_hostile(written(tmp_path, name, text.encode()))
    assert (outcome.document is None) is not (outcome.error is None)
    if outcome.document is not None:
        assert len(outcome.document.text) <= 2 * len(text)


def test_messages_in_messages_end(tmp_path: Path, read_hostile: Read) -> None:
    text = "words"
    for n in range(300):
        kind = f"multipart/mixed; boundary=b{n}"
        text = f"Content-Type: {kind}\n\n--b{n}\n{text}\n--b{n}--\n"
    outcome = read_hostile(written(tmp_path, "a.eml", f"Subject: hi\n{text}".encode()))
    assert (outcome.document is None) is not (outcome.error is None)


def test_a_row_at_the_end_of_the_world(tmp_path: Path, forge: Any, read_hostile: Read) -> None:
    """A worksheet with one row, which says it is the two thousand millionth."""
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    cell = '<c r="A2000000000" t="inlineStr"><is><t>words</t></is></c>'
    rows = f'<sheetData><row r="2000000000">{cell}</row></sheetData>'
    sheet = f'<worksheet xmlns="{space}">{rows}</worksheet>'
    data = forge.altered("xlsx", {PARTS["xlsx"]: sheet})
    outcome = read_hostile(written(tmp_path, "a.xlsx", data))
    assert "outside of any worksheet" in str(outcome.error)
