"""Ingest: ``rag-ingest sync`` beside LlamaIndex's pipeline, on the same files in one run."""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.bench.corpora import SEED
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.service import script

_SUFFIXES = {".md", ".rst"}
_UNCHANGED_RUNS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: all files, or so many of each project, and a smaller sample with vectors."""

    data: Path
    of_each: int | None = None
    of_each_with_vectors: int = 25


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one measurement, copied into a folder of their own."""

    folder: Path
    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Run:
    """One way to ingest: seconds of the first run and of each unchanged one, CPU by stage [s]."""

    name: str
    files: Files
    chunks: int
    seconds: float
    cpu_seconds: float
    unchanged_seconds: tuple[float, ...]
    cpu_by_stage: dict[str, float]

    @property
    def unchanged_ratio(self) -> float:
        """How many times faster a run is that finds nothing changed."""
        return self.seconds / statistics.median(self.unchanged_seconds)


def run(plan: Plan) -> None:
    """Measure, print tables, and leave ``ingest.json``."""
    origin = provenance()
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
        everything = _copied(plan.data, Path(scratch) / "all", plan.of_each)
        sample = _copied(plan.data, Path(scratch) / "sample", plan.of_each_with_vectors)
        runs = [
            _synced("frugal-rag lexical", "lexical", everything, Path(scratch) / "a"),
            _synced("frugal-rag lexical", "lexical", sample, Path(scratch) / "b"),
            _synced("frugal-rag neural", "neural", sample, Path(scratch) / "c"),
            _llama("1024/200", sample, Path(scratch) / "d"),
            _llama("256/20", sample, Path(scratch) / "e"),
        ]
    print(_table(runs))
    print()
    print(_stages_table(runs))
    folder = RESULTS if plan == Plan(plan.data) else CACHE
    write_record("ingest", origin | _record(plan, runs), folder)


def _copied(data: Path, folder: Path, of_each: int | None) -> Files:
    """Return a folder with files of docs_markup: all, or ``of_each`` project drawn by the seed."""
    root = (data / "docs_markup").resolve()
    chosen: list[Path] = []
    for project in sorted(path for path in root.iterdir() if path.is_dir()):
        files = sorted(path for path in project.rglob("*") if path.suffix in _SUFFIXES)
        random.Random(SEED).shuffle(files)  # noqa: S311 -- not a secret
        chosen += files[:of_each]
    for path in chosen:
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return Files(folder, len(chosen), sum(path.stat().st_size for path in chosen))


def _synced(name: str, tier: str, files: Files, data_dir: Path) -> Run:
    first, seconds, cpu = _sync(tier, files.folder, data_dir)
    unchanged = [_sync(tier, files.folder, data_dir) for _ in range(_UNCHANGED_RUNS)]
    counts = unchanged[-1][0]["files"]
    if counts["unchanged"] + counts["skipped"] + counts["failed"] != files.count:
        print(f"{name}: not all files were found unchanged", file=sys.stderr)
    return Run(
        name=name,
        files=files,
        chunks=first["chunks"]["stored"],
        seconds=seconds,
        cpu_seconds=cpu,
        unchanged_seconds=tuple(again for _, again, _ in unchanged),
        cpu_by_stage={stage["name"]: stage["cpu_seconds"] for stage in first["stages"]},
    )


def _sync(tier: str, folder: Path, data_dir: Path) -> tuple[dict[str, Any], float, float]:
    """Return the report, wall seconds and CPU seconds of one run, its start included."""
    command = [script("rag-ingest"), "sync", str(folder), "--tier", tier, "--json"]
    environment = os.environ | {"RAG_DATA_DIR": str(data_dir)}
    return _timed(command, environment)


def _llama(split: str, files: Files, state: Path) -> Run:
    """Run LlamaIndex's pipeline in a process of its own, as the other is."""
    module = "eval.bench.llama_ingest"
    command = [sys.executable, "-m", module, str(files.folder), str(state), split]
    state.mkdir()
    report, seconds, cpu = _timed(command, dict(os.environ))
    unchanged = [_timed(command, dict(os.environ))[1] for _ in range(_UNCHANGED_RUNS)]
    return Run(
        name=f"LlamaIndex {split}",
        files=files,
        chunks=report["nodes"],
        seconds=seconds,
        cpu_seconds=cpu,
        unchanged_seconds=tuple(unchanged),
        cpu_by_stage=report["cpu_by_stage"],
    )


def _timed(command: list[str], environment: dict[str, str]) -> tuple[dict[str, Any], float, float]:
    before, started = os.times(), time.perf_counter()
    # Exit status 1 says that some files failed; the report names them.
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    seconds, after = time.perf_counter() - started, os.times()
    if done.returncode not in {0, 1} or not done.stdout.strip():
        sys.stderr.write(done.stderr)
        done.check_returncode()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return json.loads(done.stdout.splitlines()[-1]), seconds, cpu


def _table(runs: Sequence[Run]) -> str:
    header = ("way", "files", "MB", "chunks", "s", "CPU s", "files/s", "MB/s", "CPU ms/chunk")
    return table((*header, "unchanged s", "ratio"), [_cells(run) for run in runs])


def _cells(run: Run) -> tuple[str, ...]:
    megabytes = run.files.size_bytes / 1e6
    return (
        run.name,
        f"{run.files.count}",
        f"{megabytes:.1f}",
        f"{run.chunks}",
        f"{run.seconds:.1f}",
        f"{run.cpu_seconds:.1f}",
        f"{run.files.count / run.seconds:.0f}",
        f"{megabytes / run.seconds:.2f}",
        f"{1000 * run.cpu_seconds / max(1, run.chunks):.1f}",
        f"{statistics.median(run.unchanged_seconds):.2f}",
        f"{run.unchanged_ratio:.0f}",
    )


def _stages_table(runs: Sequence[Run]) -> str:
    rows = [
        (run.name, run.files.count, stage, f"{seconds:.2f}")
        for run in runs
        for stage, seconds in run.cpu_by_stage.items()
    ]
    return table(("way", "files", "stage", "CPU s"), rows)


def _record(plan: Plan, runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "seed": SEED,
        "data": "docs_markup",
        "exclusions": f"vectors on {plan.of_each_with_vectors} files of each project: embedding "
        "is the cost; LlamaIndex reads files as plain text, and of a node of 1024 tokens only the "
        "first 256 are embedded",
        "runs": [
            {
                **asdict(run),
                "files": {"count": run.files.count, "bytes": run.files.size_bytes},
                "unchanged_ratio": run.unchanged_ratio,
            }
            for run in runs
        ],
    }
