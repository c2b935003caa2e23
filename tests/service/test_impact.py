"""The ledger behind the real application: what was answered is what is reported, exactly."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import httpx
import pytest

from rag.build import build_answering, build_ledger, build_live_index
from rag.errors import SettingsError
from rag.keyring import Keyring, keys_path
from rag.ledger import ledger_folder
from rag.ledger_entry import PER_UNIT, whole
from rag.ledger_file import path_of
from rag.ledger_run import Run
from rag.ledger_sums import Days, read_report, today
from rag.recording import record_run
from rag.results import Impact
from rag.service.app import create_app
from rag.service.metrics import Metrics
from rag.service.served import Served
from rag.settings import Settings
from rag.types import Interval

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTIONS = ("How long is the pump covered?", "Who is the queen of Zanzibar?", "When to pay?")
EVER = Days(date(2000, 1, 1), date(2100, 1, 1))
RUN = "import sys; from rag.cli import main; sys.exit(main())"


class Corpus(Protocol):
    @property
    def settings(self) -> Settings: ...

    def publish(self, documents: dict[str, str]) -> int | None: ...


@pytest.fixture
def settings(corpus: Corpus) -> Settings:
    corpus.publish(
        {"pump.txt": "The pump is covered for 24 months from delivery. It weighs 12 kg."}
    )
    return corpus.settings.model_copy(update={"grid_gco2e_per_kwh": 380.5})


@contextmanager
def service(settings: Settings, serving: Serving) -> Iterator[httpx.Client]:
    live, ledger = build_live_index(settings), build_ledger(settings)
    live.refresh()
    answering = build_answering(settings, live, ledger)
    try:
        with serving(
            create_app(
                settings,
                Served(
                    answering=answering,
                    ready=live.problem,
                    keyring=Keyring(keys_path(settings)),
                    ledger=ledger,
                ),
            )
        ) as client:
            yield client
    finally:
        live.close()
        if ledger:
            ledger.close()


def asked(client: httpx.Client, path: str = "/v1/query", **fields: object) -> dict[str, Any]:
    response = client.post(path, json={"question": QUESTIONS[0], "trace": True} | fields)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def impact(client: httpx.Client, query: str = "") -> dict[str, Any]:
    response = client.get(f"/v1/impact{query}")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def summed(values: list[float], unit: str) -> float:
    """Return the sum of values as the ledger rounds them, exactly, as the nearest double."""
    return sum(whole(value, unit) or 0 for value in values) / PER_UNIT[unit]


def test_sums_are_those_of_the_receipts_exactly(settings: Settings, serving: Serving) -> None:
    def ask(number: int) -> dict[str, Any]:
        path = "/v1/retrieve" if number % 4 == 0 else "/v1/query"
        tenant = "default" if number % 5 else "acme"
        return asked(client, path, question=QUESTIONS[number % 3], tenant=tenant)

    with service(settings, serving) as client:
        with ThreadPoolExecutor(8) as pool:
            bodies = list(pool.map(ask, range(30)))
        total = impact(client)["total"]
        by_tenant = impact(client, "?by=tenant")
        by_stage = impact(client, "?by=stage")["groups"]
    for quantity in ("joules", "gco2e"):
        for bound in ("low", "high"):
            values = [body["impact"][quantity][bound] for body in bodies]
            assert total[quantity][bound] == summed(values, quantity)
    assert (total["litres"], total["litres_unknown"]) == (None, 30)
    assert total["seconds"] == summed([body["seconds"] for body in bodies], "seconds")
    assert total["answers"] == 30
    assert total["abstained"] == sum(body.get("abstained", False) for body in bodies) > 0
    assert total["context_tokens"] == sum(body["usage"]["context_tokens"] for body in bodies)
    assert total["prompt_tokens"] is None
    assert [(g["group"], g["answers"]) for g in by_tenant["groups"]] == [
        ("acme", 6),
        ("default", 24),
    ]
    assert by_tenant["total"] == total
    assert total["grounded"] == sum(body.get("groundedness") == 1 for body in bodies) > 0
    assert (total["sci_question"], total["embodied_gco2e_unknown"]) == (None, 30)
    retrieve = next(group for group in by_stage if group["group"] == "retrieve")
    steps = [s for body in bodies for s in body["trace"] if s["stage"] == "retrieve"]
    assert retrieve["joules"]["high"] == summed([s["joules"]["high"] for s in steps], "joules")
    assert retrieve["context_tokens"] is None


def test_emissions_per_question_and_per_grounded_answer(
    settings: Settings, serving: Serving
) -> None:
    known = settings.model_copy(
        update={
            "grid_market_gco2e_per_kwh": 20.0,
            "embodied_kgco2e": 1000.0,
            "machine_lifetime_years": 4.0,
        }
    )
    with service(known, serving) as client:
        bodies = [asked(client, question=question) for question in QUESTIONS]
        total = impact(client)["total"]
        text = client.get("/metrics").text
    assert sum(body["abstained"] for body in bodies) == 2
    for quantity in ("gco2e", "embodied_gco2e", "market_gco2e"):
        values = [body["impact"][quantity]["low"] for body in bodies]
        assert total[quantity]["low"] == summed(values, quantity)
        assert total[f"{quantity}_unknown"] == 0
    ratio = total["gco2e"]["high"] / total["market_gco2e"]["high"]
    assert ratio == pytest.approx(380.5 / 20, rel=1e-3)
    for bound in ("low", "high"):
        spent = total["gco2e"][bound] + total["embodied_gco2e"][bound]
        assert total["sci_question"][bound] == pytest.approx(spent / 3)
        assert total["sci_grounded_answer"][bound] == pytest.approx(spent)
    for name in ("embodied_grams", "market_emissions_grams"):
        assert re.search(rf'^frugal_rag_{name}_total{{bound="low"}} \S*[1-9]', text, re.MULTILINE)


def test_ingest_is_beside_the_questions(settings: Settings, serving: Serving) -> None:
    cost = Impact(Interval(1, 2), Interval(3, 4), None, None, "estimated", None)
    record_run(settings, Run("default", "neural", 2.0, cost, chunks=500))
    with service(settings, serving) as client:
        asked(client)
        report = impact(client, "?by=kind")
    assert [(group["group"], group["answers"]) for group in report["groups"]] == [("answer", 1)]
    assert report["total"]["answers"] == 1
    [run] = report["ingest_groups"]
    assert run == {"group": "ingest"} | report["ingest"]
    assert (run["runs"], run["chunks"], run["sci_thousand_chunks"]) == (1, 500, None)
    assert run["gco2e"] == {"low": 3, "high": 4}


def test_groups_without_a_generator_and_ranges_without_answers(
    settings: Settings, serving: Serving
) -> None:
    with service(settings, serving) as client:
        asked(client)
        assert [g["group"] for g in impact(client, "?by=model")["groups"]] == [None]
        assert [g["group"] for g in impact(client, "?by=tier")["groups"]] == ["lexical"]
        empty = impact(client, "?from=2001&to=2002&by=tenant")
        now = impact(client)
    assert (empty["from"], empty["to"]) == ("2001-01-01", "2002-12-31")
    assert (empty["groups"], empty["total"]["answers"]) == ([], 0)
    assert empty["total"]["joules"] == {"low": 0, "high": 0}
    assert now["from"] == today().replace(day=1).isoformat()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=soon", "from is no date"),
        ("to=2026-01-01T10:00", "to is no date"),
        ("from=2026-02&to=2026-01", "from is after to"),
        ("by=colour", "Input should be 'tenant'"),
    ],
)
def test_what_is_no_range_is_a_problem(
    settings: Settings, serving: Serving, query: str, said: str
) -> None:
    with service(settings, serving) as client:
        response = client.get(f"/v1/impact?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"].startswith(said)
    assert response.json()["remedy"]


def test_without_a_ledger_nothing_is_kept(settings: Settings, serving: Serving) -> None:
    off = settings.model_copy(update={"ledger": False})
    with service(off, serving) as client:
        asked(client)
        response = client.get("/v1/impact")
    assert response.status_code == 400
    assert "ledger = true" in response.json()["remedy"]
    assert not ledger_folder(off).exists()
    assert off.fingerprint() == settings.fingerprint()


def test_who_asks_does_not_notice_a_ledger_that_fails(
    settings: Settings, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    ledger_folder(settings).write_text("in the way")
    with service(settings, serving) as client:
        for _ in range(3):
            asked(client)
        metrics = client.get("/metrics").text
    assert caplog.messages.count("ledger-not-written") == 1
    assert "frugal_rag_ledger_unwritten 3.0" in metrics


def test_a_ledger_that_is_damaged_while_it_serves(
    settings: Settings, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    folder = ledger_folder(settings)
    folder.mkdir(parents=True)
    month = f"{today():%Y-%m}"
    path_of(folder, month).write_bytes(b"no database" * 1000)
    with service(settings, serving) as client:
        asked(client)
        asked(client)
        report = impact(client)
    assert caplog.messages.count("ledger-damaged") == 1
    assert (report["total"]["answers"], report["unreadable"]) == (2, [month])


def test_a_question_is_nowhere_in_the_ledger(settings: Settings, serving: Serving) -> None:
    with service(settings, serving) as client:
        asked(client)
    kept = b"".join(path.read_bytes() for path in ledger_folder(settings).iterdir())
    assert b"default" in kept
    assert b"pump" not in kept.lower()


# The metrics


def test_metrics_count_what_was_answered_and_refused(settings: Settings, serving: Serving) -> None:
    with service(settings, serving) as client:
        bodies = [
            asked(client),
            asked(client, question=QUESTIONS[1]),
            asked(client, "/v1/retrieve"),
        ]
        client.post("/v1/query", json={"question": QUESTIONS[0], "budget_tokens": 1})
        client.post("/v1/query", content=b"x" * 10**6)
        response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = dict(re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", response.text, re.MULTILINE))
    for outcome in ("answered", "abstained", "retrieved"):
        name = f'frugal_rag_questions_total{{outcome="{outcome}",tenant="default"}}'
        assert float(lines[name]) == 1
    assert lines['frugal_rag_refused_total{problem="invalid-request"}'] == "1.0"
    assert lines['frugal_rag_refused_total{problem="body-too-large"}'] == "1.0"
    assert lines['frugal_rag_unknown_total{quantity="litres"}'] == "3.0"
    joules = sum(body["impact"]["joules"]["high"] for body in bodies)
    found = float(lines['frugal_rag_energy_joules_total{bound="high"}'])
    assert found == pytest.approx(joules)
    tokens = sum(body["usage"]["context_tokens"] for body in bodies)
    assert float(lines['frugal_rag_tokens_total{use="context"}']) == tokens
    assert lines["frugal_rag_queue"] == "0.0"


def test_callers_cannot_fill_the_metrics_with_tenants(settings: Settings, serving: Serving) -> None:
    with service(settings, serving) as client:
        for number in range(110):
            asked(client, "/v1/retrieve", tenant=f"t{number}", trace=False)
        text = client.get("/metrics").text
    assert len(set(re.findall(r'tenant="([^"]+)"', text))) == 101
    assert 'frugal_rag_questions_total{outcome="retrieved",tenant="(others)"} 10.0' in text


def test_two_services_do_not_share_their_counters() -> None:
    first, second = Metrics(), Metrics()
    first.watch("queue", "x", lambda: 1.0)
    assert b"frugal_rag_queue 1.0" in first.text()
    assert b"frugal_rag_queue" not in second.text()


# The whole program


def ready_url(log: Path) -> str:
    """Return where a service that logs to a file can be asked, as soon as it can."""
    for _ in range(300):
        found = re.search(r"^listening on (\S+)$", log.read_text(), re.MULTILINE)
        if found and httpx.get(f"{found[1]}/readyz").status_code == 200:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_a_killed_service_has_written_every_answer_it_gave(
    settings: Settings, tmp_path: Path
) -> None:
    given = {
        "RAG_DATA_DIR": str(settings.data_dir.resolve()),
        "RAG_TIER": "lexical",
        "RAG_ANSWER_THRESHOLD": "0.2",
    }
    command = [sys.executable, "-c", RUN, "serve", "--port", "0"]
    log = tmp_path / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(command, env=os.environ | given, stderr=stderr)
    received: list[dict[str, Any]] = []

    def ask(_: int) -> None:
        with suppress(httpx.HTTPError), httpx.Client(base_url=url) as client:
            received.append(asked(client))
            if len(received) >= 40:
                process.kill()

    try:
        url = ready_url(log)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, range(200)))
    finally:
        process.kill()
        process.wait(10)
    assert process.returncode == -signal.SIGKILL
    total = read_report(ledger_folder(settings), EVER, None).total
    assert 40 <= len(received) <= total.answers < 200
    low = sum(whole(body["impact"]["joules"]["low"], "joules") or 0 for body in received)
    assert total.joules_low >= low
    shown = subprocess.run(
        [sys.executable, "-c", RUN, "impact", "--by", "tenant", "--csv"],
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f",default,{total.answers}," in shown.stdout


def test_rag_ask_is_in_the_ledger_too(settings: Settings) -> None:
    given = {"RAG_DATA_DIR": str(settings.data_dir.resolve()), "RAG_TIER": "lexical"}
    for arguments in (("ask", QUESTIONS[0]), ("retrieve", QUESTIONS[0])):
        command = [sys.executable, "-c", RUN, *arguments]
        subprocess.run(command, env=os.environ | given, check=True, stdout=subprocess.DEVNULL)
    assert read_report(ledger_folder(settings), EVER, None).total.answers == 2


def test_a_spent_budget_refuses_with_the_reason(settings: Settings, serving: Serving) -> None:
    with service(settings, serving) as client:
        first = asked(client, question=QUESTIONS[0])
        assert first["short"] or first["answer"]
    spent = settings.model_copy(update={"daily_joules": 1e-9, "once_spent": "refuse"})
    with service(spent, serving) as client:
        refused = client.post("/v1/query", json={"question": QUESTIONS[0]})
        assert refused.status_code == 429
        assert refused.json()["type"].endswith(":budget-spent")
        assert int(refused.headers["Retry-After"]) > 60


def test_a_budget_that_is_nearly_spent_is_kept_by_looking_at_words_alone(
    settings: Settings, serving: Serving
) -> None:
    near = settings.model_copy(update={"daily_joules": 0.0})
    with service(near, serving) as client:
        found = asked(client, question=QUESTIONS[0], trace=True, budget_tokens=100)
    assert found["usage"]["budget_tokens"] == 50
    assert found["trace"][0]["decision"] == (
        "admitted sparingly: 100% of the day's joules are spent; by words alone, nothing written"
    )
    unkept = near.model_copy(update={"ledger": False})
    with pytest.raises(SettingsError, match="a daily budget needs the ledger"):
        build_answering(unkept, build_live_index(unkept), None)
