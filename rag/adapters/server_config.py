"""How to reach a Qdrant server or cluster, and how its collection is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from rag.errors import SettingsError

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Secret(Protocol):
    """A value that does not show itself in logs, such as pydantic's ``SecretStr``."""

    def get_secret_value(self) -> str:
        """Return the value in clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharding:
    """How a cluster spreads the collection.

    With ``method="custom"`` each of ``own_shard_tenants`` gets a shard key of its own and all
    other tenants share ``shared_key``; ``shard_number`` then counts the shards of each key.
    """

    shard_number: int = 1
    replication_factor: int = 1
    write_consistency_factor: int = 1
    method: Literal["auto", "custom"] = "auto"
    own_shard_tenants: tuple[str, ...] = ()
    shared_key: str = "shared"

    def __post_init__(self) -> None:
        for name in ("shard_number", "replication_factor", "write_consistency_factor"):
            if getattr(self, name) < 1:
                raise SettingsError(f"server {name}", getattr(self, name), "use 1 or more")
        if self.write_consistency_factor > self.replication_factor:
            raise SettingsError(
                "server write_consistency_factor",
                self.write_consistency_factor,
                f"use at most the {self.replication_factor} replicas there are",
            )
        if self.shared_key in self.own_shard_tenants:
            raise SettingsError("tenant named like the shared key", self.shared_key, "rename one")

    def is_alone(self, tenant: str) -> bool:
        """Return whether the shards that hold a tenant hold nobody else."""
        return self.method == "custom" and tenant in self.own_shard_tenants

    def key_of(self, tenant: str) -> str | None:
        """Return the shard key that holds a tenant, or None if the server chooses the shard."""
        if self.method == "auto":
            return None
        return tenant if tenant in self.own_shard_tenants else self.shared_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Address, deadlines and collection of a Qdrant server.

    ``dimension`` is that of the dense vectors, None for the lexical tier. ``timeout_seconds``
    bounds a read with all its retries, ``write_timeout_seconds`` one batch of writes and
    ``commit_timeout_seconds`` the wait for the optimizer [s]. ``attempts`` is how often a read is
    tried; a write is tried until its time is over. ``on_disk`` keeps full vectors and payloads out
    of memory.
    """

    dimension: int | None
    url: str = "http://localhost:6333"
    collection: str = "frugal_rag"
    api_key: Secret | str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    timeout_seconds: float = 5.0
    write_timeout_seconds: float = 60.0
    commit_timeout_seconds: float = 3600.0
    attempts: int = 5
    batch_size: int = 256
    sharding: Sharding = Sharding()
    quantization: Literal["turbo4", "int8", "none"] = "turbo4"
    strict_mode: bool = True
    on_disk: bool = False

    def __post_init__(self) -> None:
        account, _, rest = self.url.rpartition("@")
        if account:  # what stands before is a password, and is not shown
            raise SettingsError("server url with a password", rest, "use server_api_key for it")
        target = urlsplit(self.url)
        if target.scheme not in ("http", "https") or not target.hostname:
            raise SettingsError("server url", self.url, "use http(s)://host[:port]")
        if self.api_key and target.scheme == "http" and target.hostname not in _LOOPBACK:
            raise SettingsError("API key over plain http", self.url, "use https")
        if not (self.secret.isascii() and self.secret.isprintable()):
            raise SettingsError("server API key", "(not shown)", "use printable ASCII")
        positive = ("timeout_seconds", "write_timeout_seconds", "commit_timeout_seconds")
        for name in (*positive, "attempts", "batch_size"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"server {name}", getattr(self, name), "use more than 0")

    def headers(self) -> dict[str, str]:
        """Return the HTTP headers that identify us to the server."""
        return {"api-key": self.secret} if self.secret else {}

    @property
    def secret(self) -> str:
        """The API key in clear, empty without one."""
        key = self.api_key or ""
        return key if isinstance(key, str) else key.get_secret_value()
