from __future__ import annotations

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import access, logs, tracing
from rag.tracing import begun

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_valid_parent_is_followed() -> None:
    trace = begun(f"00-{TRACE}-{SPAN}-01")
    assert (trace.trace_id, trace.parent, trace.sampled) == (TRACE, SPAN, True)
    assert trace.span_id != SPAN
    assert begun(f"00-{TRACE}-{SPAN}-00").sampled is False
    # Source: W3C Trace Context, section 3.2.2: of a later version the known fields are read.
    assert begun(f"cc-{TRACE}-{SPAN}-03-what-the-future-will-be-like").parent == SPAN


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\r\nx: y",
        f"00-{TRACE}-{SPAN}-0\uff11",
    ],
)
def test_what_is_no_parent_begins_a_trace_of_its_own(header: str | None) -> None:
    trace = begun(header)
    assert trace.parent is None
    assert trace.sampled
    assert trace.trace_id != TRACE


@given(st.text())
def test_whatever_comes_identifiers_are_hex_digits(header: str) -> None:
    trace = begun(header)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", trace.header)


def test_identifiers_differ() -> None:
    traces = [begun() for _ in range(1000)]
    assert len({trace.trace_id for trace in traces}) == 1000
    assert len({trace.span_id for trace in traces}) == 1000


def test_a_trace_ends_with_its_block_and_goes_to_the_threads_that_work() -> None:
    assert tracing.current() is None
    with access.acting(access.OPERATOR), tracing.following(begun()) as trace:
        assert tracing.current() is trace
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(access.carried(tracing.current)).result() is trace
            assert pool.submit(tracing.current).result() is None
    assert tracing.current() is None


def test_log_lines_name_the_trace_they_belong_to() -> None:
    record = logging.LogRecord("rag.x", logging.INFO, "", 0, "answered", (), None)
    with tracing.following(begun(f"00-{TRACE}-{SPAN}-00")):
        assert json.loads(logs.JsonLines().format(record))["trace"] == TRACE
    assert "trace" not in json.loads(logs.JsonLines().format(record))
