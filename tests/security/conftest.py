"""What an attacker has: files made by hand, and a port that says whether anybody called."""

from __future__ import annotations

import io
import socket
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docx
import pytest
from openpyxl import Workbook
from pptx import Presentation

from ingest.load.limits import ParseLimits
from ingest.load.sandbox import ParserPool
from ingest.load.wire import LoadOutcome

SECRET = "the-words-of-another-file"  # noqa: S105 -- what must not be read


@dataclass(slots=True)
class Canary:
    """A port of this machine that nobody has a reason to call; ``calls`` counts who did."""

    port: int
    calls: list[bytes] = field(default_factory=list)

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/{path}"


@pytest.fixture
def canary() -> Iterator[Canary]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Canary(server.getsockname()[1])

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(1)
                    made.calls.append(connection.recv(200))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield made
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    return path


@pytest.fixture(scope="session")
def read_hostile() -> Iterator[Callable[[Path], LoadOutcome]]:
    """Read a file as ingest does, in a process with less time and memory than a bomb needs."""
    limits = ParseLimits(wall_seconds=10.0, memory_bytes=400 << 20)
    with ParserPool(limits=limits) as pool:

        def read(path: Path) -> LoadOutcome:
            (outcome,) = pool.load_many([(path, "doc")])
            return outcome

        yield read


def _zipped(members: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _members(data: bytes) -> dict[str, str | bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _understated(data: bytes, name: str, size: int) -> bytes:
    """Return an archive of which both headers say that a member has ``size`` bytes."""
    out, wanted = bytearray(data), name.encode()
    for mark, fields, length_at, size_at in (
        (b"PK\x03\x04", 30, 26, 22),
        (b"PK\x01\x02", 46, 28, 24),
    ):
        position = out.find(mark)
        while position >= 0:
            (length,) = struct.unpack_from("<H", out, position + length_at)
            start = position + fields
            if out[start : start + length] == wanted:
                struct.pack_into("<L", out, position + size_at, size)
            position = out.find(mark, position + 4)
    return bytes(out)


def _word() -> bytes:
    made, buffer = docx.Document(), io.BytesIO()
    made.add_paragraph("Some words.")
    made.save(buffer)
    return buffer.getvalue()


def _slides() -> bytes:
    made, buffer = Presentation(), io.BytesIO()
    made.slides.add_slide(made.slide_layouts[0]).shapes.title.text = "Some words."
    made.save(buffer)
    return buffer.getvalue()


def _sheet() -> bytes:
    made, buffer = Workbook(), io.BytesIO()
    made.active.append(["Some words."])
    made.save(buffer)
    return buffer.getvalue()


_ODF = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0">'
    "<office:body><office:text>{}</office:text></office:body></office:document-content>"
)


def _text(body: str = "<text:p>Some words.</text:p>") -> bytes:
    return _zipped({"content.xml": _ODF.format(body), "meta.xml": "<meta/>"})


_BOOK = (
    "<package><metadata/><manifest>"
    '<item id="a" href="{href}" media-type="application/xhtml+xml"/></manifest>'
    "<spine>{spine}</spine></package>"
)


def _book(href: str = "one.xhtml", spine: str = '<itemref idref="a"/>') -> bytes:
    return _zipped(
        {
            "META-INF/container.xml": "<c><rootfile full-path='p.opf'/></c>",
            "p.opf": _BOOK.format(href=href, spine=spine),
            "one.xhtml": "<html><body><p>Some words.</p></body></html>",
        }
    )


@dataclass(frozen=True, slots=True)
class Forge:
    """Makes files of each container format, whole ones and altered ones."""

    zipped: Callable[..., bytes] = _zipped
    members: Callable[[bytes], dict[str, str | bytes]] = _members
    understated: Callable[[bytes, str, int], bytes] = _understated
    text: Callable[..., bytes] = _text
    book: Callable[..., bytes] = _book

    def whole(self, suffix: str) -> bytes:
        """Return a sound file with some words in it."""
        makers = {"docx": _word, "pptx": _slides, "xlsx": _sheet, "odt": _text, "epub": _book}
        return makers[suffix]()

    def altered(self, suffix: str, changes: Mapping[str, str | bytes]) -> bytes:
        """Return a file of which some parts are others."""
        return _zipped({**_members(self.whole(suffix)), **changes})


@pytest.fixture(scope="session")
def forge() -> Forge:
    return Forge()


@pytest.fixture(scope="session")
def served(commands: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service over two documents that anybody may ask; it says no more than its settings let."""
    made = commands(tmp_path_factory.mktemp("served"), cache="exact")
    made.publish({"pump.md": "# Pump\n\nThe pump is covered for 24 months from delivery.\n"})
    with made.serving() as service:
        yield service
