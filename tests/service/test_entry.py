"""The service as ``rag serve`` puts it together: its routes, keys and audit log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from rag.access import RIGHTS, Caller, acting
from rag.build_service import build_served
from rag.errors import AccessError, SettingsError
from rag.frontier import Frontier, Measured, Spread, frontier_json
from rag.keyring import Keyring, change_keys, keys_path
from rag.keys import Grant, made_key
from rag.service.app import create_app
from rag.service.door import RIGHTS_OF
from rag.service.impact_routes import add_metrics
from rag.service.metrics import Metrics
from rag.settings import Settings, load_settings

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
Corpus: TypeAlias = Any  # of conftest.py
QUESTION = "How long is the pump covered?"
COVERED = "The pump is covered for 24 months from delivery."
TEXT = f"{COVERED} It weighs 12 kg."
POINT = Measured("x", "r", None, "f" * 12, Spread(20, 18, 22), Spread(0.8, 0.7, 0.9), True)
FRONTIER = Frontier("made", 120, "answer recall", None, (POINT,))
# What is asked of each route, and the action that the audit log names; None: nothing is noted.
ASKED: dict[tuple[str, str], tuple[object, str | None]] = {
    ("POST", "/v1/query"): ({"question": QUESTION}, "answer"),
    ("POST", "/v1/retrieve"): ({"question": QUESTION}, "retrieve"),
    ("POST", "/v1/chat/completions"): (
        {"model": "frugal-rag", "messages": [{"role": "user", "content": QUESTION}]},
        "answer",
    ),
    ("POST", "/v1/sources"): (
        {"doc_id": "pump.txt", "quote": COVERED, "start": 0, "end": len(COVERED)},
        "source",
    ),
    ("GET", "/v1/models"): (None, None),  # says nothing of documents
    ("GET", "/v1/models/{model}"): (None, None),
    ("GET", "/v1/cache"): (None, "cache"),
    ("DELETE", "/v1/cache"): (None, "purge"),
    ("GET", "/v1/impact"): (None, "impact"),
    ("GET", "/v1/frontier"): (None, None),  # the operator's own figures
    ("GET", "/metrics"): (None, None),  # counters only
}


@dataclass
class Entry:
    """A running service with its application, its settings and its keys' tokens."""

    http: httpx.Client
    app: FastAPI
    settings: Settings
    tokens: Mapping[Grant, str]

    def key(self, *rights: str, tenant: str | None = None) -> Mapping[str, str]:
        """Return the headers of whoever has a key with these rights."""
        grant = Grant(tuple(r for r in RIGHTS if r in rights), tenant)
        return {"Authorization": f"Bearer {self.tokens[grant]}"}

    def lines(self) -> list[dict[str, object]]:
        path = self.settings.audit_log
        assert path
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]


def _made_keys(path: Path) -> Mapping[Grant, str]:
    """Make a key for each set of rights, and one to ask for each of two tenants."""
    sets = [rights for n in range(1, 5) for rights in combinations(RIGHTS, n)]
    grants = [Grant(rights, None) for rights in sets]
    grants += [
        Grant((right,), tenant) for right in ("query", "admin") for tenant in ("default", "other")
    ]
    made = [(grant, *made_key(grant, datetime.now(UTC))) for grant in grants]
    change_keys(path, lambda keys: (*keys, *(key for _, key, _ in made)))
    return {grant: token for grant, _, token in made}


@pytest.fixture
def entry(corpus: Corpus, serving: Serving, tmp_path: Path) -> Iterator[Entry]:
    """One document, an audit log, and keys that were there when the service started."""
    corpus.publish({"pump.txt": TEXT})
    given = corpus.settings.model_dump(exclude_unset=True)
    measured = tmp_path / "frontier.json"
    measured.write_text(frontier_json(FRONTIER), encoding="utf-8")
    files = {"audit_log": tmp_path / "audit.jsonl", "frontier": measured}
    settings = load_settings(**given, **files, cache="exact")
    tokens = _made_keys(settings.data_dir / "keys.json")
    with ExitStack() as kept:
        keyring = Keyring(keys_path(settings))
        app = create_app(settings, build_served(settings, keyring, kept))
        http = kept.enter_context(serving(app))
        yield Entry(http, app, settings, tokens)


def _routes(app: FastAPI) -> set[tuple[str, str]]:
    return {
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }


def test_every_route_stands_in_the_table(entry: Entry) -> None:
    routes = _routes(entry.app)
    served = set()
    for method, path in routes:
        example = path.replace("{", "").replace("}", "").replace(":path", "")
        rules = [r for r in RIGHTS_OF if method in r.methods and r.path.fullmatch(example)]
        assert len(rules) == 1, (method, path)
        assert bool(rules[0].rights) == path.startswith(("/v1/", "/metrics")), path
        served.add((method, rules[0].path))
    table = {(method, rule.path) for rule in RIGHTS_OF for method in rule.methods if rule.rights}
    assert table <= served


def test_what_each_right_opens_and_who_is_told_nothing(entry: Entry) -> None:
    for (method, path), (body, _) in ASKED.items():
        address = path.replace("{model}", "frugal-rag")
        refused = entry.http.request(method, address, json=body)
        assert refused.status_code == 401, path
        assert "pump" not in refused.text
        (rule,) = [r for r in RIGHTS_OF if method in r.methods and r.path.fullmatch(address)]
        lacking = entry.key(*(set(RIGHTS) - rule.rights))
        assert entry.http.request(method, address, json=body, headers=lacking).status_code == 403
        enough = entry.key(*rule.rights)
        assert entry.http.request(method, address, json=body, headers=enough).status_code == 200
    assert entry.http.get("/readyz").status_code == 200


def test_what_was_measured_is_told_and_where_this_service_stands(entry: Entry) -> None:
    told = entry.http.get("/v1/frontier", headers=entry.key("admin")).json()
    assert (told["data"], told["questions"], told["measure"]) == ("made", 120, "answer recall")
    (point,) = told["points"]
    assert point["tokens"] == {"mean": 20, "low": 18, "high": 22}
    assert point["here"] is False
    own = replace(POINT, fingerprint=entry.settings.fingerprint())
    read = entry.settings.frontier
    assert read
    read.write_text(frontier_json(replace(FRONTIER, points=(POINT, own))), encoding="utf-8")
    with ExitStack() as kept:
        served = build_served(entry.settings, Keyring(keys_path(entry.settings)), kept)
        client = TestClient(create_app(entry.settings, served))
        points = client.get("/v1/frontier", headers=entry.key("admin")).json()["points"]
    assert [point["here"] for point in points] == [False, True]


def test_a_service_without_an_evaluation_says_so_and_one_with_junk_does_not_start(
    entry: Entry,
) -> None:
    keyring = Keyring(keys_path(entry.settings))
    with ExitStack() as kept:
        plain = entry.settings.model_copy(update={"frontier": None})
        client = TestClient(create_app(plain, build_served(plain, keyring, kept)))
        refused = client.get("/v1/frontier", headers=entry.key("admin"))
        assert refused.status_code == 400
        assert "rag-eval frontier" in refused.json()["remedy"]
    assert entry.settings.frontier
    entry.settings.frontier.write_text("{}", encoding="utf-8")
    with ExitStack() as kept, pytest.raises(SettingsError, match="frontier cannot be used"):
        build_served(entry.settings, keyring, kept)


def test_a_key_of_one_tenant_is_for_no_other(entry: Entry) -> None:
    ours, theirs = entry.key("query", tenant="default"), entry.key("query", tenant="other")
    body: dict[str, object] = {"question": QUESTION}
    assert "24 months" in entry.http.post("/v1/query", json=body, headers=ours).text
    said = entry.http.post("/v1/query", json=body, headers=theirs)
    assert said.status_code == 200
    assert said.json()["abstained"] is True
    assert "24 months" not in said.text
    named = entry.http.post("/v1/query", json={**body, "tenant": "default"}, headers=theirs)
    assert named.status_code == 403


def test_who_may_not_read_all_is_not_told_how_many_answers_were_forgotten(entry: Entry) -> None:
    asker, purger = entry.key("query"), entry.key("admin")  # keys for what has no labels
    body = {"question": QUESTION}
    for cache in ("miss", "exact"):
        said = entry.http.post("/v1/query", json=body, headers=asker)
        assert said.json()["cache"] == cache
    for params in ({"document": "pump.txt"}, {"question": QUESTION}, {}):
        told = entry.http.request("DELETE", "/v1/cache", params=params, headers=purger)
        assert told.json() == {"purged": None}
    assert entry.http.post("/v1/query", json=body, headers=asker).json()["cache"] == "miss"


def test_what_it_cost_is_told_of_the_keys_tenant_alone(entry: Entry) -> None:
    body = {"question": QUESTION}
    for tenant, times in (("default", 3), ("other", 1)):
        for _ in range(times):
            headers = entry.key("query", tenant=tenant)
            assert entry.http.post("/v1/query", json=body, headers=headers).status_code == 200
    for tenant, times in (("default", 3), ("other", 1)):
        headers = entry.key("admin", tenant=tenant)
        told = entry.http.get("/v1/impact", params={"by": "tenant"}, headers=headers).json()
        assert told["total"]["answers"] == times
        answered = [group for group in told["groups"] if group["answers"]]
        assert {group["group"] for group in answered} == {tenant}
        assert entry.http.get("/v1/cache", headers=headers).status_code == 403


def test_counters_are_not_told_to_a_caller_of_one_tenant() -> None:
    app = FastAPI()
    add_metrics(app, Metrics(), None)
    (exposed,) = (
        route.endpoint
        for route in app.routes
        if isinstance(route, APIRoute) and route.path == "/metrics"
    )
    # No key is made like that; the counters are kept from it all the same.
    with acting(Caller("k", "default", frozenset(("metrics",)), None)), pytest.raises(AccessError):
        exposed()
    with acting(Caller("k", None, frozenset(("metrics",)), None)):
        assert exposed().status_code == 200


def test_everything_that_is_given_is_noted_and_nothing_of_its_text(entry: Entry) -> None:
    wanted = {(m, p) for m, p in _routes(entry.app) if p.startswith(("/v1/", "/metrics"))}
    elsewhere = ("/v1/batch", "/v1/jobs", "/v1/documents")  # noted by tests of their own
    assert {(m, p) for m, p in wanted if not p.startswith(elsewhere)} == set(ASKED)
    headers = entry.key(*RIGHTS)
    number = headers["Authorization"].split("_")[1]
    for (method, path), (body, action) in ASKED.items():
        before = len(entry.lines())
        address = path.replace("{model}", "frugal-rag")
        response = entry.http.request(method, address, json=body, headers=headers)
        assert response.status_code == 200, response.text
        new = entry.lines()[before:]
        assert [line["action"] for line in new] == ([action] if action else []), path
        assert {line["key"] for line in new} <= {number}
        if action in {"answer", "retrieve", "source"}:
            assert new[0]["documents"] == ["pump.txt"]
            assert new[0]["tenant"] == "default"
    text = json.dumps(entry.lines())
    assert not [word for word in ("covered", "months", "How long", "weighs") if word in text]


def test_a_stream_is_noted_before_it_begins(entry: Entry) -> None:
    headers = entry.key("query")
    body = {"question": QUESTION, "stream": True}
    with entry.http.stream("POST", "/v1/query", json=body, headers=headers) as response:
        text = "".join(response.iter_text())
    assert "24 months" in text
    actions = [line["action"] for line in entry.lines()]
    assert actions in (["answer"], ["begin", "answer"])


def test_the_lines_of_a_batch_are_noted_once_each_with_its_job(entry: Entry) -> None:
    headers = entry.key("query", tenant="default")
    line = {"custom_id": "1", "method": "POST", "url": "/v1/query", "body": {"question": QUESTION}}
    typed = {**headers, "Content-Type": "application/jsonl"}
    given = entry.http.post("/v1/batch", content=f"{json.dumps(line)}\n", headers=typed)
    assert given.status_code == 202, given.text
    address = f"/v1/batch/{given.json()['id']}"
    for _ in range(200):
        output = entry.http.get(f"{address}/output", headers=headers)
        if "24 months" in output.text:
            break
        time.sleep(0.05)
    assert output.json()["custom_id"] == "1"
    jobs = [each for each in entry.lines() if each["action"] != "jobs"]
    assert [each["action"] for each in jobs] == ["batch", "answer"]
    assert {each["job"] for each in jobs} == {given.json()["id"]}
    assert {each["key"] for each in jobs} == {headers["Authorization"].split("_")[1]}
    assert jobs[1]["documents"] == ["pump.txt"]


def test_what_cannot_be_noted_is_not_given(entry: Entry) -> None:
    assert entry.settings.audit_log
    entry.settings.audit_log.mkdir()
    headers = entry.key(*RIGHTS)
    for (method, path), (body, action) in ASKED.items():
        address = path.replace("{model}", "frugal-rag")
        response = entry.http.request(method, address, json=body, headers=headers)
        assert response.status_code == (503 if action else 200), path
        if action:
            assert "24 months" not in response.text
            assert "audit" in response.text
    body = {"question": QUESTION, "stream": True}
    assert "24 months" not in entry.http.post("/v1/query", json=body, headers=headers).text
    entry.settings.audit_log.rmdir()
    body = {"question": QUESTION}
    assert entry.http.post("/v1/query", json=body, headers=headers).status_code == 200
