"""Secrets that are planted in every setting, and looked for in all that is written and said."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

Commands = Callable[..., Any]
_MARK = "planted"
# None of them means anything to anybody.
KEYS = {
    "server_api_key": f"{_MARK}-server-write",
    "server_read_api_key": f"{_MARK}-server-read",
    "grid_api_key": f"{_MARK}-grid",
}
_PROVIDER = f"{_MARK}-provider"
_OPTION = f"{_MARK}-option"
_QUESTION = "How long is the pump covered?"
_TEXT = "# Pump\n\nThe pump is covered for 24 months from delivery.\n"


class _Tattler(BaseHTTPRequestHandler):
    """Says back whatever it was sent, as badly kept servers do in their errors."""

    def _tell(self) -> None:
        said = "; ".join(f"{name}: {value}" for name, value in self.headers.items())
        body = json.dumps({"error": {"message": said}, "status": {"error": said}}).encode()
        self.send_response_only(403, said[:200])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _tell  # noqa: N815 -- named by the library

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- named by the library
        pass


@pytest.fixture(scope="module")
def tattler() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Tattler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def planted(commands: Commands, tmp_path: Path, tattler: str) -> Any:
    """Commands with a secret wherever one can be set, and servers that say them back."""
    generator = {
        "name": "writer",
        "kind": "openai",
        "model": "any",
        "url": f"{tattler}/v1",
        "api_key": _PROVIDER,
        "options": {"default_headers": {"X-Own": _OPTION}},
    }
    return commands(
        tmp_path,
        **KEYS,
        generators=json.dumps([generator]),
        generate_from=0.0,
        extract_from=0.9,
        grid_source="electricitymaps",
        grid_zone="DE",
        grid_url=tattler,
        server_url=tattler,
        index="edge",
    )


def without_options(planted: Any) -> Any:
    """Return the same for a generator of the plain kind, which takes no further options."""
    (generator,) = json.loads(planted.settings["RAG_GENERATORS"])
    del generator["options"]
    return planted.with_settings(generators=json.dumps([generator]))


def told(done: Any) -> str:
    return f"{done.stdout}\n{done.stderr}"


def clean(said: str) -> None:
    """Check that no secret is in a text, plain or as base64 has it."""
    assert _MARK not in said
    for secret in (*KEYS.values(), _PROVIDER, _OPTION):
        coded = base64.b64encode(secret.encode()).decode().rstrip("=")
        assert coded[:-2] not in said


def everything_below(folder: Path) -> str:
    files = (path for path in folder.rglob("*") if path.is_file())
    return "\n".join(path.read_bytes().decode("latin-1") for path in files)


def test_a_whole_run_says_and_writes_none(planted: Any) -> None:
    """Ingest, doctor, questions over HTTP and from the shell, figures, logs, backup, restore."""
    planted = without_options(planted)
    said = [told(planted.publish({"pump.md": _TEXT}))]
    for arguments in (
        ("doctor", "--json"),
        ("ask", _QUESTION, "--json", "--generate", "always"),
        ("impact", "--json"),
        ("backup", str(planted.folder / "kept")),
        ("restore", str(planted.folder / "kept"), "--check", "--json"),
    ):
        done = planted.rag(*arguments)
        said.append(told(done))
        assert done.stdout or done.stderr, arguments
    with planted.serving() as service, httpx.Client(base_url=service.url, timeout=20) as client:
        body = {"question": _QUESTION, "trace": True, "generate": "always"}
        answer = client.post("/v1/query", json=body)
        assert answer.status_code == 200, answer.text
        assert "403" in answer.text or "refused" in answer.text.lower()  # the tattler was asked
        streamed = client.post("/v1/query", json={**body, "stream": True})
        chat = {"model": "frugal-rag", "messages": [{"role": "user", "content": _QUESTION}]}
        said += [answer.text, streamed.text, client.post("/v1/chat/completions", json=chat).text]
        said += [
            client.get(path).text
            for path in ("/metrics", "/openapi.json", "/readyz", "/v1/impact", "/v1/cache", "/")
        ]
        service.stop()
        said += service.lines
    for text in said:
        clean(text)
    clean(everything_below(planted.folder))


def test_a_server_that_says_back_what_it_was_sent(planted: Any) -> None:
    planted = without_options(planted).with_settings(index="server")
    planted.write({"pump.md": _TEXT})
    for done in (
        planted.ingest("sync", str(planted.documents)),
        planted.rag("ask", _QUESTION),
        planted.rag("doctor"),
    ):
        assert done.stdout + done.stderr
        clean(told(done))
    clean(everything_below(planted.folder))


BROKEN = {
    "RAG_GENERATORS": [
        f'[{{"name": "a", "kind": "openai", "api_key": "{_PROVIDER}", "unknown": 1}}]',
        f'[{{"name": "a", "kind": "nothing", "api_key": "{_PROVIDER}"}}]',
        f'[{{"name": "a", "kind": "openai", "url": "http://a.example", "api_key": "{_PROVIDER}"}}]',
        f'[{{"name": "a", "kind": "openai", "api_key": "{_PROVIDER}", ',
        f'"{_PROVIDER}"',
        f'[{{"name": "a", "kind": "llama-index", "options": {{"api_key": "{_OPTION}"}}}}]',
        f'[{{"name": "a", "kind": "openai", "url": "https://u:{_PROVIDER}@example.org/v1"}}]',
    ],
    "RAG_SERVER_API_KEYS": [KEYS["server_api_key"]],
    "RAG_API_KEY": [_PROVIDER],
    "RAG_SERVER_API_KEY": [KEYS["server_api_key"] + "\nX: y"],
    "RAG_SERVER_URL": [f"http://u:{_MARK}@127.0.0.1:1", f"ftp://u:{_MARK}@127.0.0.1"],
    "RAG_GRID_URL": [f"http://u:{_MARK}@example.org"],
    "RAG_OTLP_URL": [f"http://u:{_MARK}@127.0.0.1:1/v1/traces"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, values in BROKEN.items() for v in values]
)
def test_settings_that_cannot_be_used_are_told_without_them(
    commands: Commands, tmp_path: Path, name: str, value: str
) -> None:
    """Also with tracebacks, which people paste into reports of faults."""
    given = commands(tmp_path)
    broken = type(given)(tmp_path, {name: value, "RAG_INDEX": "server"})
    for command in ("ask", "doctor")[: 2 if "URL" in name else 1]:
        question = [_QUESTION] if command == "ask" else []
        done = broken.rag(command, *question, "--debug")
        assert done.stdout + done.stderr
        clean(told(done))


def test_a_file_of_settings_that_cannot_be_read(commands: Commands, tmp_path: Path) -> None:
    for number, text in enumerate(
        (
            f'server_api_key = "{_MARK}\n',
            f'server_api_key = ["{_MARK}"]\n',
            f'server_api_keys = "{_MARK}"\n',
            f'[[generators]]\nname = "a"\nkind = "openai"\napi_key = 5\nkey = "{_MARK}"\n',
            f'grid_api_key = "{_MARK}"\ngrid_source = "watttime"\n',
        )
    ):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        done = commands(tmp_path, config=path).rag("ask", _QUESTION, "--debug")
        assert "SettingsError" in done.stderr
        clean(told(done))


def test_a_token_is_shown_once_and_kept_nowhere(commands: Commands, tmp_path: Path) -> None:
    made = commands(tmp_path, audit_log=tmp_path / "audit.jsonl")
    made.publish({"pump.md": _TEXT})
    token = made.rag("keys", "add", "--all-tenants", "--right", "query").stdout.split()[-1]
    assert token.startswith("frag_")
    hidden = token.split("_", 2)[2]
    assert len(hidden) >= 32
    said = [told(made.rag("keys", "list")), told(made.rag("keys", "list", "--json"))]
    said += [told(made.rag("doctor")), told(made.rag("backup", str(tmp_path / "kept")))]
    with made.serving() as service, httpx.Client(base_url=service.url, timeout=20) as client:
        for headers in (
            {"Authorization": f"Bearer {token}"},
            {"Authorization": f"Bearer {token}x"},
            {"Authorization": f"Basic {token}"},
            {"x-api-key": token[:-3]},
            {"Authorization": token},
        ):
            answer = client.post("/v1/query", json={"question": _QUESTION}, headers=headers)
            said.append(answer.text + str(answer.headers))
        assert client.post("/v1/query", json={"question": _QUESTION}).status_code == 401
        good = {"Authorization": f"Bearer {token}"}
        assert client.post("/v1/query", json={"question": 5}, headers=good).status_code == 422
        assert client.get(f"/v1/{token}", headers=good).status_code in (403, 404)
        service.stop()
        said += service.lines
    assert hidden not in "\n".join(said)
    assert hidden not in everything_below(tmp_path)
