"""A real ``rag mcp`` that sends its traces to a real collector."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

QUESTION = "How long is the pump covered?"


def test_each_call_has_a_trace_and_no_text(
    commands: Callable[..., Any], tmp_path: Path, collector: Any, attributes_of: Any
) -> None:
    pytest.importorskip("mcp", reason="optional extra: mcp")
    import anyio
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    made = commands(tmp_path)
    made.publish({"pump.md": "# Pump\n\nThe pump is covered for 24 months from delivery.\n"})
    process = StdioServerParameters(
        command=sys.executable,
        args=["-c", "import sys; from rag.cli import main; sys.exit(main())", "mcp"],
        env={
            "RAG_DATA_DIR": str(tmp_path / "data"),
            "RAG_TIER": "lexical",
            "RAG_OTLP_URL": collector.url,
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )

    async def calls() -> None:
        with (tmp_path / "log").open("w") as errors:
            async with Client(stdio_client(process, errlog=errors)) as client:
                for tool in ("search", "answer"):
                    await client.call_tool(tool, {"question": QUESTION})

    anyio.run(calls)
    spans = collector.spans(4)
    tops = {span.name: span for span in spans if not span.parent_span_id}
    assert set(tops) == {"tools/call search", "tools/call answer"}
    assert attributes_of(tops["tools/call search"])["gen_ai.tool.name"] == "search"
    for top in tops.values():
        under = [span for span in spans if span.trace_id == top.trace_id and span is not top]
        assert any("frugal_rag.tenant" in attributes_of(span) for span in under)
        assert top.trace_id.hex() in (tmp_path / "log").read_text()
    assert not any(b"covered" in body for body in collector.bodies)
