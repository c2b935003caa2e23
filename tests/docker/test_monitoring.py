"""Prometheus and Grafana ask only for what GET /metrics of a running service has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, get_args

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rag import errors
from rag.jobs.job import JobState
from rag.service import problems
from rag.service.door import _unauthorized
from rag.service.metrics import Metrics
from rag.service.traced import watch_traces
from rag.trace_export import TraceExport

DOCKER = Path(__file__).resolve().parents[2] / "docker"
# What Prometheus itself adds to what it scrapes.
ADDED = {"up": {"job", "instance"}}
ADDED_LABELS = {"job", "instance"}
# Time series that no panel shows, each with the reason.
NOT_SHOWN: dict[str, str] = {}


@pytest.fixture(scope="module")
def exposed(service: Any) -> dict[str, set[str]]:
    """The labels of each time series of the service; those of unused counters from the code."""
    assert service.get("/v1/query", {"question": "How long is the pump covered?"})[0] == 200
    assert service.get("/v1/query", {"question": ""})[0] == 422
    counters = Metrics()._registry._collector_to_names
    unused = {each._name: set(each._labelnames) for each in counters}
    found: dict[str, set[str]] = {}
    exposition = service.get("/metrics")[1] + _of_traces()
    for family in text_string_to_metric_families(exposition):
        names = {sample.name: set(sample.labels) for sample in family.samples}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found |= names or {name: unused.get(family.name, {"bound"})}
    return found


def _of_traces() -> str:
    """Return what a service exposes besides where ``otlp_url`` is set, as this one's is not."""
    metrics = Metrics()
    watch_traces(metrics, TraceExport(_no_collector))
    lines = metrics.text().decode().splitlines(keepends=True)
    return "".join(line for line in lines if "frugal_rag_traces" in line)


def _no_collector() -> NoReturn:
    raise AssertionError("nothing is sent here")


@pytest.fixture(scope="module")
def rules() -> list[Any]:
    (group,) = yaml.safe_load((DOCKER / "prometheus" / "alerts.yml").read_text())["groups"]
    return list(group["rules"])


@pytest.fixture(scope="module")
def dashboard() -> Any:
    text = (DOCKER / "grafana" / "dashboards" / "frugal-rag.json").read_text()
    return json.loads(text)


def parts(expression: Any) -> Iterator[Any]:
    """Yield an expression of PromQL and all that it is made of."""
    yield expression
    for name in ("lhs", "rhs", "expr", "param", "args", "vector_selector"):
        inner = getattr(expression, name, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None and type(each).__module__.startswith("promql_parser"):
                yield from parts(each)


def in_grafana(text: str) -> str:
    """Return an expression with Grafana's variables put in."""
    given = {"$__rate_interval": "1m", "$__range": "6h", "$instance": ".+"}
    for name, value in given.items():
        text = text.replace(name, value)
    assert "$" not in text
    return text


def expressions(rules: list[Any], dashboard: Any) -> list[str]:
    found = [rule["expr"] for rule in rules]
    found += [in_grafana(t["expr"]) for p in dashboard["panels"] for t in p.get("targets", [])]
    assert len(found) > 30
    return found


def test_every_name_and_label_is_exposed(
    exposed: dict[str, set[str]], rules: list[Any], dashboard: Any
) -> None:
    known = {name: labels | ADDED_LABELS for name, labels in exposed.items()} | ADDED
    for text in expressions(rules, dashboard):
        kept: set[str] = {"le"}
        for part in parts(promql_parser.parse(text)):
            if isinstance(part, promql_parser.VectorSelector):
                assert part.name in known, f"{part.name} in {text}"
                asked = {matcher.name for matcher in part.matchers.matchers}
                assert asked <= known[part.name], text
                kept |= known[part.name]
        for part in parts(promql_parser.parse(text)):
            if isinstance(part, promql_parser.AggregateExpr) and part.modifier:
                assert set(part.modifier.labels) <= kept, text


def test_all_that_is_exposed_is_shown(exposed: dict[str, set[str]], dashboard: Any) -> None:
    text = " ".join(t["expr"] for p in dashboard["panels"] for t in p.get("targets", []))
    for name in exposed.keys() - NOT_SHOWN.keys():
        if not name.endswith(("_created", "_sum", "_count")):
            assert re.search(rf"\b{name}\b", text), f"{name}: show it, or say here why not"
    assert NOT_SHOWN.keys() <= exposed.keys()


def values(rules: list[Any], dashboard: Any, label: str) -> set[str]:
    """Return what a label is compared with, alternatives of a pattern taken apart."""
    found: set[str] = set()
    for text in expressions(rules, dashboard):
        for part in parts(promql_parser.parse(text)):
            if isinstance(part, promql_parser.VectorSelector):
                given = [m.value for m in part.matchers.matchers if m.name == label]
                found |= {alternative for value in given for alternative in _alternatives(value)}
    return found


def _alternatives(pattern: str) -> list[str]:
    optional = re.fullmatch(r"([\w-]+)\(([^)]*)\)\?", pattern)
    if optional:
        return [optional[1], *(optional[1] + end for end in optional[2].split("|"))]
    return pattern.split("|")


def test_problems_are_those_of_the_service(rules: list[Any], dashboard: Any) -> None:
    kinds = {"internal-error", *_kinds(errors.RagError)}
    asked = values(rules, dashboard, "problem")
    assert len(asked) > 6
    assert asked <= kinds | {"overloaded", _unauthorized("x", None).kind}
    assert problems.unexpected("1").kind == "internal-error"


def _kinds(error: type[errors.RagError]) -> Iterator[str]:
    for each in error.__subclasses__():
        yield problems.from_error(each("what", "value", "remedy")).kind
        yield from _kinds(each)


def test_outcomes_and_bounds_are_those_of_the_service(rules: list[Any], dashboard: Any) -> None:
    assert values(rules, dashboard, "outcome") == {"answered", "abstained", "dropped", "lost"}
    assert {"dropped", "lost"} <= TraceExport(_no_collector).counts().keys()
    assert values(rules, dashboard, "bound") == {"low", "high"}
    assert values(rules, dashboard, "state") <= set(get_args(JobState))


def test_states_of_jobs_that_are_asked_for_are_exposed(
    service: Any, rules: list[Any], dashboard: Any
) -> None:
    exposed = re.findall(
        r'^frugal_rag_jobs\{state="(\w+)"\}', service.get("/metrics")[1], re.MULTILINE
    )
    assert values(rules, dashboard, "state") <= set(exposed)
    assert len(exposed) == 4


def test_what_an_operator_must_hear_of_has_an_alert(rules: list[Any]) -> None:
    text = " ".join(rule["expr"] for rule in rules)
    for problem in ("audit", "quota-spent", "storage-full", "unauthorized", "overloaded"):
        assert f'problem="{problem}"' in text
    for name in ("pressure", "jobs", "traces", "ledger_lost", "cache_semantic_on"):
        assert re.search(rf"\bfrugal_rag_{name}\b", text), name


def test_alerts_say_what_to_do(rules: list[Any]) -> None:
    names = [rule["alert"] for rule in rules]
    assert len(set(names)) == len(names) > 8
    for rule in rules:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "remedy"}
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        if "for" in rule:
            promql_parser.parse_duration(rule["for"])


def test_the_page_names_each_alert(rules: list[Any]) -> None:
    page = (DOCKER.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("## What to watch")[2].partition("\n## ")[0]
    named = re.findall(r"`([A-Z]\w+)`", table)
    assert sorted(named) == sorted(rule["alert"] for rule in rules)


def test_prometheus_scrapes_the_services_that_there_are(composed: Any) -> None:
    settings = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())
    services = composed["compose.cluster.yaml"]["services"]
    mounted = {v.split(":")[1] for v in services["prometheus"]["volumes"]}
    for name in settings["rule_files"]:
        assert f"/etc/prometheus/{name}" in mounted
    (ours,) = [job for job in settings["scrape_configs"] if job["job_name"] == "frugal-rag"]
    assert f"/etc/prometheus/{ours['authorization']['credentials_file']}" in mounted
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"] for job in settings["scrape_configs"]
    }
    assert set(jobs["frugal-rag"]) == {
        f"{name}:8080" for name, s in services.items() if s.get("command") == ["rag", "serve"]
    }
    qdrant = {f"{name}:6333" for name in services if name.startswith("qdrant-")}
    assert set(jobs["qdrant"]) == qdrant
    command = dict(word.split("=", 1) for word in services["prometheus"]["command"])
    assert command["--config.file"] in mounted
    assert command["--storage.tsdb.path"] in mounted


def test_jobs_that_are_asked_for_are_scraped(rules: list[Any], dashboard: Any) -> None:
    settings = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())
    scraped = {job["job_name"] for job in settings["scrape_configs"]}
    assert values(rules, dashboard, "job") <= scraped


def test_the_dashboard_is_one(dashboard: Any) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        rows = range(place["y"], place["y"] + place["h"])
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for y in rows for x in columns}
        assert not cells & taken, panel["title"]
        assert max(columns) < 24
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "prometheus"
    refs = [[t["refId"] for t in p.get("targets", [])] for p in panels]
    assert all(len(set(each)) == len(each) for each in refs)


def test_grafana_finds_source_and_dashboards(composed: Any) -> None:
    services = composed["compose.cluster.yaml"]["services"]
    source = yaml.safe_load((DOCKER / "grafana" / "datasource.yml").read_text())["datasources"]
    assert source[0]["uid"] == "prometheus"
    host, port = re.fullmatch(r"http://(\w+):(\d+)", source[0]["url"]).groups()  # type: ignore[union-attr]
    assert port in services[host]["expose"]
    provider = yaml.safe_load((DOCKER / "grafana" / "provider.yml").read_text())["providers"]
    mounted = [v.split(":")[1] for v in services["grafana"]["volumes"]]
    assert provider[0]["options"]["path"] in mounted
