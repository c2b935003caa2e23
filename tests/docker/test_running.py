"""The image's commands outside a container: code that cannot be written, no other right."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.filetree import copy_tree
from rag.generation import read_current, write_generation

DOCKER = Path(__file__).resolve().parents[2] / "docker"
QUESTION = {"question": "How long is the pump covered?"}


def test_the_code_is_the_copy_and_cannot_be_written(outside: Any) -> None:
    shown = outside.run(["python", "-c", "import rag, ingest, eval; print(rag.__file__)"])
    assert shown.stdout.strip() == str(outside.code / "rag" / "__init__.py"), shown.stderr
    for folder in (outside.code, outside.place / "workdir"):
        assert outside.run(["touch", str(folder / "written")]).returncode != 0
    assert outside.run(["touch", str(outside.place / "data" / "written")]).returncode == 0


def test_ingest_and_the_service_run_and_write_nothing_but_data(service: Any) -> None:
    before = service.outside.files()
    assert service.ingest.returncode == 0, service.ingest.stderr
    assert "2 indexed" in service.ingest.stdout
    assert service.get("/healthz")[0] == 200
    status, answer = service.get("/v1/query", QUESTION)
    assert status == 200
    assert json.loads(answer)["answer"] == "The pump is covered for 24 months."
    assert service.outside.files() == before
    assert not list((service.outside.place / "tmp").iterdir())


def test_the_other_commands_of_the_image_start(outside: Any) -> None:
    for words in (["rag", "--version"], ["rag-ingest", "--version"], ["rag-eval", "--version"]):
        assert outside.run(words).returncode == 0


def test_waiting_for_green_runs_after_the_first_run(service: Any, containers: Any) -> None:
    words = next(
        words
        for container in containers
        if container.place.startswith("embedded:CronJob/")
        for words in container.commands()
    )
    folder = str(service.outside.place / "documents")
    here = [folder if word == "/documents" else word for word in words]
    done = service.outside.run([*here, "--dry-run"])
    assert done.returncode == 0, done.stderr
    assert "no forecast" in done.stdout


def health_check(port: int, instructions: Any) -> int:
    (check,) = [i.text for i in instructions if i.name == "HEALTHCHECK"]
    found = re.search(r"CMD (\[.*\])", check)
    assert found
    program, *rest = json.loads(found[1])
    assert program == "python"
    here = [word.replace("/opt/docker", str(DOCKER)) for word in rest]
    environment = {"PATH": os.environ["PATH"], "RAG_PORT": str(port)}
    command = [sys.executable, *here]
    return subprocess.run(command, env=environment, timeout=10, check=False).returncode


def test_the_health_check_tells_a_running_service_from_none(
    service: Any, instructions: Any
) -> None:
    assert health_check(service.port, instructions) == 0
    assert health_check(1, instructions) == 1


@pytest.fixture
def collection(service: Any, tmp_path: Path) -> Path:
    """A collection whose index is said to be on a server, as ingest leaves it."""
    source = tmp_path / "ingest" / "default"
    copy_tree(service.outside.place / "data" / "default", source)
    generation = read_current(source)
    assert generation is not None
    shape = replace(generation.shape, index="server")
    write_generation(replace(generation, shape=shape), frozenset(), frozenset())
    return source


def publish(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCKER / "publish.py"), str(source), str(target)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_what_is_published_can_be_read_through_the_links_of_the_replica(
    collection: Path, tmp_path: Path, containers: Any
) -> None:
    published, data = tmp_path / "published", tmp_path / "data"
    assert publish(collection, published / "default").returncode == 0
    (script,) = [c.command for c in containers if c.place.endswith("StatefulSet/frugal-rag:link")]
    text = script[-1].replace("/published", str(published)).replace("/data", str(data))
    for _ in range(2):  # a pod is started again with the disk that it had
        subprocess.run([*script[:-1], text], check=True, timeout=10)
    expected, found = read_current(collection), read_current(data / "default")
    assert found is not None
    assert expected is not None
    assert found.identity == expected.identity
    found.verify_manifest()


def test_publishing_again_keeps_the_last_and_the_one_before(
    collection: Path, tmp_path: Path
) -> None:
    target = tmp_path / "published"
    (first,) = (collection / "generations").glob("0*")
    for number in (first.name, "000008", "000009"):
        if number != first.name:
            copy_tree(first, collection / "generations" / number)
        (collection / "CURRENT").write_text(number)
        assert publish(collection, target).stdout.strip() == number
    assert {p.name for p in (target / "generations").iterdir()} == {"000008", "000009"}
    assert (target / "CURRENT").read_text() == "000009"
    assert not list(target.rglob(".*.new"))


def test_publishing_nothing_says_so_and_leaves_what_is_there(
    collection: Path, tmp_path: Path
) -> None:
    target = tmp_path / "published"
    assert publish(collection, target).returncode == 0
    before = (target / "CURRENT").read_text()
    (collection / "CURRENT").write_text("000042")
    done = publish(collection, target)
    assert done.returncode == 1
    assert "cannot publish" in done.stderr
    assert (target / "CURRENT").read_text() == before
    assert publish(tmp_path / "empty", target).returncode == 1
