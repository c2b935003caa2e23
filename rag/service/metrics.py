"""Counters of the running process in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest as _text
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rag.results import Receipt, Spared
from rag.service.problems import Problem
from rag.types import Interval

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST
# Each name is a time series: callers may name any tenant, and must not fill the memory with them.
_MOST_NAMES = 100
_OTHERS = "(others)"
_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUANTITIES = {
    "joules": ("frugal_rag_energy_joules", "Energy of answers, lower and upper bound [J]"),
    "gco2e": (
        "frugal_rag_emissions_grams",
        "Emissions of operation by location, both bounds [g CO2e]",
    ),
    "embodied_gco2e": (
        "frugal_rag_embodied_grams",
        "Answers' share of making the machine, both bounds [g CO2e]",
    ),
    "market_gco2e": (
        "frugal_rag_market_emissions_grams",
        "Emissions of operation by the contract for the power, both bounds [g CO2e]",
    ),
    "litres": ("frugal_rag_water_litres", "Water of answers, both bounds [L]"),
}

_COUNTERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "questions": (
        "Questions with a result, by outcome: answered, abstained, retrieved",
        ("tenant", "outcome"),
    ),
    "refused": ("Requests refused, by problem", ("problem",)),
    "spared": (
        "Questions taken with less under load, by the last step they had to do without",
        ("step",),
    ),
    "tokens": ("Tokens, by what they were used for", ("use",)),
    "cache": (
        "Answers, by what the cache did: off, miss, exact, semantic; shared: in flight already",
        ("use",),
    ),
    "generated": (
        "Answers for which a model was called, by the last one called and the outcome",
        ("model", "outcome"),
    ),
    "generated_tokens": (
        "Tokens of those answers, by the last model called; cached ones are among the prompt's",
        ("model", "use"),
    ),
    "unknown": (
        "Answers of which a quantity is unknown, so that its sum leaves them out",
        ("quantity",),
    ),
}


@dataclass(frozen=True, slots=True)
class Gauged:
    """A gauge's values now, by ``label``'s; one value under "" where there is no label."""

    name: str
    text: str
    values: Mapping[str, float]
    label: str | None = None


class Metrics:
    """What a process has answered and refused since it started; safe to use from threads."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._tenants, self._models = _Names(), _Names()
        self._counters = {
            name: Counter(f"frugal_rag_{name}", text, labels, registry=registry)
            for name, (text, labels) in _COUNTERS.items()
        }
        self._seconds = Histogram(
            "frugal_rag_answer_seconds",
            "Time in the pipeline, without queue and HTTP [s]",
            ("outcome",),
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        self._amounts = {
            quantity: Counter(name, text, ("bound",), registry=registry)
            for quantity, (name, text) in _QUANTITIES.items()
        }

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that asks for its value whenever it is read."""
        Gauge(f"frugal_rag_{name}", text, registry=self._registry).set_function(value)

    def gauge(self, gauges: Callable[[], Iterable[Gauged]]) -> None:
        """Add gauges that are read together whenever they are asked for."""
        self._registry.register(_Gauges(gauges))  # asks nothing yet

    def answered(self, tenant: str, receipt: Receipt, *, abstained: bool | None) -> None:
        """Count a result and what it cost; ``abstained`` is None where only context was asked."""
        outcome = {None: "retrieved", True: "abstained", False: "answered"}[abstained]
        self._count("questions", self._tenants.bounded(tenant), outcome)
        self._seconds.labels(outcome).observe(receipt.seconds)
        impact, usage = receipt.impact, receipt.usage
        for quantity in _QUANTITIES:
            self._add(quantity, getattr(impact, quantity))
        self._count("tokens", "context", by=usage.context_tokens)
        if abstained is not None:
            self._count("cache", receipt.cache)
        model = None if receipt.model is None else self._models.bounded(receipt.model)
        if model is not None and usage.prompt_tokens is not None:
            self._count("generated", model, outcome)
        for use in ("prompt", "cached", "completion"):
            count = getattr(usage, f"{use}_tokens")
            if count is not None:
                self._count("tokens", use, by=count)
                if model is not None:
                    self._count("generated_tokens", model, use, by=count)

    def spared(self, step: Spared) -> None:
        """Count a question that is answered with less because many are waiting."""
        self._count("spared", step)

    def refused(self, problem: Problem) -> None:
        """Count a refused request."""
        self._count("refused", problem.kind)

    def text(self) -> bytes:
        """Return all counters as Prometheus reads them."""
        return _text(self._registry)

    def _count(self, name: str, *labels: str, by: int = 1) -> None:
        self._counters[name].labels(*labels).inc(by)

    def _add(self, quantity: str, interval: Interval | None) -> None:
        if interval is None:
            self._count("unknown", quantity)
            return
        self._amounts[quantity].labels("low").inc(interval.low)
        self._amounts[quantity].labels("high").inc(interval.high)


class _Gauges(Collector):
    def __init__(self, gauges: Callable[[], Iterable[Gauged]]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        for gauged in self._gauges():
            labels = None if gauged.label is None else (gauged.label,)
            family = GaugeMetricFamily(f"frugal_rag_{gauged.name}", gauged.text, labels=labels)
            for value, number in gauged.values.items():
                family.add_metric((value,) if labels else (), number)
            yield family


class _Names:
    """The first names that come; all others are counted as one."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def bounded(self, name: str) -> str:
        if name not in self._names and len(self._names) >= _MOST_NAMES:
            return _OTHERS
        self._names.add(name)
        return name
