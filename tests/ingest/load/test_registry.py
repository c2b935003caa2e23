from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.load.limits import ParseLimits
from ingest.load.registry import FORMATS, load_document
from rag.errors import EmptyDocumentError, LoadError, ParseLimitError, UnsupportedFormatError
from rag.types import Document

Load = Callable[[str, str | bytes], Document]


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_every_loader_named_in_the_registry_exists(suffix: str) -> None:
    assert callable(FORMATS[suffix].resolve())


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("a.doc", "docx"), ("a.xls", "xlsx"), ("a.zip", "Unpack"), ("a.PNG", "OCR"),
        ("a.msg", "eml"), ("a.strange", "txt"), ("a.mp3", "Transcribe"),
    ],
)  # fmt: skip
def test_other_formats_come_with_a_remedy(load: Load, name: str, remedy: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=remedy):
        load(name, b"\x00\x01")


def test_a_file_without_a_suffix_is_text_or_refused(load: Load) -> None:
    assert load("README", "some words").media_type == "text/plain"
    with pytest.raises(UnsupportedFormatError, match="binary"):
        load("program", b"\x7fELF\x00\x00\x01")


@pytest.mark.parametrize(
    ("library", "module", "suffix"),
    [
        ("docx", "word", ".docx"), ("pptx", "slides", ".pptx"), ("openpyxl", "sheets", ".xlsx"),
        ("docutils", "restructured", ".rst"),
    ],
)  # fmt: skip
def test_a_missing_library_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[..., Path],
    library: str,
    module: str,
    suffix: str,
) -> None:
    monkeypatch.delitem(sys.modules, f"ingest.load.{module}", raising=False)
    for name in [name for name in sys.modules if name == library or name.startswith(f"{library}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UnsupportedFormatError, match=r"pip install 'frugal-rag\[formats\]'"):
        load_document(write(f"a{suffix}", "x"), "doc")


def test_paths_that_are_not_readable_files(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", Path("a\0b.txt")):
        with pytest.raises(LoadError, match="cannot be read"):
            load_document(path, "doc")
    (tmp_path / "folder.txt").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    for name in ("folder.txt", "pipe.txt"):
        with pytest.raises(LoadError, match="not a regular file"):
            load_document(tmp_path / name, "doc")


def test_empty_files_and_files_of_space(load: Load) -> None:
    for content in ("", " \n\t\n"):
        with pytest.raises(EmptyDocumentError):
            load("a.txt", content)


def test_size_limits(write: Callable[..., Path]) -> None:
    path = write("a.txt", "word " * 100)
    with pytest.raises(ParseLimitError, match="larger than 100 bytes"):
        load_document(path, "doc", limits=ParseLimits(input_bytes=100))
    with pytest.raises(ParseLimitError, match="100 characters"):
        load_document(path, "doc", limits=ParseLimits(output_chars=100))


def test_binary_content_in_a_text_file_is_refused(load: Load) -> None:
    for name in ("a.txt", "a.md", "a.csv", "a.html", "a.rst", "a.py"):
        with pytest.raises(LoadError, match="not a text file"):
            load(name, b"PK\x03\x04\x00\x00\xff\x00" * 9)


def test_an_error_survives_as_its_class_and_names_the_file(load: Load) -> None:
    with pytest.raises(LoadError, match=r"b\.json") as caught:
        load("b.json", "{")
    assert caught.value.remedy
