"""All configuration: flag > ``RAG_*`` environment > ``rag.toml`` > default.

One frozen value, built once at the edge and passed in. ``fingerprint`` names the part of it
that can change an answer.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

from rag.errors import SettingsError
from rag.settings_generators import GeneratorSettings
from rag.settings_server import NAME, ServerSettings
from rag.settings_service import ServiceSettings

_UNANSWERING = {
    *("data_dir", "concurrent_questions", "question_log", "host", "port", "keys_file", "keyless"),
    *("audit_log", "max_connections", "degrade", "quota_requests", "quota_tokens", "quota_joules"),
    *("quotas", "upload_dir", "upload_total_mb", "batch_mb", "run_jobs", "job_days", "otlp_url"),
    *("server_api_key", "server_read_api_key", "server_ca_file", "server_write_consistency"),
    *("server_own_shards", "server_quantization", "server_on_disk", "server_strict"),
    *("ledger", "ledger_months"),
    *("grid_file", "saved_baseline", "frontier", "energy_models"),
    *("grid_source", "grid_zone", "grid_country", "grid_intensity_file", "grid_url", "grid_user"),
    *("grid_api_key", "grid_seconds", "grid_market_gco2e_per_kwh", "water_site_litres_per_kwh"),
    *("embodied_kgco2e", "machine_lifetime_years", "embodied_share"),
    *("cache", "cache_mb", "cache_days", "cache_shadow", "cache_most_false"),
}
_REMEDY = "see docs/configuration.md for what there is"
_NEEDED_BY_SOURCE = {
    "file": ("grid_intensity_file",),
    "electricitymaps": ("grid_api_key",),
    "watttime": ("grid_user", "grid_api_key"),
}


class Settings(ServiceSettings, ServerSettings, BaseSettings):
    """Everything that can be configured, with bounds; unknown keys are refused."""

    model_config = SettingsConfigDict(
        env_prefix="RAG_", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    data_dir: Path = Field(Path("rag-data"), description="where collections are stored")
    collection: str = Field("default", pattern=NAME, description="name of the document set")
    tenant: str = Field("default", pattern=NAME, description="whose documents")

    tokenizer: str = Field(
        "cl100k_base",
        min_length=1,
        description="tiktoken encoding, or path of a tokenizer.json: the generator's own",
    )
    tier: Literal["lexical", "neural"] = Field(
        "neural", description="lexical loads no model; neural embeds with MiniLM"
    )
    vectors: Literal["now", "later"] = Field(
        "now", description="embed while ingesting, or later by rag-ingest embed"
    )
    embedder_threads: int = Field(1, ge=1, le=64, description="threads of one embedding call")

    chunk_tokens: int = Field(192, ge=32, le=2048, description="largest chunk [tokens]")
    parse_seconds: float = Field(30.0, gt=0, le=3600, description="limit for one file [s]")
    parse_memory_mb: int = Field(2048, ge=256, le=65536, description="limit for one file [MiB]")
    max_file_mb: float = Field(100.0, gt=0, le=10000, description="largest file [MB]")
    ingest_workers: int = Field(2, ge=1, le=64, description="processes that parse and embed")
    near_duplicate_similarity: float = Field(
        0.9, gt=0, le=1, description="Jaccard similarity from which chunks count as near-duplicates"
    )
    drop_near_duplicates: bool = Field(False, description="leave near-duplicates out of the index")
    keep_generations: int = Field(3, ge=1, le=100, description="generations kept for rollback")

    candidates: int = Field(50, ge=1, le=500, description="chunks taken from each leg")
    offered_passages: int = Field(20, ge=1, le=100, description="fused chunks for the packer")
    dense_weight: float = Field(0.7, ge=0, le=1, description="weight of the dense leg in fusion")
    lexical_if_sure: float = Field(
        1.0, ge=0, le=1, description="lead by words from which nothing is embedded; 1 is never"
    )
    second_hop: bool = Field(True, description="search again for what the first passage names")
    reranker: Literal["none", "maxsim", "cross-encoder"] = Field(
        "none", description="what reads the first passages again where their scores are flat"
    )
    rerank_below: float = Field(
        0.25, ge=0, le=1, description="lead under which scores count as flat; 1 is always"
    )
    reranker_model: str = Field(
        "Xenova/ms-marco-MiniLM-L-6-v2",
        min_length=1,
        description="cross-encoder: a name that fastembed lists, or the folder of one",
    )
    budget_tokens: int = Field(256, ge=16, le=32768, description="context budget [tokens]")
    frugality: float = Field(
        0.02,
        ge=0,
        le=0.5,
        description="recall that may be lost for fewer tokens; 0 fills the budget",
    )
    answer_threshold: float = Field(
        0.5, ge=0, le=1, description="confidence below which the service abstains"
    )
    generators: tuple[GeneratorSettings, ...] = Field(
        (), max_length=8, description="models that may write answers, the smallest first"
    )
    energy_models: Path | None = Field(
        None, description="further models for the energy of generations elsewhere, TOML"
    )
    extract_from: float = Field(
        0.5, ge=0, le=1, description="confidence from which no model is asked"
    )
    generate_from: float = Field(
        0.4, ge=0, le=1, description="confidence below which no model is asked either"
    )
    grounded_from: float = Field(
        0.5, ge=0, le=1, description="probability of support from which a written sentence stays"
    )
    attributed_from: float = Field(
        0.7, ge=0, le=1, description="the same of a sentence that cites nothing; 1 keeps none"
    )
    ungrounded: Literal["remove", "escalate", "refuse"] = Field(
        "remove", description="what happens to written sentences without support"
    )
    if_unwritten: Literal["extract", "refuse", "error"] = Field(
        "extract", description="what is given where no model's answer stands"
    )
    prompt: str = Field(
        "answer-1", min_length=1, max_length=64, description="version of the prompt"
    )
    condense_prompt: str | None = Field(
        None, max_length=64, description="version with which a model rewrites follow-ups, or none"
    )
    prompt_tokens: int = Field(2048, ge=64, le=1_000_000, description="longest prompt [tokens]")
    max_answer_tokens: int = Field(
        160, ge=1, le=32768, description="longest written answer [tokens]"
    )
    temperature: float = Field(0.0, ge=0, le=2, description="how freely tokens are drawn")

    cache: Literal["off", "exact", "semantic"] = Field(
        "exact", description="what is given again: the same question, or other words for it too"
    )
    cache_mb: float = Field(256.0, gt=0, le=1e6, description="size of the cache [MB]")
    cache_days: float = Field(7.0, gt=0, le=3650, description="how long an answer is kept [days]")
    cache_shadow: float = Field(
        0.05, ge=0, le=1, description="share of the semantic hits that are answered anew as a check"
    )
    cache_most_false: float = Field(
        0.01, ge=0, le=1, description="share of false hits that ends the semantic cache"
    )
    max_question_chars: int = Field(2000, ge=1, le=100000, description="longest question")

    grid_gco2e_per_kwh: float | None = Field(
        None, ge=0, le=2000, description="carbon intensity where this runs; unknown if unset"
    )
    grid_file: Path | None = Field(
        None, description="forecast of the grid's carbon intensity, for runs that may wait"
    )
    grid_source: Literal["setting", "packaged", "file", "electricitymaps", "watttime"] = Field(
        "setting", description="what says the carbon intensity: `grid_gco2e_per_kwh`, or one below"
    )
    grid_zone: str | None = Field(
        None, max_length=64, description="where this runs, as `grid_source` calls it: DEU, DE"
    )
    grid_country: str | None = Field(
        None, max_length=3, description="its ISO 3166 code of three letters, for packaged values"
    )
    grid_intensity_file: Path | None = Field(
        None, description="intensities by zone, JSON or CSV, for `file`"
    )
    grid_url: str | None = Field(
        None, max_length=512, description="address of the live source, if not its own"
    )
    grid_user: str | None = Field(None, max_length=256, description="WattTime account")
    grid_api_key: SecretStr | None = Field(
        None, description="Electricity Maps key, or WattTime password"
    )
    grid_seconds: float = Field(
        3.0, gt=0, le=60, description="deadline of a call to the live source [s]"
    )
    grid_market_gco2e_per_kwh: float | None = Field(
        None, ge=0, le=2000, description="carbon intensity by contract; kept apart"
    )
    water_litres_per_kwh: float | None = Field(
        None, ge=0, le=100, description="water use where this runs; unknown if unset"
    )
    water_site_litres_per_kwh: float | None = Field(
        None, ge=0, le=100, description="water used on site per machine kWh (WUE); 0 if none"
    )
    region: str | None = Field(None, max_length=64, description="name of the place, for receipts")
    pue: float = Field(1.0, ge=1, le=3, description="power usage effectiveness of the place")
    embodied_kgco2e: float | None = Field(
        None, ge=0, le=1e6, description="emissions of making the machine [kgCO2e]"
    )
    machine_lifetime_years: float | None = Field(
        None, gt=0, le=50, description="how long the machine is used [years]"
    )
    embodied_share: float = Field(
        1.0, gt=0, le=1, description="part of the machine that is reserved for this service"
    )

    saved_baseline: Path | None = Field(
        None, description="what a question costs elsewhere, by rag-eval saved-baseline"
    )

    daily_joules: float | None = Field(
        None,
        ge=0,
        le=1e12,
        description="energy that a tenant may spend in a day [J]; no limit if unset",
    )
    daily_gco2e: float | None = Field(
        None,
        ge=0,
        le=1e9,
        description="carbon that a tenant may spend in a day [g]; no limit if unset",
    )
    once_spent: Literal["sparing", "refuse"] = Field(
        "sparing", description="what happens to questions once the day's budget is spent"
    )
    ledger: bool = Field(True, description="keep what each answer cost")
    ledger_months: int = Field(
        24, ge=1, le=1200, description="months for which single answers' costs are kept"
    )

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_environment(cls, values: dict[str, Any]) -> dict[str, Any]:
        known = {f"RAG_{name.upper()}" for name in cls.model_fields} | {"RAG_CONFIG"}
        unknown = sorted(k for k in os.environ if k.startswith("RAG_") and k not in known)
        if unknown:
            raise ValueError(f"unknown environment variable {', '.join(unknown)}")
        return values

    @model_validator(mode="after")
    def _thresholds_are_in_order(self) -> Settings:
        if self.generate_from > self.extract_from:
            found = f"{self.generate_from:g} > {self.extract_from:g}"
            raise ValueError(f"generate_from is over extract_from: {found}")
        names = [generator.name for generator in self.generators]
        if len(set(names)) < len(names):
            raise ValueError(f"generators of the same name: {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _source_is_complete(self) -> Settings:
        needed = ["grid_zone", *_NEEDED_BY_SOURCE.get(self.grid_source, ())]
        missing = [name for name in needed if getattr(self, name) is None]
        if self.grid_source != "setting" and missing:
            raise ValueError(f"grid_source {self.grid_source} needs {' and '.join(missing)}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, strongest first."""
        toml = Path(os.environ.get("RAG_CONFIG", "rag.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml)

    def answering(self) -> dict[str, Any]:
        """Return the settings that can change an answer, as JSON values without secrets."""
        shown: dict[str, Any] = self.model_dump(mode="json", exclude=_UNANSWERING)
        for generator in shown["generators"]:
            del generator["api_key"], generator["options"]
        return shown

    def fingerprint(self) -> str:
        """Return 12 hex digits that change whenever a setting that can change an answer does."""
        text = self.model_dump_json(exclude={*_UNANSWERING, "generators"})
        prints = [generator.spec().fingerprint() for generator in self.generators]
        return hashlib.sha256("\n".join((text, *prints)).encode()).hexdigest()[:12]


def load_settings(**overrides: object) -> Settings:
    """Return the settings in force; ``None`` overrides are ignored.

    Raises:
        SettingsError: A value is out of bounds, unknown, or ``rag.toml`` cannot be read.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    path = os.environ.get("RAG_CONFIG")
    if path and not Path(path).is_file():
        raise SettingsError("RAG_CONFIG names no file", path, "create it or unset RAG_CONFIG")
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks the values
    except ValidationError as exc:
        raise _refused(exc) from exc
    except SourceError as exc:
        remedy = "write its lists and tables as JSON"
        raise SettingsError("the environment cannot be read", exc, remedy) from exc
    except (OSError, ValueError) as exc:
        raise SettingsError("rag.toml cannot be read", exc, "mend the file's TOML") from exc


def _refused(exc: ValidationError) -> SettingsError:
    first = exc.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    why = first["msg"].removeprefix("Value error, ")
    if not name:
        return SettingsError("the settings cannot be used", why, _REMEDY)
    if first["type"] == "extra_forbidden":
        return SettingsError("there is no such setting", name, _REMEDY)
    return SettingsError(f"setting {name} cannot be used", _shown(name, first["input"]), why)


def _shown(name: str, value: object) -> str:
    """Return the value for a message; what is secret, or a secret under a wrong name, is hidden."""
    field = Settings.model_fields.get(name)
    if (
        field is None
        or name == "generators"
        or SecretStr in (field.annotation, *get_args(field.annotation))
    ):
        return "(not shown)"
    return repr(value)[:200]
