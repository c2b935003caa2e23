"""What a benchmark leaves behind: a table to read and a record to check it by."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.provenance import ROOT, commit, load_average, machine, packages

RESULTS = Path(__file__).parent / "results"
CACHE = ROOT / ".cache" / "bench"


def provenance() -> dict[str, Any]:
    """Return when, where and on which code this is called: call it before measuring."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {**machine(), "load_average_1min": load_average()},
        "packages": packages(),
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
