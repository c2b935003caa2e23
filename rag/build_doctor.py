"""The composition root of ``rag doctor``: its checks, with the parts that they look at."""

from __future__ import annotations

import logging
from contextlib import closing
from functools import partial
from pathlib import Path

from rag.build import (
    build_analyzer,
    build_embedder,
    build_live_index,
    build_tokenizer,
)
from rag.build_generators import answering_fingerprint, built
from rag.build_power import build_power
from rag.build_server import build_server_config
from rag.build_traces import build_traces
from rag.doctor import Check, Finding
from rag.doctoring.collection import (
    check_generation,
    check_ingest,
    check_reading,
    check_vectors,
)
from rag.doctoring.keeping import check_audit, check_collector, check_jobs, check_uploads
from rag.doctoring.meter import check_meter
from rag.doctoring.place import check_clock, check_data_dir
from rag.doctoring.records import check_cache, check_formats, check_ledger
from rag.doctoring.risks import check_settings
from rag.doctoring.running import check_service
from rag.errors import AssetError
from rag.generators import PACKAGED_MODEL, GeneratorSpec
from rag.prompting import Prompts
from rag.settings import Settings

_MODEL_SECONDS = 20.0  # reading and hashing 23 MB, and 90 MB of a generator, from a slow disk
_INDEX_SECONDS = 60.0  # a reader's copy of the index is made if there is none
_ENGLISH = "Is the tokenizer right? Yes."


def build_checks(settings: Settings) -> tuple[Check, ...]:
    """Return all checks of a collection under the settings in force."""
    # With vectors = later a look would count as a question that needed these chunks.
    live = partial(build_live_index, settings.model_copy(update={"vectors": "now"}))
    checks = [
        Check("settings", lambda: check_settings(settings)),
        Check("data_dir", lambda: check_data_dir(settings)),
        Check("clock", lambda: check_clock(settings)),
        Check("embedder", lambda: _check_embedder(settings), _MODEL_SECONDS),
        Check("tokenizer", lambda: _check_tokenizer(settings), _MODEL_SECONDS),
        Check("reranker", lambda: _check_reranker(settings)),
        Check("generators", lambda: _check_generators(settings), _MODEL_SECONDS),
        Check("generation", lambda: check_generation(settings), _INDEX_SECONDS),
        Check("index", lambda: check_reading(settings, live, build_analyzer), _INDEX_SECONDS),
        Check("vectors", lambda: check_vectors(settings)),
        Check("ingest", lambda: check_ingest(settings)),
        Check("formats", lambda: check_formats(settings)),
        Check("ledger", lambda: check_ledger(settings), _MODEL_SECONDS),
        Check("cache", lambda: check_cache(settings), _MODEL_SECONDS),
        Check("uploads", lambda: check_uploads(settings)),
        Check("jobs", lambda: check_jobs(settings)),
        Check("audit_log", lambda: check_audit(settings)),
        Check("traces", lambda: _check_traces(settings)),
        Check("service", lambda: check_service(settings, answering_fingerprint(settings))),
        Check("meter", _check_meter),
    ]
    if settings.index == "server":
        seconds = settings.server_timeout_seconds * 2 + 1
        checks.insert(7, Check("server", lambda: _check_server(settings), seconds))
    return tuple(checks)


def _check_embedder(settings: Settings) -> Finding:
    embedder = build_embedder(settings)
    if embedder is None:
        return Finding("ok", "none: lexical tier")
    length = len(embedder.embed_question(_ENGLISH))
    return Finding("ok", f"{embedder.fingerprint}, {length} dimensions, SHA-256 as pinned")


def _check_tokenizer(settings: Settings) -> Finding:
    tokenizer = build_tokenizer(settings)
    tokens = tokenizer.count(_ENGLISH)
    if tokens < 1:
        remedy = "use cl100k_base, or the generator's own tokenizer.json"
        return Finding("fail", f"{tokenizer.name} counts no tokens", remedy)
    pinned = "" if settings.tokenizer.endswith(".json") else ", SHA-256 as pinned"
    return Finding("ok", f"{tokenizer.name}{pinned}")


def _check_reranker(settings: Settings) -> Finding:
    if settings.reranker != "cross-encoder":
        return Finding("ok", settings.reranker)
    model = settings.reranker_model
    if Path(model).is_dir():
        missing = [n for n in ("model.onnx", "tokenizer.json") if not (Path(model) / n).is_file()]
        if missing:
            raise AssetError("the reranker's folder lacks", ", ".join(missing), "complete it")
        return Finding("ok", f"cross-encoder in {model}")
    remedy = "ask once to have it downloaded, or name a folder that holds it"
    return Finding("warn", f"cross-encoder {model} is fetched on first use; not tried", remedy)


def _check_generators(settings: Settings) -> Finding:
    """Build every generator as a service does; nothing is asked, so nothing is spent."""
    if not settings.generators:
        return Finding("ok", "none: answers are extracted")
    prompts = Prompts()
    for name in filter(None, (settings.prompt, settings.condense_prompt)):
        prompts.load(name)
    tokenizer = build_tokenizer(settings)
    for generator in settings.generators:
        spec = generator.spec()
        built(spec, tokenizer)
        _check_packaged(spec)
    named = ", ".join(f"{each.name} ({each.kind})" for each in settings.generators)
    return Finding("ok", f"{named}; not asked")


def _check_packaged(spec: GeneratorSpec) -> None:
    if spec.kind == "embedded" and spec.model == PACKAGED_MODEL:
        from rag.adapters.embedded_llm import packaged_model

        packaged_model().check()


def _check_server(settings: Settings) -> Finding:
    from rag.adapters.server_client import ServerClient

    with closing(ServerClient(build_server_config(settings, None))) as server:
        if not server.exists():
            found = f"{settings.server_url} answers, but has no collection {settings.collection}"
            return Finding("warn", found, "run rag-ingest sync PATH")
        status, dimension = server.status(), server.dimension()
    found = f"{settings.server_url}: {settings.collection} is {status}, dimension {dimension}"
    if status == "red":
        return Finding("fail", found, "look at the server's log; restore a snapshot there")
    return Finding("ok", found)


def _check_traces(settings: Settings) -> Finding:
    if settings.otlp_url is None:
        return Finding("ok", "not sent")
    build_traces(settings)  # what cannot be used raises; nothing is sent
    return check_collector(settings.otlp_url)


def _check_meter() -> Finding:
    # What a counter warns of is part of the finding.
    logging.getLogger("rag").addHandler(logging.NullHandler())
    return check_meter(build_power)
