from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.load.registry import load_document
from rag.errors import LoadError
from rag.types import Document

Load = Callable[[str, str | bytes], Document]
CODE = "import os\n\n\ndef first():\n    a = 1\n\n    return a\n\n\nclass Second:\n    x = 2\n"


def test_code_is_cut_at_its_top_level(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load("a.py", CODE)
    assert texts(document, "code") == [
        "import os",
        "def first():\n    a = 1\n\n    return a",
        "class Second:\n    x = 2",
    ]
    assert document.title == "doc"


def test_a_relative_path_is_the_title(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.go").write_text("package a\n")
    monkeypatch.chdir(tmp_path)
    assert load_document(Path("src/a.go"), "doc").title == "src/a.go"


def test_notebook_cells(load: Load, texts: Callable[..., list[str]]) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "Some *text*."]},
        {"cell_type": "code", "source": "print(1)\n", "outputs": [{"text": "1"}]},
    ]
    document = load("a.ipynb", json.dumps({"cells": cells, "nbformat": 4}))
    assert texts(document) == ["Title", "Some text.", "print(1)"]
    assert [block.kind for block in document.blocks] == ["heading", "paragraph", "code"]
    with pytest.raises(LoadError, match="no cells"):
        load("b.ipynb", "{}")
