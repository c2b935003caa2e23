"""Every route of the interface's own description, with what it allows and what it does not."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import nothing
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_EXAMPLES = 25  # of requests a route; the bound is a count, so that a busy machine asks as many


@schemathesis.serializer("application/jsonl")
def lines(_: Any, value: Any) -> bytes:
    """Send what stands in the description as it is, and anything else as one line of JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode()


@pytest.fixture(scope="module")
def operations(served: Any) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


def test_no_route_fails_and_all_do_what_they_say(served: Any, operations: list[Any]) -> None:
    """Half of the requests are such as the description forbids."""
    assert {"POST /v1/query", "POST /v1/sources", "GET /metrics"} <= {o.label for o in operations}
    seen: dict[str, Counter[int]] = {}
    broken: dict[str, str] = {}
    for operation in operations:
        try:
            strategy = operation.as_strategy() | negated(operation)
            seen[operation.label] = asked(strategy, served.url)
        except (AssertionError, FailureGroup) as exc:
            broken[operation.label] = str(exc)[:600]
    assert broken == {}
    assert all(seen.values())
    assert sum(map(sum, (counts.values() for counts in seen.values()))) > 200


def negated(operation: Any) -> Any:
    """Return requests that break the description, none where nothing can be broken."""
    if operation.body or operation.query or operation.path_parameters:
        return operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return nothing()


def asked(strategy: Any, url: str) -> Counter[int]:
    """Return how often each status came back."""
    counts: Counter[int] = Counter()

    @given(case=strategy)
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        response = case.call(base_url=url, timeout=60)
        counts[response.status_code] += 1
        case.validate_response(response, checks=_CHECKS)

    ask()
    return counts


def test_the_service_says_nothing_of_a_fault_of_its_own(served: Any) -> None:
    """Last in the file: what was asked above is in the log by now."""
    assert not [line for line in served.lines if "internal-error" in line]
