"""From nothing to the first answer, and the memory of a service that waits: real ``rag serve``s.

A process starts, opens 5,000 chunks and answers; the clock runs from before it is started until the
answer has been read. The disk's cache is warm, as after a restart: that of the machine is not ours
to empty. Each start asks a question that no other has asked, so that no answer comes from a cache.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from eval.bench.corpora import SEED, sampled
from eval.bench.footprint import Way
from eval.bench.generations import published
from eval.bench.latency import mixed_documents
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.service import script
from eval.bench.vectors import FilledEmbedder, cached
from eval.datasets import load_dataset
from eval.systems.indexed import chunk_stream
from rag.build import build_embedder
from rag.errors import BackendError
from rag.settings import Settings, load_settings
from rag.types import Chunk

_GUARDED = "lexical, keys and audit log"
_DIMENSION = 384
_QUESTIONS = 20  # after the first one, before memory is read again
_IDLE_SECONDS = 3.0
_PATIENCE_SECONDS = 60.0
# Source: what was set out to be shown, for the lexical tier.
_FLOORS = {"first answer [s]": 1.0, "idle memory [MB]": 250.0}
_MB = 1e6
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure with: chunks, and starts of each way."""

    data: Path
    chunks: int = 5_000
    starts: int = 11


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds until it listened and until its first answer was read, and CPU seconds.

    ``copied``: it had to copy the index first, as the first process of a machine has to.
    Memory is resident, after the first answer and after further questions [MB]; ``private_mb`` is
    that which no other process could share. ``idle_share`` is the CPU's that waiting takes.
    """

    copied: bool
    listening_seconds: float
    answer_seconds: float
    cpu_seconds: float
    idle_mb: float
    private_mb: float
    used_mb: float
    idle_share: float


@dataclass(frozen=True, slots=True)
class Result:
    """All starts of one way; ``real_share`` is that of chunks with real vectors."""

    way: str
    chunks: int
    real_share: float | None
    starts: tuple[Start, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """Where a service is asked, and with which key, if it wants one."""

    netloc: str
    token: str | None

    def ask(self, question: str) -> None:
        """Ask a question and read the answer.

        Raises:
            BackendError: It is refused.
        """
        connection = http.client.HTTPConnection(self.netloc, timeout=_PATIENCE_SECONDS)
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        connection.request("POST", "/v1/query", json.dumps({"question": question}), headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status != HTTPStatus.OK:
            raise BackendError("no answer", response.status, "run rag serve by hand")


def ways() -> tuple[Way, ...]:
    """Return the tiers, and what may be set on top of one."""
    lexical, neural = ("tier", "lexical"), ("tier", "neural")
    return (
        Way("lexical", (lexical,)),
        Way(_GUARDED, (lexical,)),
        Way("neural", (neural,)),
        Way("neural, maxsim", (neural, ("reranker", "maxsim"))),
    )


def bench(data: Path, *, quick: bool) -> None:
    """Measure all ways, print a table, and leave ``coldstart.json``."""
    plan = Plan(data, 500, 2) if quick else Plan(data)
    origin = provenance()
    chunks = tuple(islice(chunk_stream(mixed_documents(data), load_settings()), plan.chunks))
    cases = load_dataset(data / "squad_v1_dev").cases
    questions = [case.text for case in sampled(cases, plan.starts * (_QUESTIONS + 1))]
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
        results = [
            _result(way, Path(scratch) / str(number), chunks, questions)
            for number, way in enumerate(ways())
        ]
    print(_table(results))
    body = {
        "seed": SEED,
        "data": {name: load_dataset(data / name).sha256 for name in ("squad_v1_dev", "nq_gold")},
        "exclusions": "none; the disk's cache is warm; random unit vectors where none are cached",
        "fingerprints": {way.label: way.settings().fingerprint() for way in ways()},
        "floors": _FLOORS,
        "ways": [asdict(result) for result in results],
    }
    write_record("coldstart", origin | body, CACHE if quick else RESULTS)


def _result(way: Way, folder: Path, chunks: Sequence[Chunk], questions: Sequence[str]) -> Result:
    settings = way.settings(folder)
    plain = build_embedder(settings)
    filled = FilledEmbedder(cached(plain), _DIMENSION) if plain else None
    published(settings, chunks, filled)
    own = {f"RAG_{name.upper()}": value for name, value in way.overrides}
    environment = {**own, "RAG_DATA_DIR": str(folder)}
    token = _key(environment) if way.label == _GUARDED else None
    if token is not None:
        environment["RAG_AUDIT_LOG"] = str(folder / "audit.log")
    size = _QUESTIONS + 1
    parts = [questions[at : at + size] for at in range(0, len(questions), size)]
    # The first one copies the index; so does the last, that there are two of them.
    starts = []
    for number, part in enumerate(parts):
        if number == len(parts) - 1:
            _forget_copies(settings)
        copied = number in (0, len(parts) - 1)
        starts.append(_start(environment, part, token, copied=copied))
    real = filled.real / (filled.real + filled.random) if filled else None
    return Result(way.label, len(chunks), real, tuple(starts))


def _key(environment: Mapping[str, str]) -> str:
    command = [script("rag"), "keys", "add", "--tenant", "default", "--json"]
    made = subprocess.run(
        command, env={**os.environ, **environment}, check=True, capture_output=True
    )
    return str(json.loads(made.stdout)["token"])


def _forget_copies(settings: Settings) -> None:
    shutil.rmtree(settings.data_dir / settings.collection / "readers")


def _start(
    environment: Mapping[str, str], questions: Sequence[str], token: str | None, *, copied: bool
) -> Start:
    began = time.perf_counter()
    process = subprocess.Popen(
        [script("rag"), "serve", "--port", "0"],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        asking = Asking(_address(process), token)
        listening = time.perf_counter() - began
        asking.ask(questions[0])
        answered = time.perf_counter() - began
        cpu = _cpu_seconds(process.pid)
        idle, private = _memory(process.pid)
        share = _idle_share(process.pid)
        for question in questions[1:]:
            asking.ask(question)
        used, _ = _memory(process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    return Start(copied, listening, answered, cpu, idle, private, used, share)


def _address(process: subprocess.Popen[str]) -> str:
    """Return where the service listens, as soon as it says so."""
    until = time.monotonic() + _PATIENCE_SECONDS
    for line in process.stderr or ():
        found = re.search(r"listening on (\S+)", line)
        if found:
            return urlsplit(found[1]).netloc
        if time.monotonic() > until:
            break
    raise BackendError("rag serve does not listen", process.poll(), "run it by hand")


def _cpu_seconds(pid: int) -> float:
    """Return the processor time of a process so far, all threads [s]. Source: proc(5), stat."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _idle_share(pid: int) -> float:
    before = _cpu_seconds(pid)
    time.sleep(_IDLE_SECONDS)
    return (_cpu_seconds(pid) - before) / _IDLE_SECONDS


def _memory(pid: int) -> tuple[float, float]:
    """Return resident and private memory [MB]. Source: proc(5), smaps_rollup."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    amounts = {
        name: int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)
    }
    private = amounts["Private_Clean"] + amounts["Private_Dirty"]
    return amounts["Rss"] * 1024 / _MB, private * 1024 / _MB


def _table(results: Sequence[Result]) -> str:
    header = (
        *("tier", "starts", "listens [s]", "first answer [s]", "slowest", "CPU [s]"),
        *("copying first [s]", "idle RSS [MB]", "of it private", "after 21", "idle CPU"),
    )
    return table(header, [_row(result) for result in results])


def _row(result: Result) -> tuple[object, ...]:
    again = [start for start in result.starts if not start.copied] or list(result.starts)
    copied = [start.answer_seconds for start in result.starts if start.copied]

    def middle(name: str) -> float:
        return float(statistics.median(getattr(start, name) for start in again))

    return (
        result.way,
        len(again),
        f"{middle('listening_seconds'):.2f}",
        f"{middle('answer_seconds'):.2f}",
        f"{max(start.answer_seconds for start in again):.2f}",
        f"{middle('cpu_seconds'):.2f}",
        f"{statistics.median(copied):.2f}",
        f"{middle('idle_mb'):.0f}",
        f"{middle('private_mb'):.0f}",
        f"{middle('used_mb'):.0f}",
        f"{middle('idle_share'):.1%}",
    )
