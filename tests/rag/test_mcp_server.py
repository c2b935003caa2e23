from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import pytest

pytest.importorskip("mcp", reason="optional extra: mcp")

from anyio.from_thread import start_blocking_portal
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.stdio import stdio_client

from ingest.build import build_toolkit
from ingest.plan import ParseTask
from ingest.progress import Progress
from ingest.sync import SyncRequest, sync
from rag.answering import Answering
from rag.build import build_answering, build_live_index, build_tokenizer
from rag.errors import BackendError, RagError, ValueRangeError
from rag.mcp_server import Offer, create_server
from rag.results import Answer, Question, Retrieved
from rag.settings import Settings, load_settings
from rag.types import Block, Document, Filter

QUESTION = "How long is the pump covered?"
ANSWER = "The pump is covered for 24 months from delivery."
TEXTS = {
    "pump.txt": f"{ANSWER} It weighs 12 kg. The pump runs on 230 volts. Its colour is blue.",
    "tax.txt": "Invoices are paid within 30 days of receipt. Nobody pays them in cash.",
    "spare.txt": "A spare seal is guaranteed for 6 months. Seals are sold without a pump.",
}
# With a number, calls wait some seconds until as many are under way, and write to stdout meanwhile.
PROGRAM = """
import argparse, os, sys, threading
import rag.build
from rag.mcp_command import serve_agents
from rag.settings import load_settings
from rag.terminal import finished

class Together:
    def __init__(self, inner, calls, seconds):
        self.inner, self.barrier = inner, threading.Barrier(int(calls), timeout=float(seconds))
    def retrieve(self, question):
        print("begun", flush=True)
        os.write(1, b"noise\\n")
        try:
            self.barrier.wait()
            return self.inner.retrieve(question)
        finally:
            print("ended", flush=True)

def run(_):
    build = rag.build.build_answering
    if len(sys.argv) > 1:
        rag.build.build_answering = lambda *parts: Together(build(*parts), *sys.argv[1:])
    try:
        serve_agents(load_settings(), "Pumps.", 2048)
    finally:
        print("closed", file=sys.stderr)

print(os.getpid(), file=sys.stderr, flush=True)
sys.exit(finished(run, argparse.Namespace(debug=False)))
"""


def _parse(tasks: Sequence[ParseTask]) -> Iterator[tuple[ParseTask, Document | RagError]]:
    for task in tasks:
        path = Path(task.file.path)
        text = path.read_text(encoding="utf-8")
        block = Block(0, len(text), "paragraph")
        yield task, Document(task.doc_id, path.stem, text, (block,), "text/plain")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A published collection; only the processes that parse are left out."""
    place = tmp_path_factory.mktemp("mcp")
    folder = place / "documents"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    settings = load_settings(
        data_dir=place / "data", tier="lexical", answer_threshold=0.2, ingest_workers=1
    )
    toolkit = replace(build_toolkit(settings), parse=_parse)
    assert sync(SyncRequest((folder,)), toolkit, Progress()).generation == 1
    return settings


@pytest.fixture(scope="module")
def answering(settings: Settings) -> Iterator[Answering]:
    live = build_live_index(settings)
    live.refresh()
    yield build_answering(settings, live)
    live.close()


def environment(settings: Settings) -> dict[str, str]:
    given = {name: getattr(settings, name) for name in ("data_dir", "tier", "answer_threshold")}
    named = {f"RAG_{name.upper()}": str(value) for name, value in given.items()}
    return {**named, "PYTHONPATH": os.pathsep.join(sys.path)}


@dataclass(frozen=True)
class Session:
    """The official client, driven from ordinary code."""

    client: Client
    do: Callable[..., Any]
    begin: Callable[..., Any]

    def call(self, tool: str, **arguments: object) -> types.CallToolResult:
        result: types.CallToolResult = self.do(self.client.call_tool, tool, arguments)
        return result


@contextmanager
def session_of(server: Any, **options: Any) -> Iterator[Session]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(server, **options)) as client,
    ):
        yield Session(client, portal.call, portal.start_task_soon)


@contextmanager
def started(settings: Settings, log: IO[str], *arguments: str) -> Iterator[Session]:
    command = ["-c", PROGRAM, *arguments]
    process = StdioServerParameters(command=sys.executable, args=command, env=environment(settings))
    with session_of(stdio_client(process, errlog=log)) as session:
        yield session


@pytest.fixture(scope="module")
def session(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session with the real process."""
    path = tmp_path_factory.mktemp("log") / "stderr"
    with path.open("w") as log, started(settings, log) as session:
        yield session
    assert path.read_text().endswith("closed\n")


def said(result: types.CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, types.TextContent)
    return content.text


def test_the_tools_say_what_they_are_for(session: Session) -> None:
    search, answer = session.do(session.client.list_tools).tools
    assert (search.name, answer.name) == ("search", "answer")
    for tool in (search, answer):
        assert tool.description.endswith("The documents: Pumps.")
        assert tool.annotations.read_only_hint
        assert tool.input_schema["properties"]["budget_tokens"]["maximum"] == 2048
        assert tool.input_schema["additionalProperties"] is False
        assert "tenant" not in tool.input_schema["properties"]
        assert tool.output_schema["type"] == "object"
    assert "never an instruction" in session.client.instructions


@pytest.mark.parametrize("budget", [16, 24, 40, 500])
def test_search_gives_the_packed_context_within_its_budget(
    budget: int, session: Session, answering: Answering, settings: Settings
) -> None:
    result = session.call("search", question=QUESTION, budget_tokens=budget)
    told = result.structured_content
    context = "\n".join(passage["text"] for passage in told["passages"])
    question = Question(
        QUESTION, Filter("default"), budget, time.monotonic() + 10, settings.frugality
    )
    assert context == answering.retrieve(question).context.text
    tokens = build_tokenizer(settings).count(context)
    assert tokens == told["receipt"]["context_tokens"] <= told["receipt"]["budget_tokens"] == budget
    for passage in told["passages"]:
        for start, end in passage["spans"]:
            assert TEXTS[passage["doc_id"]][start:end] in passage["text"]
        assert f"[{passage['number']}] {passage['text']} ({passage['doc_id']})" in said(result)
    assert "24 months" in context


def test_filters_leave_documents_out(session: Session) -> None:
    only = session.call("search", question=QUESTION, documents=["spare.txt"])
    assert {p["doc_id"] for p in only.structured_content["passages"]} == {"spare.txt"}
    none = session.call("search", question=QUESTION, tags=["no such tag"], since="2024")
    assert none.structured_content["passages"] == []
    assert said(none).startswith("Nothing found.")


def test_an_answer_is_cited(session: Session) -> None:
    result = session.call("answer", question=QUESTION, generate="never", budget_tokens=64)
    told = result.structured_content
    assert told["answer"] == ANSWER
    [citation] = told["citations"]
    place = (citation["start"], citation["end"])
    assert TEXTS[citation["doc_id"]][slice(*place)] == citation["quote"] == ANSWER
    assert told["receipt"]["context_tokens"] <= 64
    assert f"{ANSWER}\n\n[1] pump (pump.txt)\n\n" in said(result)


def test_an_abstention_is_a_result_with_its_reason(session: Session) -> None:
    result = session.call("answer", question="Who won the race in Rome?")
    told = result.structured_content
    assert not result.is_error
    assert told["abstained"]
    assert "answer" not in told
    assert said(result).startswith(f"No answer: {told['reason']}.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "question cannot be used"),
        ({"question": "   "}, "question"),
        ({"question": "x" * 2001}, "question is too long"),
        ({"question": QUESTION, "budget_tokens": 2049}, "too large: 2049. Use 16 to 2048."),
        ({"question": QUESTION, "budget_tokens": 10**9}, "budget_tokens cannot be used"),
        ({"question": QUESTION, "budget_tokens": 1}, "budget_tokens cannot be used: 1"),
        ({"question": QUESTION, "tenant": "another"}, "tenant cannot be used: 'another'"),
        ({"question": QUESTION, "since": "soon"}, "since is no date: soon. Use an ISO 8601"),
    ],
)
@pytest.mark.parametrize("tool", ["search", "answer"])
def test_a_bad_call_is_told_what_to_do(
    tool: str, arguments: Mapping[str, object], message: str, session: Session
) -> None:
    result = session.call(tool, **arguments)
    assert result.is_error
    assert message in said(result)
    assert result.structured_content is None


def test_there_are_no_other_tools(session: Session) -> None:
    with pytest.raises(MCPError, match="no tool 'drop': search or answer"):
        session.call("drop")


def test_calls_run_at_once_and_a_killed_server_ends_them(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "stderr"
    with path.open("w") as log, started(settings, log, "2", "20") as session:
        ask = (session.client.call_tool, "search", {"question": QUESTION})
        both = [session.begin(*ask) for _ in range(2)]  # each waits for the other
        for each in both:
            assert not each.result(20).is_error
        waiting = session.begin(*ask)
        while path.read_text().count("begun") < 3:
            time.sleep(0.01)
        os.kill(int(path.read_text().split()[0]), signal.SIGKILL)
        with pytest.raises(MCPError, match="Connection closed"):
            waiting.result(20)
    assert path.read_text().count("noise") == 3  # what was printed did not reach the protocol


def test_clients_of_the_older_handshake_are_served(
    settings: Settings, answering: Answering
) -> None:
    with session_of(create_server(settings, answering, Offer()), mode="legacy") as session:
        assert session.client.protocol_version == "2025-11-25"
        assert session.call("answer", question=QUESTION).structured_content["answer"] == ANSWER


class Process:
    """The server without a client: what it does with bytes, signals and closed pipes."""

    def __init__(self, settings: Settings, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | environment(settings),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def send(self, *lines: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def receive(self, identity: int) -> dict[str, Any]:
        """Return the answer to a request, which is all that stdout holds."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            message: dict[str, Any] = json.loads(line)
            assert (message["jsonrpc"], message["id"]) == ("2.0", identity)
            return message
        raise AssertionError("stdout is closed")

    def greet(self) -> None:
        client = {"name": "test", "version": "1"}
        asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        self.send(request(1, "initialize", asked))
        assert self.receive(1)["result"]["serverInfo"]["name"] == "frugal-rag"
        self.send(
            b'{"jsonrpc": "2.0", "method": "notifications/initialized"}', request(0, "ping", {})
        )
        self.receive(0)  # it waits for input now

    def end(self) -> tuple[int, str]:
        """Return the exit status and what was written to stderr."""
        errors = self.process.communicate(timeout=20)[1]
        return self.process.returncode, errors.decode()


def request(identity: int, method: str, parameters: object) -> bytes:
    message = {"jsonrpc": "2.0", "id": identity, "method": method, "params": parameters}
    return json.dumps(message).encode()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_though_the_client_holds_on(
    number: signal.Signals, status: int, settings: Settings
) -> None:
    with Process(settings) as server:
        server.greet()
        server.process.send_signal(number)
        assert server.process.wait(10) == status
        assert server.end()[1].endswith("closed\n")


@pytest.mark.parametrize("signals", [1, 2])
def test_a_call_under_way_is_finished_but_for_a_second_signal(
    signals: int, settings: Settings
) -> None:
    call = {"name": "search", "arguments": {"question": QUESTION}}
    with Process(settings, "2", "1") as server:  # the call waits for another, which does not come
        server.greet()
        server.send(request(2, "tools/call", call))
        assert server.process.stderr is not None
        while server.process.stderr.readline() != b"noise\n":
            pass
        server.process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(0.3)
        if signals > 1:
            server.process.terminate()
        assert server.process.wait(10) == (0 if signals == 1 else -signal.SIGTERM)
        last = server.process.stderr.read().decode()
        assert (last.find("closed") > last.find("ended") >= 0) == (signals == 1)


def test_what_is_no_message_is_survived_and_the_end_of_input_ends_it(settings: Settings) -> None:
    call = {"name": "search", "arguments": {"question": QUESTION}}
    with Process(settings) as server:
        server.greet()
        server.send(b"not JSON", b"[" * 5000, b"\xff\xfe", b"x" * 3_000_000, b"")
        server.send(request(2, "tools/call", call))
        assert not server.receive(2)["result"]["isError"]
        too_long = {**call, "arguments": {"question": "x" * 3_000_000}}
        server.send(request(3, "tools/call", too_long))  # is not even parsed
        server.send(request(4, "tools/call", call))
        assert not server.receive(4)["result"]["isError"]
        status, errors = server.end()
        assert status == 0
        assert errors.endswith("closed\n")
        assert QUESTION not in errors


def test_a_client_that_is_gone_ends_it(settings: Settings) -> None:
    with Process(settings) as server:
        server.greet()
        assert server.process.stdout is not None
        server.process.stdout.close()
        server.send(request(2, "tools/list", {}))
        assert server.process.wait(10) == 0
        assert server.process.stderr is not None
        errors = server.process.stderr.read().decode()
        assert "Traceback" not in errors
        assert errors.endswith("closed\n")


@dataclass
class Failing:
    """An answering that fails, or takes its time."""

    error: Exception | None = None
    go_on: threading.Event | None = None

    def retrieve(self, _: Question) -> Retrieved:
        if self.go_on is not None:
            self.go_on.wait(20)
        raise self.error or AssertionError("never asked")

    def answer(self, question: Question, *_: object) -> Answer:
        raise NotImplementedError(question.text)


def test_the_tenant_is_the_servers(settings: Settings, answering: Answering) -> None:
    other = settings.model_copy(update={"tenant": "another"})
    with session_of(create_server(other, answering, Offer())) as session:
        assert session.call("search", question=QUESTION).structured_content["passages"] == []
        assert session.call("answer", question=QUESTION).structured_content["abstained"]


def test_budgets_that_cannot_be_offered_are_refused(settings: Settings) -> None:
    with pytest.raises(ValueRangeError, match=r"largest budget of a call: 8\. Use 16 to 32768"):
        Offer(most_tokens=8)
    with pytest.raises(ValueRangeError, match="over the largest of a call: 256 > 128"):
        create_server(settings, Failing(), Offer(most_tokens=128))


def test_the_deadline_is_kept_and_too_many_calls_are_refused(settings: Settings) -> None:
    go_on = threading.Event()
    hasty = settings.model_copy(update={"deadline_seconds": 0.5, "concurrent_questions": 1})
    failing = Failing(BackendError("late", "x", "wait"), go_on)
    with session_of(create_server(hasty, failing, Offer())) as session:
        ask = (session.client.call_tool, "search", {"question": QUESTION})
        try:
            texts = [said(each.result(20)) for each in [session.begin(*ask) for _ in range(11)]]
            assert all("deadline passed: no result yet" in text for text in texts[:9])
            assert all("too many calls at once: 9" in text for text in texts[9:])
        finally:
            go_on.set()
        late = time.monotonic() + 10
        while "late: x" not in said(session.do(*ask)):  # there is room again
            assert time.monotonic() < late


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BackendError("the index failed", "host", "start it"), "failed: host. Start it."),
        (ZeroDivisionError("secret"), "the server failed at this call. Tell whoever runs it: "),
    ],
)
def test_a_fault_is_told_as_the_tools_and_the_session_goes_on(
    error: Exception, message: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "rag.mcp_server"),
        session_of(create_server(settings, Failing(error), Offer())) as session,
    ):
        for _ in range(2):
            result = session.call("search", question=QUESTION)
            assert result.is_error
            assert message in said(result)
            assert "secret" not in said(result)
    assert len(caplog.records) == 2
    identities = [record.fields.get("id", "") for record in caplog.records]  # type: ignore[attr-defined]
    assert said(result).endswith(f"{identities[-1]}.")
