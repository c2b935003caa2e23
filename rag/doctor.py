"""What ``rag doctor`` finds: checks as values, each bounded in time, and how they are shown."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rag.errors import RagError

Verdict: TypeAlias = Literal["ok", "warn", "fail"]
_WORST_FIRST: Final[tuple[Verdict, ...]] = ("fail", "warn", "ok")
_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; anything but ``ok`` comes with a remedy."""

    verdict: Verdict
    found: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.verdict != "ok" and not self.remedy:
            raise ValueError(f"no remedy for: {self.found}")


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at, and for how long at most [s]."""

    name: str
    look: Callable[[], Finding]
    seconds: float = _SECONDS


@dataclass(frozen=True, slots=True)
class Examined:
    """A check that was made, and how long it took [s]."""

    name: str
    finding: Finding
    seconds: float


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks that were made, in their order."""

    checks: tuple[Examined, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        verdicts = {check.finding.verdict for check in self.checks}
        return next((verdict for verdict in _WORST_FIRST if verdict in verdicts), "ok")

    @property
    def exit_code(self) -> int:
        """1 if something fails, else 0: a warning is no failure."""
        return 1 if self.verdict == "fail" else 0

    def to_json(self) -> str:
        """Return the diagnosis as one JSON object on one line."""
        rows = [
            {
                "name": check.name,
                "verdict": check.finding.verdict,
                "found": check.finding.found,
                "remedy": check.finding.remedy or None,
                "seconds": round(check.seconds, 4),
            }
            for check in self.checks
        ]
        return json.dumps({"verdict": self.verdict, "checks": rows})

    def to_text(self) -> str:
        """Return the diagnosis as people read it."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for check in self.checks:
            finding = check.finding
            lines.append(f"{finding.verdict:<4}  {check.name:<{width}}  {finding.found}")
            if finding.remedy:
                lines.append(f"{'':<{width + 8}}-> {finding.remedy}")
        counts = [f"{self._count(verdict)} {verdict}" for verdict in reversed(_WORST_FIRST)]
        return "\n".join([*lines, ", ".join(counts)])

    def _count(self, verdict: Verdict) -> int:
        return sum(check.finding.verdict == verdict for check in self.checks)


def examine(checks: Iterable[Check]) -> Diagnosis:
    """Make all checks one after another; one that fails or takes too long stops no other."""
    return Diagnosis(tuple(_examined(check) for check in checks))


def _examined(check: Check) -> Examined:
    found: list[Finding] = []
    started = time.monotonic()
    # A thread that hangs in a system call cannot be ended; as a daemon it ends with the process.
    thread = threading.Thread(target=lambda: found.append(_outcome(check)), daemon=True)
    thread.start()
    thread.join(check.seconds)
    seconds = time.monotonic() - started
    finding = found[0] if found else _unfinished(check)
    return Examined(check.name, finding, seconds)


def _outcome(check: Check) -> Finding:
    try:
        return check.look()
    except RagError as exc:
        return Finding("fail", f"{exc.what}: {exc.value}", exc.remedy)
    except (OSError, sqlite3.Error) as exc:
        return Finding("fail", str(exc), "fix permissions or the disk")
    except Exception as exc:  # noqa: BLE001  # the boundary: a check that breaks is a finding
        return Finding("fail", f"unexpected {type(exc).__name__}: {exc}", "report it")


def _unfinished(check: Check) -> Finding:
    found = f"not finished within {check.seconds:g} s"
    return Finding("warn", found, "look at the load of the machine and its disks, and try again")
