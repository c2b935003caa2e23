"""The page in a real browser, over a real pipeline on a few sentences."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from rag import bm25
from rag.adapters.memory_index import MemoryIndex
from rag.answering import Answering
from rag.build import build_analyzer, build_pipeline, build_splitter
from rag.frontier import Frontier, Measured, Spread
from rag.generating import Listener
from rag.keyring import Keyring, keys_path
from rag.ledger import Ledger
from rag.listening import NOBODY
from rag.recording import RecordedAnswering
from rag.results import Answer, Question, Retrieved
from rag.service.app import create_app
from rag.service.served import Served
from rag.settings import Settings, load_settings
from rag.sources import SourceReader
from rag.types import Chunk, Point

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
Browsing: TypeAlias = Callable[[], AbstractContextManager[Any]]  # of the outermost conftest.py
QUESTION = "How long is the pump covered?"
COVERED = "The pump is covered for 24 months from delivery."
# The characters before the sentence are pairs in a browser; the rest tries to become markup.
HOSTILE = "<img src=x onerror=document.title='owned'>"
TEXTS = {
    "pump": f"\U0001f6e0\U0001f527 Read this first. {COVERED} It weighs 12 kg. {HOSTILE}",
    "tax": "Invoices are paid within 30 days of receipt.",
}
FRONTIER = Frontier(
    "made",
    100,
    "answer recall",
    "cl100k_base",
    tuple(
        Measured(name, record, "0123456789abcdef", "", Spread(*tokens), Spread(*recall), efficient)
        for name, record, tokens, recall, efficient in (
            ("frugal-rag, budget tokens 64", "a" * 12, (59, 55, 62), (0.71, 0.62, 0.8), True),
            ("frugal-rag, budget tokens 256", "b" * 12, (225, 216, 233), (0.833, 0.75, 0.9), True),
            (f"plain {HOSTILE}", "c" * 12, (2010, 1960, 2055), (0.81, 0.73, 0.88), False),
        )
    ),
)
TITLES = {"pump": f"Pump {HOSTILE}", "tax": "Tax"}


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
    keys: Path
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


@pytest.fixture(scope="module")
def served(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder: Path = tmp_path_factory.mktemp("page")
    settings = load_settings(tier="lexical", answer_threshold=0.2, data_dir=folder)
    index = filled_index(settings)
    with closing(Ledger(folder / "ledger", 1)) as ledger:
        recorded = RecordedAnswering(
            build_pipeline(settings, index, lambda: 7), ledger, settings.tier
        )
        spoken = Spoken(recorded)
        reader = SourceReader(index, build_analyzer())
        app = create_app(
            settings,
            Served(
                answering=spoken,
                ready=lambda: None,
                keyring=Keyring(keys_path(settings)),
                ledger=ledger,
                reader=reader,
                frontier=FRONTIER,
            ),
        )
        with serving(app) as http:
            yield Page(None, str(http.base_url), spoken, http, keys_path(settings))


@pytest.fixture(scope="module")
def opened(served: Page, browsing: Browsing) -> Iterator[Page]:
    with browsing() as browser:
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
