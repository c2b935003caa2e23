"""Names that lead elsewhere: in questions, tenants, collections, backups, and folders to index."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from rag.errors import SettingsError
from rag.settings import load_settings

Commands = Callable[..., Any]
_TEXT = "# Pump\n\nThe pump is covered for 24 months from delivery.\n"
_WORDS = "the-words-of-another-file"
ELSEWHERE = (
    "../secret.txt",
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\secret.txt",
    "file:///etc/passwd",
    "pump.md/../../secret.txt",
    "....//....//secret.txt",
    "%2e%2e/secret.txt",
    ".",
    "..",
    "\u2024\u2024/secret.txt",
    "secret.txt\x00.md",
)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_source_is_a_document_and_no_path(served: Any, name: str) -> None:
    body = {"doc_id": name, "quote": "root:x:0:0", "start": 0, "end": 10}
    response = httpx.post(f"{served.url}/v1/sources", json=body)
    assert response.status_code in (404, 422)
    assert "root:" not in response.text
    asked = {"question": "How long is the pump covered?", "filter": {"documents": [name]}}
    answer = httpx.post(f"{served.url}/v1/query", json=asked)
    assert answer.status_code == 200
    assert answer.json()["abstained"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_tenant_or_collection_is_a_name_and_no_path(
    tmp_path: Path, served: Any, name: str
) -> None:
    body = {"question": "x", "tenant": name}
    assert httpx.post(f"{served.url}/v1/query", json=body).status_code == 422
    for field in ("collection", "tenant"):
        with pytest.raises(SettingsError, match=field):
            load_settings(data_dir=tmp_path, **{field: name})


@pytest.mark.parametrize("name", [*ELSEWHERE, "a.md/", "CON.md", "a\u202e.md", "a\n.md", ".md"])
def test_a_document_that_is_sent_is_one_file_in_its_folder(served: Any, name: str) -> None:
    sent = httpx.post(f"{served.url}/v1/documents", params={"name": name}, content=_TEXT.encode())
    assert sent.status_code in (415, 422), sent.text
    for method in ("GET", "DELETE"):
        response = httpx.request(method, f"{served.url}/v1/documents/{quote(name, safe='')}")
        assert response.status_code in (200, 404, 405, 422), response.text
        assert "root:" not in response.text


def test_nor_is_one_on_the_command_line(commands: Commands, tmp_path: Path) -> None:
    made = commands(tmp_path)
    before = sorted(os.walk(tmp_path))
    for given in (made.rag("ask", "x", "--tenant", ".."), made.rag("doctor", "--collection", "..")):
        assert given.returncode in (1, 2)
        assert "cannot be used" in f"{given.stdout}{given.stderr}"
    assert sorted(os.walk(tmp_path)) == before


@pytest.mark.parametrize(
    "path",
    [
        "/page/../../../../etc/passwd",
        "/page/%2e%2e/%2e%2e/api.py",
        "/page/..%2fapp.py",
        "/page/page.css%00",
        "//etc/passwd",
        "/page//etc/passwd",
        "/page/../page_routes.py",
    ],
)
def test_the_page_serves_its_own_files_only(served: Any, path: str) -> None:
    with httpx.Client(base_url=served.url) as client:
        request = client.build_request("GET", "/")
        request.url = request.url.copy_with(raw_path=path.encode())
        response = client.send(request)
    assert response.status_code in (403, 404)
    assert "def " not in response.text


@pytest.fixture(scope="module")
def kept(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound backup."""
    made = commands(tmp_path_factory.mktemp("kept"))
    made.publish({"pump.md": _TEXT})
    archive: Path = made.folder / "kept.tar"
    assert made.rag("backup", str(archive)).returncode == 0
    return archive


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    made.size = len(_WORDS) if kind == tarfile.REGTYPE else 0
    return made


@pytest.mark.parametrize("where", ["before", "after"])
def test_an_archive_writes_nothing_outside_of_the_collection(
    commands: Commands, tmp_path: Path, kept: Path, where: str
) -> None:
    """What a backup's list does not name is not written, wherever in the archive it stands."""
    members = [
        _member("../../stray"),
        _member("/tmp/frugal-rag-stray"),  # noqa: S108 -- must not be written
        _member("files/link", tarfile.SYMTYPE, "/etc"),
        _member("files/link/stray"),
        _member("files/hard", tarfile.LNKTYPE, "/etc/passwd"),
        _member("files/device", tarfile.CHRTYPE),
        _member("files/pipe", tarfile.FIFOTYPE),
    ]
    forged = tmp_path / "forged.tar"
    with tarfile.open(kept) as old, tarfile.open(forged, "w") as new:
        own = [(member, old.extractfile(member)) for member in old]
        ours = [(m, io.BytesIO(_WORDS.encode()) if m.size else None) for m in members]
        for member, content in ours + own if where == "before" else own + ours:
            new.addfile(member, content)
    made = commands(tmp_path)
    done = made.rag("restore", str(forged))
    assert done.returncode == 0, done.stderr
    assert "pump.md" in made.rag("ask", "How long is the pump covered?").stdout
    for place in (Path("/tmp/frugal-rag-stray"), Path("/etc/stray"), tmp_path.parent / "stray"):  # noqa: S108
        assert not place.exists()
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_symlink()
        assert not path.is_file() or _WORDS.encode() not in path.read_bytes()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_a_link_in_place_of_a_file_of_a_backup_is_damage(
    commands: Commands, tmp_path: Path, kept: Path, kind: bytes
) -> None:
    forged = tmp_path / "forged.tar"
    with tarfile.open(kept) as old, tarfile.open(forged, "w") as new:
        for member in old:
            if member.name.endswith("generation.json"):
                new.addfile(_member(member.name, kind, "/etc/passwd"))
            else:
                new.addfile(member, old.extractfile(member))
    done = commands(tmp_path).rag("restore", str(forged))
    assert done.returncode == 1
    assert "root:" not in f"{done.stdout}{done.stderr}"
    assert not list((tmp_path / "data").rglob("CURRENT"))


def test_links_among_documents(commands: Commands, tmp_path: Path) -> None:
    """A link to a file is a document on purpose; what is ours, hidden or no file never is one."""
    made = commands(tmp_path)
    made.publish({"pump.md": _TEXT})
    outside = tmp_path / "outside.md"
    outside.write_text(f"# Other\n\n{_WORDS}\n")
    for name, target in (
        ("linked.md", outside),
        ("manifest.md", made.collection / "generations"),
        ("loop.md", made.documents / "loop.md"),
        ("device.md", Path("/dev/zero")),
        ("process.md", Path("/proc/self/environ")),
        ("own.md", next(made.collection.rglob("*.json"))),
        (".hidden.md", outside),
    ):
        (made.documents / name).symlink_to(target)
    os.mkfifo(made.documents / "pipe.md")
    made.ingest("sync", str(made.documents))
    found = made.rag("retrieve", f"{_WORDS} pump covered", "--json").stdout
    assert "linked.md" in found
    for name in ("manifest.md", "loop.md", "device.md", "process.md", "own.md", "pipe.md"):
        assert name not in found
