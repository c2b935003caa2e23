from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rag.types import Document

Load = Callable[[str, str | bytes], Document]


def test_structure(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load(
        "a.rst",
        "Guide\n=====\n\nSome *words*,\nand `a link <https://e.org>`_.\n\nSteps\n-----\n\n"
        "1. First\n2. Second\n\n* bullet\n\nterm\n   meaning\n\n::\n\n   code  here\n\n"
        "=======  =====\nProduct  Price\n=======  =====\nX        3\n=======  =====\n",
    )
    assert texts(document) == [
        "Guide",
        "Some words, and a link.",
        "Steps",
        "1. First",
        "2. Second",
        "bullet",
        "term: meaning",
        "code  here",
        "Product: X; Price: 3.",
    ]
    assert document.blocks[-1].headings == ("Guide", "Steps")
    assert document.title == "Guide"


def test_header_fields_give_title_and_date(load: Load) -> None:
    document = load("a.rst", "PEP: 1\nTitle: A Purpose\nCreated: 05-Jul-2001\n\nBody.\n")
    assert (document.title, document.date) == ("A Purpose", "2001-07-05")
    assert document.text.endswith("Body.")


def test_unknown_directives_and_roles_keep_their_content(load: Load) -> None:
    text = load(
        "a.rst",
        "See :sphinxrole:`the thing <target>` and :py:other:`~mod.name`.\n\n"
        ".. versionwhatever:: 3.2\n   :opt: value\n\n   Inner *text*.\n\n   - item\n\n"
        ".. code-block:: python\n   :emphasize-lines: 2\n\n   x = 1\n\n.. note:: Take care.\n",
    ).text
    for words in (
        "the thing",
        "mod.name",
        "3.2",
        "Inner text.",
        "item",
        "x = 1",
        "Note: Take care.",
    ):
        assert words in text
    assert "target" not in text


def test_files_are_never_included(load: Load, write: Callable[..., Path]) -> None:
    secret = write("secret.txt", "hidden words")
    document = load(
        "a.rst",
        f"Text.\n\n.. include:: {secret}\n\n.. literalinclude:: {secret}\n\n"
        f".. csv-table::\n   :file: {secret}\n\n.. raw:: html\n   :file: {secret}\n\n"
        f".. raw:: html\n\n   <b>shown</b>\n",
    )
    assert "hidden words" not in document.text
    assert "shown" in document.text


def test_substitutions_footnotes_and_figures(load: Load) -> None:
    text = load(
        "a.rst",
        ".. |name| replace:: the product\n\nUse |name| [1]_.\n\n.. [1] A note.\n\n"
        ".. figure:: x.png\n   :alt: a chart\n\n   The caption.\n\n| line one\n| line two\n",
    ).text
    assert (
        text
        == "Use the product [1].\n\n[1] A note.\n\na chart\n\nThe caption.\n\nline one\nline two"
    )


@pytest.mark.parametrize("depth", [30, 2000])
def test_deep_nesting_loses_nothing(load: Load, depth: int) -> None:
    text = "\n\n".join(" " * level + f"w{level}" for level in range(depth))
    document = load("a.rst", text)
    assert f"w{depth - 1}" in document.text
