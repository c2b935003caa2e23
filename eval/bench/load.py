"""A service under load: what it sustains, what becomes of ten times as much, memory over a while.

Each tier is published as 5,000 chunks and served by ``rag serve``, a process of its own on this
machine; its load is made by this process, on the same processors. In a closed loop as many callers
as the service has threads give its capacity. Open loops then offer that, and ten times that. Last
comes mixed load for a while, with bursts, streams, callers who leave, and some who never finish.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from eval.bench.corpora import SEED, articles, sampled
from eval.bench.generations import published
from eval.bench.load_asks import asks, mixture
from eval.bench.load_figures import Memory, Stretch, memory, memory_table, stretch, stretches_table
from eval.bench.processes import sampling
from eval.bench.records import CACHE, RESULTS, provenance, write_record
from eval.bench.service import Running, serving
from eval.bench.traffic import Clients, closed_loop, open_loop
from eval.bench.vectors import FilledEmbedder, cached
from eval.datasets import load_dataset
from eval.systems.indexed import chunk_stream
from rag.build import build_embedder
from rag.settings import Settings, load_settings
from rag.types import Chunk

_DIMENSION: Final = 384
_OVERLOAD: Final = 10.0
# The mixed load: below capacity most of the time, far above it for a part of each cycle.
_CYCLE_SECONDS, _BURST_SECONDS, _CALM, _BURST = 60.0, 10.0, 0.5, 4.0
_SLOW_CALLERS: Final = 20
_SHORTER: Final = 10
_CONNECTIONS: Final = 900  # of the load; the service takes 1,000


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure with."""

    data: Path
    tiers: tuple[str, ...] = ("lexical", "neural")
    chunks: int = 5_000
    questions: int = 1_000
    seconds: float = 30.0
    mixed_seconds: float = 1_200.0

    def mixed_for(self, tier: str) -> float:
        """Return how long the mixed load lasts [s]: memory over a while is of the first tier."""
        return self.mixed_seconds / (1 if tier == self.tiers[0] else _SHORTER)


@dataclass(frozen=True, slots=True)
class Result:
    """Everything of one tier; capacity [1/s]."""

    tier: str
    capacity: float
    stretches: tuple[Stretch, ...]
    memory: Memory
    slow_callers: int
    slow_closed: int


def bench(data: Path, *, quick: bool) -> None:
    """Measure, print tables, and leave ``load.json``."""
    plan = Plan(data, ("lexical",), 1_000, 200, 5.0, 30.0) if quick else Plan(data)
    run(plan, RESULTS if plan == Plan(data) else CACHE)


def run(plan: Plan, folder: Path) -> None:
    """Measure each tier of a plan, print tables, and leave ``load.json`` in a folder."""
    origin = provenance()
    squad = load_dataset(plan.data / "squad_v1_dev")
    chunks = tuple(islice(chunk_stream(articles(squad.texts), load_settings()), plan.chunks))
    questions = [case.text for case in sampled(squad.cases, plan.questions)]
    results = [_tier(plan, tier, chunks, questions) for tier in plan.tiers]
    print(stretches_table([(r.tier, each) for r in results for each in r.stretches]))
    print()
    print(memory_table([(r.tier, r.memory) for r in results]))
    about = {
        "seed": SEED,
        "data": {"squad_v1_dev": squad.sha256},
        "plan": {k: v for k, v in asdict(plan).items() if k != "data"},
        "fingerprints": {t: load_settings(tier=t).fingerprint() for t in plan.tiers},
        "settings": "defaults; cache off but in the mixed load, where it is the default",
        "exclusions": "random unit vectors where none are cached; the load is made on the same "
        "processors; requests that found all 900 connections taken are counted as unsent",
    }
    write_record("load", origin | about | {"tiers": [asdict(r) for r in results]}, folder)


def _tier(plan: Plan, tier: str, chunks: Sequence[Chunk], questions: Sequence[str]) -> Result:
    print(f"{tier}: indexing {len(chunks)} chunks", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
        settings = load_settings(tier=tier, data_dir=Path(scratch))
        plain = build_embedder(settings)
        filled = FilledEmbedder(cached(plain), _DIMENSION) if plain else None
        published(settings, chunks, filled)
        with _service(settings, "off") as service:
            capacity, stretches = asyncio.run(_steady(plan, service, questions))
        with _service(settings, settings.cache) as service:
            return asyncio.run(_mixed(plan, service, questions, (tier, capacity, stretches)))


def _service(settings: Settings, cache: str) -> AbstractContextManager[Running]:
    given = {"RAG_DATA_DIR": str(settings.data_dir), "RAG_TIER": settings.tier, "RAG_CACHE": cache}
    return serving(given, settings.data_dir / f"serve-{cache}.log")


async def _steady(
    plan: Plan, service: Running, questions: Sequence[str]
) -> tuple[float, tuple[Stretch, ...]]:
    """Return the capacity, and stretches at it and at ten times it."""
    clients, ones = _clients(service), asks(service.netloc, questions)
    threads = load_settings().concurrent_questions
    await closed_loop(clients, threads, plan.seconds / 3, ones)
    with sampling(service.pid) as sample:
        flow = await closed_loop(clients, threads, plan.seconds, ones)
    closed = stretch("closed loop", flow, sample)
    stretches = [closed]
    for name, times in (("0.7x", 0.7), ("1x", 1.0), ("10x", _OVERLOAD), ("0.7x after", 0.7)):
        rate = times * closed.answered
        with sampling(service.pid) as sample:
            flow = await open_loop(clients, partial(_same, rate), plan.seconds, ones)
        stretches.append(stretch(name, flow, sample))
        print(stretches[-1], file=sys.stderr, flush=True)
    clients.close()
    return closed.answered, tuple(stretches)


def _same(rate: float, _: float) -> float:
    return rate


async def _mixed(
    plan: Plan,
    service: Running,
    questions: Sequence[str],
    before: tuple[str, float, tuple[Stretch, ...]],
) -> Result:
    tier, capacity, stretches = before
    clients, ones = _clients(service), mixture(service.netloc, questions)
    host, _, port = service.netloc.rpartition(":")
    closed: list[float] = []
    slow = [asyncio.create_task(_slow(host, int(port), closed)) for _ in range(_SLOW_CALLERS)]

    def rate(at: float) -> float:
        return capacity * (_BURST if at % _CYCLE_SECONDS < _BURST_SECONDS else _CALM)

    with sampling(service.pid) as sample:
        flow = await open_loop(clients, rate, plan.mixed_for(tier), ones)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    clients.close()
    mixed = stretch("mixed", flow, sample)
    print(mixed, file=sys.stderr, flush=True)
    return Result(tier, capacity, (*stretches, mixed), memory(sample), _SLOW_CALLERS, len(closed))


async def _slow(host: str, port: int, closed: list[float]) -> None:
    """Begin a request, never end it, and begin again once the service has had enough of it."""
    while True:
        started = time.monotonic()
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(b"POST /v1/query HTTP/1.1\r\nHost: localhost\r\n")
            with suppress(OSError):
                await reader.read()
            closed.append(time.monotonic() - started)
        finally:
            writer.close()


def _clients(service: Running) -> Clients:
    host, _, port = service.netloc.rpartition(":")
    return Clients(host, int(port), _CONNECTIONS)
