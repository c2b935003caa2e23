"""The comparison with EcoLogits, on an EcoLogits that is or is not there."""

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from eval.bench import generation_energy as bench
from eval.bench.measurements import measurements

ADR = Path(__file__).parents[2] / "docs" / "adr" / "0014-generation-energy.md"


def test_without_ecologits_there_is_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ecologits", None)
    assert bench.compared() is None


def test_the_comparison_shows_what_a_shorter_prompt_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    tracing = ModuleType("ecologits.tracers.utils")
    energy = SimpleNamespace(value=SimpleNamespace(min=1e-6, max=2e-6))
    tracing.llm_impacts = lambda *_: SimpleNamespace(energy=energy)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ecologits", ModuleType("ecologits"))
    monkeypatch.setitem(sys.modules, "ecologits.tracers", ModuleType("ecologits.tracers"))
    monkeypatch.setitem(sys.modules, "ecologits.tracers.utils", tracing)
    monkeypatch.setattr(bench, "version", lambda _: "0.0")
    comparison = bench.compared()
    assert comparison is not None
    assert comparison["calls"][0]["ecologits_joules"] == [3.6, 7.2]
    for pair in comparison["halved"]:
        assert pair["ecologits_percent"] == [0.0, 0.0]
        assert min(*pair["ours_percent"], *pair["told_percent"]) > 5


def test_a_name_without_a_package_is_not_taken_for_ecologits() -> None:
    with pytest.raises(PackageNotFoundError):
        bench.version("ecologits-that-is-not-there")


def test_the_table_in_the_docs_is_what_the_bench_prints() -> None:
    checks = [bench.checked(row) for row in measurements()]
    assert bench.check_table(checks) in ADR.read_text(encoding="utf-8")
