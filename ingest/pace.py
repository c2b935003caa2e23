"""How long the last runs took: what the next one can be expected to take."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest.report import SyncReport

PACE = "pace.json"
_KEPT = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """One run that indexed something: how many files, in what time [s]."""

    files: int
    seconds: float


def remember(collection: Path, report: SyncReport) -> None:
    """Keep how long a run took, if it indexed anything; a disk that refuses costs an estimate."""
    if report.dry_run or not report.files.indexed or not collection.is_dir():
        return
    seconds = sum(stage.seconds for stage in report.stages)
    kept = [*known(collection), Pace(report.files.indexed, seconds)][-_KEPT:]
    beside = collection / f".{PACE}.{os.getpid()}.part"
    with suppress(OSError):
        beside.write_text(json.dumps([asdict(pace) for pace in kept]), encoding="utf-8")
        beside.replace(collection / PACE)


def known(collection: Path) -> tuple[Pace, ...]:
    """Return the last runs, oldest first; what cannot be read is none."""
    try:
        found = json.loads((collection / PACE).read_text(encoding="utf-8"))
        return tuple(Pace(int(each["files"]), float(each["seconds"])) for each in found)
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def expected_seconds(collection: Path, files: int) -> float | None:
    """Return how long a run over so many files will take at most, by the last ones [s].

    The slowest of them, stretched where there are more files now: a part of each run does not
    depend on their number, and a deadline is lost by hoping. None where no run is known.
    """
    runs = [pace for pace in known(collection) if pace.files > 0 and pace.seconds >= 0]
    return max((pace.seconds * max(1.0, files / pace.files) for pace in runs), default=None)
