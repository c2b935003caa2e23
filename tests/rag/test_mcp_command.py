from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rag.errors import UsageError
from rag.mcp_command import serve_agents
from rag.settings import load_settings


def test_a_missing_package_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("mcp", "rag.mcp_server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(UsageError, match=r"frugal-rag\[mcp\]"):
        serve_agents(load_settings(data_dir=tmp_path, tier="lexical"), "", 1024)


def test_importing_it_loads_nothing_heavy() -> None:
    program = "import sys, rag.mcp_command; print({'mcp', 'anyio', 'numpy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
