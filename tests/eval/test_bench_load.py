"""The benchmark of load: its traffic against a real server, and its figures by hand."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice, repeat

import pytest

from eval.bench.load_asks import asks, mixture
from eval.bench.load_figures import Stretch, memory, memory_table, stretch, stretches_table
from eval.bench.processes import Sample, sampling
from eval.bench.traffic import Clients, Flow, Outcome, Sending, closed_loop, open_loop

BODIES = {
    "/whole": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/stream": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "/refuse": b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "/drop": b"",
}


def sending(path: str, ending: str = "read") -> Sending:
    return Sending(path[1:], f"GET {path} HTTP/1.1\r\n\r\n".encode(), ending)  # type: ignore[arg-type]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while head := await reader.read(1000):
            body = BODIES[head.split()[1].decode()]
            for part in (body[:20], body[20:]):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.002)
            if not body or b"close" in body:
                break
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def against_a_server(work: Callable[[Clients], Awaitable[Flow]]) -> Flow:
    async def run() -> Flow:
        server = await asyncio.start_server(_serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        clients = Clients("127.0.0.1", port, 20)
        flow = await work(clients)
        clients.close()
        server.close()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.005)  # until each connection is closed on both sides
        return flow

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "status"), [("/whole", 200), ("/stream", 200), ("/refuse", 503), ("/drop", 0)]
)
def test_an_open_loop_sends_at_its_rate_and_notes_what_came(path: str, status: int) -> None:
    ones = repeat(sending(path))
    flow = against_a_server(lambda clients: open_loop(clients, lambda _: 100.0, 0.5, ones))
    assert 25 <= len(flow.outcomes) + flow.unsent <= 85
    assert {one.status for one in flow.outcomes} == {status}
    assert all(0 < one.seconds < 5 for one in flow.outcomes)


def test_who_leaves_waits_for_nothing() -> None:
    ones = repeat(sending("/whole", "leave"))
    flow = against_a_server(lambda clients: closed_loop(clients, 2, 0.2, ones))
    assert flow.outcomes
    assert {one.status for one in flow.outcomes} == {0}


def test_callers_of_a_closed_loop_wait_for_each_other() -> None:
    ones = repeat(sending("/whole"))
    flow = against_a_server(lambda clients: closed_loop(clients, 3, 0.3, ones))
    assert 3 <= len(flow.outcomes) <= 3 * 0.4 / 0.002
    assert flow.unsent == 0


def test_the_mixture_is_the_same_each_time_and_well_formed() -> None:
    questions = [f"How long is {number}?" for number in range(100)]
    first, second = (list(islice(mixture("here:1", questions), 300)) for _ in range(2))
    assert first == second
    assert {one.kind for one in first} == {
        *("query", "retrieve", "stream", "chat", "wrong", "leave")
    }
    for one in (*first, *islice(asks("here:1", questions), 10)):
        head, _, body = one.request.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)


def flow() -> Flow:
    outcomes = [Outcome("query", 0.0, 200, (number + 1) / 1000) for number in range(100)]
    outcomes += [Outcome("query", 0.0, 503, 0.002)] * 50
    outcomes += [Outcome("query", 0.0, status, 1.0) for status in (500, 504, 0, 422)]
    outcomes += [Outcome("leave", 0.0, 0, 0.01)] * 6
    return Flow(16.0, 10.0, outcomes, unsent=40)


def test_a_stretch_by_hand() -> None:
    found = stretch("1x", flow(), Sample(5.0, 10.0, [(0.0, 90.0), (10.0, 100.0)]))
    assert (found.offered, found.answered, found.refused) == (20.0, 10.0, 5.0)
    assert (found.failed, found.unsent) == (3, 40)
    assert found.answered_ms is not None
    assert found.answered_ms[2] == pytest.approx(100.0)
    assert 49 <= found.answered_ms[0] <= 52
    assert found.refused_ms == pytest.approx((2.0, 2.0, 2.0))
    assert (found.cpu_cores, found.resident_mib) == (0.5, 100.0)
    assert found.statuses["query 503"] == 50
    table = stretches_table([("lexical", found), ("neural", _nothing(found))])
    assert table.count("\n") == 3
    assert len({line.count("|") for line in table.splitlines()}) == 1


def _nothing(one: Stretch) -> Stretch:
    empty = stretch("none", Flow(1.0, 10.0), Sample(1.0, 10.0, [(0.0, 1.0)]))
    assert (empty.answered_ms, empty.refused_ms, one.failed) == (None, None, 3)
    return empty


def test_memory_that_grows_is_seen_and_filling_at_first_is_not() -> None:
    filling = [(2.0 * n, 100.0 + min(n, 100)) for n in range(600)]
    flat = memory(Sample(1.0, 1200.0, filling))
    assert (flat.early, flat.late, flat.peak, flat.slope) == (200.0, 200.0, 200.0, 0.0)
    growing = memory(Sample(1.0, 1200.0, [(2.0 * n, 100.0 + n) for n in range(600)]))
    assert growing.slope == pytest.approx(1800.0)
    assert growing.late > growing.early
    assert len(growing.samples) <= 101
    assert "1800.0" in memory_table([("lexical", growing)])


def test_a_process_is_sampled() -> None:
    with sampling(os.getpid()) as sample:
        sum(range(3_000_000))
    assert 0 < sample.cpu_seconds <= sample.wall_seconds + 1
    assert sample.resident[0][1] > 10
