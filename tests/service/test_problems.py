from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import errors
from rag.errors import RagError
from rag.service import problems
from rag.service.problems import Problem
from rag.service.schemas import ProblemBody

ALL_ERRORS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, RagError)
]


@pytest.mark.parametrize("error", ALL_ERRORS)
def test_every_error_is_a_problem_of_its_status(error: type[RagError]) -> None:
    problem = problems.from_error(error("it broke", "v" * 500, "mend it"))
    body = ProblemBody.model_validate_json(problem.body())
    assert body.status == error.http_status
    assert (body.detail, body.remedy) == ("it broke", "mend it")
    assert body.value is not None
    assert len(body.value) == 120


def test_kinds_are_told_apart() -> None:
    kinds = {problems.from_error(error("a", "b", "c")).kind for error in ALL_ERRORS}
    assert len(kinds) == len(ALL_ERRORS)
    assert "question-too-long" in kinds


def test_what_may_pass_says_when_to_come_again() -> None:
    problem = problems.from_error(errors.IndexStateError("no documents yet", "x", "sync"))
    assert problem.headers == {"Retry-After": "1"}


def test_a_status_of_the_routing_names_what_is_allowed() -> None:
    problem = problems.from_status(405, "/v1/query", {"allow": "POST"})
    assert (problem.kind, problem.remedy) == ("method-not-allowed", "use POST")


@given(st.text(), st.text(), st.none() | st.text())
def test_any_text_gives_a_valid_body(detail: str, remedy: str, value: str | None) -> None:
    body = Problem("some-kind", 400, detail, remedy, value=value).body()
    assert body.isascii()
    fields = json.loads(body)
    assert fields["type"] == "urn:problem-type:frugal-rag:some-kind"
    assert fields["title"] == "Some kind"
    assert (fields["detail"], fields["remedy"], fields["value"]) == (detail, remedy, value)
    assert "headers" not in fields
