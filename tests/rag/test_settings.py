import json
import re
import tomllib
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
    with pytest.raises(SettingsError, match=r"there is no such setting: budget\. See docs/"):
        load_settings(budget=9)
    monkeypatch.setenv("RAG_BUDGET", "9")
    with pytest.raises(SettingsError, match="used: unknown environment variable RAG_BUDGET"):
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


ENDPOINT = """
[[generators]]
name = "large"
kind = "openai"
url = "https://models.example.org/v1"
model = "m"
api_key = "770077"

[[generators]]
name = "cloud"
kind = "llama-index"
connector = "package:Class"
options = { aws_secret_access_key = "770077", region_name = "eu" }
"""


def test_generators_in_the_file_and_in_the_environment(
    toml: WriteToml, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml(ENDPOINT)
    from_file = load_settings().generators
    assert [each.name for each in from_file] == ["large", "cloud"]
    assert from_file[1].options["region_name"] == "eu"
    in_json = json.dumps(tomllib.loads(ENDPOINT)["generators"])
    toml("")
    monkeypatch.setenv("RAG_GENERATORS", in_json)
    assert load_settings().generators == from_file
    monkeypatch.setenv("RAG_GENERATORS", "[]")
    toml(ENDPOINT)
    assert load_settings().generators == ()


def test_secrets_of_generators_are_never_shown(toml: WriteToml) -> None:
    toml(ENDPOINT)
    settings = load_settings()
    shown = [repr(settings), str(settings), settings.model_dump_json(), f"{settings.answering()}"]
    shown += [repr(settings.generators[1]), f"{[each.spec() for each in settings.generators]}"]
    assert not any("770077" in text for text in shown)
    assert "aws_secret" not in f"{settings.answering()}"
    (key,) = [each.api_key for each in settings.generators if each.api_key]
    assert key.get_secret_value() == "770077"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('api_key = "770077"', "api_key = 770077"),
        ('api_key = "770077"', 'apikey = "770077"'),
        ('api_key = "770077"', 'api_key = ["770077"]'),
        ("[[generators]]", "[generators]"),
        ("[[generators]]", "[[generator]]"),
        ('"https://models.example.org/v1"', '"https://u:770077@models.example.org/v1"'),
        ('"https://models.example.org/v1"', '"https://models.example.org/v1?key=770077"'),
        ('"https://models.example.org/v1"', '"http://models.example.org/v1"'),
        ('kind = "openai"', 'kind = "embedded"'),
        ("options = {", 'options = "770077" #{'),
        ('connector = "package:Class"', 'connector = "770077!"'),
        ('name = "cloud"', 'name = "large"'),
    ],
)
def test_no_mistake_shows_a_secret_of_a_generator(toml: WriteToml, old: str, new: str) -> None:
    text = ENDPOINT.replace(old, new, 1 if "[" not in old else 2)
    toml(text.split("[[generators]]")[0] + text if new == "[generators]" else text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.remedy
    error: BaseException | None = caught.value
    while error:
        if new != 'connector = "770077!"':  # a name of a class is shown
            assert "770077" not in str(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("text", ["", "{", "770077", '{"name": "770077"}', '"770077"', "[770077]"])
def test_generators_that_are_no_json(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_GENERATORS", text)
    with pytest.raises(SettingsError, match="generators") as caught:
        load_settings()
    assert "770077" not in f"{caught.value}{caught.value.__cause__}"
    assert "rag.toml" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("kind", "vllm", r"setting generators\.0\.kind cannot be used"),
        ("seconds", "soon", r"setting generators\.0\.seconds cannot be used"),
        ("temperature", 1, r"no such setting: generators\.0\.temperature"),
        ("name", "a b", "name of generator .unnamed. cannot be used"),
        ("seconds", 0, "seconds of generator small cannot be used: 0"),
        ("max_tokens", 99_999, "max_tokens of generator small cannot be used: 99999"),
        ("context_tokens", 1, "context_tokens of generator small cannot be used: 1"),
        ("gco2e_per_kwh", -1, "gco2e_per_kwh of generator small cannot be used"),
        ("litres_per_kwh", 101, "litres_per_kwh of generator small cannot be used"),
        ("model", " ", "model of generator small cannot be used"),
        ("url", "https://a/v1", "url of generator small cannot be used"),
        ("api_key", "k", "api_key of generator small cannot be used: given"),
    ],
)
def test_a_generator_that_cannot_be_used_says_which_and_why(
    field: str, value: object, told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        load_settings(generators=({"name": "small", "kind": "embedded", field: value},))


def test_generators_have_names_of_their_own() -> None:
    same = {"name": "small", "kind": "embedded"}
    with pytest.raises(SettingsError, match="generators of the same name: small, small"):
        load_settings(generators=(same, same))


def test_the_fingerprint_of_generators() -> None:
    def printed(**fields: object) -> str:
        known = {"name": "a", "kind": "llama-index", "connector": "package:Class", "model": "m"}
        return load_settings(generators=({**known, **fields},)).fingerprint()

    usual = printed()
    assert usual != load_settings().fingerprint()
    assert printed(gco2e_per_kwh=9, litres_per_kwh=9, energy_model="x", api_key="k") == usual
    assert printed(options={"aws_secret_access_key": "x"}) == usual
    for changed in ({"model": "n"}, {"max_tokens": 9}, {"options": {"region_name": "eu"}}):
        assert printed(**changed) != usual


def test_thresholds_are_in_order() -> None:
    with pytest.raises(SettingsError, match=r"generate_from is over extract_from: 0\.9 > 0\.5"):
        load_settings(generate_from=0.9)
    assert load_settings(generate_from=0.9, extract_from=0.9).generate_from == 0.9
