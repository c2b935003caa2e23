"""The composition root of an index on a server: from settings to how it is reached and made."""

from __future__ import annotations

from rag.adapters.server_config import ServerConfig, Sharding
from rag.settings import Settings


def build_server_config(
    settings: Settings, dimension: int | None, *, writes: bool = False
) -> ServerConfig:
    """Return how the configured Qdrant server is reached; dimension is that of the vectors.

    The key that may write is only for who ``writes``, where there is one that reads.

    Raises:
        SettingsError: The settings cannot go together.
    """
    reading = settings.server_read_api_key or settings.server_api_key
    return ServerConfig(
        dimension=dimension,
        url=settings.server_url,
        collection=settings.collection,
        api_key=settings.server_api_key if writes else reading,
        ca_file=settings.server_ca_file,
        timeout_seconds=settings.server_timeout_seconds,
        sharding=Sharding(
            shard_number=settings.server_shards,
            replication_factor=settings.server_replicas,
            write_consistency_factor=settings.server_write_consistency,
            method="custom" if settings.server_own_shards else "auto",
            own_shard_tenants=settings.server_own_shards,
        ),
        quantization=settings.server_quantization,
        strict_mode=settings.server_strict,
        on_disk=settings.server_on_disk,
    )
