"""From settings to how a Qdrant server is reached and its collection made."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from rag.build_server import build_server_config
from rag.errors import SettingsError
from rag.settings import load_settings


def key_of(config: Any) -> str | None:
    key = config.api_key
    assert key is None or isinstance(key, SecretStr)
    return key.get_secret_value() if key else None


def test_it_is_reached_as_the_settings_say() -> None:
    settings = load_settings(
        server_url="https://qdrant.example:6333",
        server_api_key="hush",
        server_timeout_seconds=3,
        server_ca_file=Path("ca.pem"),
        collection="docs",
    )
    config = build_server_config(settings, 384)
    assert (config.url, config.collection) == ("https://qdrant.example:6333", "docs")
    assert (config.dimension, config.timeout_seconds) == (384, 3)
    assert config.ca_file == Path("ca.pem")
    assert key_of(config) == "hush"
    assert "hush" not in repr(config)


def test_the_collection_is_made_as_the_settings_say() -> None:
    settings = load_settings(
        server_shards=4,
        server_replicas=3,
        server_write_consistency=2,
        server_quantization="int8",
        server_on_disk=True,
        server_strict=False,
    )
    config = build_server_config(settings, None)
    sharding = config.sharding
    assert (sharding.method, sharding.shard_number) == ("auto", 4)
    assert (sharding.replication_factor, sharding.write_consistency_factor) == (3, 2)
    assert (config.quantization, config.on_disk, config.strict_mode) == ("int8", True, False)
    usual = build_server_config(load_settings(), 8)
    assert (usual.quantization, usual.on_disk, usual.strict_mode) == ("turbo4", False, True)
    assert usual.sharding.key_of("anybody") is None


def test_big_tenants_get_shard_keys() -> None:
    settings = load_settings(server_own_shards=("big", "bigger"))
    sharding = build_server_config(settings, None).sharding
    assert sharding.method == "custom"
    assert [sharding.key_of(t) for t in ("big", "bigger", "other")] == ["big", "bigger", "shared"]


@pytest.mark.parametrize(
    ("keys", "reading", "writing"),
    [
        ({}, None, None),
        ({"server_api_key": "w"}, "w", "w"),
        ({"server_read_api_key": "r"}, "r", None),
        ({"server_api_key": "w", "server_read_api_key": "r"}, "r", "w"),
    ],
)
def test_who_reads_gets_no_key_that_writes(
    keys: dict[str, str], reading: str | None, writing: str | None
) -> None:
    settings = load_settings(server_url="https://qdrant.example:6333", **keys)
    assert key_of(build_server_config(settings, None)) == reading
    assert key_of(build_server_config(settings, None, writes=True)) == writing


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"server_write_consistency": 2}, "at most the 1 replicas"),
        ({"server_own_shards": ("shared",)}, "named like the shared key"),
        ({"server_url": "http://far.example", "server_read_api_key": "r"}, "use https"),
    ],
)
def test_settings_that_cannot_go_together(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=f"(?i){said}"):
        build_server_config(load_settings(**given), None)
