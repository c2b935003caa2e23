from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rag.errors import LoadError
from rag.types import Document

Load = Callable[[str, str | bytes], Document]


def test_elements_with_text_are_blocks(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load("a.xml", "<a><title>T</title><b>one <i>two</i></b><c><d>three</d></c></a>")
    assert texts(document) == ["T", "one two", "three"]
    assert document.title == "T"


def test_external_entities_are_refused(load: Load, write: Callable[..., Path]) -> None:
    secret = write("secret.txt", "hidden words")
    text = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'
    with pytest.raises(LoadError) as caught:
        load("a.xml", text)
    assert "hidden" not in str(caught.value)


def test_entity_bombs_are_refused(load: Load) -> None:
    steps = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    with pytest.raises(LoadError):
        load("a.xml", f'<!DOCTYPE a [<!ENTITY e0 "lol">{steps}]><a>&e11;</a>')
    with pytest.raises(LoadError):
        load("a.xml", f'<!DOCTYPE a [<!ENTITY e0 "lol">{steps}]><a b="&e11;">x</a>')


@pytest.mark.parametrize("text", ["<a>", "words", "<a>" * 100_000])
def test_what_is_not_well_formed_is_refused(load: Load, text: str) -> None:
    with pytest.raises(LoadError, match="not well-formed"):
        load("a.xml", text)
