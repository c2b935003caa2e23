"""The composition root of generators: from how one is configured to one that writes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

from rag.cited import CitedReader, Demands
from rag.generating import Generator
from rag.generation_energy.models import Models, known_models
from rag.generators import PACKAGED_MODEL, GeneratorSpec
from rag.prompting import Prompts
from rag.protocols import GroundednessScorer, SentenceSplitter, Tokenizer
from rag.provider_calls import Bounded, Counting, RetryBudget, Retrying
from rag.remote import Elsewhere
from rag.settings import Settings
from rag.writing import Author, Desk, Writer


def built(
    spec: GeneratorSpec, tokenizer: Tokenizer, retries: RetryBudget | None = None
) -> Generator:
    """Return the generator that a spec describes, within its bounds and with its tokens known.

    Nothing is asked yet, and an embedded model is not read before its first answer.

    Args:
        spec: How it is configured.
        tokenizer: Counts what a provider does not report.
        retries: Shared by all generators of one process that ask the same provider; without one
            this generator has its own.

    Raises:
        SettingsError: What it needs is not installed, or its options do not fit.
        AssetError: An embedded model's file is not there.
    """
    if spec.kind == "embedded":
        written = _embedded(spec)
    else:
        written = Retrying(_asked(spec), retries or RetryBudget())
    return Bounded(Counting(written, tokenizer), spec.bounds)


def _embedded(spec: GeneratorSpec) -> Generator:
    from rag.adapters.embedded_llm import EmbeddedGenerator, ModelFile, packaged_model

    path = Path(spec.model)
    packaged = spec.model == PACKAGED_MODEL
    model = packaged_model() if packaged else ModelFile(path.stem, path)
    return EmbeddedGenerator(model, spec.bounds.context_tokens)


def _asked(spec: GeneratorSpec) -> Generator:
    from rag.adapters.llama_index_llm import (
        Connector,
        Endpoint,
        open_connector,
        open_endpoint,
    )

    key = spec.api_key.reveal() if spec.api_key is not None else ""
    if spec.url is not None:
        return open_endpoint(Endpoint(spec.url, spec.model, key, spec.bounds.context_tokens))
    options = {name: value for name, value in spec.options.items() if name != "per_request"}
    if key:
        options["api_key"] = key
    connector = Connector(str(spec.connector), spec.model, options, spec.per_request)
    return open_connector(connector, spec.bounds.seconds)


def build_writer(
    settings: Settings,
    tokenizer: Tokenizer,
    scorer: GroundednessScorer,
    splitter: SentenceSplitter,
) -> Writer:
    """Return what writes answers with the configured generators.

    Raises:
        SettingsError: A generator or a prompt cannot be used.
        AssetError: An embedded model's file is not there.
        ValueRangeError: There are no generators.
    """
    prompts = Prompts()
    prompt, condense = prompts.load(settings.prompt), settings.condense_prompt
    attributed = settings.attributed_from
    demands = Demands(
        supported=settings.grounded_from,
        attributed=max(attributed, settings.grounded_from) if attributed < 1 else None,
        refusal=prompt.refusal,
    )
    desk = Desk(
        prompt=prompt,
        condensing=prompts.load(condense) if condense else None,
        reader=lambda context: CitedReader(scorer, context, splitter, demands),
        tokenizer=tokenizer,
        ungrounded=settings.ungrounded,
        prompt_tokens=settings.prompt_tokens,
    )
    budgets: dict[str, RetryBudget] = defaultdict(RetryBudget)
    specs = [generator.spec() for generator in settings.generators]
    models = _models(settings.energy_models)
    authors = [_author(spec, tokenizer, budgets[_provider(spec)], models) for spec in specs]
    return Writer(authors, desk)


def answering_fingerprint(settings: Settings) -> str:
    """Return the fingerprint of all that shapes an answer, with the texts of the prompts.

    Raises:
        SettingsError: A generator or a prompt cannot be used.
    """
    if not settings.generators:
        return settings.fingerprint()
    prompts, named = Prompts(), (settings.prompt, settings.condense_prompt)
    digests = [prompts.load(name).digest for name in named if name]
    parts = (settings.fingerprint(), *digests)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _models(path: Path | None) -> Models:
    known = known_models()
    return known.with_file(path) if path is not None else known


def _author(
    spec: GeneratorSpec, tokenizer: Tokenizer, retries: RetryBudget, models: Models
) -> Author:
    generator, running = built(spec, tokenizer, retries), spec.running
    if spec.kind == "embedded":
        return Author(spec.name, generator, spec.bounds, lambda _: None)  # it is metered here
    place = Elsewhere(spec.energy_model, running.gco2e_per_kwh, running.litres_per_kwh, models)
    return Author(spec.name, generator, spec.bounds, place.cost)


def _provider(spec: GeneratorSpec) -> str:
    """Return who is asked: a host, or all that one connector reaches."""
    return urlsplit(spec.url).netloc if spec.url is not None else f"{spec.connector}"
