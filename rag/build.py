"""The composition root of questions: from settings to working parts; ingest.build adds its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag.answering import Answering, PinnedAnswering
from rag.budgets import BudgetedAnswering, DailyBudget
from rag.build_generators import answering_fingerprint, build_writer
from rag.build_power import build_power
from rag.cache.answer_cache import FOLDER, AnswerCache
from rag.cache.values import Limits
from rag.caching import CacheStage
from rag.confined import ConfinedIndex
from rag.demand import DEMAND, CountedIndex, DemandCounter
from rag.errors import IndexStateError, SettingsError
from rag.generating import Sampling
from rag.generation import Generation, ReaderSlot, read_current, sharding_of
from rag.grid.siting import sited
from rag.ledger import Ledger, ledger_folder
from rag.live_index import LiveIndex, OpenGeneration, Published
from rag.pack import Packer
from rag.pipeline import Parts, Pipeline, Policy
from rag.protocols import (
    Analyzer,
    Embedder,
    GroundednessScorer,
    IndexReader,
    Reranker,
    SentenceSplitter,
    Tokenizer,
)
from rag.recording import RecordedAnswering
from rag.retrieve import Retrieval
from rag.routing import Thresholds
from rag.saved import read_comparison
from rag.settings import Settings
from rag.single_flight import SharedAnswering
from rag.terms import TERMS_VERSION
from rag.writing import Writer

if TYPE_CHECKING:
    from rag.adapters.edge_index import EdgeIndex


_DAY_SECONDS = 86_400


def build_tokenizer(settings: Settings) -> Tokenizer:
    """Return the configured tokenizer.

    Raises:
        AssetError: Its vocabulary is missing or altered.
    """
    if settings.tokenizer.endswith(".json"):
        from rag.adapters.tokenizers import FileTokenizer

        return FileTokenizer(Path(settings.tokenizer))
    from rag.adapters.vocabulary import TiktokenTokenizer

    return TiktokenTokenizer(settings.tokenizer)


def build_splitter() -> SentenceSplitter:
    """Return the sentence splitter."""
    from rag.adapters.sentences import NupunktSplitter

    return NupunktSplitter()


def build_analyzer() -> Analyzer:
    """Return the analyzer of the lexical leg."""
    from rag.adapters.analysis import EnglishAnalyzer

    return EnglishAnalyzer()


def build_embedder(settings: Settings) -> Embedder | None:
    """Return the embedder, or None in the lexical tier, which loads no model.

    Raises:
        AssetError: The model is missing or altered.
    """
    if settings.tier == "lexical":
        return None
    from rag.adapters.minilm import MiniLmEmbedder

    return MiniLmEmbedder(settings.embedder_threads)


def build_reranker(settings: Settings, embedder: Embedder | None = None) -> Reranker | None:
    """Return the configured reranker, or None; its model may be the embedder's, loaded once.

    Raises:
        AssetError: Its model is missing or altered.
    """
    if settings.reranker == "none":
        return None
    if settings.reranker == "cross-encoder":
        from rag.adapters.cross_encoder import CrossEncoderReranker

        return CrossEncoderReranker(settings.reranker_model, settings.embedder_threads)
    from rag.adapters.maxsim import MaxSimReranker
    from rag.adapters.minilm import MiniLmEmbedder

    if not isinstance(embedder, MiniLmEmbedder):
        embedder = MiniLmEmbedder(settings.embedder_threads)
    return MaxSimReranker(embedder)


def build_groundedness(embedder: Embedder | None) -> GroundednessScorer:
    """Return what judges statements by evidence; by their words alone without an embedder."""
    from rag.grounding import StatementScorer

    return StatementScorer(build_analyzer(), build_splitter(), embedder)


def build_pipeline(
    settings: Settings,
    index: IndexReader,
    generation: Callable[[], int | None],
    embedder: Embedder | None = None,
    cache: CacheStage | None = None,
) -> Pipeline:
    """Return the pipeline over an index; ``generation`` tells which one is being served.

    An ``embedder`` that is already loaded is used instead of building the configured one.
    """
    analyzer, tokenizer = build_analyzer(), build_tokenizer(settings)
    embedder = embedder or build_embedder(settings)
    parts = Parts(
        Packer(tokenizer, analyzer),
        analyzer,
        embedder,
        index,
        generation,
        reranker=build_reranker(settings, embedder),
        writer=_writer(settings, tokenizer, embedder),
        cache=cache,
    )
    return Pipeline(parts, _policy(settings))


def _writer(settings: Settings, tokenizer: Tokenizer, embedder: Embedder | None) -> Writer | None:
    if not settings.generators:
        return None
    return build_writer(settings, tokenizer, build_groundedness(embedder), build_splitter())


def build_cache(settings: Settings) -> AnswerCache | None:
    """Return the collection's cache, or None where nothing is kept; nothing is opened yet."""
    if settings.cache == "off":
        return None
    limits = Limits(
        ttl_seconds=settings.cache_days * _DAY_SECONDS,
        most_bytes=round(settings.cache_mb * 1e6),
        shadow_share=settings.cache_shadow,
        most_false=settings.cache_most_false,
    )
    return AnswerCache(settings.data_dir / settings.collection / FOLDER, limits)


def _policy(settings: Settings) -> Policy:
    return Policy(
        retrieval=Retrieval(
            candidates=settings.candidates,
            passages=settings.offered_passages,
            dense_weight=settings.dense_weight,
            lexical_if_sure=settings.lexical_if_sure,
            second_hop=settings.second_hop,
            rerank_below=settings.rerank_below,
        ),
        thresholds=Thresholds(
            answer=settings.answer_threshold,
            extract=settings.extract_from,
            generate=settings.generate_from,
            if_unwritten=settings.if_unwritten,
        ),
        max_question_chars=settings.max_question_chars,
        place=sited(settings),
        fingerprint=answering_fingerprint(settings),
        power=build_power(),
        baseline=read_comparison(settings.saved_baseline) if settings.saved_baseline else None,
        sampling=Sampling(settings.max_answer_tokens, settings.temperature),
    )


def build_live_index(settings: Settings) -> LiveIndex:
    """Return the collection's published index; call ``refresh`` or ``follow`` on it."""
    collection = settings.data_dir / settings.collection

    def current() -> str | None:
        generation = read_current(collection)
        return generation.identity if generation else None

    def opened() -> OpenGeneration | None:
        generation = _open_published(collection, settings)
        if generation is None or settings.vectors == "now":
            return generation
        return _counted(generation, collection)

    return LiveIndex(Published(str(collection), current, opened))


def build_answering(
    settings: Settings,
    live: LiveIndex,
    ledger: Ledger | None = None,
    cache: AnswerCache | None = None,
) -> Answering:
    """Return the pipeline over a live index, each question on one generation of it.

    Identical questions at the same time are answered once. What answers cost is written to the
    ledger, if there is one, and held to the day's budget. Nothing is found but what whoever asks
    may see.

    Raises:
        SettingsError: There is a budget and no ledger.
    """
    pipeline = build_pipeline(
        settings,
        ConfinedIndex(live),
        lambda: live.generation,
        cache=_cache_stage(settings, live, cache),
    )
    pinned = PinnedAnswering(pipeline, live)
    shared = SharedAnswering(pinned, pipeline.meter, lambda: live.identity)
    budget = DailyBudget(settings.daily_joules, settings.daily_gco2e, settings.once_spent)
    if ledger is None:
        if budget.limited:
            what, remedy = "a daily budget needs the ledger", "set ledger to true"
            raise SettingsError(what, "ledger = false", remedy)
        return shared
    recorded = RecordedAnswering(shared, ledger, settings.tier)
    return BudgetedAnswering(recorded, ledger, budget) if budget.limited else recorded


def _cache_stage(
    settings: Settings, live: LiveIndex, cache: AnswerCache | None
) -> CacheStage | None:
    if cache is None:
        return None
    semantic = settings.cache == "semantic"
    fingerprint = answering_fingerprint(settings)
    return CacheStage(cache, fingerprint, lambda: live.identity, semantic=semantic)


def build_ledger(settings: Settings) -> Ledger | None:
    """Return the collection's ledger, or None if none is to be kept; nothing is opened yet."""
    if not settings.ledger:
        return None
    return Ledger(ledger_folder(settings), settings.ledger_months)


def _open_published(collection: Path, settings: Settings) -> OpenGeneration | None:
    if settings.index == "server":
        return _open_on_server(collection, settings)
    slot = ReaderSlot.take(collection)
    if slot is None:
        return None
    try:
        _check_shape(slot.generation, settings)
        index = _open_copy(slot)
    except IndexStateError:
        slot.close()
        raise

    def close() -> None:
        try:
            index.close()
        finally:
            slot.close()

    return OpenGeneration(slot.generation.identity, slot.generation.number, index, close)


def _counted(opened: OpenGeneration, collection: Path) -> OpenGeneration:
    demand = DemandCounter(collection / DEMAND)

    def close() -> None:
        try:
            opened.close()
        finally:
            demand.close()

    return replace(opened, index=CountedIndex(opened.index, demand), close=close)


def _open_copy(slot: ReaderSlot) -> EdgeIndex:
    from rag.adapters.edge_index import EdgeIndex

    try:
        return EdgeIndex.open(slot.path)
    except IndexStateError:
        # If only the copy was damaged, the next attempt makes a sound one.
        shutil.rmtree(slot.path, ignore_errors=True)
        raise


def _open_on_server(collection: Path, settings: Settings) -> OpenGeneration | None:
    from rag.adapters.server_index import QdrantServerIndex
    from rag.build_server import build_server_config

    generation = read_current(collection)
    if generation is None:
        return None
    _check_shape(generation, settings)
    index = QdrantServerIndex(build_server_config(settings, generation.shape.dimension))
    return OpenGeneration(generation.identity, generation.number, index, index.close)


def _check_shape(generation: Generation, settings: Settings) -> None:
    shape = generation.shape
    if shape.index != settings.index:
        remedy = f"set index to {shape.index}, or sync again"
        raise IndexStateError("documents are in another index", shape.index, remedy)
    if shape.index == "server" and shape.sharding != sharding_of(settings.server_own_shards):
        held, remedy = shape.sharding or "none", "set server_own_shards to those, or sync again"
        raise IndexStateError("other tenants have shards of their own", held, remedy)
    if shape.terms != TERMS_VERSION:
        remedy = "sync again with this release, or use the one that made it"
        raise IndexStateError("index has terms of another version", shape.terms, remedy)
    if settings.tier == "lexical":
        return  # a question without a vector can be asked of any index
    from rag.adapters.minilm import FINGERPRINT

    if shape.embedder != FINGERPRINT:
        held = shape.embedder or "no vectors"
        remedy = "set tier to lexical, or sync again with this tier"
        raise IndexStateError("index was not made for this embedder", held, remedy)
