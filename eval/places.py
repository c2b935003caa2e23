"""Where things are kept unless the command line says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Final

RESULTS: Final = Path("eval/results")
CACHE: Final = Path(".cache/eval")
POLICY: Final = Path("eval.toml")
