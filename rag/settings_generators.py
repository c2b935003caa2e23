"""How a generator is configured: a table of ``[[generators]]`` in ``rag.toml``."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, model_validator

from rag.generators import PACKAGED_MODEL, GeneratorSpec, Running, Secret
from rag.provider_calls import Bounds


class GeneratorSettings(BaseModel):
    """One generator; the smallest comes first in the list."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(description="what the trace calls it; each has its own")
    kind: Literal["openai", "embedded", "llama-index"] = Field(
        description="any OpenAI-compatible endpoint, a GGUF file in this process, or any "
        "connector of LlamaIndex"
    )
    model: str = Field(PACKAGED_MODEL, description="as the provider calls it, or a .gguf file")
    url: str | None = Field(None, description="of an endpoint, up to and with /v1")
    api_key: SecretStr | None = Field(None, description="sent over https or to this machine only")
    connector: str | None = Field(None, description="a class of LlamaIndex, package.module:Class")
    options: dict[str, Any] = Field(
        default={}, repr=False, description="keywords of the connector; they may hold secrets"
    )
    seconds: float = Field(30.0, description="longest call [s], 0.001 to 600")
    max_tokens: int = Field(512, description="longest answer [tokens], 1 to 32768")
    context_tokens: int = Field(2048, description="prompt and answer [tokens], at least 128")
    energy_model: str | None = Field(
        None, description="its name among the known models, if not that of the provider"
    )
    gco2e_per_kwh: float | None = Field(
        None, description="carbon intensity where it runs, 0 to 2000"
    )
    litres_per_kwh: float | None = Field(
        None, description="water per electricity there [L/kWh], 0 to 100"
    )

    @field_serializer("options", when_used="json")
    def _hidden(self, options: dict[str, Any]) -> dict[str, str]:
        return dict.fromkeys(options, "(not shown)")

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        self.spec()
        return self

    def spec(self) -> GeneratorSpec:
        """Return the same as a checked value.

        Raises:
            SettingsError: It cannot be used.
        """
        key = self.api_key
        return GeneratorSpec(
            name=self.name,
            kind=self.kind,
            model=self.model,
            url=self.url,
            api_key=None if key is None else Secret(key.get_secret_value()),
            bounds=Bounds(self.seconds, self.max_tokens, self.context_tokens),
            connector=self.connector,
            options=self.options,
            running=Running(self.energy_model, self.gco2e_per_kwh, self.litres_per_kwh),
        )
