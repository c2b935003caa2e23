"""Kills ingest at random moments under a running service, and checks that nothing is lost.

    python -m eval.bench.kill DOCS --kills 50 --tier neural

DOCS is copied, and its copy alternates between all files and every other one. Each round starts
``rag-ingest sync``, ends it with SIGKILL at a random moment, asks the running service, lets a
second run finish the work, compares what the index then stands for with a clean run's, and asks
the service again. While ingest runs, the service is asked without pause. Every other round starts
without cached vectors, so that embedding is hit too.
"""

from __future__ import annotations

import argparse
import http.client
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

from eval.bench.service import Running, serving
from ingest.manifest import Manifest
from rag.adapters.edge_index import EdgeIndex
from rag.generation import Generation, ReaderSlot, read_current
from rag.types import Filter

_COLLECTION = "default"
_PAUSE_SECONDS = 0.05
_SETTLING_ASKS = 200
_QUESTION_CHARACTERS = 200
_MOST_ROUNDS = 4  # for each kill
_LATEST = 1.2  # moments are drawn up to this multiple of an undisturbed run's time


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried; ``docs`` is copied, never changed. Runs that beat their kill are extra."""

    docs: Path
    kills: int
    tier: str
    seed: int


@dataclass(slots=True)
class Outcome:
    """What happened: ``faults`` is empty if no question failed and nothing was lost."""

    question: str = ""
    rounds: int = 0
    killed: int = 0
    ended_before_the_kill: int = 0
    questions: int = 0
    last_generation: int = 0
    chunks: int = 0
    clean_seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def run_trial(trial: Trial, working_copy: Path) -> Outcome:
    """Return the outcome of a trial carried out in an empty folder."""
    outcome = Outcome()
    docs, torn = working_copy / "docs", working_copy / "torn"
    shutil.copytree(trial.docs, docs)
    hidden = _Hidden(docs, working_copy / "hidden")
    expected = {}
    for _ in range(2):
        clean = working_copy / f"clean-{hidden.active}"
        outcome.clean_seconds = _timed(docs, clean, trial.tier)
        expected[hidden.active] = contents(clean)
        hidden.toggle()
    always = min(expected[True] & expected[False])
    outcome.question = always[-1][:_QUESTION_CHARACTERS]
    _finish(_start(docs, torn, trial.tier))
    moments = random.Random(trial.seed)  # noqa: S311 -- a repeatable draw, no secret
    environment = {"RAG_DATA_DIR": str(torn), "RAG_TIER": trial.tier}
    with serving(environment, working_copy / "service.log") as service:
        while outcome.killed < trial.kills and outcome.rounds < _MOST_ROUNDS * trial.kills:
            number = outcome.rounds
            hidden.toggle()
            if number % 2 == 0:
                _forget_vectors(torn)
            after = moments.uniform(0, _LATEST * outcome.clean_seconds)
            _killed_run(_start(docs, torn, trial.tier), after, service, outcome)
            _finish(_start(docs, torn, trial.tier))
            _ask(service, outcome)
            found = contents(torn)
            outcome.chunks = len(found)
            if found != expected[hidden.active]:
                lost, more = expected[hidden.active] - found, found - expected[hidden.active]
                outcome.faults.append(f"round {number}: {len(lost)} lost, {len(more)} too many")
        outcome.last_generation = _settled(service, torn, outcome)
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
    parser.add_argument("--kills", type=int, default=50, help="number of kills (default: 50)")
    parser.add_argument("--tier", choices=("lexical", "neural"), default="lexical")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments (default: 1)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as working_copy:
        trial = Trial(options.docs, options.kills, options.tier, options.seed)
        outcome = run_trial(trial, Path(working_copy))
    print(json.dumps({"tier": trial.tier, "seed": trial.seed, **asdict(outcome)}))
    return 1 if outcome.faults else 0


class _Hidden:
    """Every other file, moved out of the way or back."""

    def __init__(self, docs: Path, aside: Path) -> None:
        files = sorted(path for path in docs.rglob("*") if path.is_file())[::2]
        self._moves = [(path, aside / path.relative_to(docs)) for path in files]
        self.active = False

    def toggle(self) -> None:
        """Move the files out of the way, or back."""
        for there, aside in self._moves:
            source, target = (aside, there) if self.active else (there, aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        self.active = not self.active


def _timed(docs: Path, data_dir: Path, tier: str) -> float:
    started = time.monotonic()
    _finish(_start(docs, data_dir, tier))
    return round(time.monotonic() - started, 3)


def _forget_vectors(data_dir: Path) -> None:
    for path in (data_dir / _COLLECTION).glob("vectors.sqlite*"):
        path.unlink()


def _killed_run(
    process: subprocess.Popen[bytes], after: float, service: Running, outcome: Outcome
) -> None:
    """Kill a run after so many seconds, asking the service all the while and once more."""
    end = time.monotonic() + after
    while process.poll() is None and time.monotonic() < end:
        _ask(service, outcome)
        time.sleep(_PAUSE_SECONDS)  # or the service would take the processor from ingest
    outcome.rounds += 1
    if process.poll() is None:
        process.kill()
        outcome.killed += 1
    else:
        outcome.ended_before_the_kill += 1
        if process.returncode:
            outcome.faults.append(f"ingest ended with {process.returncode}")
    process.wait()
    _ask(service, outcome)


def _ask(service: Running, outcome: Outcome) -> int | None:
    """Ask the service; returns the generation that answered."""
    outcome.questions += 1
    status, body = service.post("/v1/query", {"question": outcome.question})
    if status != http.client.OK:
        outcome.faults.append(f"a question got status {status}")
        return None
    if not (body["citations"] or body["nearest"]):
        outcome.faults.append("a question found nothing")
    return int(body["generation"])


def _settled(service: Running, data_dir: Path, outcome: Outcome) -> int:
    """Wait until the service answers from the last generation; returns its number."""
    current = read_current(data_dir / _COLLECTION)
    last = current.number if current else 0
    for _ in range(_SETTLING_ASKS):
        if _ask(service, outcome) == last:
            return last
        time.sleep(_PAUSE_SECONDS)
    outcome.faults.append(f"the service never served generation {last}")
    return last


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
