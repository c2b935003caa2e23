"""Commands and services in processes of their own, as whoever runs them starts them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

RUN = "import sys; from {module}.cli import main; sys.exit(main())"


@dataclass(slots=True)
class Service:
    """A running ``rag serve``; ``lines`` is what it said on stderr so far."""

    popen: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)

    def wait_for(self, pattern: str, seconds: float = 120.0) -> re.Match[str]:
        """Return the first match of a pattern in a line on stderr."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in tuple(self.lines):
                if found := re.search(pattern, line):
                    return found
            assert self.popen.poll() is None, self.lines
            time.sleep(0.01)
        raise AssertionError(self.lines)

    def kill(self) -> None:
        """End it as the kernel does, with no time for anything."""
        self.popen.kill()
        self.popen.wait(20)

    def stop(self) -> int:
        """Ask it to end, and return its exit status."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(30)


@dataclass(frozen=True, slots=True)
class Commands:
    """Runs ``rag`` and ``rag-ingest`` on one data directory, with settings as given."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def collection(self) -> Path:
        """The collection's folder."""
        return self.folder / "data" / "default"

    @property
    def documents(self) -> Path:
        """The folder of the documents."""
        return self.folder / "docs"

    def with_settings(self, **settings: object) -> Commands:
        """Return the same with some settings changed."""
        changed = {f"RAG_{name.upper()}": str(value) for name, value in settings.items()}
        return Commands(self.folder, {**self.settings, **changed})

    def write(self, documents: Mapping[str, str]) -> None:
        """Write documents by their names."""
        self.documents.mkdir(parents=True, exist_ok=True)
        for name, text in documents.items():
            (self.documents / name).write_text(text, encoding="utf-8")

    def publish(self, documents: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Write documents and index the folder."""
        self.write(documents)
        done = self.ingest("sync", str(self.documents))
        assert done.returncode == 0, done.stderr
        return done

    def rag(self, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
        """Run a ``rag`` command; ``before`` is Python that its process runs first."""
        return self._run("rag", arguments, before)

    def ingest(self, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
        """Run a ``rag-ingest`` command; ``before`` is Python that its process runs first."""
        return self._run("ingest", arguments, before)

    def begin(self, module: str, *arguments: str, before: str = "") -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-c", before + RUN.format(module=module), *arguments],
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def serving(self, before: str = "", *, ready: bool = True) -> Iterator[Service]:
        """Run the service on a free port for as long as the block lasts."""
        with self.begin("rag", "serve", "--port", "0", before=before) as popen:
            service = Service(popen)
            reader = threading.Thread(target=_gather, args=(service,))
            reader.start()
            try:
                service.url = service.wait_for(r"^listening on (http://127\.0\.0\.1:\d+)$")[1]
                if ready:
                    _when_ready(service.url)
                yield service
            finally:
                popen.kill()
                reader.join()

    def _run(
        self, module: str, arguments: tuple[str, ...], before: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", before + RUN.format(module=module), *arguments],
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        usual = {
            "RAG_DATA_DIR": str(self.folder / "data"),
            "RAG_TIER": "lexical",
            "RAG_ANSWER_THRESHOLD": "0.2",
            "RAG_INGEST_WORKERS": "1",
        }
        path = os.pathsep.join(entry for entry in sys.path if entry)
        return {**os.environ, "PYTHONPATH": path, **usual, **self.settings}


def _gather(service: Service) -> None:
    assert service.popen.stderr is not None
    for line in service.popen.stderr:
        service.lines.append(line.rstrip("\n"))


def _when_ready(url: str) -> None:
    deadline = time.monotonic() + 90
    while httpx.get(f"{url}/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
