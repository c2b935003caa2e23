"""What all containers share, in compose files and manifests: images, settings, command lines."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import eval.cli
import ingest.cli
import rag.cli
from rag.durations import seconds_of
from rag.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
PARSERS = {
    "rag": rag.cli._parser,
    "rag-ingest": ingest.cli._parser,
    "rag-eval": eval.cli._parser,
}
# Programs of other images or of the base image; ours are parsed by their own parsers.
OTHERS = {"sh", "bash", "mkdir", "ln", "exit", "exec", "./entrypoint.sh", "python"}


def ours(containers: Any) -> Iterator[Any]:
    found = [container for container in containers if container.ours]
    assert len(found) > 8
    yield from found


def test_images_are_pinned(containers: Any) -> None:
    for container in containers:
        name, _, tag = container.image.partition(":")
        assert re.fullmatch(r"v?\d+\.\d+\.\d+(-\w+)*", tag), container.place
        assert name


def test_the_tag_of_our_image_is_the_version(containers: Any) -> None:
    from rag import __version__

    assert {container.image for container in ours(containers)} == {f"frugal-rag:{__version__}"}


def test_qdrant_is_of_the_release_that_the_client_is_made_for(containers: Any) -> None:
    client = re.search(
        r"^qdrant-client==([\d.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert client
    images = {c.image for c in containers if c.image.startswith("qdrant/")}
    assert images == {f"qdrant/qdrant:v{client[1]}-unprivileged"}


def test_settings_are_known_and_can_be_used(
    containers: Any, image_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for container in ours(containers):
        with monkeypatch.context() as patch:
            for name, value in (image_settings | container.environment).items():
                patch.setenv(name, value)
            settings = load_settings()
        assert settings.data_dir == Path("/data"), container.place
        for name in container.environment:
            known = name.startswith("RAG_") and name[4:].lower() in Settings.model_fields
            assert known, f"{container.place}: {name}"


def test_ingest_and_service_agree_on_what_shapes_the_index(containers: Any) -> None:
    shaping = ("RAG_TIER", "RAG_INDEX", "RAG_TOKENIZER", "RAG_CHUNK_TOKENS", "RAG_COLLECTION")
    by_file: dict[str, set[tuple[str | None, ...]]] = {}
    for container in ours(containers):
        if any(words[0].startswith("rag") for words in container.commands()):
            group = container.place.split(":")[0]
            values = tuple(container.environment.get(name) for name in shaping)
            by_file.setdefault(group, set()).add(values)
    assert len(by_file) >= 5
    assert all(len(values) == 1 for values in by_file.values())


def test_command_lines_are_those_of_the_programs(containers: Any) -> None:
    seen = set()
    for container in ours(containers):
        for words in container.commands():
            program, *rest = words
            assert program in PARSERS or program in OTHERS or "=" in program, container.place
            if program in PARSERS:
                options = PARSERS[program]().parse_args(rest)
                seen.add((program, options.command.__name__))
    assert seen == {("rag", "_serve"), ("rag", "_run"), ("rag-ingest", "_sync")}


def test_commands_that_are_only_told_are_those_of_the_programs() -> None:
    files = [*(ROOT / "docker").rglob("*.y*ml"), ROOT / "docs" / "deploy.md"]
    told = set()
    for path in files:
        text = re.sub(r"\\\n#?\s*", "", path.read_text(encoding="utf-8"))
        in_compose = re.findall(r"run --rm [^\n]*?ingest (rag[^>\n`]*)", text)
        in_pods = re.findall(r"kubectl [^\n]*exec [^\n]* -- (rag[^>\n`]*)", text)
        for line in (*in_compose, *in_pods):
            program, *rest = line.split()
            told.add((program, PARSERS[program]().parse_args(rest).command.__name__))
    assert {("rag", "_add"), ("rag", "_run"), ("rag-ingest", "_push")} <= told


def test_settings_that_are_only_told_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    told = set()
    for path in (ROOT / "docker").rglob("*.yaml"):
        for name, value in re.findall(r"^ *# (RAG_\w+): (.+)$", path.read_text(), re.MULTILINE):
            monkeypatch.setenv(name, value.strip("'"))
            told.add(name)
    monkeypatch.setenv("RAG_GRID_API_KEY", "of the Secret")
    shown = load_settings()
    assert shown.quota_requests == "600/minute"
    assert shown.server_own_shards == ("acme",)
    assert {"RAG_OTLP_URL", "RAG_SERVER_CA_FILE", "RAG_QUOTA_JOULES"} <= told


def test_scripts_that_are_run_are_in_the_image(containers: Any, instructions: Any) -> None:
    copied = {
        f"/opt/docker/{Path(source).name}"
        for copy in instructions
        if copy.name == "COPY" and copy.words[-1] == "/opt/docker/"
        for source in copy.words[:-1]
    }
    run = {w[1] for c in ours(containers) for w in c.commands() if w[0] == "python"}
    assert run == {"/opt/docker/publish.py"}
    assert run <= copied


def test_only_data_and_tmp_are_written(containers: Any) -> None:
    for container in ours(containers):
        paths = set(container.mounts)
        assert "/data" in paths, container.place
        for words in container.commands():
            for word in words[1:]:
                if word.startswith(("/documents", "/published")) and words[0] != "ln":
                    assert f"/{word.split('/')[1]}" in paths, container.place


def test_waiting_for_green_ends_before_the_job_is_ended(kubernetes: Any, containers: Any) -> None:
    waits = [w for c in containers for w in c.commands() if "--when-green" in w]
    assert len(waits) == 2
    crons = [m for folder in kubernetes.values() for m in folder if m["kind"] == "CronJob"]
    jobs = [m for m in crons if m["metadata"]["name"] == "frugal-rag-ingest"]
    for job, words in zip(jobs, waits, strict=True):
        deadline = seconds_of(words[words.index("--deadline") + 1])
        spec = job["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 1.5 * deadline
