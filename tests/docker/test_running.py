"""The image's commands outside a container: code that cannot be written, no other right."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
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


_BINARY = "application/octet-stream"


def post(service: Any, path: str, body: bytes | None, media_type: str) -> Any:
    """Send a body, or delete where there is none; return what is said of it."""
    response = httpx.request(
        "DELETE" if body is None else "POST",
        service.url + path,
        content=body,
        headers={"Content-Type": media_type},
        timeout=20,
    )
    assert response.status_code == 202, response.text
    return response.json()


def ended(service: Any, job: str) -> Any:
    """Return a job once it has ended."""
    for _ in range(300):
        found = json.loads(service.get(f"/v1/jobs/{job}")[1])
        if found["status"] not in {"waiting", "in_progress"}:
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_uploads_and_batches_are_done_and_written_to_data_alone(service: Any) -> None:
    before = service.outside.files()
    line = {"custom_id": "a", "method": "POST", "url": "/v1/query", "body": QUESTION}
    batch = post(service, "/v1/batch", json.dumps(line).encode(), "application/jsonl")
    sent = post(service, "/v1/documents?name=fee.txt", b"The fee is 12 euros.", _BINARY)
    for job in (batch["id"], sent["job"]["id"]):
        assert ended(service, job)["status"] == "completed"
    asked = {"question": "How high is the fee?"}
    for _ in range(50):  # the service follows within half a second
        found = service.get("/v1/retrieve", asked)[1]
        if "The fee is 12 euros." in found:
            break
        time.sleep(0.1)
    assert "The fee is 12 euros." in found
    collection = service.outside.place / "data" / "default"
    assert (collection / "uploads" / "default" / "fee.txt").is_file()
    assert service.outside.files() == before
    assert not list((service.outside.place / "tmp").iterdir())
    post(service, "/v1/documents/fee.txt", None, _BINARY)


def test_jobs_are_left_to_a_service_that_runs(service: Any, containers: Any) -> None:
    (words,) = [w for c in containers for w in c.commands() if w[:2] == ["rag", "jobs"]]
    done = service.outside.run(words)
    assert done.returncode == 1
    assert "another process does the jobs" in done.stderr
    env = service.outside.environment | {"RAG_DATA_DIR": str(service.outside.place / "data/none")}
    alone = replace(service.outside, environment=env).run(words)
    assert (alone.returncode, alone.stdout) == (0, "0 jobs ended, 0 of them failed; 0 wait\n")
