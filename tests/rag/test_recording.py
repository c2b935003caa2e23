"""What answers and runs of ingest leave in the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from rag.generating import Listener
from rag.ledger import Ledger, ledger_folder
from rag.ledger_run import Run, RunStage
from rag.ledger_sums import Days, read_report
from rag.listening import NOBODY
from rag.recording import RecordedAnswering, record_run
from rag.results import Answer, Context, Impact, Question, Receipt, Retrieved, Usage
from rag.settings import Settings
from rag.types import Filter, Interval

EVER = Days(date(2000, 1, 1), date(2100, 1, 1))
IMPACT = Impact(
    *(Interval(1, 2), Interval(3, 4), None, None, "estimated", None, None),
    *(Interval(5, 6), Interval(0.5, 0.75)),
)
RECEIPT = Receipt(
    Usage(0, 100, None, None, None, "x"), IMPACT, None, "off", (), "f" * 12, None, 0.5
)
NOTHING = Context("", 0, 100, ())
ANSWER = Answer("It is.", (), False, None, 0.9, 1.0, (), NOTHING, RECEIPT)
ABSTENTION = replace(ANSWER, text=None, abstained=True, reason="no", groundedness=None)
QUESTION = Question("?", Filter("acme"), 100, time.monotonic() + 1000)


class Given:
    """Gives one answer after the other."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def answer(self, _question: Question, _listener: Listener = NOBODY) -> Answer:
        return self.answers.pop(0)

    def retrieve(self, _question: Question) -> Retrieved:
        return Retrieved(NOTHING, RECEIPT)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path)) as ledger:
        yield ledger


def test_what_is_rather_supported_than_not_is_grounded(ledger: Ledger) -> None:
    given = Given(ANSWER, replace(ANSWER, groundedness=0.49), ABSTENTION)
    recorded = RecordedAnswering(given, ledger, "lexical")
    for _ in range(3):
        recorded.answer(QUESTION)
    recorded.retrieve(QUESTION)
    total = read_report(ledger.folder, EVER, None).total
    assert (total.answers, total.abstained) == (4, 1)
    assert (total.grounded, total.grounded_unknown) == (1, 0)
    assert total.known("gco2e") == (12 * 10**12, 16 * 10**12)
    assert total.known("embodied_gco2e") == (20 * 10**12, 24 * 10**12)
    assert total.known("market_gco2e") == (2 * 10**12, 3 * 10**12)


def test_a_run_is_kept_with_its_stages(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    stages = (RunStage("parse", 1.0, Interval(1, 1)), RunStage("embed", 2.0, None))
    run = Run("acme", "neural", 3.0, IMPACT, 40, stages, "f" * 12, 7)
    assert record_run(settings, run, now=lambda: 1_795_348_800.0)
    report = read_report(ledger_folder(settings), EVER, "stage", "month")
    assert (report.ingest.runs, report.ingest.chunks) == (1, 40)
    assert report.ingest.nanoseconds == 3 * 10**9
    assert report.ingest.known("embodied_gco2e") == (5 * 10**12, 6 * 10**12)
    assert [(x.period, x.group, x.sums.known("joules")) for x in report.lines] == [
        ("2026-11", "embed", None),
        ("2026-11", "parse", (10**9, 10**9)),
    ]


def test_a_run_whose_entry_is_lost_is_told_of_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(data_dir=tmp_path)
    folder = ledger_folder(settings)
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    assert not record_run(settings, Run("acme", "neural", 3.0, IMPACT, 40))
    assert caplog.messages == ["ledger-not-written", "ledger-entries-lost"]


def test_without_a_ledger_a_run_leaves_nothing(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, ledger=False)
    assert record_run(settings, Run("acme", "neural", 3.0, IMPACT, 40))
    assert not ledger_folder(settings).exists()
