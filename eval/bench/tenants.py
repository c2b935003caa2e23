"""Whether tenants see anything of each other: random requests, ingests and purges, all at once.

A real ``rag serve`` is asked by several threads with the keys of five tenants, while their folders
change and are ingested. Every byte of every response is searched for what its reader may not see.
At the end, when all is quiet, what must be counted is counted, and each tenant's answers are held
against those of a collection in which nobody else ever was.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from eval.bench.records import CACHE, RESULTS, provenance, write_record
from eval.bench.service import serving
from eval.bench.tenants_quiet import quiet_faults
from eval.bench.tenants_world import LABEL, MARKS, TENANTS, THINGS, Holder, World, leaks, made_world

_THREADS: Final = 4
# Sheds load on purpose, or a file was replaced meanwhile: no leak, and nothing to be counted.
_PASSING: Final = frozenset({409, 429, 503, 504})
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is asked; ``ingest_share`` of the operations ingest [-]."""

    operations: int = 10_000
    seed: int = 7
    ingest_share: float = 0.015


@dataclass(slots=True)
class Told:
    """What happened: operations, statuses, answers by tenant, jobs, and what was wrong."""

    operations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    jobs: dict[str, tuple[str, int]] = field(default_factory=dict)  # id -> tenant, lines
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wrong(self, what: str) -> None:
        """Note something that must not be."""
        with self.lock:
            self.faults.append(what)


_Reply: TypeAlias = tuple[int, bytes]


class Fuzzer:
    """One thread's client: random operations, each response searched."""

    def __init__(self, world: World, netloc: str, told: Told, seed: int) -> None:
        self.world, self.told, self.chance = world, told, random.Random(seed)  # noqa: S311
        self._connection = http.client.HTTPConnection(netloc, timeout=60)
        self._choices: tuple[tuple[Callable[[Holder], None], int], ...] = (
            *((self.query, 46), (self.retrieve, 12), (self.chat, 6), (self.source, 6)),
            *((self.elsewhere, 10), (self.documents, 5), (self.impact, 5), (self.purge, 4)),
            *((self.batch, 1), (self.jobs, 2), (self.upload, 1), (self.delete, 1), (self.whole, 1)),
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def step(self) -> None:
        """Do one operation for somebody."""
        works, weights = zip(*self._choices, strict=True)
        (work,) = self.chance.choices(works, weights)
        with self.told.lock:
            self.told.operations[work.__name__] += 1
        work(self.chance.choice(self.world.holders))

    def ask(
        self, holder: Holder, method: str, path: str, body: object = None, *, named: bool = False
    ) -> _Reply:
        """Send a request; ``named``: it names what is another tenant's, and may be told so."""
        raw = (
            body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        )
        headers = {**_JSON, **holder.headers}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/jsonl" if "batch" in path else "text/plain"
        self._connection.request(method, path, raw, headers)
        response = self._connection.getresponse()
        status, text = response.status, response.read()
        head = repr(response.getheaders()).encode()
        with self.told.lock:
            self.told.statuses[status] += 1
        # What a refusal repeats of the request is no news.
        echoed = path.encode().lower() + (raw or b"").lower() if named and status != 200 else b""
        found = [word for word in leaks(holder, (text, head)) if word.encode() not in echoed]
        if found:
            self.told.wrong(f"{holder.tenant} was told {found} by {method} {path}: {text[:300]!r}")
        if status >= 500 and status not in _PASSING:
            self.told.wrong(f"{status} from {method} {path}: {text[:300]!r}")
        return status, text

    def answered(
        self, holder: Holder, path: str, body: Mapping[str, object]
    ) -> dict[str, Any] | None:
        """Ask for an answer and count it; None where it was refused for now."""
        status, text = self.ask(holder, "POST", path, body)
        if status == 200:
            with self.told.lock:
                self.told.answers[holder.tenant] += 1
            found: dict[str, Any] = json.loads(text)
            return found
        if status not in _PASSING:
            self.told.wrong(f"{status} from {path}: {text[:300]!r}")
        return None

    def question(self, holder: Holder) -> dict[str, object]:
        """Return the body of a question."""
        question = self.world.tenants[holder.tenant].question(self.chance)
        named = {"tenant": holder.tenant} if self.chance.random() < 0.2 else {}
        return {"question": question, "trace": self.chance.random() < 0.3, **named}

    def query(self, holder: Holder) -> None:
        """Ask a question."""
        self.answered(holder, "/v1/query", self.question(holder))

    def retrieve(self, holder: Holder) -> None:
        """Ask for a context."""
        self.answered(holder, "/v1/retrieve", self.question(holder))

    def chat(self, holder: Holder) -> None:
        """Ask as clients of chat do."""
        content = self.question(holder)["question"]
        message = {"role": "user", "content": content}
        self.answered(
            holder, "/v1/chat/completions", {"model": "frugal-rag", "messages": [message]}
        )

    def source(self, holder: Holder) -> None:
        """Open the source of an answer, as another holder of a key would too."""
        answer = self.answered(holder, "/v1/query", self.question(holder))
        for citation in (answer or {}).get("citations", ())[:1]:
            place = {name: citation[name] for name in ("doc_id", "quote", "start", "end")}
            self.ask(holder, "POST", "/v1/sources", place)
            other = self.chance.choice(self.world.holders)
            if other.tenant != holder.tenant:
                status, _ = self.ask(other, "POST", "/v1/sources", place, named=True)
                if status == 200:
                    self.told.wrong(f"{other.tenant} opened a source of {holder.tenant}")

    def elsewhere(self, holder: Holder) -> None:
        """Try another tenant's things by name; all must be refused."""
        other = self.chance.choice([name for name in TENANTS if name != holder.tenant])
        doc_id = f"{MARKS[other]}-{self.chance.choice(THINGS)}.txt"
        body = {**self.question(holder), "tenant": other}
        with self.told.lock:
            jobs = [each for each, (whose, _) in self.told.jobs.items() if whose == other]
        tries: list[tuple[str, str, object, set[int]]] = [
            ("POST", "/v1/query", body, {403}),
            ("POST", "/v1/retrieve", body, {403}),
            ("GET", f"/v1/documents?tenant={other}", None, {403}),
            ("DELETE", f"/v1/cache?tenant={other}", None, {403}),
            ("DELETE", f"/v1/documents/{doc_id}?tenant={other}", None, {403}),
            ("POST", f"/v1/documents?name=a.txt&tenant={other}", b"text", {403}),
            *(
                (verb, f"/v1/jobs/{job}", None, {404})
                for job in jobs[-1:]
                for verb in ("GET", "DELETE")
            ),
            *(("GET", f"/v1/batch/{job}/output", None, {404}) for job in jobs[-1:]),
        ]
        method, path, sent, expected = self.chance.choice(tries)
        status, text = self.ask(holder, method, path, sent, named=True)
        if status not in expected | _PASSING:
            self.told.wrong(f"{holder.tenant}: {status} from {method} {path}: {text[:200]!r}")

    def documents(self, holder: Holder) -> None:
        """List the documents, and look for another tenant's by its id."""
        self.ask(holder, "GET", "/v1/documents")
        other = self.chance.choice([mark for name, mark in MARKS.items() if name != holder.tenant])
        path = f"/v1/documents/{other}-{self.chance.choice(THINGS)}.txt"
        status, _ = self.ask(holder, "GET", path, named=True)
        if status == 200:
            self.told.wrong(f"{holder.tenant} found {path}")

    def impact(self, holder: Holder) -> None:
        """Read what was spent; never more answers than the tenant has been given or is now."""
        by = self.chance.choice(("", "?by=tenant", "?by=tier"))
        self.ask(holder, "GET", f"/v1/impact{by}")

    def purge(self, holder: Holder) -> None:
        """Forget answers: to a question, of a document, or all of the tenant's."""
        question = self.world.tenants[holder.tenant].question(self.chance)
        document = f"{MARKS[holder.tenant]}-{self.chance.choice(THINGS)}.txt"
        what = self.chance.choice(({}, {"question": question}, {"document": document}))
        self.ask(holder, "DELETE", f"/v1/cache?{urlencode(what)}")

    def batch(self, holder: Holder) -> None:
        """Give some questions for later."""
        lines = [
            {
                "custom_id": str(n),
                "method": "POST",
                "url": "/v1/query",
                "body": self.question(holder),
            }
            for n in range(3)
        ]
        raw = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        status, text = self.ask(holder, "POST", "/v1/batch", raw)
        if status == 202:
            with self.told.lock:
                self.told.jobs[json.loads(text)["id"]] = holder.tenant, len(lines)

    def jobs(self, holder: Holder) -> None:
        """Look at the tenant's jobs and what came of one."""
        status, text = self.ask(holder, "GET", "/v1/jobs?limit=100")
        if status == 200:
            for job in json.loads(text)["data"]:
                if job["tenant"] != holder.tenant:
                    self.told.wrong(f"{holder.tenant} sees a job of {job['tenant']}")
                if job["object"] == "batch" and self.chance.random() < 0.2:
                    self.ask(holder, "GET", f"/v1/batch/{job['id']}/output")

    def upload(self, holder: Holder) -> None:
        """Send a document, labelled if the holder has the label."""
        tenant, thing = self.world.tenants[holder.tenant], self.chance.choice(THINGS)
        labelled = holder.label and self.chance.random() < 0.5
        with tenant.lock:
            name = f"{MARKS[holder.tenant]}-sent-{thing}.txt"
            text = tenant.text(thing, labelled=labelled)
            query = urlencode({"name": name, **({"access": LABEL} if labelled else {})})
            status, _ = self.ask(holder, "POST", f"/v1/documents?{query}", text.encode())
            if status == 202:
                tenant.uploads[name] = labelled

    def delete(self, holder: Holder) -> None:
        """Delete a document that was sent."""
        tenant = self.world.tenants[holder.tenant]
        with tenant.lock:
            for name in list(tenant.uploads)[:1]:
                status, _ = self.ask(holder, "DELETE", f"/v1/documents/{quote(name)}")
                if status == 202:
                    del tenant.uploads[name]

    def whole(self, holder: Holder) -> None:
        """Ask for what belongs to all tenants together."""
        for path in ("/metrics", "/v1/cache"):
            status, _ = self.ask(holder, "GET", path)
            if status != 403:
                self.told.wrong(f"{holder.tenant} got {status} from {path}")


def fuzz(world: World, netloc: str, plan: Plan) -> Told:
    """Do a plan's operations on several threads and return what happened."""
    told = Told()
    ingests = round(plan.operations * plan.ingest_share)
    each = (plan.operations - ingests) // _THREADS

    def asking(number: int) -> None:
        fuzzer = Fuzzer(world, netloc, told, plan.seed * 100 + number)
        with closing(fuzzer):
            for _ in range(each):
                fuzzer.step()

    def ingesting() -> None:
        chance = random.Random(plan.seed)  # noqa: S311
        for _ in range(ingests):
            tenant = world.tenants[chance.choice(TENANTS)]
            world.ingest(tenant, lambda each: each.change(chance))
            with told.lock:
                told.operations["ingest"] += 1

    works = [*(partial(asking, number) for number in range(_THREADS)), ingesting]
    threads = [threading.Thread(target=_noting, args=(work, told)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def _noting(work: Callable[[], None], told: Told) -> None:
    try:
        work()
    except Exception as exc:  # noqa: BLE001  # a thread's end must be seen
        told.wrong(f"a thread ended: {type(exc).__name__}: {exc}")


def run(plan: Plan, folder: Path) -> Told:
    """Make a world in an empty folder, do a plan in it, and return all that was found."""
    world = made_world(folder)
    world.all_ingested(random.Random(plan.seed))  # noqa: S311
    with serving(environment(world), folder / "service.log") as service:
        told = fuzz(world, service.netloc, plan)
        found = quiet_faults(world, service.netloc, told.answers, told.jobs)
        told.faults += found
    return told


def environment(world: World) -> dict[str, str]:
    """Return what tells ``rag serve`` of the world."""
    settings = world.settings
    return {
        "RAG_DATA_DIR": str(settings.data_dir),
        "RAG_TIER": settings.tier,
        "RAG_ANSWER_THRESHOLD": str(settings.answer_threshold),
        "RAG_INGEST_WORKERS": "1",
        "RAG_CONCURRENT_QUESTIONS": "2",
        "RAG_AUDIT_LOG": str(settings.data_dir / "audit.jsonl"),
    }


def bench(*, quick: bool) -> int:
    """Do 10,000 operations (400 when quick), print what was found; 1 where anything was wrong."""
    origin, plan, started = provenance(), Plan(400 if quick else 10_000), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        told = run(plan, Path(name))
    seconds = round(time.perf_counter() - started, 1)
    body = {
        "settings": {**asdict(plan), "tenants": len(TENANTS), "threads": _THREADS},
        "seconds": seconds,
        "operations": dict(sorted(told.operations.items())),
        "statuses": {str(status): n for status, n in sorted(told.statuses.items())},
        "answers": dict(sorted(told.answers.items())),
        "faults": told.faults,
    }
    write_record("tenants", {**origin, **body}, CACHE if quick else RESULTS)
    sys.stdout.write(f"{json.dumps(body, indent=1)}\n")
    return 1 if told.faults else 0
