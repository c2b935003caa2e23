"""All checks of ``rag doctor`` with the parts that they look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.build_doctor import build_checks
from rag.doctor import Finding, examine
from rag.settings import Settings, load_settings

NAMES = (
    "settings data_dir clock embedder tokenizer reranker generators generation index vectors"
    " ingest formats ledger cache uploads jobs audit_log traces service meter"
)


def found(name: str, **settings: object) -> Finding:
    given = {"tier": "lexical", "port": 1, **settings}
    check = next(c for c in build_checks(load_settings(**given)) if c.name == name)
    return examine([check]).checks[0].finding


@pytest.fixture
def nothing(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data", port=1)


def test_with_nothing_ingested_nothing_fails_and_nothing_is_written(nothing: Settings) -> None:
    diagnosis = examine(build_checks(nothing))
    assert [check.name for check in diagnosis.checks] == NAMES.split()
    assert diagnosis.exit_code == 0
    warned = [c.name for c in diagnosis.checks if c.finding.verdict == "warn"]
    assert {"generation", "index", "vectors"} <= set(warned) <= {*NAMES.split()}
    assert not nothing.data_dir.exists()


def test_every_check_has_a_bound(nothing: Settings) -> None:
    checks = build_checks(nothing.model_copy(update={"index": "server"}))
    assert {"server", *NAMES.split()} == {check.name for check in checks}
    assert all(0 < check.seconds <= 60 for check in checks)


def test_the_pinned_model_and_vocabulary() -> None:
    assert "SHA-256 as pinned" in found("embedder", tier="neural").found
    assert found("tokenizer").found == "cl100k_base, SHA-256 as pinned"


def test_an_altered_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr("rag.adapters.minilm._TOKENIZER", tmp_path / "tokenizer.json")
    finding = found("embedder", tier="neural")
    assert finding.verdict == "fail"
    assert "missing or altered" in finding.found
    assert found("embedder").verdict == "ok"  # the lexical tier needs none


def test_an_altered_or_missing_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.adapters.vocabulary._ASSETS", tmp_path)
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    assert found("tokenizer").verdict == "fail"
    (tmp_path / "cl100k_base.tiktoken").write_bytes(b"other")
    assert "altered" in found("tokenizer").found
    assert found("tokenizer", tokenizer=str(tmp_path / "none.json")).verdict == "fail"


def test_generators_are_built_and_never_asked() -> None:
    remote = {"name": "big", "kind": "openai", "model": "m", "url": "http://127.0.0.1:9/v1"}
    finding = found("generators", generators=[remote])
    assert (finding.verdict, finding.found) == ("ok", "big (openai); not asked")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "big", "kind": "embedded", "model": "nowhere.gguf"},
        {"name": "big", "kind": "llama-index", "model": "m", "connector": "no.such:Class"},
    ],
)
def test_a_generator_that_cannot_be_built(wrong: dict[str, object]) -> None:
    finding = found("generators", generators=[wrong])
    assert finding.verdict == "fail"
    assert "unexpected" not in finding.found


def test_a_prompt_that_is_not_there() -> None:
    remote = {"name": "big", "kind": "openai", "model": "m", "url": "http://127.0.0.1:9/v1"}
    assert found("generators", generators=[remote], prompt="answer-99").verdict == "fail"


def test_a_server_that_is_not_there() -> None:
    given = {"server_url": "http://127.0.0.1:9", "server_timeout_seconds": 0.5}
    finding = found("server", index="server", **given)
    assert finding.verdict == "fail"
    assert "server_url" in finding.remedy


def test_rerankers(tmp_path: Path) -> None:
    assert found("reranker").found == "none"
    given = {"reranker": "cross-encoder"}
    assert found("reranker", **given).verdict == "warn"
    assert found("reranker", **given, reranker_model=str(tmp_path)).verdict == "fail"
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / name).touch()
    assert found("reranker", **given, reranker_model=str(tmp_path)).verdict == "ok"


def test_traces_that_cannot_be_sent() -> None:
    assert found("traces").found == "not sent"
    assert found("traces", otlp_url="http://user:secret@host:4318").verdict == "fail"
    finding = found("traces", otlp_url="http://127.0.0.1:9")
    assert finding.verdict == "warn"  # answers go on without
    assert "127.0.0.1:9 cannot be reached" in finding.found
