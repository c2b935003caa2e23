"""Kills ingest at random moments while a reader queries, and checks that nothing is lost.

    python -m eval.bench.kill DOCS --rounds 50 --tier neural

Each round starts ``rag-ingest sync`` on a copy of DOCS that alternates between all files and every
other one, and ends it with SIGKILL at a random moment; every other round starts without cached
vectors, so that embedding is hit too. All the while this process reads the published generation:
it must open, hold as many chunks as it says, and answer. At the end one run finishes the work, and
what the index then holds is compared with a clean run's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ingest.manifest import Manifest
from rag.adapters.edge_index import EdgeIndex
from rag.build import build_analyzer
from rag.generation import Generation, ReaderSlot
from rag.types import Filter, SearchQuery, SparseVector

_COLLECTION = "default"
_PAUSE_SECONDS = 0.05
_LATEST = 1.2  # moments are drawn up to this multiple of an undisturbed run's time


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried; ``docs`` is copied, never changed."""

    docs: Path
    rounds: int
    tier: str
    seed: int


@dataclass(slots=True)
class Outcome:
    """What happened: ``faults`` is empty if no reader ever failed and nothing was lost."""

    rounds: int = 0
    killed: int = 0
    finished: int = 0
    published: int = 0
    reads: int = 0
    chunks: int = 0
    clean_seconds: float = 0.0
    warm_seconds: float = 0.0
    identical: bool = False
    faults: list[str] = field(default_factory=list)


def run_trial(trial: Trial, workplace: Path) -> Outcome:
    """Return the outcome of a trial carried out in an empty folder."""
    outcome = Outcome()
    docs, clean, torn = (workplace / name for name in ("docs", "clean", "torn"))
    shutil.copytree(trial.docs, docs)
    outcome.clean_seconds = _timed(docs, clean, trial.tier)
    _finish(_start(docs, torn, trial.tier))
    hidden = _Hidden(docs, workplace / "hidden")
    hidden.toggle()
    outcome.warm_seconds = _timed(docs, torn, trial.tier)
    moments = random.Random(trial.seed)  # noqa: S311 -- a repeatable draw, no secret
    seen = -1
    for number in range(trial.rounds):
        if outcome.published != seen:  # the last state is published: the next has to differ
            seen = outcome.published
            hidden.toggle()
        cold = number % 2 == 0
        if cold:
            _forget_vectors(torn)
        latest = _LATEST * (outcome.clean_seconds if cold else outcome.warm_seconds)
        _one_round(trial.tier, docs, torn, moments.uniform(0, latest), outcome)
    hidden.restore()
    _finish(_start(docs, torn, trial.tier))
    expected, found = contents(clean), contents(torn)
    outcome.identical, outcome.chunks = expected == found, len(found)
    if not outcome.identical:
        lost, more = len(expected - found), len(found - expected)
        outcome.faults.append(f"{lost} entries lost, {more} too many")
    return outcome


def contents(data_dir: Path) -> set[tuple[str, int, int, str]]:
    """Return document, span and text of all that the published index stands for.

    Raises:
        AssertionError: Index and manifest disagree, or a chunk is stored twice.
    """
    slot = ReaderSlot.take(data_dir / _COLLECTION)
    if slot is None:
        return set()
    with slot:
        index = EdgeIndex.open(slot.path)
        try:
            return _entries(index, slot.generation)
        finally:
            index.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one trial from the command line; returns 0 if nothing was lost."""
    parser = argparse.ArgumentParser(prog="kill", description=__doc__.partition("\n")[0])
    parser.add_argument("docs", type=Path, help="folder of documents")
    parser.add_argument("--rounds", type=int, default=50, help="number of kills (default: 50)")
    parser.add_argument("--tier", choices=("lexical", "neural"), default="lexical")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments (default: 1)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as workplace:
        trial = Trial(options.docs, options.rounds, options.tier, options.seed)
        outcome = run_trial(trial, Path(workplace))
    print(json.dumps({"tier": trial.tier, "seed": trial.seed, **asdict(outcome)}))
    return 1 if outcome.faults else 0


class _Hidden:
    """Every other file, moved out of the way or back."""

    def __init__(self, docs: Path, aside: Path) -> None:
        files = sorted(path for path in docs.rglob("*") if path.is_file())[::2]
        self._moves = [(path, aside / path.relative_to(docs)) for path in files]
        self.active = False

    def toggle(self) -> None:
        for there, aside in self._moves:
            source, target = (aside, there) if self.active else (there, aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        self.active = not self.active

    def restore(self) -> None:
        if self.active:
            self.toggle()


def _timed(docs: Path, data_dir: Path, tier: str) -> float:
    started = time.monotonic()
    _finish(_start(docs, data_dir, tier))
    return round(time.monotonic() - started, 3)


def _forget_vectors(data_dir: Path) -> None:
    for path in (data_dir / _COLLECTION).glob("vectors.sqlite*"):
        path.unlink()


def _one_round(tier: str, docs: Path, data_dir: Path, after: float, outcome: Outcome) -> None:
    before = _read(data_dir, outcome)
    process = _start(docs, data_dir, tier)
    end = time.monotonic() + after
    while process.poll() is None and time.monotonic() < end:
        _read(data_dir, outcome)
        time.sleep(_PAUSE_SECONDS)  # or the reader would take the processor from what it watches
    outcome.rounds += 1
    if process.poll() is None:
        process.kill()
        outcome.killed += 1
    elif process.returncode:
        outcome.faults.append(f"ingest ended with {process.returncode}")
    else:
        outcome.finished += 1
    process.wait()
    outcome.published += _read(data_dir, outcome) != before


def _read(data_dir: Path, outcome: Outcome) -> int:
    """Query the published generation as any reader would; returns its number."""
    slot = ReaderSlot.take(data_dir / _COLLECTION)
    if slot is None:
        outcome.faults.append("nothing is published")
        return 0
    with slot:
        index = EdgeIndex.open(slot.path)
        try:
            outcome.faults += _reading_faults(index, slot.generation)
        finally:
            index.close()
    outcome.reads += 1
    return slot.generation.number


def _reading_faults(index: EdgeIndex, generation: Generation) -> list[str]:
    where = Filter("default")
    counted = index.count(where)
    faults = []
    if counted != generation.chunks:
        faults.append(f"{counted} chunks in {generation.identity} of {generation.chunks}")
    terms = sorted(set(build_analyzer().terms("the system shall report a document with data")))
    query = SearchQuery(where, SparseVector(tuple(terms), (1.0,) * len(terms)), None, 5)
    found = index.search(query).sparse
    if len(index.fetch("default", [hit.chunk_id for hit in found])) != len(found):
        faults.append(f"hits of {generation.identity} cannot be fetched")
    return faults


def _entries(index: EdgeIndex, generation: Generation) -> set[tuple[str, int, int, str]]:
    with Manifest.read(generation.manifest_path) as manifest:
        ids = [chunk for _, chunk in manifest.point_ids()]
        places = set(
            manifest.connection.execute(
                "SELECT doc_id, start, start + length(text), text"
                " FROM occurrences JOIN contents USING (tenant, digest)"
            )
        )
    stored = [item.chunk for item in index.fetch("default", ids)]
    if not len(stored) == len(set(ids)) == index.count(Filter("default")):
        raise AssertionError("index and manifest hold different chunks")
    reachable = {(doc, chunk.text) for chunk in stored for doc in (chunk.doc_id, *chunk.also_in)}
    if reachable != {(doc, text) for doc, _, _, text in places}:
        raise AssertionError("index and manifest stand for different documents")
    if not {(c.doc_id, c.start, c.end, c.text) for c in stored} <= places:
        raise AssertionError("a stored chunk does not stand where it says")
    return places


def _start(docs: Path, data_dir: Path, tier: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ingest.cli", "sync", str(docs), "--delete-missing"]
    command += ["--tier", tier, "--data-dir", str(data_dir)]
    return subprocess.Popen(
        command,
        env={name: value for name, value in os.environ.items() if not name.startswith("RAG_")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        raise AssertionError(f"an undisturbed run ended with {process.returncode}")


if __name__ == "__main__":
    sys.exit(main())
