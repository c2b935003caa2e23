"""The ledger: nothing acknowledged is lost, whoever writes at once and whoever is killed."""

from __future__ import annotations

import logging
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from rag import access
from rag.access import Caller
from rag.errors import AccessError
from rag.ledger import Ledger
from rag.ledger_entry import SUMMED, Asker, Entry, StageCost, Sums, sums_of
from rag.ledger_file import files_in, path_of
from rag.ledger_run import Run, entry_of_run
from rag.ledger_sums import By, Days, read_report
from rag.results import Impact
from rag.types import Interval

EVER = Days(date(2000, 1, 1), date(2100, 1, 1))
NOVEMBER = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(number: int, *, tenant: str = "acme", at: datetime = NOVEMBER) -> Entry:
    """Return an entry that its number can be told by: it is the generation."""
    unknown = number % 3 == 0
    return Entry(
        at=round(at.timestamp() * 1e6) + number,
        asker=Asker(tenant, "lexical", None, "answer", number % 2 == 0, grounded=number % 7 == 1),
        nanoseconds=1_000_003 * number,
        joules=None if unknown else (7 * number, 11 * number),
        gco2e=(number, 2**40 + number),
        litres=None,
        basis="measured" if number % 5 == 0 else "estimated",
        context_tokens=number % 257,
        prompt_tokens=None if unknown else number,
        cached_tokens=0,
        completion_tokens=None,
        stages=(StageCost("retrieve", number, (number, number)), StageCost("pack", 1, None)),
        fingerprint="f" * 12,
        generation=number,
        embodied_gco2e=(5 * number, 2**41 + number),
        market_gco2e=None if unknown else (0, 13 * number),
    )


def total_of(numbers: Iterator[int] | range | set[int]) -> Sums:
    total = Sums()
    for number in numbers:
        total += sums_of(entry(number))
    return total


def numbers_in(folder: Path) -> list[int]:
    found = []
    for file in files_in(folder):
        with closing(sqlite3.connect(file.path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found += [number for (number,) in db.execute("SELECT generation FROM answers")]
    return found


def total_in(folder: Path) -> Sums:
    report = read_report(folder, EVER, None)
    assert report.unreadable == ()
    return report.total


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger")
    yield ledger
    ledger.close()


# Many at once


def test_a_hundred_threads_lose_nothing(ledger: Ledger) -> None:
    def write(thread: int) -> bool:
        return all(ledger.add(entry(50 * thread + i)) for i in range(50))

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(write, range(100)))
    assert sorted(numbers_in(ledger.folder)) == list(range(5000))
    assert total_in(ledger.folder) == total_of(range(5000))


WRITER = """
import sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from test_ledger import Ledger, entry
folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
ledger, saying = Ledger(folder), threading.Lock()
def write(numbers):
    for number in numbers:
        if ledger.add(entry(number)):
            with saying:
                sys.stdout.write(f"{number}\\n")
                sys.stdout.flush()
writers = int(sys.argv[5])
threads = [threading.Thread(target=write, args=(range(first + k, first + count, writers),))
           for k in range(writers)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def writing(folder: Path, first: int, count: int, threads: int = 4) -> subprocess.Popen[str]:
    arguments = [str(folder), str(first), str(count), str(Path(__file__).parent), str(threads)]
    command = [sys.executable, "-c", WRITER, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def acknowledged(process: subprocess.Popen[str]) -> set[int]:
    return whole_lines(process.communicate(timeout=60)[0])


def whole_lines(out: str) -> set[int]:
    return {int(line) for line in out.split("\n")[:-1]}  # the last line may be cut off


def test_four_processes_lose_nothing(tmp_path: Path) -> None:
    processes = [writing(tmp_path, 300 * each, 300) for each in range(4)]
    said = [acknowledged(process) for process in processes]
    assert set().union(*said) == set(range(1200))
    assert sorted(numbers_in(tmp_path)) == list(range(1200))
    assert total_in(tmp_path) == total_of(range(1200))


def test_many_that_begin_a_month_at_once_wait_for_each_other(tmp_path: Path) -> None:
    for attempt in range(20):
        start, ledgers = threading.Barrier(6), [Ledger(tmp_path / str(attempt)) for _ in range(6)]

        def write(number: int, start: threading.Barrier, ledgers: list[Ledger]) -> bool:
            start.wait()
            return ledgers[number].add(entry(number))

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(lambda n, s=start, ls=ledgers: write(n, s, ls), range(6)))
        for ledger in ledgers:
            ledger.close()


@pytest.mark.parametrize("seconds", [0.0, 0.07, 0.2])
def test_a_kill_of_a_hundred_writers_loses_nothing(tmp_path: Path, seconds: float) -> None:
    killed, other = writing(tmp_path, 0, 10**6, threads=100), writing(tmp_path, 10**6, 300)
    assert killed.stdout
    begun = [killed.stdout.readline() for _ in range(50)]  # it is in the midst of it
    time.sleep(seconds)
    killed.kill()
    said = whole_lines("".join(begun) + killed.stdout.read())
    killed.stdout.close()
    assert killed.wait(10) == -9
    assert acknowledged(other) == set(range(10**6, 10**6 + 300))
    kept = numbers_in(tmp_path)
    assert len(kept) == len(set(kept)), "an entry is there twice"
    assert said <= set(kept)
    assert len(said) >= 50
    assert total_in(tmp_path) == total_of(set(kept))


# Months


def test_a_month_is_a_file_and_sums_go_over_all(ledger: Ledger) -> None:
    for month in (12, 1, 11, 12):
        assert ledger.add(entry(month, at=datetime(2026, month, 28, 23, tzinfo=UTC)))
    assert [file.month for file in files_in(ledger.folder)] == ["2026-01", "2026-11", "2026-12"]
    assert total_in(ledger.folder) == total_of(iter((12, 1, 11, 12)))


def test_old_entries_go_their_sums_stay(tmp_path: Path) -> None:
    old = datetime(2026, 8, 31, tzinfo=UTC)
    with closing(Ledger(tmp_path, keep_months=3)) as ledger:
        ledger.add(entry(1, at=old))
        ledger.add(entry(2, at=datetime(2026, 9, 1, tzinfo=UTC)))
        before = total_in(tmp_path)
        ledger.add(entry(3))
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and thread.daemon:
                thread.join(10)
        assert sorted(numbers_in(tmp_path)) == [2, 3]
        assert total_in(tmp_path) == before + sums_of(entry(3))
        assert ledger.spent("acme", old.timestamp() + 60).answers == 3


# What goes wrong


@pytest.mark.parametrize("at", [0, 4096], ids=["its header", "a page"])
def test_a_damaged_file_is_moved_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        for number in range(40):
            ledger.add(entry(number))
    path = path_of(tmp_path, "2026-11")
    content = bytearray(path.read_bytes())
    content[at:] = b"\xa7" * (len(content) - at)
    path.write_bytes(content)
    with closing(Ledger(tmp_path)) as ledger:
        assert all(ledger.add(entry(number)) for number in range(100, 110))
    assert caplog.messages == ["ledger-damaged"]
    assert sorted(numbers_in(tmp_path)) == list(range(100, 110))
    [aside] = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == bytes(content)
    report = read_report(tmp_path, EVER, None)
    assert (report.unreadable, report.total) == (("2026-11",), total_of(range(100, 110)))


def test_a_month_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path_of(tmp_path, "2026-10").write_bytes(b"no database" * 1000)
    with closing(Ledger(tmp_path)) as ledger:
        ledger.add(entry(1))
        assert ledger.spent("acme", 0).answers == 1
    report = read_report(tmp_path, EVER, "tenant")
    assert (report.unreadable, report.total) == (("2026-10",), sums_of(entry(1)))


def test_a_file_that_was_taken_away_is_begun_again(ledger: Ledger, tmp_path: Path) -> None:
    ledger.add(entry(1))
    for path in ledger.folder.iterdir():
        path.rename(tmp_path / path.name)
    assert ledger.add(entry(2))
    assert numbers_in(ledger.folder) == [2]


def test_what_cannot_be_written_is_warned_of_once_and_written_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    folder = tmp_path / "a file" / "ledger"
    folder.parent.write_text("in the way")
    with closing(Ledger(folder, clock=lambda: now)) as ledger:
        for number in range(5):
            assert not ledger.add(entry(number))
            now += 3.0
        assert caplog.messages == ["ledger-not-written"]
        assert caplog.records[0].levelno == logging.WARNING
        assert ledger.unwritten == 5
        folder.parent.unlink()
        now += 10.0
        assert ledger.add(entry(5))
        assert ledger.unwritten == 0
        assert sorted(numbers_in(folder)) == list(range(6))
        assert total_in(folder) == total_of(range(6))


def test_what_waits_for_a_disk_is_written_though_nothing_more_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.ledger._RETRY_SECONDS", 0.05)
    folder = tmp_path / "a file" / "ledger"
    folder.parent.write_text("in the way")
    with closing(Ledger(folder)) as ledger:
        for again in (1, 2):
            assert not any(ledger.add(entry(again * 10 + number)) for number in range(3))
            time.sleep(0.2)
            assert ledger.unwritten == 3
            folder.parent.unlink()
            until = time.monotonic() + 10
            while ledger.unwritten or trying():
                assert time.monotonic() < until
                time.sleep(0.01)
            assert len(numbers_in(folder)) == 3  # as a kill would leave it
            for path in (*folder.iterdir(), folder):
                path.rmdir() if path.is_dir() else path.unlink()
            folder.parent.rmdir()
            folder.parent.write_text("in the way again")
        folder.parent.unlink()


def trying() -> bool:
    return any(thread.name == "ledger" for thread in threading.enumerate())


def test_what_tries_again_ends_with_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.ledger._RETRY_SECONDS", 0.05)
    (tmp_path / "ledger").write_text("in the way")
    ledger = Ledger(tmp_path / "ledger")
    assert not trying()
    for number in range(5):
        ledger.add(entry(number))
    assert sum(thread.name == "ledger" for thread in threading.enumerate()) == 1
    ledger.close()
    until = time.monotonic() + 10
    while trying():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert ledger.lost == 5


def test_what_waits_for_a_disk_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rag.ledger._MOST_UNWRITTEN", 3)
    (tmp_path / "ledger").write_text("in the way")
    ledger = Ledger(tmp_path / "ledger")
    for number in range(5):
        ledger.add(entry(number))
    assert (ledger.unwritten, ledger.lost) == (3, 2)
    ledger.close()
    assert (ledger.unwritten, ledger.lost) == (0, 5)
    assert caplog.messages == ["ledger-not-written", "ledger-entries-lost"]
    assert caplog.records[1].__dict__["fields"]["entries"] == 5


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger import Ledger, entry
ledger = Ledger(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
said = [number for number in range(400) if ledger.add(entry(number))]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(said), ledger.unwritten, ledger.lost)
ledger.close()
print(ledger.unwritten)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit to reach")
def test_a_full_disk_loses_nothing_once_there_is_room(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, waiting, lost, left = map(int, done.stdout.split())
    assert said + waiting == 400
    assert 0 < said < 400
    assert (lost, left) == (0, 0)
    assert done.stderr.count("ledger-not-written") == 1
    assert sorted(numbers_in(tmp_path)) == list(range(400))
    assert total_in(tmp_path) == total_of(range(400))


# What a tenant has spent


def test_spent_is_exact_to_the_microsecond(ledger: Ledger) -> None:
    for number in range(1, 20):
        ledger.add(entry(number))
        ledger.add(entry(1000 + number, tenant="other"))
    ledger.add(entry(20, at=datetime(2026, 12, 1, tzinfo=UTC)))
    spent = ledger.spent("acme", (round(NOVEMBER.timestamp() * 1e6) + 10) / 1e6)
    expected = total_of(range(10, 21))
    assert (spent.answers, spent.joules_unknown) == (11, expected.joules_unknown)
    assert spent.joules
    assert spent.joules.low == expected.joules_low / 1e9
    assert spent.gco2e
    assert spent.gco2e.high == expected.gco2e_high / 1e12
    day = NOVEMBER.replace(hour=0).timestamp()
    assert ledger.spent("acme", day).answers == 20
    assert ledger.spent("nobody", day).joules is not None
    assert ledger.spent_on("acme", day).answers == 19  # not what is dated ahead of it
    assert ledger.spent_on("acme", day - 86_400).answers == 0
    assert ledger.spent_on("acme", datetime(2026, 12, 1, tzinfo=UTC).timestamp()).answers == 1
    assert ledger.spent("acme", datetime(2027, 1, 1, tzinfo=UTC).timestamp()).answers == 0


@pytest.mark.parametrize("by", [None, "tenant", "tier", "stage", "kind"])
def test_whoever_is_for_one_tenant_is_told_of_that_alone(ledger: Ledger, by: By | None) -> None:
    for number in range(1, 8):
        ledger.add(entry(number))
    ledger.add(entry(1000, tenant="other"))
    ledger.add(entry_of_run(run(3, "other"), NOVEMBER.timestamp()))
    told = {}
    for tenant in ("acme", "other", "nobody"):
        with access.acting(Caller("k", tenant, frozenset(("admin",)), None)):
            told[tenant] = read_report(ledger.folder, EVER, by)
            with pytest.raises(AccessError):
                ledger.spent("acme" if tenant != "acme" else "other", 0)
    assert told["acme"].total == total_of(range(1, 8))
    assert told["other"].total.answers == 1
    assert (told["acme"].ingest.chunks, told["other"].ingest.chunks) == (0, 3)
    assert (told["nobody"].total.answers, told["nobody"].lines) == (0, ())
    if by == "tenant":
        assert {line.group for line in told["acme"].lines} == {"acme"}


def test_all_unknown_is_unknown_not_nothing(ledger: Ledger) -> None:
    ledger.add(entry(3))
    spent = ledger.spent("acme", 0)
    assert (spent.joules, spent.joules_unknown) == (None, 1)


def test_the_columns_of_the_file_are_those_of_the_sums(ledger: Ledger) -> None:
    ledger.add(entry(4))
    with closing(sqlite3.connect(path_of(ledger.folder, "2026-11"))) as db:
        names = [row[1] for row in db.execute("PRAGMA table_info(sums)")]
    assert tuple(names[6:]) == SUMMED


def test_a_single_entry_keeps_all_that_it_is_given(ledger: Ledger) -> None:
    given = entry(8)
    ledger.add(given)
    with closing(sqlite3.connect(path_of(ledger.folder, "2026-11"))) as db:
        db.row_factory = sqlite3.Row
        kept = dict(db.execute("SELECT * FROM answers").fetchone())
    for name in ("joules", "gco2e", "embodied_gco2e", "market_gco2e", "litres"):
        bounds = getattr(given, name) or (None, None)
        assert (kept[f"{name}_low"], kept[f"{name}_high"]) == bounds
    assert (kept["kind"], kept["abstained"], kept["grounded"], kept["chunks"]) == (
        "answer",
        1,
        1,
        0,
    )


# What an earlier version has written

# A file as format 1 had it, before groundedness, embodied carbon and ingest were kept.
FORMER = """
CREATE TABLE answers (at, tenant, tier, model, kind, abstained, nanoseconds, joules_low,
 joules_high, gco2e_low, gco2e_high, litres_low, litres_high, basis, context_tokens, prompt_tokens,
 cached_tokens, completion_tokens, stages, fingerprint, generation);
CREATE INDEX answers_of ON answers (tenant, at);
CREATE TABLE sums (day TEXT, tenant TEXT, tier TEXT, model TEXT, kind TEXT, stage TEXT,
 answers INTEGER NOT NULL, abstained INTEGER NOT NULL, measured INTEGER NOT NULL,
 nanoseconds INTEGER NOT NULL, joules_low INTEGER NOT NULL, joules_high INTEGER NOT NULL,
 joules_unknown INTEGER NOT NULL, gco2e_low INTEGER NOT NULL, gco2e_high INTEGER NOT NULL,
 gco2e_unknown INTEGER NOT NULL, litres_low INTEGER NOT NULL, litres_high INTEGER NOT NULL,
 litres_unknown INTEGER NOT NULL, context_tokens INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
 prompt_unknown INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, cached_unknown INTEGER NOT NULL,
 completion_tokens INTEGER NOT NULL, completion_unknown INTEGER NOT NULL,
 PRIMARY KEY (day, tenant, tier, model, kind, stage)) WITHOUT ROWID;
"""
FORMER_ROWS = """
INSERT INTO answers VALUES(1795348800000000,'acme','lexical',NULL,'answer',0,1000,10,20,5,6,NULL,
 NULL,'estimated',100,NULL,NULL,NULL,'{"pack": [9, [1, 2]]}','ffffffffffff',900);
INSERT INTO answers VALUES(1795348800000001,'acme','lexical',NULL,'answer',1,1000,10,20,NULL,NULL,
 NULL,NULL,'estimated',100,NULL,NULL,NULL,'{"pack": [9, [1, 2]]}','ffffffffffff',901);
INSERT INTO answers VALUES(1795348800000002,'acme','lexical',NULL,'retrieve',0,1000,10,20,7,8,NULL,
 NULL,'estimated',100,NULL,NULL,NULL,'{"pack": [9, [1, 2]]}','ffffffffffff',902);
INSERT INTO sums VALUES('2026-11-22','acme','lexical','','answer','',2,1,0,2000,20,40,0,5,6,1,0,0,2,
 200,0,2,0,2,0,2);
INSERT INTO sums VALUES('2026-11-22','acme','lexical','','answer','pack',2,1,0,18,2,4,0,0,0,2,0,0,2,
 0,0,2,0,2,0,2);
INSERT INTO sums VALUES('2026-11-22','acme','lexical','','retrieve','',1,0,0,1000,10,20,0,7,8,0,0,0,
 1,100,0,1,0,1,0,1);
"""
KEPT_BEFORE = Sums(
    answers=3,
    abstained=1,
    nanoseconds=3000,
    joules_low=30,
    joules_high=60,
    gco2e_low=12,
    gco2e_high=14,
    gco2e_unknown=1,
    litres_unknown=3,
    context_tokens=300,
    prompt_unknown=3,
    cached_unknown=3,
    completion_unknown=3,
    grounded_unknown=1,
    embodied_gco2e_unknown=3,
    market_gco2e_unknown=3,
)


@pytest.fixture
def former(tmp_path: Path) -> Path:
    path = tmp_path / "2026-11.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(FORMER + FORMER_ROWS)
    return path


def test_a_former_file_is_read_and_continued_beside_it(former: Path) -> None:
    before = former.read_bytes()
    assert total_in(former.parent) == KEPT_BEFORE
    with closing(Ledger(former.parent)) as ledger:
        assert all(ledger.add(entry(number)) for number in range(1, 5))
        spent = ledger.spent("acme", NOVEMBER.timestamp() + 2e-6)
    assert total_in(former.parent) == KEPT_BEFORE + total_of(range(1, 5))
    assert former.read_bytes() == before
    assert (spent.answers, spent.joules_unknown) == (4, 1)
    assert sorted(numbers_in(former.parent)) == [1, 2, 3, 4, 900, 901, 902]
    by_kind = read_report(former.parent, EVER, "kind")
    found = {line.group: line.sums.grounded_unknown for line in by_kind.lines}
    assert found == {"answer": 1, "retrieve": 0}
    [stage] = (x for x in read_report(former.parent, EVER, "stage").lines if x.group == "pack")
    assert stage.sums.joules_low == 2


def test_an_earlier_version_that_still_runs_loses_nothing(former: Path) -> None:
    with closing(Ledger(former.parent)) as ledger, closing(sqlite3.connect(former)) as earlier:
        assert ledger.add(entry(1))
        earlier.execute(
            "INSERT INTO sums VALUES('2026-11-22','late','lexical','','answer','',"
            "1,0,0,1,1,1,0,1,1,0,1,1,0,1,0,1,0,1,0,1)"
        )
        earlier.commit()
        assert ledger.add(entry(2))
    assert total_in(former.parent).answers == KEPT_BEFORE.answers + 3


def test_former_entries_past_keeping_go_their_sums_stay(former: Path) -> None:
    with closing(Ledger(former.parent, keep_months=3)) as ledger:
        ledger.add(entry(1, at=datetime(2027, 3, 1, tzinfo=UTC)))
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and thread.daemon:
                thread.join(10)
    assert numbers_in(former.parent) == [1]
    assert total_in(former.parent) == KEPT_BEFORE + sums_of(entry(1))


def test_a_later_format_is_named_and_left_alone(ledger: Ledger) -> None:
    later = ledger.folder / "2026-01.v3.sqlite"
    ledger.add(entry(1))
    ledger.close()
    path_of(ledger.folder, "2026-11").rename(later)
    before = later.read_bytes()
    with closing(Ledger(ledger.folder, keep_months=1)) as again:
        again.add(entry(2))
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and thread.daemon:
                thread.join(10)
    report = read_report(ledger.folder, EVER, None)
    assert (report.unreadable, report.total) == (("2026-01",), sums_of(entry(2)))
    assert later.read_bytes() == before


# Runs of ingest


def run(chunks: int, tenant: str = "acme") -> Run:
    impact = Impact(Interval(2, 3), Interval(1, 2), None, None, "measured", None)
    return Run(tenant, "neural", 1.5, impact, chunks)


def test_ingest_is_told_apart_from_questions(ledger: Ledger) -> None:
    at = NOVEMBER.timestamp()
    ledger.add(entry(1))
    for chunks, tenant in ((3, "acme"), (4, "other")):
        ledger.add(entry_of_run(run(chunks, tenant), at))
    report = read_report(ledger.folder, EVER, "tenant")
    assert report.total == sums_of(entry(1))
    ingest = report.ingest
    assert (ingest.answers, ingest.runs, ingest.chunks, ingest.measured) == (0, 2, 7, 2)
    assert (ingest.joules_low, ingest.gco2e_high, ingest.litres_unknown) == (
        4 * 10**9,
        4 * 10**12,
        2,
    )
    assert (ingest.known("litres"), ingest.basis) == (None, "measured")
    lines = [(line.work, line.group, line.sums.entries) for line in report.lines]
    assert lines == [("questions", "acme", 1), ("ingest", "acme", 1), ("ingest", "other", 1)]
    kinds = read_report(ledger.folder, EVER, "kind").lines
    assert [(line.work, line.group) for line in kinds] == [
        ("questions", "answer"),
        ("ingest", "ingest"),
    ]
    assert total_in(ledger.folder) == sums_of(entry(1))


@pytest.mark.parametrize("since", [NOVEMBER.timestamp() - 1, NOVEMBER.replace(hour=0).timestamp()])
def test_ingest_takes_nothing_of_a_budget_for_questions(ledger: Ledger, since: float) -> None:
    ledger.add(entry_of_run(run(3), NOVEMBER.timestamp()))
    assert ledger.spent("acme", since).answers == 0
    ledger.add(entry(1))
    spent = ledger.spent("acme", since)
    assert spent.answers == 1
    assert spent.joules
    assert spent.joules.high == 11 / 1e9
