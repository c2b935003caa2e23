from __future__ import annotations

import importlib.util
import sys

import pytest

from rag.answering import Answering
from rag.build_traces import build_traces, with_traces
from rag.errors import SettingsError
from rag.settings import Settings, load_settings


def settings(url: str | None) -> Settings:
    return load_settings(otlp_url=url)


def test_without_a_collector_there_is_nothing() -> None:
    answering: Answering = object()  # type: ignore[assignment]
    assert build_traces(settings(None)) is None
    assert with_traces(answering, settings(None)) is answering


@pytest.mark.parametrize(
    "url",
    [
        "localhost:4318",
        "ftp://localhost",
        "http://",
        "http://user:secret@localhost:4318",
        "http://localhost:4318/v1/traces?key=secret",
        "http://localhost:99999",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build_traces(settings(url))
    assert "secret" not in str(caught.value)
    assert "OTEL_EXPORTER_OTLP_HEADERS" in caught.value.remedy


def test_without_the_library_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for name in [name for name in sys.modules if name.startswith("opentelemetry.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SettingsError) as caught:
        build_traces(settings("http://localhost:4318"))
    assert "frugal-rag[otel]" in caught.value.remedy


@pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry") is None, reason="needs frugal-rag[otel]"
)
def test_nothing_is_asked_of_the_collector_before_there_is_something() -> None:
    export = build_traces(settings("http://localhost:9"))
    assert export is not None
    export.close()
    assert export.counts() == {"sent": 0, "dropped": 0, "lost": 0}
