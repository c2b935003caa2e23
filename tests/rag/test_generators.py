from dataclasses import asdict, replace
from typing import Any

import pytest

from rag.errors import SettingsError
from rag.generators import GeneratorSpec, Running, Secret
from rag.provider_calls import Bounds

KEY = "sk-not-a-real-key"
ENDPOINT = GeneratorSpec("large", "openai", "m-70b", "https://host/v1", Secret(KEY))
CONNECTOR = GeneratorSpec(
    "cloud",
    "llama-index",
    "m",
    connector="a.b:C",
    options={"aws_secret_access_key": KEY, "region_name": "r"},
)


def test_the_packaged_model_needs_nothing() -> None:
    spec = GeneratorSpec("small", "embedded")
    assert spec.model == spec.energy_model == "SmolLM2-135M-Instruct"


def test_the_energy_model_may_have_another_name() -> None:
    assert replace(ENDPOINT, running=Running("Llama-3.1-70B")).energy_model == "Llama-3.1-70B"


@pytest.mark.parametrize("spec", [ENDPOINT, CONNECTOR])
def test_secrets_are_shown_nowhere(spec: GeneratorSpec) -> None:
    assert KEY not in f"{spec!r} {spec} {spec.api_key} {spec.fingerprint()}"
    assert KEY not in repr(asdict(ENDPOINT))


def test_a_secret_is_a_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != "a"


def test_the_fingerprint_follows_what_can_change_an_answer() -> None:
    same = replace(ENDPOINT, name="other", api_key=Secret("new"), running=Running("x", 1, 1))
    assert same.fingerprint() == ENDPOINT.fingerprint()
    rotated = replace(CONNECTOR, options={"aws_secret_access_key": "new", "region_name": "r"})
    assert rotated.fingerprint() == CONNECTOR.fingerprint()
    others = (
        replace(ENDPOINT, model="m-8b"),
        replace(ENDPOINT, url="https://other/v1"),
        replace(ENDPOINT, bounds=Bounds(30, 100, 2048)),
        replace(CONNECTOR, options={"region_name": "s"}),
    )
    prints = [spec.fingerprint() for spec in (ENDPOINT, CONNECTOR, *others)]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"model": " "},
        {"url": None},
        {"url": "host/v1"},
        {"url": "ftp://host/v1"},
        {"url": "https://"},
        {"url": "https://host:port/v1"},
        {"url": "https://me:secret@host/v1"},
        {"url": "https://host/v1?key=secret"},
        {"url": "https://host/v1\n"},
        {"url": "http://host/v1"},
        {"url": "http://127.0.0.1.evil.org/v1"},
        {"connector": "a:B"},
        {"options": {"a": 1}},
        {"bounds": Bounds(0, 10, 2048)},
        {"bounds": Bounds(10, 0, 2048)},
        {"bounds": Bounds(10, 10, 0)},
        {"bounds": Bounds(float("nan"), 10, 2048)},
        {"running": Running(gco2e_per_kwh=-1)},
        {"running": Running(litres_per_kwh=1000)},
        {"kind": "embedded", "url": None},
        {"kind": "llama-index", "url": None},
        {"kind": "llama-index", "url": None, "connector": "no colon"},
        {
            "kind": "llama-index",
            "url": None,
            "connector": "a:B",
            "options": {"per_request": "max_tokens magic"},
        },
    ],
)
def test_what_cannot_be_is_refused_without_its_secrets(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        replace(ENDPOINT, **wrong)
    assert KEY not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_a_key_may_go_to_this_machine(host: str) -> None:
    assert replace(ENDPOINT, url=f"http://{host}/v1").url is not None


def test_without_a_key_any_host_will_do() -> None:
    assert replace(ENDPOINT, url="http://host/v1", api_key=None).api_key is None


def test_the_fingerprint_knows_every_option_but_secrets() -> None:
    def fingerprint(**options: object) -> str:
        spec = replace(ENDPOINT, kind="llama-index", url=None, connector="a:B", api_key=None)
        return replace(spec, options=options).fingerprint()

    assert fingerprint(max_tokens=5) != fingerprint(max_tokens=500)
    assert fingerprint(a={"b": [1]}) != fingerprint(a={"b": [2]})
    assert fingerprint(a={"b": 1, "c": 2}) == fingerprint(a={"c": 2, "b": 1})
    for name in ("api_key", "Authorization", "aws_secret", "session_token"):
        assert fingerprint(h={name: "one"}) == fingerprint(h={name: "two"})
