"""What must hold of tenants when all is quiet: exact counts, and answers as if alone."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from eval.bench.tenants_world import LABEL, THINGS, Holder, Tenant, World, publish
from rag import access
from rag.access import Caller
from rag.build import build_answering, build_live_index
from rag.errors import BackendError
from rag.results import Answer, Question
from rag.settings import Settings
from rag.types import Filter

_PATIENCE_SECONDS: Final = 300.0
# Of a confidence: weights of words assume the mean length of a chunk, which is the collection's.
_TOLERANCE: Final = 0.005

_Said: TypeAlias = tuple[float, object, object, object, object]


def quiet_faults(
    world: World, netloc: str, answers: Mapping[str, int], jobs: Mapping[str, tuple[str, int]]
) -> list[str]:
    """Return what is wrong once nothing is under way any more; empty is as it must be.

    Args:
        world: What was done is done.
        netloc: Where the service is.
        answers: How many each tenant was given at once.
        jobs: The batches: whose, and of how many lines.
    """
    quiet = _Quiet(world, netloc)
    quiet.wait()
    counted = Counter(answers)
    for job, (tenant, _) in jobs.items():
        counted[tenant] += quiet.lines_answered(tenant, job)
    return [
        *quiet.counts(counted),
        *quiet.listed(),
        *quiet.caches(),
        *(fault for holder in world.holders for fault in _compared(world, holder)),
    ]


class _Quiet:
    def __init__(self, world: World, netloc: str) -> None:
        self._world = world
        self._netloc = netloc
        self._of = {(h.tenant, h.label): h for h in world.holders}

    def _get(self, token: str, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection(self._netloc, timeout=60)) as connection:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            return response.status, response.read()

    def _json(self, token: str, method: str, path: str, body: object = None) -> dict[str, Any]:
        status, text = self._get(token, method, path, body)
        if status != 200:
            raise BackendError(f"{method} {path}", f"{status} {text[:200]!r}", "see the log")
        found: dict[str, Any] = json.loads(text)
        return found

    def wait(self) -> None:
        """Wait until no job is under way and the last generation is served."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            found = self._json(self._world.operator, "GET", "/v1/jobs?limit=100")["data"]
            if not any(job["status"] in ("waiting", "in_progress", "cancelling") for job in found):
                time.sleep(2.0)
                return
            time.sleep(0.5)
        raise BackendError("jobs do not end", self._netloc, "see the service's log")

    def lines_answered(self, tenant: str, job: str) -> int:
        """Return how many lines of a batch were answered."""
        _, text = self._get(self._of[tenant, True].token, "GET", f"/v1/batch/{job}/output")
        replies = [json.loads(line)["response"] for line in text.splitlines()]
        return sum(reply is not None and reply["status_code"] == 200 for reply in replies)

    def counts(self, expected: Mapping[str, int]) -> Iterator[str]:
        """Yield where the ledger or the metrics do not count exactly what each was given."""
        _, metrics = self._get(self._world.operator, "GET", "/metrics")
        for tenant, count in expected.items():
            found = re.findall(
                rf'frugal_rag_questions_total{{[^}}]*tenant="{tenant}"[^}}]*}} ([0-9.e+]+)',
                metrics.decode(),
            )
            metered = round(sum(map(float, found)))
            ledger = self._json(self._of[tenant, False].token, "GET", "/v1/impact?by=tenant")
            kept = ledger["total"]["answers"]
            if not count == metered == kept:
                yield f"{tenant}: {count} answers given, {metered} metered, {kept} in the ledger"
            groups = {line["group"] for line in ledger["groups"]}
            if not groups <= {tenant}:
                yield f"{tenant} sees sums of {groups}"

    def listed(self) -> Iterator[str]:
        """Yield where a list of documents is not exactly what its reader may see."""
        for holder in self._world.holders:
            tenant = self._world.tenants[holder.tenant]
            body = self._json(holder.token, "GET", "/v1/documents?limit=1000")
            seen = {document["doc_id"] for document in body["documents"]}
            expected = set(_readable(tenant, label=holder.label))
            if seen != expected:
                yield f"{holder.tenant}: documents {sorted(seen ^ expected)} are listed or missing"

    def caches(self) -> Iterator[str]:
        """Yield where one tenant's purge takes from another's cache, or a label's reader hits."""
        holders = self._world.holders
        body = {"question": f"What is the access code of the {THINGS[0]}?"}
        for one, other in zip(holders, holders[2:] + holders[:2], strict=True):
            for _ in range(2):
                use = self._json(one.token, "POST", "/v1/query", body)["cache"]
            self._get(other.token, "DELETE", "/v1/cache")
            again = self._json(one.token, "POST", "/v1/query", body)["cache"]
            if (use, again) != ("exact", "exact"):
                yield f"{one.tenant}: {use}, and {again} after {other.tenant} purged its own"


def _readable(tenant: Tenant, *, label: bool) -> Iterator[str]:
    yield from (name for name in tenant.texts if label or name not in tenant.labelled)
    yield from (name for name, labelled in tenant.uploads.items() if label or not labelled)


def _compared(world: World, holder: Holder) -> Iterator[str]:
    """Yield where answers are others than in a collection of nothing but what its reader sees."""
    tenant = world.tenants[holder.tenant]
    labels = (LABEL,) if holder.label else ()
    with tempfile.TemporaryDirectory() as name:
        alone = replace(tenant, folder=Path(name) / "files", texts={}, labelled=set())
        alone.folder.mkdir()
        for file in _readable(tenant, label=holder.label):
            sent = world.settings.data_dir / "default" / "uploads" / tenant.name / file
            shutil.copy(sent if file in tenant.uploads else tenant.folder / file, alone.folder)
            alone.texts[file] = ""
        if not alone.texts:
            return
        solo = world.settings.model_copy(update={"data_dir": Path(name) / "data"})
        publish(solo, alone)
        pairs = zip(
            _answers(world.settings, tenant.name, labels),
            _answers(solo, tenant.name, labels),
            strict=True,
        )
        for thing, (ours, theirs) in zip(THINGS, pairs, strict=True):
            if ours[1:] != theirs[1:] or abs(ours[0] - theirs[0]) > _TOLERANCE:
                yield f"{tenant.name} {labels} of the {thing}: {ours} instead of {theirs}"


def _answers(settings: Settings, tenant: str, labels: tuple[str, ...]) -> list[_Said]:
    where = Filter(tenant, labels=labels)
    with (
        closing(build_live_index(settings)) as live,
        access.acting(Caller("quiet", tenant, frozenset({"query"}), labels)),
    ):
        live.refresh()
        answering = build_answering(settings, live)
        return [
            _said(answering.answer(Question(_asked(thing), where, 128, time.monotonic() + 60)))
            for thing in THINGS
        ]


def _asked(thing: str) -> str:
    return f"What is the access code of the {thing}?"


def _said(answer: Answer) -> _Said:
    citations = [(c.doc_id, c.quote, c.start, c.end) for c in answer.citations]
    nearest = [(c.doc_id, c.quote) for c in answer.nearest]
    steps = [(step.stage, step.decision) for step in answer.receipt.trace]
    shown = (answer.text, answer.reason, answer.context.text)
    return answer.confidence, shown, citations, nearest, steps
