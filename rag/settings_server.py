"""The part of the settings that says how a Qdrant server is reached, and what is made there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class ServerSettings(BaseModel):
    """Where the index is; what begins with ``server_`` is of no use to the embedded one."""

    index: Literal["edge", "server"] = Field("edge", description="embedded Qdrant, or a server")
    server_url: str = Field("http://localhost:6333", description="Qdrant server")
    server_api_key: SecretStr | None = Field(None, description="Qdrant API key, of ingest to write")
    server_read_api_key: SecretStr | None = Field(
        None, description="Qdrant key that only reads, of the service; default: the other one"
    )
    server_ca_file: Path | None = Field(
        None, description="certificates that the server's is checked with; default: the system's"
    )
    server_timeout_seconds: float = Field(5.0, gt=0, le=300, description="deadline of a call [s]")
    server_shards: int = Field(
        1, ge=1, le=1024, description="shards of a new collection, or of each shard key"
    )
    server_replicas: int = Field(1, ge=1, le=16, description="replicas of a new collection")
    server_write_consistency: int = Field(
        1, ge=1, le=16, description="replicas that must have taken a write before it counts"
    )
    server_own_shards: tuple[str, ...] = Field(
        (), max_length=1000, description="big tenants with a shard key each; all others share one"
    )
    server_quantization: Literal["turbo4", "int8", "none"] = Field(
        "turbo4", description="how a new collection keeps vectors in memory"
    )
    server_on_disk: bool = Field(
        False, description="keep full vectors and texts of a new collection out of memory"
    )
    server_strict: bool = Field(
        True, description="let a new collection refuse dear requests (strict mode)"
    )
