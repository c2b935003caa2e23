from pathlib import Path

import pytest

from rag.errors import SettingsError
from rag.generation_energy.models import PACKAGED, Models, known_models, read_models
from rag.types import Interval

OWN = '[[model]]\nname = "Acme-9B"\ntotal = 9.1\nsource = "our own card"\n'


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama-3.1-8B"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "Llama-3.1-8B"),
        ("llama3.1:8b", "Llama-3.1-8B"),
        ("llama3.1:8b-instruct-q4_K_M", "Llama-3.1-8B"),
        ("meta-llama/Llama-3.3-70B-Instruct", "Llama-3.1-70B"),
        ("gpt-oss-20b", "gpt-oss-20b"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"),
        ("gpt-oss:20b", "gpt-oss-20b"),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507", "Qwen3-30B-A3B"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "Qwen3-235B-A22B"),
        ("google/gemma-3-27b-it", "Gemma-3-27B"),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", "Nemotron-Nano-9B"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "Mistral-7B"),
        ("GPT-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("deepseek-ai/DeepSeek-R1-0528", "DeepSeek-V3"),
        ("gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
    ],
)
def test_names_as_apis_take_them(asked: str, name: str) -> None:
    found = known_models().find(asked)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "asked", ["", "/", "gpt-4o-audio", "gpt-6", "Llama-3.1", "llama", "Qwen3-8B-Distill-1.5B", "8b"]
)
def test_names_that_say_something_else_are_unknown(asked: str) -> None:
    assert known_models().find(asked) is None


@pytest.mark.parametrize(
    ("asked", "bits"),
    [
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", 8),
        ("Llama-3.1-8B-Instruct-AWQ", 4),
        ("llama3.1:8b-instruct-fp16", 16),
    ],
)
def test_a_name_can_promise_the_precision(asked: str, bits: float) -> None:
    found = known_models().find(asked)
    assert found is not None
    assert found.bits == Interval(bits, bits)


def test_every_packaged_model_names_its_source_and_its_sizes() -> None:
    models = read_models(PACKAGED)
    assert len(models) > 25
    for model in models:
        assert model.source
        assert 1e8 < model.active.low <= model.active.high <= model.total.high < 1e13
        for name in (model.name, *model.aliases):
            found = known_models().find(name)
            assert found is not None
            assert found.name == model.name


def test_unpublished_sizes_are_ranges_and_say_whose() -> None:
    closed = [m for m in read_models(PACKAGED) if m.source.startswith("not published")]
    assert closed
    for model in closed:
        assert model.active.low < model.active.high
        assert "estimate of" in model.source


def test_models_of_your_own(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(OWN, encoding="utf-8")
    known = known_models().with_file(path)
    found = known.find("acme/Acme-9B-Instruct")
    assert found is not None
    assert found.total == found.active == Interval(9.1e9, 9.1e9)
    assert not found.sparse
    assert found.bits == Interval(8, 16)
    assert known.find("gpt-oss-20b") == known_models().find("gpt-oss-20b")
    assert known_models().find("Acme-9B") is None


def test_a_file_replaces_a_packaged_model(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('[[model]]\nname = "gpt-4o"\ntotal = 200\nactive = 20\nsource = "we know"\n')
    found = known_models().with_file(path).find("gpt-4o")
    assert found is not None
    assert found.source == "we know"
    assert found.sparse


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        '[[model]]\nname = "x"\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = 1\n',
        '[[model]]\nname = "x"\ntotal = "big"\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = 1\nactive = 2\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = [3, 2]\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = [1, 2]\nactive = [1, 3]\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = 0\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = 1\nbits = 0\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = 1\nsize = 2\nsource = "s"\n',
        'model = "x"\n',
        "model = 3\n",
        "",
        '[[models]]\nname = "x"\ntotal = 1\nsource = "s"\n',
        'title = "x"\n[[model]]\nname = "x"\ntotal = 1\nsource = "s"\n',
        '[[model]]\nname = "x"\naliases = "llama"\ntotal = 1\nsource = "s"\n',
        '[[model]]\nname = "x"\naliases = ["-"]\ntotal = 1\nsource = "s"\n',
        '[[model]]\nname = ""\ntotal = 1\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = inf\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = nan\nsource = "s"\n',
        '[[model]]\nname = "x"\ntotal = true\nsource = "s"\n',
        f'[[model]]\nname = "x"\ntotal = {10**400}\nsource = "s"\n',
        2 * '[[model]]\nname = "x"\ntotal = 1\nsource = "s"\n',
        OWN + '[[model]]\nname = "y"\naliases = ["acme/acme-9b"]\ntotal = 1\nsource = "s"\n',
    ],
)
def test_a_file_that_is_no_list_of_models_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"models cannot be read|a model in"):
        read_models(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_models(tmp_path / "none.toml")


def test_an_empty_list_knows_nothing() -> None:
    assert Models(()).find("gpt-4o") is None


def test_a_second_file_does_not_bring_back_what_the_first_replaced(tmp_path: Path) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    # A packaged model that has an alias too, by which the packaged list still knows it.
    first.write_text('[[model]]\nname = "claude-sonnet-4-5"\ntotal = 1\nsource = "we know"\n')
    second.write_text(OWN)
    found = known_models().with_file(first).with_file(second).find("claude-sonnet-4-5")
    assert found is not None
    assert found.source == "we know"
