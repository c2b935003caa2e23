"""The programs of the documentation that ask a running service."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

pytest.importorskip("openai")
Asking: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
DOCS = Path(__file__).resolve().parents[2] / "docs"
SERVICE = "http://localhost:8080"
PROGRAMS = [
    program
    for page in sorted(DOCS.rglob("*.md"))
    for program in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    if SERVICE in program
]


def test_there_is_one() -> None:
    assert PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_documentation_runs(
    asking: Asking, pump_corpus: object, program: str
) -> None:
    with asking(pump_corpus) as client:
        text = program.replace(SERVICE, str(client.base_url).rstrip("/"))
        question = re.sub(
            r"How long are audit logs [\w ]+\?", "How long is the pump covered?", text
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", question],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("24 months") >= 3
