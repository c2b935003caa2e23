"""The whole way once: ingest the sample corpus, start the service, ask it over HTTP.

Run by ``make demo``. Everything it makes lies in a temporary folder.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_DOCUMENTS = Path(__file__).parent / "docs"
_COMMANDS = Path(sys.executable).parent
_READY_SECONDS = 60
_QUESTIONS = (
    ("from a PDF", "How long does a probe in the glycol bottle take to reach 63 % of a step?"),
    ("from a CSV", "How many people can take part in the remote half-day user training?"),
    ("two regions, nearly the same page", "How long are audit logs kept in the EU region?"),
    ("two versions", "What API rate limit applied to every tenant in Quay 4.2?"),
    ("an identifier", "Which test case simulates a network with temporary rejections?"),
    ("from a DOCX", "What share of VP-80 probes was found outside the limit in 2024?"),
    ("not in the documents", "What is the API rate limit in Quay 4.4?"),
)


def main() -> int:
    """Ingest, serve, ask; return 0 if every question got a response."""
    with tempfile.TemporaryDirectory(prefix="frugal-rag-demo-") as folder:
        print(f"1. Ingest {_DOCUMENTS.parent.name}/{_DOCUMENTS.name}\n", flush=True)
        sync = [_COMMANDS / "rag-ingest", "sync", _DOCUMENTS, "--data-dir", folder]
        subprocess.run(sync, check=True)  # noqa: S603 -- our own command
        print("\n2. Start the service and ask over HTTP", flush=True)
        with _service(folder) as address:
            for why, question in _QUESTIONS:
                _show(why, question, _ask(address, question))
    print('\nNext: rag-ingest sync your/documents && rag ask "..."; see README.md')
    return 0


@contextmanager
def _service(folder: str) -> Iterator[str]:
    """Run ``rag serve`` on a free port; yield its address once it is ready."""
    command = [_COMMANDS / "rag", "serve", "--port", "0", "--data-dir", folder]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield _address(process)
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    """Return the address that the service names on stderr, once it answers ``/readyz``."""
    assert process.stderr is not None  # noqa: S101 -- it was opened as a pipe
    for line in process.stderr:
        found = re.search(r"http://\S+", line)
        if found:
            _wait_until_ready(found.group())
            return found.group()
    raise SystemExit("the service stopped before it listened")


def _wait_until_ready(address: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5):  # noqa: S310
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise SystemExit(f"the service was not ready after {_READY_SECONDS} s")


def _ask(address: str, question: str) -> dict[str, Any]:
    body = json.dumps({"question": question, "budget_tokens": 256}).encode()
    request = urllib.request.Request(  # noqa: S310 -- the service just started
        f"{address}/v1/query", data=body, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        result: dict[str, Any] = json.load(response)
        return result


def _show(why: str, question: str, result: dict[str, Any]) -> None:
    print(f"\nQ  {question}  ({why})")
    if result["abstained"]:
        print(f"A  no answer: {result['reason']}")
    else:
        print(f"A  {result['answer']}  (confidence {result['confidence']:.2f})")
    for citation in result["citations"] or result["nearest"][:1]:
        page = f", page {citation['page']}" if citation["page"] else ""
        kind = "cited" if result["citations"] else "nearest"
        print(f"   {kind}: {citation['doc_id']}{page} [{citation['start']}:{citation['end']}]")
    usage, joules = result["usage"], result["impact"]["joules"]
    print(
        f"   receipt: {usage['context_tokens']} of {usage['budget_tokens']} context tokens, "
        f"{result['seconds'] * 1000:.0f} ms, {joules['low']:.3f} to {joules['high']:.3f} J "
        f"({result['impact']['basis']})"
    )


if __name__ == "__main__":
    raise SystemExit(main())
