"""What lies in docker/, read as its tools read it, and the image's program outside a container."""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import yaml

from rag.jobs.runner import JobRunner
from rag.settings import load_settings
from rag.trace_export import TraceExport

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
IMAGE = "frugal-rag"
PROGRAMS = ("rag", "rag-ingest", "rag-eval")
QUESTION = "How long is the pump covered?"
Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile; ``stage`` is the name of the stage it belongs to."""

    stage: str
    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The words of it: of a JSON array, else as a shell splits them; flags left out."""
        flagless = re.sub(r"^(--\S+\s+)+", "", self.text)
        if flagless.startswith("["):
            return [str(word) for word in json.loads(flagless)]
        return shlex.split(flagless)

    @property
    def flags(self) -> dict[str, str]:
        """The flags before the words, such as ``from``."""
        found = re.match(r"(--\S+\s+)*", self.text)
        given = found.group().split() if found else []
        return dict(flag.removeprefix("--").split("=", 1) for flag in given)


@dataclass(frozen=True)
class Container:
    """One container of a compose file or a manifest that runs something."""

    place: str
    image: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it runs this project's image."""
        return self.image.split(":")[0] == IMAGE

    def commands(self) -> Iterator[list[str]]:
        """Yield the command lines: that of the container, or each of its shell script."""
        if self.command[:1] != ("sh",):
            yield list(self.command)
            return
        script = re.sub(r"\\\n", " ", self.command[-1])
        for line in re.split(r"\n|&&|\|\||;", script):
            if words := shlex.split(line):
                yield words


def read_dockerfile(text: str) -> tuple[Instruction, ...]:
    """Return the instructions, comments left out and continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stage, found = "", []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            stage = rest.split(" AS ")[1] if " AS " in rest else ""
        found.append(Instruction(stage, name, rest.strip()))
    return tuple(found)


def documents(path: Path) -> list[Json]:
    """Return the documents of a YAML file."""
    return [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d is not None]


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?}`` put in."""

    def put(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1]) or match[3] or f"given-{match[1]}"

    return re.sub(r"\$\$|\$\{(\w+)(:-|:\?)?([^}]*)\}", put, text)


def compose(path: Path, over: Path | None = None) -> Json:
    """Return a compose file with variables put in, and with another one laid over it."""
    content: Json = yaml.safe_load(substituted(path.read_text(encoding="utf-8"), {}))
    return content if over is None else _laid_over(content, compose(over))


def _laid_over(below: Any, above: Any, name: str = "") -> Any:
    """Return what two compose files say together, as the Compose specification merges them."""
    if isinstance(below, dict) and isinstance(above, dict):
        both = {key: _laid_over(below[key], above[key], key) for key in below.keys() & above.keys()}
        return {**below, **above, **both}
    return [*below, *above] if name in {"volumes", "ports", "tmpfs"} else above


COMPOSED = {
    "compose.yaml": compose(DOCKER / "compose.yaml"),
    "compose.server.yaml": compose(DOCKER / "compose.server.yaml"),
    "compose.keys.yaml": compose(DOCKER / "compose.server.yaml", DOCKER / "compose.keys.yaml"),
    "compose.cluster.yaml": compose(DOCKER / "compose.cluster.yaml"),
}
INSTRUCTIONS = read_dockerfile((DOCKER / "Dockerfile").read_text(encoding="utf-8"))
KUBERNETES = {
    folder.name: [
        manifest
        for name in documents(folder / "kustomization.yaml")[0]["resources"]
        for manifest in documents(folder / name)
    ]
    for folder in sorted((DOCKER / "k8s").iterdir())
}


def _of_compose() -> Iterator[Container]:
    for file, content in COMPOSED.items():
        for name, service in content["services"].items():
            mounts = dict(volume.split(":")[:2][::-1] for volume in service.get("volumes", []))
            yield Container(
                f"{file}:{name}",
                service["image"],
                tuple(service.get("command", ())),
                dict(service.get("environment", {})),
                mounts,
            )


def pod_specs(folder: str) -> Iterator[tuple[str, Json]]:
    """Yield the name and the pod's spec of everything in a folder that makes pods."""
    for manifest in KUBERNETES[folder]:
        spec = manifest.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            name = f"{folder}:{manifest['kind']}/{manifest['metadata']['name']}"
            yield name, spec["template"]["spec"]


def _of_kubernetes() -> Iterator[Container]:
    for folder, manifests in KUBERNETES.items():
        maps = {m["metadata"]["name"]: m["data"] for m in manifests if m["kind"] == "ConfigMap"}
        for name, spec in pod_specs(folder):
            for container in [*spec.get("initContainers", []), *spec["containers"]]:
                environment: dict[str, str] = {}
                for source in container.get("envFrom", []):
                    environment |= maps.get(source.get("configMapRef", {}).get("name"), {})
                environment |= {each["name"]: each["value"] for each in container.get("env", [])}
                mounts = {m["mountPath"]: m["name"] for m in container.get("volumeMounts", [])}
                yield Container(
                    f"{name}:{container['name']}",
                    container["image"],
                    tuple(container.get("command", ())),
                    environment,
                    mounts,
                )


CONTAINERS = (*_of_compose(), *_of_kubernetes())


def image_environment() -> dict[str, str]:
    """Return what the Dockerfile's ENV of the final stages says."""
    pairs = [w for i in INSTRUCTIONS if (i.stage, i.name) == ("base", "ENV") for w in i.words]
    return dict(pair.split("=", 1) for pair in pairs)


@dataclass
class Outside:
    """The image's program on this machine: code that cannot be written, data that can."""

    place: Path
    environment: dict[str, str]

    @property
    def code(self) -> Path:
        return self.place / "code"

    def command(self, words: Sequence[str]) -> list[str]:
        """Return the words as a command here, without the right to ignore permissions."""
        program = words[0]
        found = sys.executable if program == "python" else Path(sys.executable).parent / program
        bare = [str(found) if program in {*PROGRAMS, "python"} else program, *words[1:]]
        if os.geteuid() != 0:
            return bare
        rights = "-dac_override,-dac_read_search,-fowner"
        return ["setpriv", f"--bounding-set={rights}", "--inh-caps=-all", *bare]

    def run(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(words),
            env=self.environment,
            cwd=self.place / "workdir",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def files(self) -> list[str]:
        """Return what lies in the folders that cannot be written."""
        folders = (self.code, self.place / "workdir")
        return sorted(str(path) for folder in folders for path in folder.rglob("*"))


@dataclass
class Service:
    """The image's default command, running, with what it says about itself."""

    outside: Outside
    url: str
    port: int
    popen: subprocess.Popen[str]
    ingest: subprocess.CompletedProcess[str]

    def get(self, path: str, body: Json | None = None) -> tuple[int, str]:
        method = "GET" if body is None else "POST"
        response = httpx.request(method, self.url + path, json=body, timeout=20)
        return response.status_code, response.text


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _made_read_only(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))


def _made_writable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


@pytest.fixture(scope="session")
def drain_seconds() -> float:
    """The longest that a service takes from SIGTERM to its end [s]: requests, jobs, traces."""
    requests = math.ceil(load_settings().deadline_seconds) + 1
    jobs = inspect.signature(JobRunner.close).parameters["seconds"].default
    traces = inspect.signature(TraceExport.close).parameters["seconds"].default + 1.0
    return float(requests + jobs + traces)


@pytest.fixture(scope="session")
def instructions() -> tuple[Instruction, ...]:
    """The instructions of the Dockerfile."""
    return INSTRUCTIONS


@pytest.fixture(scope="session")
def composed() -> Mapping[str, Json]:
    """The compose files by name, variables put in; compose.keys.yaml over compose.server.yaml."""
    return COMPOSED


@pytest.fixture(scope="session")
def kubernetes() -> Mapping[str, Sequence[Json]]:
    """The manifests of each folder, as its kustomization.yaml lists them."""
    return KUBERNETES


@pytest.fixture(scope="session")
def pods() -> tuple[tuple[str, Json], ...]:
    """Name and specification of all pods."""
    return tuple(pod for folder in KUBERNETES for pod in pod_specs(folder))


@pytest.fixture(scope="session")
def containers() -> tuple[Container, ...]:
    """All containers of the compose files and the manifests."""
    return CONTAINERS


@pytest.fixture(scope="session")
def image_settings() -> Mapping[str, str]:
    """The environment that the image sets."""
    return image_environment()


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """The code in a folder that cannot be written, an empty data folder, two documents."""
    place = tmp_path_factory.mktemp("image")
    for name in ("code", "data", "documents", "tmp", "workdir"):
        (place / name).mkdir()
    for package in ("rag", "ingest", "eval"):
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, place / "code" / package, ignore=without)
    (place / "documents" / "pump.txt").write_text("The pump is covered for 24 months. It is blue.")
    (place / "documents" / "tax.md").write_text("# Tax\n\nInvoices are paid within 30 days.")
    here = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(place / "code"),
        "HOME": "/nonexistent",
        "TMPDIR": str(place / "tmp"),
        "RAG_DATA_DIR": str(place / "data"),
        "RAG_HOST": "127.0.0.1",
        "RAG_PORT": str(free_port()),
        "RAG_TIER": "lexical",
    }
    _made_read_only(place / "code")
    _made_read_only(place / "workdir")
    yield Outside(place, image_environment() | here)
    _made_writable(place / "code")
    _made_writable(place / "workdir")


@pytest.fixture(scope="session")
def service(outside: Outside) -> Iterator[Service]:
    """The default command of the image after the ingest of compose.yaml, both outside of it."""
    words = COMPOSED["compose.yaml"]["services"]["ingest"]["command"]
    folder = str(outside.place / "documents")
    ingest = outside.run([folder if word == "/documents" else word for word in words])
    default = [i for i in INSTRUCTIONS if i.name == "CMD"][-1].words
    port = int(outside.environment["RAG_PORT"])
    with subprocess.Popen(
        outside.command(default),
        env=outside.environment,
        cwd=outside.place / "workdir",
        stderr=subprocess.DEVNULL,
        text=True,
    ) as popen:
        started = Service(outside, f"http://127.0.0.1:{port}", port, popen, ingest)
        try:
            _wait(started)
            yield started
        finally:
            popen.send_signal(signal.SIGTERM)
            popen.wait(20)


def _wait(service: Service) -> None:
    for _ in range(300):
        assert service.popen.poll() is None, service.ingest
        try:
            if service.get("/readyz")[0] == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(service.ingest)
