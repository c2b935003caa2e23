"""One evaluation: the same twice, resumable after a kill, and honest about what varied."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from eval import journal, records
from eval.datasets import Case, Dataset, load_dataset
from eval.outcomes import Cost, Outcome
from eval.run import Plan, evaluate
from eval.systems.indexed import documents
from eval.systems.subjects import FrugalSubject, Opened
from eval.vectors import VectorCache
from rag.errors import UsageError
from rag.settings import load_settings
from rag.types import Document, Vector

SAMPLES = Path(__file__).parents[2] / "samples"
Ask = Callable[[Case, tuple[Outcome, Cost]], tuple[Outcome, Cost]]


@dataclass(frozen=True)
class Watched(FrugalSubject):
    """frugal-rag itself, with a say in what each question got."""

    said: Ask
    asked: list[str] = field(default_factory=list)
    warmed: list[str] = field(default_factory=list)

    @contextmanager
    def opened(self, documents: Sequence[Document], vectors: VectorCache) -> Iterator[Opened]:
        with super().opened(documents, vectors) as opened:
            yield Opened(_WatchedSystem(self, opened), opened.indexing)


@dataclass(frozen=True)
class _WatchedSystem:
    subject: Watched
    inner: Opened
    name: str = "frugal-rag"

    def ask(self, case: Case) -> tuple[Outcome, Cost]:
        if not case.id:
            self.subject.warmed.append(case.text)
            return self.inner.system.ask(case)
        self.subject.asked.append(case.id)
        return self.subject.said(case, self.inner.system.ask(case))


def as_it_is(_: Case, given: tuple[Outcome, Cost]) -> tuple[Outcome, Cost]:
    return given


@pytest.fixture(scope="module")
def few() -> Dataset:
    samples = load_dataset(SAMPLES)
    return replace(samples, cases=samples.cases[::12])


@pytest.fixture
def plan_of(few: Dataset, tmp_path: Path) -> Callable[..., Plan]:
    def made(said: Ask = as_it_is, **more: Any) -> Plan:
        settings = load_settings(tier="lexical")
        subject = Watched(settings, said)
        plan = Plan(few, subject, settings, results=tmp_path / "r", cache=tmp_path / "c")
        return replace(plan, **more)

    return made


def test_two_runs_are_the_same_but_for_times_and_energy(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of()
    first = evaluate(plan)
    written = json.loads(plan.path.read_bytes())
    evaluate(plan)
    again = json.loads(plan.path.read_bytes())
    assert written.pop("measured") != again.pop("measured")
    assert json.dumps(written) == json.dumps(again)
    assert records.read(plan.path).rows == first.rows
    assert plan.path.stem == first.identity.key
    assert not plan.journal.exists()
    assert len(plan.subject.warmed) == 2  # once a run, before any question
    found = [set(row.gold) & set(row.outcome.ranking) for row in first.rows if row.gold]
    assert sum(map(bool, found)) > len(found) / 2


def test_what_was_asked_stands_in_the_name(plan_of: Callable[..., Plan], few: Dataset) -> None:
    plan = plan_of()
    other = (
        replace(plan, seed=1),
        replace(plan, repeats=2),
        replace(plan, dataset=replace(few, cases=few.cases[1:])),
        replace(plan, subject=Watched(load_settings(tier="lexical", budget_tokens=64), as_it_is)),
    )
    assert len({each.path for each in (plan, *other)}) == 5


def test_a_run_goes_on_where_it_was_cut_short(plan_of: Callable[..., Plan]) -> None:
    ids = [case.id for case in plan_of().dataset.cases]

    def until_the_fifth(case: Case, given: tuple[Outcome, Cost]) -> tuple[Outcome, Cost]:
        if case.id == ids[4]:
            raise KeyboardInterrupt
        return given

    broken = plan_of(until_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        evaluate(broken)
    assert broken.subject.asked == ids[:5]
    assert not broken.path.exists()
    with broken.journal.open("ab") as file:
        file.write(b'{"repeat": 0, "question": "torn')  # as a kill leaves it
    rest = plan_of()
    record = evaluate(rest)
    assert rest.subject.asked == ids[4:]
    assert [row.id for row in record.rows] == ids
    assert record.measured.indexing is not None
    whole = plan_of(results=rest.results.parent / "whole")
    assert evaluate(whole).rows == record.rows


def test_what_the_service_refuses_is_a_refusal(plan_of: Callable[..., Plan], few: Dataset) -> None:
    endless = replace(few.cases[0], text="Is it? " * 1000)
    record = evaluate(plan_of(dataset=replace(few, cases=(endless, *few.cases[1:3]))))
    outcome = record.rows[0].outcome
    assert (outcome.refused, outcome.context_tokens) == (True, 0)
    assert "too long" in (outcome.reason or "")
    assert record.rows[0].scores["answered"] == 0
    assert all(row.outcome.context for row in record.rows[1:])
    assert all(cost.joules is not None for cost in record.measured.repeats[0])


def test_a_journal_that_another_run_removed_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.partial"
    with journal.opened(path) as kept:
        path.unlink()
        kept.add(journal.Entry(0, "q", Cost(0.0, None, None, None, None)))
        with journal.opened(path) as other:
            assert other.entries == ()


def test_a_torn_line_is_cut_off_before_anything_is_added(tmp_path: Path) -> None:
    path = tmp_path / "run.partial"
    entry = journal.Entry(0, "q", Cost(0.0, None, None, None, None))
    with journal.opened(path) as kept:
        kept.add(entry)
    with path.open("ab") as file:
        file.write(b'{"repeat": 0, "question": "' + 5000 * b"x")
    with journal.opened(path) as kept:
        kept.add(replace(entry, question="r"))
    with journal.opened(path) as kept:
        assert [each.question for each in kept.entries] == ["q", "r"]
    assert b"xx" not in path.read_bytes()


def test_the_embedding_of_a_question_is_paid_for_each_time(few: Dataset, tmp_path: Path) -> None:
    class Vectors(VectorCache):
        kept = 0

        def put(self, key: bytes, matrix: Vector) -> None:
            self.kept += 1
            super().put(key, matrix)

    vectors = Vectors(tmp_path / "vectors.sqlite")
    document = next(documents(few))
    with FrugalSubject(load_settings(tier="neural")).opened([document], vectors) as opened:
        before = vectors.kept
        assert before == opened.indexing.chunks
        opened.system.ask(few.cases[0])
    assert vectors.kept == before


def test_records_need_a_folder(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="records cannot be kept here"):
        evaluate(plan_of(results=tmp_path / "file" / "results"))


def test_restart_forgets_what_was_done(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of()
    with journal.opened(plan.journal) as kept:
        done = journal.Entry(0, plan.dataset.cases[0].id, Cost(0.0, None, None, None, None))
        kept.add(done)
    evaluate(plan, anew=True)
    assert plan.subject.asked == [case.id for case in plan.dataset.cases]


def test_two_at_once_are_refused(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of()
    with journal.opened(plan.journal), pytest.raises(UsageError, match="under way"):
        evaluate(plan)


def test_repeats_ask_again_and_tell_what_was_not_the_same(plan_of: Callable[..., Plan]) -> None:
    asked: list[str] = []

    def moody(case: Case, given: tuple[Outcome, Cost]) -> tuple[Outcome, Cost]:
        asked.append(case.id)
        outcome, cost = given
        if case.id == plan.dataset.cases[2].id and asked.count(case.id) == 2:
            outcome = replace(outcome, context=outcome.context + " by the way")
        return outcome, cost

    plan = plan_of(moody, repeats=3)
    measured = evaluate(plan).measured
    assert len(measured.repeats) == 3
    assert measured.unstable == (plan.dataset.cases[2].id,)
    assert len({cost.seconds for costs in measured.repeats for cost in costs}) > 3


@pytest.mark.slow
def test_a_killed_process_loses_at_most_one_question(tmp_path: Path) -> None:
    results, cache = tmp_path / "results", tmp_path / "cache"
    command = [
        *(sys.executable, "-m", "eval.cli", "run", str(SAMPLES), "--tier", "lexical"),
        *("--results", str(results), "--cache", str(cache), "--json"),
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAG_")}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    (path,) = _awaited(lambda: list(results.glob("*.partial")))
    _awaited(lambda: path.read_bytes().count(b"\n") >= 5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = path.read_bytes().count(b"\n")
    assert 5 <= kept < 120
    lines = path.read_bytes().split(b"\n")[:kept]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    record = records.read(Path(json.loads(done.stdout)["record"]))
    assert len(record.rows) == 120
    costs = [json.loads(line)["cost"]["seconds"] for line in lines]
    assert [cost.seconds for cost in record.measured.repeats[0][:kept]] == costs


def _awaited(what: Callable[[], Any]) -> Any:
    until = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found
