"""The file that a loader reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingest.load.encoding import decode
from ingest.load.limits import DEFAULT_LIMITS, ParseLimits
from rag.errors import LoadError, ParseLimitError


@dataclass(frozen=True, slots=True)
class Source:
    """One file to be loaded as the document ``doc_id``."""

    path: Path
    doc_id: str
    limits: ParseLimits = DEFAULT_LIMITS

    @property
    def suffix(self) -> str:
        """Return the file name's last suffix in lower case, with its dot."""
        return self.path.suffix.lower()

    def check(self) -> int:
        """Return the file's size in bytes.

        Raises:
            LoadError: It is not a regular, readable file.
            ParseLimitError: It is larger than ``limits.input_bytes``.
        """
        try:
            size = self.path.stat().st_size
            regular = self.path.is_file()
        except (OSError, ValueError) as exc:
            raise LoadError("file cannot be read", self.path, "check path and rights") from exc
        if not regular:
            raise LoadError("not a regular file", self.path, "pass the path of a file")
        if size > self.limits.input_bytes:
            raise ParseLimitError(
                f"file larger than {self.limits.input_bytes} bytes",
                f"{self.path.name} has {size}",
                "split the file or raise max_file_mb",
            )
        return size

    def head(self, size: int) -> bytes:
        """Return the first ``size`` bytes.

        Raises:
            LoadError: The file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                return file.read(size)
        except OSError as exc:
            raise LoadError("file cannot be read", self.path, "check path and rights") from exc

    def data(self) -> bytes:
        """Return the whole file, at most one byte more than ``limits.input_bytes``.

        Raises:
            LoadError: The file cannot be read.
        """
        return self.head(self.limits.input_bytes + 1)

    def text(self, declared: str | None = None) -> str:
        r"""Return the file as text with ``\n`` line ends.

        Args:
            declared: An encoding that the format itself names, tried before detection.

        Raises:
            LoadError: The file cannot be read or is not text.
        """
        return decode(self.data(), self.path.name, declared)
