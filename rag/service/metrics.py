"""Counters of the running process in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest as _text

from rag.results import Receipt
from rag.service.problems import Problem
from rag.types import Interval

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST
# Each tenant is a time series: callers may name any, and must not fill the memory with them.
_MOST_TENANTS = 100
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


class Metrics:
    """What a process has answered and refused since it started; safe to use from threads."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._tenants: set[str] = set()
        self._questions = Counter(
            "frugal_rag_questions",
            "Questions with a result, by outcome: answered, abstained, retrieved",
            ("tenant", "outcome"),
            registry=registry,
        )
        self._refused = Counter(
            "frugal_rag_refused", "Requests refused, by problem", ("problem",), registry=registry
        )
        self._seconds = Histogram(
            "frugal_rag_answer_seconds",
            "Time in the pipeline, without queue and HTTP [s]",
            ("outcome",),
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "frugal_rag_tokens", "Tokens, by what they were used for", ("use",), registry=registry
        )
        self._unknown = Counter(
            "frugal_rag_unknown",
            "Answers of which a quantity is unknown, so that its sum leaves them out",
            ("quantity",),
            registry=registry,
        )
        self._amounts = {
            quantity: Counter(name, text, ("bound",), registry=registry)
            for quantity, (name, text) in _QUANTITIES.items()
        }

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that asks for its value whenever it is read."""
        Gauge(f"frugal_rag_{name}", text, registry=self._registry).set_function(value)

    def answered(self, tenant: str, receipt: Receipt, *, abstained: bool | None) -> None:
        """Count a result and what it cost; ``abstained`` is None where only context was asked."""
        outcome = {None: "retrieved", True: "abstained", False: "answered"}[abstained]
        self._questions.labels(self._named(tenant), outcome).inc()
        self._seconds.labels(outcome).observe(receipt.seconds)
        impact, usage = receipt.impact, receipt.usage
        for quantity in _QUANTITIES:
            self._add(quantity, getattr(impact, quantity))
        self._tokens.labels("context").inc(usage.context_tokens)
        for use in ("prompt", "cached", "completion"):
            count = getattr(usage, f"{use}_tokens")
            if count is not None:
                self._tokens.labels(use).inc(count)

    def refused(self, problem: Problem) -> None:
        """Count a refused request."""
        self._refused.labels(problem.kind).inc()

    def text(self) -> bytes:
        """Return all counters as Prometheus reads them."""
        return _text(self._registry)

    def _add(self, quantity: str, interval: Interval | None) -> None:
        if interval is None:
            self._unknown.labels(quantity).inc()
            return
        self._amounts[quantity].labels("low").inc(interval.low)
        self._amounts[quantity].labels("high").inc(interval.high)

    def _named(self, tenant: str) -> str:
        if tenant not in self._tenants and len(self._tenants) >= _MOST_TENANTS:
            return _OTHERS
        self._tenants.add(tenant)
        return tenant
