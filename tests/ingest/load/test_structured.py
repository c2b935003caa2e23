from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.load.registry import load_document
from rag.errors import EmptyDocumentError, LoadError
from rag.types import Document

Load = Callable[[str, str | bytes], Document]
WORD = st.text("abcdefghij", min_size=1, max_size=6)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=12,
)


def words(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [word for key, item in value.items() for word in (key, *words(item))]
    if isinstance(value, list):
        return [word for item in value for word in words(item)]
    return (
        [str(value).lower() if isinstance(value, bool) else str(value)] if value is not None else []
    )


@given(VALUE)
@settings(deadline=None)
def test_no_key_and_no_value_is_lost(
    checked: Callable[[Document], Document], tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    path.write_text(json.dumps(value))
    try:
        document = checked(load_document(path, "doc"))
    except EmptyDocumentError:
        assert value in (None, [], {})
        return
    assert all(word in document.text for word in words(value))


def test_nested_values_are_path_and_value(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load("a.json", '{"a": {"b": [1.50, true, null]}, "c": ""}')
    assert texts(document) == ["a.b[0]: 1.50", "a.b[1]: true", "a.b[2]: null", 'c: ""']
    assert {block.kind for block in document.blocks} == {"list_item"}


def test_flat_records_are_rows(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load("a.json", '[{"name": "X", "price": 3}, {"name": "Y", "price": 4}]')
    assert texts(document, "table_row") == ["name: X; price: 3.", "name: Y; price: 4."]


def test_titled_texts_are_sections(load: Load, texts: Callable[..., list[str]]) -> None:
    record = {"title": "T", "text": "One.\n\nTwo.", "date": "2024-05-06", "tags": ["x"], "id": 7}
    document = load("a.json", json.dumps(record))
    assert (document.title, document.date, document.tags) == ("T", "2024-05-06", ("x",))
    assert texts(document)[:3] == ["T", "One.", "Two."]
    assert "id: 7" in document.text
    document = load("a.jsonl", "\n".join([json.dumps(record), "", json.dumps(record)]))
    assert texts(document, "heading") == ["T", "T"]


@pytest.mark.parametrize(
    "text",
    ["{", "[1,]", "NaN", "[Infinity]", "'a'", "{} {}", '["\x01"]', "01", "[" * 100_000, "\ufeff"],
)
def test_what_is_not_json_is_refused(load: Load, text: str) -> None:
    with pytest.raises(LoadError, match=r"a\.json"):
        load("a.json", text)


def test_other_encodings(load: Load) -> None:
    assert load("a.json", '["wörld"]'.encode("utf-16")).text == "[0]: wörld"
    with pytest.raises(LoadError, match="UTF-8"):
        load("a.json", '["wörld"]'.encode("latin-1"))


def test_numbers_of_any_length_and_lone_surrogates_load(load: Load) -> None:
    assert load("a.json", "[" + "1" * 6000 + "]").text.endswith("1")
    assert load("a.json", '["a\\ud800b"]').text == "[0]: ab"


def test_a_bad_line_is_named(load: Load) -> None:
    with pytest.raises(LoadError, match="line 2"):
        load("a.jsonl", '{"a": 1}\n{bad}\n')


@pytest.mark.parametrize(
    ("value", "access"),
    [
        ({"text": "Words.", "access": ["hr", "board"]}, ("hr", "board")),
        ({"text": "Words.", "access": "hr"}, ("hr",)),
        ({"wages": {"night": 11}, "access": ["hr"]}, ("hr",)),
        ({"text": "Words.", "access": None}, ()),
        ({"text": "Words.", "access": []}, ()),
        ({"text": "Words.", "access": True}, ("true",)),
        ({"text": "Words.", "access": {"any": "hr"}}, ('{"any": "hr"}',)),
        ({"text": "Words.", "access": [["hr"]]}, ('["hr"]',)),
        ([{"text": "Words.", "access": ["hr"]}], ()),
    ],
)
def test_labels_are_those_of_the_file_as_a_whole(
    load: Load, value: Any, access: tuple[str, ...]
) -> None:
    assert load("a.json", json.dumps(value)).access == access
