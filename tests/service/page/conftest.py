"""The page in a real browser, over a real pipeline on a few sentences."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from rag import bm25
from rag.adapters.memory_index import MemoryIndex
from rag.answering import Answering
from rag.build import build_analyzer, build_pipeline, build_splitter
from rag.generating import Listener
from rag.ledger import Ledger
from rag.listening import NOBODY
from rag.recording import RecordedAnswering
from rag.results import Answer, Question, Retrieved
from rag.service.app import create_app
from rag.service.page_routes import add_page
from rag.service.source_routes import add_sources
from rag.settings import Settings, load_settings
from rag.sources import SourceReader
from rag.types import Chunk, Point

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
ENTER, TAB, ESCAPE, SHIFT, DOWN = "\ue007", "\ue004", "\ue00c", "\ue008", "\ue015"
QUESTION = "How long is the pump covered?"
COVERED = "The pump is covered for 24 months from delivery."
# The characters before the sentence are pairs in a browser; the rest tries to become markup.
HOSTILE = "<img src=x onerror=document.title='owned'>"
TEXTS = {
    "pump": f"\U0001f6e0\U0001f527 Read this first. {COVERED} It weighs 12 kg. {HOSTILE}",
    "tax": "Invoices are paid within 30 days of receipt.",
}
TITLES = {"pump": f"Pump {HOSTILE}", "tax": "Tax"}


@dataclass
class Browser:
    """A browser without a screen, over WebDriver's HTTP.

    Source: W3C, WebDriver; ``goog/cdp/execute`` is ChromeDriver's way to the DevTools.
    """

    http: httpx.Client
    session: str

    def call(self, path: str, **body: object) -> Any:
        value = self.http.post(f"{self.session}/{path}", json=body).json()["value"]
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(value["message"])
        return value

    def open(self, url: str) -> None:
        self.call("url", url="about:blank")
        self.call("url", url=url)
        self.wait("document.readyState === 'complete' && document.activeElement !== document.body")

    def run(self, expression: str) -> Any:
        return self.call("execute/sync", script=f"return {expression.strip()}", args=[])

    def later(self, body: str) -> Any:
        told = ".then(done, error => done(`${error}`))"
        script = f"const done = arguments[0]; (async () => {{ {body} }})(){told}"
        return self.call("execute/async", script=script, args=[])

    def wait(self, expression: str) -> Any:
        for _ in range(400):
            value = self.run(expression)
            if value:
                return value
            time.sleep(0.02)
        raise AssertionError(f"{expression}\n{self.text('main')}")

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector('{selector}')?.innerText ?? ''"))

    def press(self, *keys: str) -> None:
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("actions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def backwards(self, times: int) -> None:
        """Press Shift and Tab so often."""
        taps = [{"type": kind, "value": TAB} for _ in range(times) for kind in ("keyDown", "keyUp")]
        held = [{"type": "keyDown", "value": SHIFT}, *taps, {"type": "keyUp", "value": SHIFT}]
        self.call("actions", actions=[{"type": "key", "id": "keys", "actions": held}])

    def tab_to(self, matching: str) -> None:
        """Move the focus with Tab only, as somebody without a mouse does."""
        for _ in range(60):
            if self.run(f"document.activeElement.matches('{matching}')"):
                return
            self.press(TAB)
        raise AssertionError(f"Tab never reaches {matching}")

    def devtools(self, command: str, **params: object) -> Any:
        return self.call("goog/cdp/execute", cmd=command, params=params)

    def show(self, *, width: int, scheme: str = "light", motion: str = "no-preference") -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def complaints(self) -> list[str]:
        """What the browser complained about since it was asked last, such as refused scripts."""
        return [entry["message"] for entry in self.call("se/log", type="browser")]

    def ask(self, question: str) -> None:
        self.wait("document.activeElement.id === 'question'")
        self.press(*question, ENTER)
        self.wait("document.querySelector('#answer > section')")
        self.wait("document.getElementById('answer').ariaBusy === 'false'")


@dataclass
class Spoken:
    """The real pipeline; some of its answers are said in pieces, as those of a model are."""

    inner: Answering
    asked: list[Question] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def retrieve(self, question: Question) -> Retrieved:
        return self.inner.retrieve(question)

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        self.asked.append(question)
        answer = self.inner.answer(question)
        if answer.text is None or question.generate != "always":
            return answer
        written = f"It is under warranty for 24 months [1]. {HOSTILE}"
        listener.say(written[:20])
        self.go_on.wait(10)
        listener.say(written[20:])
        receipt = replace(answer.receipt, model="a-model")
        return replace(answer, text=written, short=None, receipt=receipt)


@dataclass
class Page:
    browser: Any
    url: str
    spoken: Spoken
    http: httpx.Client
    texts: Mapping[str, str] = field(default_factory=lambda: dict(TEXTS))
    hostile: str = HOSTILE


def filled_index(settings: Settings) -> MemoryIndex:
    analyzer, splitter, index = build_analyzer(), build_splitter(), MemoryIndex()
    for tenant, told in (
        (settings.tenant, TEXTS),
        ("other", {"plans": "Nobody sees these plans."}),
    ):
        for name, text in told.items():
            title = TITLES.get(name, name)
            chunk = Chunk(name, name, title, text, 0, len(text), 12, splitter.split(text))
            sparse = bm25.document_vector(analyzer.terms(text), 8.0)
            index.upsert([Point(tenant, chunk, sparse, None)])
    return index


@contextmanager
def _browser() -> Iterator[Browser]:
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        pytest.skip("needs chromium and chromedriver on the PATH")
    # Chromium's sandbox does not start as root, as which containers often run their tests.
    rooted = ["--no-sandbox"] if os.geteuid() == 0 else []
    arguments = ["--headless=new", "--disable-dev-shm-usage", *rooted]
    wanted = {
        "goog:chromeOptions": {"args": arguments, "binary": chromium},
        "goog:loggingPrefs": {"browser": "ALL"},
    }
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = (re.search(r"successfully on port (\d+)", line) for line in process.stdout)
        port = next(match.group(1) for match in said if match)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            body = {"capabilities": {"alwaysMatch": wanted}}
            session = http.post("/session", json=body).json()["value"]["sessionId"]
            yield Browser(http, f"/session/{session}")
            http.delete(f"/session/{session}")
        process.terminate()


@pytest.fixture(scope="module")
def served(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    settings = load_settings(tier="lexical", answer_threshold=0.2)
    index = filled_index(settings)
    folder: Path = tmp_path_factory.mktemp("page")
    with closing(Ledger(folder / "ledger", 1)) as ledger:
        recorded = RecordedAnswering(
            build_pipeline(settings, index, lambda: 7), ledger, settings.tier
        )
        spoken = Spoken(recorded)
        app = create_app(settings, spoken, lambda: None, ledger)
        add_page(app)
        add_sources(app, settings, SourceReader(index, build_analyzer()), {})
        with serving(app) as http:
            yield Page(None, str(http.base_url), spoken, http)


@pytest.fixture(scope="module")
def opened(served: Page) -> Iterator[Page]:
    with _browser() as browser:
        served.browser = browser
        yield served


@pytest.fixture
def page(opened: Page) -> Page:
    """The page as somebody finds it, its complaints read."""
    opened.spoken.asked.clear()
    opened.spoken.go_on.clear()
    opened.browser.show(width=1280)
    opened.browser.open(opened.url)
    opened.browser.complaints()
    return opened
