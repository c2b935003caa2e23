import time
from pathlib import Path

import pytest

import rag
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.memory_index import MemoryIndex
from rag.adapters.minilm import DIMENSION, FINGERPRINT, MiniLmEmbedder
from rag.build import (
    _check_shape,
    build_answering,
    build_embedder,
    build_live_index,
    build_pipeline,
    build_tokenizer,
)
from rag.errors import AssetError, IndexStateError, QuestionTooLongError
from rag.generating import Sampling
from rag.generation import Generation, IndexShape
from rag.live_index import LiveIndex
from rag.results import Question
from rag.routing import Thresholds
from rag.settings import load_settings
from rag.single_flight import SharedAnswering
from rag.terms import TERMS_VERSION
from rag.types import Filter

MINILM = Path(rag.__file__).parent / "assets" / "all-minilm-l6-v2" / "tokenizer.json"


def question(text: str = "How long are logs kept?") -> Question:
    return Question(text, Filter("default"), 64, time.monotonic() + 60)


def generation(index: str, embedder: str | None, terms: int = TERMS_VERSION) -> Generation:
    tier, dimension = ("neural", DIMENSION) if embedder else ("lexical", None)
    shape = IndexShape(index, tier, embedder, dimension, "cl100k_base", 192, 9.0, terms)
    return Generation(Path("generations/000001"), 1, None, "", shape, 1, 1, 1, "")


def test_the_tokenizer_is_an_encoding_or_a_file() -> None:
    assert build_tokenizer(load_settings()).name == "cl100k_base"
    named = build_tokenizer(load_settings(tokenizer=str(MINILM)))
    assert named.name == "file:all-minilm-l6-v2/tokenizer.json"
    with pytest.raises(AssetError, match="unknown tokenizer: gpt9"):
        build_tokenizer(load_settings(tokenizer="gpt9"))


def test_the_lexical_tier_has_no_embedder() -> None:
    assert build_embedder(load_settings(tier="lexical")) is None
    assert isinstance(build_embedder(load_settings(tier="neural")), MiniLmEmbedder)


def test_a_pipeline_does_what_the_settings_say() -> None:
    settings = load_settings(
        tier="lexical",
        max_question_chars=30,
        grid_gco2e_per_kwh=100,
        region="here",
        answer_threshold=0.3,
    )
    pipeline = build_pipeline(settings, MemoryIndex(), lambda: 3)
    receipt = pipeline.answer(question()).receipt
    assert (receipt.fingerprint, receipt.generation) == (settings.fingerprint(), 3)
    assert (receipt.impact.region, receipt.impact.litres) == ("here", None)
    assert receipt.impact.gco2e is not None
    with pytest.raises(QuestionTooLongError, match="at most 30"):
        pipeline.answer(question("x" * 31))


def test_the_ways_of_an_answer_are_those_of_the_settings() -> None:
    settings = load_settings(
        tier="lexical",
        answer_threshold=0.4,
        extract_from=0.9,
        generate_from=0.1,
        if_unwritten="refuse",
        max_answer_tokens=9,
        temperature=0.5,
    )
    policy = build_pipeline(settings, MemoryIndex(), lambda: 3)._policy
    assert policy.thresholds == Thresholds(0.4, 0.9, 0.1, "refuse")
    assert policy.sampling == Sampling(9, 0.5)
    usual = build_pipeline(load_settings(tier="lexical"), MemoryIndex(), lambda: 3)
    assert usual._policy.thresholds == Thresholds()
    assert usual._policy.sampling == Sampling()
    assert usual._parts.writer is None


def test_answers_are_shared_within_one_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(tier="lexical", data_dir=tmp_path)
    shared = build_answering(settings, build_live_index(settings))
    assert isinstance(shared, SharedAnswering)
    monkeypatch.setattr(LiveIndex, "identity", property(lambda _: "another"))
    assert shared._generation() == "another"


def test_an_embedder_that_is_loaded_already_is_used() -> None:
    index = MemoryIndex(64)
    pipeline = build_pipeline(load_settings(), index, lambda: None, HashEmbedder())
    assert pipeline.answer(question()).abstained


def test_nothing_ingested_yet_is_said_so(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, tier="lexical")
    live = build_live_index(settings)
    try:
        live.refresh()
        assert isinstance(live.problem(), IndexStateError)
        with pytest.raises(IndexStateError):
            build_answering(settings, live).answer(question())
    finally:
        live.close()


def test_an_index_of_another_kind_is_refused() -> None:
    neural, lexical = load_settings(), load_settings(tier="lexical")
    _check_shape(generation("edge", FINGERPRINT), neural)
    _check_shape(generation("edge", FINGERPRINT), lexical)
    _check_shape(generation("edge", None), lexical)
    with pytest.raises(IndexStateError, match="another index: server"):
        _check_shape(generation("server", FINGERPRINT), neural)
    for embedder in (None, "another model"):
        with pytest.raises(IndexStateError, match=r"embedder: .*Set tier to lexical"):
            _check_shape(generation("edge", embedder), neural)
    for settings in (neural, lexical):
        with pytest.raises(IndexStateError, match=r"terms of another version: 1\. Sync again"):
            _check_shape(generation("edge", FINGERPRINT, terms=1), settings)
