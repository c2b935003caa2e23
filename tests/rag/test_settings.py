import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from rag.errors import SettingsError
from rag.settings import Settings, load_settings

WriteToml = Callable[[str], Path]
NOT_ANSWERING = {
    "data_dir": "elsewhere",
    "host": "0.0.0.0",  # noqa: S104 - a value, nothing is bound
    "port": 9,
    "server_api_key": "another",
    "concurrent_questions": 9,
}
ANSWERING: dict[str, Any] = {
    "tier": "lexical",
    "collection": "other",
    "tokenizer": "o200k_base",
    "chunk_tokens": 64,
    "candidates": 7,
    "offered_passages": 7,
    "dense_weight": 0.1,
    "budget_tokens": 99,
    "frugality": 0.0,
    "answer_threshold": 0.9,
}


@pytest.fixture(autouse=True)
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteToml:
    """Run each test in a folder of its own; returns what writes its rag.toml."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        path = tmp_path / "rag.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_flag_over_environment_over_file_over_default(
    toml: WriteToml, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().budget_tokens == 256
    toml("budget_tokens = 100\ncandidates = 11")
    assert load_settings().budget_tokens == 100
    monkeypatch.setenv("RAG_BUDGET_TOKENS", "101")
    assert load_settings().budget_tokens == 101
    assert load_settings(budget_tokens=102).budget_tokens == 102
    assert load_settings(budget_tokens=None).budget_tokens == 101
    assert load_settings().candidates == 11


def test_the_file_may_lie_elsewhere(
    toml: WriteToml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml("candidates = 11")
    other = tmp_path / "other.toml"
    other.write_text("candidates = 12", encoding="utf-8")
    monkeypatch.setenv("RAG_CONFIG", str(other))
    assert load_settings().candidates == 12
    monkeypatch.setenv("RAG_CONFIG", str(tmp_path / "missing.toml"))
    with pytest.raises(SettingsError, match=r"names no file: .*missing\.toml\. Create it"):
        load_settings()


def test_unknown_keys_are_refused_wherever_they_stand(
    toml: WriteToml, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="budget"):
        load_settings(budget=9)
    monkeypatch.setenv("RAG_BUDGET", "9")
    with pytest.raises(SettingsError, match="unknown environment variable RAG_BUDGET"):
        load_settings()
    monkeypatch.delenv("RAG_BUDGET")
    toml("[retrieval]\nbudget = 9")
    with pytest.raises(SettingsError, match="retrieval"):
        load_settings()


@pytest.mark.parametrize("text", ["budget_tokens = ", "candidates = 'many'", '"', "\udcff"])
def test_a_file_that_cannot_be_used_says_so(toml: WriteToml, text: str) -> None:
    toml("").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def bounds() -> list[tuple[str, float, str]]:
    """Return every numeric setting with a value just outside each of its bounds."""
    outside = []
    for name, field in Settings.model_fields.items():
        for bound in field.metadata:
            for kind, step in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0)):
                if hasattr(bound, kind):
                    outside.append((name, getattr(bound, kind) + step, kind))
    return outside


@pytest.mark.parametrize(("name", "value", "kind"), bounds())
def test_bounds_are_kept(name: str, value: float, kind: str) -> None:
    with pytest.raises(SettingsError, match=f"setting {name} cannot be used") as caught:
        load_settings(**{name: value})
    assert kind
    assert re.search(r"greater|less", caught.value.remedy)


def test_every_number_has_bounds_and_every_setting_says_what_it_is() -> None:
    bounded = {name for name, _, _ in bounds()}
    for name, field in Settings.model_fields.items():
        assert field.description
        if field.annotation in (int, float, int | None, float | None):
            assert name in bounded


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65, "a b", "ä"])
@pytest.mark.parametrize("setting", ["collection", "tenant"])
def test_names_that_become_paths_are_plain(setting: str, name: str) -> None:
    with pytest.raises(SettingsError, match=setting):
        load_settings(**{setting: name})


@pytest.mark.parametrize("name", sorted(ANSWERING))
def test_the_fingerprint_changes_with_what_can_change_an_answer(name: str) -> None:
    changed = load_settings(**{name: ANSWERING[name]}).fingerprint()
    assert re.fullmatch(r"[0-9a-f]{12}", changed)
    assert changed != load_settings().fingerprint()


@pytest.mark.parametrize("name", sorted(NOT_ANSWERING))
def test_the_fingerprint_stays_where_an_answer_cannot_change(name: str) -> None:
    assert load_settings(**{name: NOT_ANSWERING[name]}).fingerprint() == Settings().fingerprint()


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch, toml: WriteToml) -> None:
    monkeypatch.setenv("RAG_SERVER_API_KEY", "hush-hush")
    settings = load_settings()
    assert isinstance(settings.server_api_key, SecretStr)
    assert settings.server_api_key.get_secret_value() == "hush-hush"
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hush" not in shown
    monkeypatch.delenv("RAG_SERVER_API_KEY")
    for line in ("server_api_key = 770077", "server_key = '770077'", "server_api_key = ['770077']"):
        toml(line)
        with pytest.raises(SettingsError) as caught:
            load_settings()
        error: BaseException | None = caught.value
        while error:
            assert "770077" not in str(error)
            error = error.__cause__ or error.__context__


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().budget_tokens = 9  # type: ignore[misc]  # that is what is tested
