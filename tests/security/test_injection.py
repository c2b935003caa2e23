"""Text of others in places where it could be taken for ours: logs, headers, terminals, metrics."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

Commands = Callable[..., Any]
# A line end, a terminal's escape, a direction mark, a line end of Unicode, a NUL.
HOSTILE = (
    'pump\r\n{"level": "error", "event": "forged"}',
    "pump\x1b[2J\x1b]0;owned\x07",
    "pump \u202ecod.exe\u202c",
    "pump\u2028forged\u2029\x85",
    "pump\x00%n%s${jndi:ldap://x}",
)
_ANSWER = "The pump is covered for 24 months from delivery."


def harmless(text: str) -> None:
    """Check that a terminal shows a text as it is."""
    for character in text:
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
        assert character not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.fixture(scope="module")
def made(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("injection")
    given = commands(
        folder, audit_log=folder / "audit.jsonl", question_log=folder / "questions.jsonl"
    )
    given.publish({"pump.md": f"# Pump\n\n{_ANSWER}\n"})
    return given


def test_each_line_of_each_log_is_one_object(made: Any) -> None:
    with made.serving() as service, httpx.Client(base_url=service.url, timeout=20) as client:
        for text in HOSTILE:
            for body in (
                {"question": text},
                {"question": text, "filter": {"documents": [text], "tags": [text]}},
                {"question": "pump?", "tenant": text},
                {"question": "pump?", text: 1},
            ):
                response = client.post("/v1/query", json=body)
                assert response.status_code in (200, 422), response.text
            source = {"doc_id": text, "quote": text, "start": 0, "end": 5}
            assert client.post("/v1/sources", json=source).status_code == 404
            assert client.get(f"/v1/{quote(text)}").status_code in (403, 404)
        metrics = client.get("/metrics").text
        service.stop()
        lines = [line for line in service.lines if not line.startswith("listening on")]
    events = {json.loads(line)["event"] for line in lines}
    assert {"answered", "refused"} <= events
    assert "forged" not in events
    for name in ("audit.jsonl", "questions.jsonl"):
        kept = (made.folder / name).read_bytes()
        assert kept.isascii()
        for line in kept.splitlines():
            assert isinstance(json.loads(line), dict)
    assert all(line.isascii() for line in lines)
    assert "forged" not in metrics
    assert "forged" not in (made.folder / "audit.jsonl").read_text()
    assert not any("forged" in line or "owned" in line for line in lines)


def test_no_header_of_a_response_says_what_was_sent(made: Any) -> None:
    planted = "planted-in-a-request"
    with made.serving() as service, httpx.Client(base_url=service.url, timeout=20) as client:
        for headers in (
            {"traceparent": f"00-{planted}"},
            {"Origin": f"http://{planted}"},
            {"X-Request-Id": planted},
            {"x-api-key": planted},
            {"Host": planted},
            {"X-Forwarded-Host": planted},
        ):
            for method, path in (("POST", "/v1/query"), ("GET", f"/{planted}"), ("GET", "/")):
                response = client.request(method, path, json={"question": "x"}, headers=headers)
                assert planted not in str(response.headers)
                assert "access-control-allow-origin" not in response.headers


def test_a_page_of_another_site_cannot_use_the_page(made: Any) -> None:
    with made.serving() as service, httpx.Client(base_url=service.url) as client:
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy or "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "unsafe-eval" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_terminal_obeys_no_document(commands: Commands, tmp_path: Path, text: str) -> None:
    """Neither its text, nor its title, nor its name."""
    given = commands(tmp_path)
    name = text.replace("/", "").replace("\0", "")
    given.write(
        {
            f"{name}.md": f"# {text}\n\nThe pump {text} is covered for 24 months from delivery.\n",
            f"{name}.json": "{broken",
        }
    )
    for command, arguments in (
        (given.ingest, ("sync", str(given.documents))),
        (given.rag, ("ask", f"How long is the pump covered? {text}".replace("\0", ""), "--trace")),
        (given.rag, ("retrieve", "How long is the pump covered?")),
        (given.rag, ("ask", "x", "--tenant", name)),
        (given.ingest, ("status",)),
        (given.ingest, ("sync", str(tmp_path / name))),
    ):
        done = command(*arguments)
        assert done.stdout + done.stderr
        harmless(done.stdout)
        harmless(done.stderr)
