from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ValueRangeError
from rag.service.bodies import QueryBody, RetrieveBody
from rag.service.tool_bodies import AnswerAsked, SearchAsked, check_budget, input_schema
from rag.settings import load_settings

NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), max_size=3)
ASKED = st.fixed_dictionaries(
    {"question": st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)},
    optional={
        "budget_tokens": st.none() | st.integers(16, 32768),
        "documents": st.none() | NAMES,
        "tags": NAMES,
        "since": st.none() | st.dates().map(str),
        "until": st.dates().map(str),
    },
)


def nodes(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [node for each in schema for node in nodes(each)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(node for each in schema.values() for node in nodes(each))]


@given(ASKED)
def test_what_an_agent_may_ask_may_be_asked_over_http(arguments: dict[str, Any]) -> None:
    body = SearchAsked.checked(arguments).body()
    given = {name: value for name, value in arguments.items() if value is not None}
    said = body.model_dump()
    assert {**said, **said["filter"]}.items() >= given.items()
    assert body.tenant is None


def test_the_bounds_are_those_over_http() -> None:
    settings = load_settings()
    ours = SearchAsked.model_json_schema()["properties"]
    http = RetrieveBody.model_json_schema()
    assert ours["budget_tokens"]["anyOf"] == http["properties"]["budget_tokens"]["anyOf"]
    for name, field in http["$defs"]["FilterBody"]["properties"].items():
        assert ours[name] == field
    generate = input_schema(AnswerAsked, settings, 64)["properties"]["generate"]
    assert generate["enum"] == QueryBody.model_json_schema()["properties"]["generate"]["enum"]


@pytest.mark.parametrize("asked", [SearchAsked, AnswerAsked])
def test_a_schema_of_arguments_is_flat_and_says_its_bounds(asked: type[SearchAsked]) -> None:
    settings = load_settings(budget_tokens=128, max_question_chars=500)
    schema = input_schema(asked, settings, 1024)
    fields = schema["properties"]
    assert next(iter(fields)) == "question"
    assert fields["question"]["maxLength"] == 500
    assert fields["budget_tokens"]["default"] == 128
    assert (fields["budget_tokens"]["minimum"], fields["budget_tokens"]["maximum"]) == (16, 1024)
    assert schema["required"] == ["question"]
    assert schema["additionalProperties"] is False
    assert "tenant" not in fields
    assert not {"$ref", "$defs", "anyOf"} & {name for node in nodes(schema) for name in node}
    assert all(field["description"] for field in fields.values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "question cannot be used"),
        ({"question": ""}, "question cannot be used: ''"),
        ({"question": None}, "question cannot be used"),
        ({"question": "x", "budget_tokens": 15}, "budget_tokens cannot be used: 15"),
        ({"question": "x", "budget_tokens": "many"}, "budget_tokens cannot be used: 'many'"),
        ({"question": "x", "documents": "a.txt"}, "documents cannot be used: 'a.txt'"),
        ({"question": "x", "tags": [""]}, "tags.0 cannot be used"),
        ({"question": "x", "since": "soon"}, "since is no date: soon"),
        ({"question": "x", "tenant": "other"}, "tenant cannot be used: 'other'"),
        ({"question": "x", "generate": "often"}, "generate cannot be used: 'often'"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueRangeError, match=said):
        AnswerAsked.checked(arguments)


def test_what_is_meant_is_understood() -> None:
    asked = AnswerAsked.checked({"question": "x", "budget_tokens": "64", "tags": None})
    assert asked.body() == QueryBody(question="x", budget_tokens=64)


def test_a_budget_is_held_to_what_is_allowed() -> None:
    check_budget(SearchAsked(question="x", budget_tokens=64), 64)
    check_budget(SearchAsked(question="x"), 64)
    with pytest.raises(ValueRangeError, match=r"too large: 65\. Use 16 to 64\."):
        check_budget(SearchAsked(question="x", budget_tokens=65), 64)
