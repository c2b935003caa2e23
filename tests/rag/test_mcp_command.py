from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag.errors import UsageError
from rag.mcp_command import serve_agents
from rag.settings import load_settings

QUESTION = "How long is the pump covered?"


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


@pytest.fixture
def documents(commands: Callable[..., Any], tmp_path: Path) -> Any:
    """The commands on a collection of one document."""
    made = commands(tmp_path)
    made.publish({"pump.md": "# Pump\n\nThe pump is covered for 24 months from delivery.\n"})
    return made


def called(documents: Any, log: Path, *tools: str, **settings: object) -> list[tuple[bool, str]]:
    """Return whether each call failed and what it said, from the official client."""
    pytest.importorskip("mcp", reason="optional extra: mcp")
    import anyio
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    given = {"data_dir": documents.folder / "data", "tier": "lexical", **settings}
    environment = {f"RAG_{name.upper()}": str(value) for name, value in given.items()}
    process = StdioServerParameters(
        command=sys.executable,
        args=["-c", "import sys; from rag.cli import main; sys.exit(main())", "mcp"],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )

    async def calls() -> list[tuple[bool, str]]:
        with log.open("w") as errors:
            async with Client(stdio_client(process, errlog=errors)) as client:
                asked = {"question": QUESTION}
                results = [await client.call_tool(tool, asked) for tool in tools]
        return [(bool(each.is_error), each.content[0].text) for each in results]  # type: ignore[union-attr]

    return anyio.run(calls)


def test_what_agents_are_given_is_noted_and_never_its_text(documents: Any, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    results = called(documents, tmp_path / "log", "search", "answer", audit_log=path)
    assert not any(failed for failed, _ in results)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["key"], row["tenant"], row["action"]) for row in rows] == [
        ("operator", "default", "retrieve"),
        ("operator", "default", "answer"),
    ]
    assert all(row["documents"] == ["pump.md"] and row["generation"] == 1 for row in rows)
    assert "covered" not in path.read_text()


def test_agents_are_held_to_the_quotas_also_by_what_the_cache_has(
    documents: Any, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    tools = ("answer", "answer", "search", "answer")
    given = {"audit_log": path, "quota_requests": "2/hour", "cache": "exact"}
    results = called(documents, tmp_path / "log", *tools, **given)
    assert [failed for failed, _ in results] == [False, False, True, True]
    assert "the tenant's quota of requests is spent: 2/hour. Ask again in " in results[2][1]
    assert len(path.read_text().splitlines()) == 2  # who is refused is given nothing


def test_nothing_is_served_where_nothing_can_be_noted(documents: Any, tmp_path: Path) -> None:
    other = documents.with_settings(audit_log=tmp_path / "none" / "audit.jsonl")
    for command in (("mcp",), ("serve", "--port", "0")):
        done = other.rag(*command)
        assert done.returncode != 0
        assert "audit_log cannot be appended to" in done.stderr
        assert "Traceback" not in done.stderr
        assert "listening" not in done.stderr
