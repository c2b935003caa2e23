"""The compose files: hardening, names, ports, networks, and files that are there."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import rag.cli
from rag.service.batch_routes import BATCH
from rag.service.document_routes import DOCUMENTS
from rag.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"


def services(composed: Any) -> list[tuple[str, str, Any]]:
    found = [(f, n, s) for f, content in composed.items() for n, s in content["services"].items()]
    assert len(found) > 15
    return found


def test_every_container_is_confined(composed: Any) -> None:
    for file, name, service in services(composed):
        assert service["read_only"] is True, (file, name)
        assert service["cap_drop"] == ["ALL"], (file, name)
        assert service["security_opt"] == ["no-new-privileges:true"], (file, name)
        assert "mem_limit" in service, (file, name)
        assert "privileged" not in service
        assert service.get("network_mode") != "host"


def test_what_is_mounted_or_built_from_exists(composed: Any) -> None:
    for file, name, service in services(composed):
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).exists(), (file, name, source)
            elif not source.startswith("given-"):
                assert source in composed[file]["volumes"], (file, name, source)
        if build := service.get("build"):
            context = DOCKER / build["context"]
            assert (context / build["dockerfile"]).is_file()
            target = re.compile(rf"^FROM .* AS {build['target']}$", re.MULTILINE)
            assert target.search((context / build["dockerfile"]).read_text())


def test_named_volumes_and_networks_are_declared_and_used(composed: Any) -> None:
    for file, content in composed.items():
        volumes, networks = set(), set()
        for service in content["services"].values():
            volumes |= {volume.split(":")[0] for volume in service.get("volumes", [])}
            networks |= set(service.get("networks", ()))
        assert set(content["volumes"]) <= volumes, file
        assert set(content.get("networks", ())) == networks, file


def test_dependencies_are_services_that_can_be_waited_for(composed: Any) -> None:
    for file, name, service in services(composed):
        needed = service.get("depends_on", {})
        for other in needed:
            assert other in composed[file]["services"], (file, name)
            if isinstance(needed, dict):
                assert needed[other] == {"condition": "service_healthy"}
                assert "test" in composed[file]["services"][other]["healthcheck"]


def test_nothing_is_published_but_on_loopback(composed: Any) -> None:
    ports = [(n, p) for _, n, s in services(composed) for p in s.get("ports", [])]
    assert ports
    for name, port in ports:
        assert port.startswith("127.0.0.1:"), (name, port)
        assert not name.startswith(("qdrant", "prometheus"))


def test_no_service_answers_without_keys(composed: Any, image_settings: Any) -> None:
    assert image_settings["RAG_HOST"] == "0.0.0.0"  # noqa: S104  # so rag serve insists on keys
    for file, name, service in services(composed):
        assert "RAG_KEYLESS" not in service.get("environment", {}), (file, name)
        if service.get("command") == ["rag", "serve"]:
            assert "data:/data" in service["volumes"], (file, name)  # where rag keys writes them


def test_how_to_make_keys_is_said_as_it_is_done() -> None:
    seen = 0
    for path in DOCKER.rglob("*.y*ml"):
        text = re.sub(r"\\\n#\s*", "", path.read_text())
        for line in re.findall(r"rag (keys add [^>\n]*)", text):
            options = rag.cli._parser().parse_args(line.split())
            assert options.command.__name__ == "_add", path
            seen += 1
    assert seen >= 8


def test_published_ports_are_those_of_the_programs(composed: Any, image_settings: Any) -> None:
    proxy = re.search(r"listen (\d+);", (DOCKER / "proxy" / "default.conf").read_text())
    assert proxy
    listening = {"rag": image_settings["RAG_PORT"], "proxy": proxy[1], "grafana": "3000"}
    for _, name, service in services(composed):
        for port in service.get("ports", []):
            assert port.split(":")[2] == listening[name]


def test_qdrant_is_where_the_services_look_for_it(composed: Any) -> None:
    for file, name, service in services(composed):
        url = service.get("environment", {}).get("RAG_SERVER_URL")
        if url:
            scheme, host, port = re.fullmatch(r"(https?)://(\w+):(\d+)", url).groups()  # type: ignore[union-attr]
            others = composed[file]["services"]
            named = [
                other
                for key, other in others.items()
                if host == key or host in _aliases(other.get("networks", {}))
            ]
            assert named, (file, name)
            for other in named:
                assert port in other["expose"]
                tls = other["environment"].get("QDRANT__SERVICE__ENABLE_TLS") == "true"
                assert (scheme == "https") == tls
                assert set(other["networks"]) & set(service["networks"])


def _aliases(networks: Any) -> set[str]:
    if not isinstance(networks, dict):
        return set()
    return {alias for each in networks.values() for alias in (each or {}).get("aliases", ())}


def test_writing_and_reading_keys_are_apart(composed: Any) -> None:
    keyed = composed["compose.keys.yaml"]["services"]
    server = keyed["qdrant"]["environment"]
    reading, writing = (keyed[name]["environment"] for name in ("rag", "ingest"))
    assert reading["RAG_SERVER_READ_API_KEY"] == server["QDRANT__SERVICE__READ_ONLY_API_KEY"]
    assert writing["RAG_SERVER_API_KEY"] == server["QDRANT__SERVICE__API_KEY"]
    assert "RAG_SERVER_API_KEY" not in reading
    assert "RAG_SERVER_READ_API_KEY" not in writing
    assert len({v for k, v in server.items() if k.endswith("API_KEY")}) == 2
    for name in ("rag", "ingest"):
        mounted = {v.split(":")[1] for v in keyed[name]["volumes"] if v.endswith(":ro")}
        assert keyed[name]["environment"]["RAG_SERVER_CA_FILE"] in mounted


def test_the_nodes_of_the_cluster_join_the_first(composed: Any) -> None:
    nodes = {
        name: service["command"]
        for name, service in composed["compose.cluster.yaml"]["services"].items()
        if name.startswith("qdrant-")
    }
    assert len(nodes) == 3
    for name, command in nodes.items():
        assert command[command.index("--uri") + 1] == f"http://{name}:6335"
    joining = [c[c.index("--bootstrap") + 1] for c in nodes.values() if "--bootstrap" in c]
    assert joining == ["http://qdrant-1:6335"] * 2


def test_replicas_are_fewer_than_nodes_and_shards_spread_over_them(composed: Any) -> None:
    content = composed["compose.cluster.yaml"]["services"]
    nodes = sum(name.startswith("qdrant-") for name in content)
    environment = content["rag-1"]["environment"]
    assert int(environment["RAG_SERVER_REPLICAS"]) < nodes
    assert int(environment["RAG_SERVER_SHARDS"]) % nodes == 0


def test_writes_wait_for_all_copies(composed: Any) -> None:
    for name in ("rag-1", "rag-2", "ingest"):
        given = composed["compose.cluster.yaml"]["services"][name]["environment"]
        assert given["RAG_SERVER_WRITE_CONSISTENCY"] == given["RAG_SERVER_REPLICAS"] == "2"


def test_what_is_uploaded_is_parsed_within_the_memory_of_the_service(composed: Any) -> None:
    for file, name, service in services(composed):
        if service.get("command") == ["rag", "serve"]:
            given = service["environment"]
            most = int(service["mem_limit"].removesuffix("g")) * 1024
            taken = int(given["RAG_INGEST_WORKERS"]) * int(given["RAG_PARSE_MEMORY_MB"])
            assert taken <= most / 2, (file, name)


def test_what_the_service_keeps_is_on_a_volume(composed: Any) -> None:
    for _, name, service in services(composed):
        given = service.get("environment", {})
        if service.get("command") == ["rag", "serve"]:
            # Uploads and jobs lie in the collection, where nothing else is said.
            assert not {"RAG_UPLOAD_DIR", "RAG_DATA_DIR", "RAG_LEDGER"} & given.keys(), name
            assert given["RAG_AUDIT_LOG"] == "/data/audit.jsonl"
            assert "data:/data" in service["volumes"]


def test_stopping_leaves_time_to_drain(composed: Any, drain_seconds: float) -> None:
    for _, name, service in services(composed):
        if service.get("command") == ["rag", "serve"]:
            assert int(service["stop_grace_period"].rstrip("s")) > drain_seconds, name


def test_the_proxy_knows_the_services_and_waits_for_their_deadline(composed: Any) -> None:
    text = (DOCKER / "proxy" / "default.conf").read_text()
    assert text.count("{") == text.count("}")
    upstream = re.findall(r"^\s+server ([\w-]+):(\d+) resolve", text, re.MULTILINE)
    serving = [
        name
        for name, service in composed["compose.cluster.yaml"]["services"].items()
        if service.get("command") == ["rag", "serve"]
    ]
    assert upstream == [(name, "8080") for name in serving]
    waits = [int(s) for s in re.findall(r"proxy_(?:read|next_upstream)_timeout (\d+)s", text)]
    assert len(waits) == 3
    assert min(waits) > load_settings().deadline_seconds


def test_files_pass_the_proxy_unbuffered_whole_and_once() -> None:
    text = (DOCKER / "proxy" / "default.conf").read_text()
    ((pattern, body),) = re.findall(r"location ~ (\S+) \{(.*?)\n    \}", text, re.DOTALL)
    assert [path for path in (BATCH, DOCUMENTS) if re.search(pattern, path)] == [BATCH, DOCUMENTS]
    for path in ("/v1/query", f"{BATCH}/job_1", f"{DOCUMENTS}/report.pdf"):
        assert not re.search(pattern, path)
    most = re.search(r"client_max_body_size (\d+)m;", body)
    assert most
    settings = load_settings()
    assert int(most[1]) * 2**20 >= 1e6 * max(settings.batch_mb, settings.max_file_mb)
    assert "proxy_request_buffering off;" in body
    assert "proxy_next_upstream error timeout;" in body  # so no POST that was begun is repeated
    assert "non_idempotent" not in body


@pytest.mark.parametrize(
    ("file", "name"), [("compose.server.yaml", "qdrant"), ("compose.cluster.yaml", "qdrant-1")]
)
def test_the_check_of_qdrant_understands_an_answer(
    composed: Any, service: Any, file: str, name: str
) -> None:
    # Our service has a /readyz too, and stands in for Qdrant's.
    kind, shell, flag, script = composed[file]["services"][name]["healthcheck"]["test"]
    assert (kind, shell, flag) == ("CMD", "bash", "-c")
    here = script.replace("/6333", f"/{service.port}")
    assert here != script
    assert subprocess.run([shell, flag, here], timeout=10, check=False).returncode == 0
    elsewhere = here.replace("/readyz", "/nowhere")
    assert subprocess.run([shell, flag, elsewhere], timeout=10, check=False).returncode != 0
    closed = script.replace("/6333", "/1")
    done = subprocess.run([shell, flag, closed], capture_output=True, timeout=10, check=False)
    assert done.returncode != 0
