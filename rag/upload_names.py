"""Names that a document may be sent under: they become names of files, so little is allowed."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Final

from rag.document_kinds import SUFFIXES
from rag.errors import UnsupportedFormatError, ValueRangeError

# Source: Linux NAME_MAX of 255 bytes, less what numbered copies and part files add.
LONGEST_BYTES: Final = 200
# Source: Microsoft, "Naming Files, Paths, and Namespaces", 2024: characters and device names.
_FORBIDDEN: Final = re.compile(r'[/\\<>:"|?*]')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def checked_name(name: str) -> str:
    """Return a name as a file may have it, in Unicode's composed form.

    Raises:
        ValueRangeError: It is too long, could lead elsewhere, or would be shown as another.
        UnsupportedFormatError: No loader reads such a file.
    """
    composed = unicodedata.normalize("NFC", name)
    fault = _fault(composed)
    if fault is not None:
        shown = composed[:60].encode("ascii", "backslashreplace").decode("ascii")
        raise ValueRangeError(f"the name {fault}", repr(shown), "send another name, as report.pdf")
    suffix = PurePosixPath(composed).suffix.lower()
    if suffix not in SUFFIXES:
        remedy = "convert it to one that is read, such as .pdf, .docx, .md or .txt"
        raise UnsupportedFormatError("no loader for such a file", suffix or "no suffix", remedy)
    return composed


def folded(name: str) -> str:
    """Return what two names share that a file system or a person may take for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _fault(name: str) -> str | None:
    # Of what is no letter, mark, number, punctuation, symbol or space nothing is printable: neither
    # controls, nor what turns the direction of writing, nor halves of characters.
    if not name.isprintable():
        return "has a character that cannot be printed"
    if not 1 <= len(name.encode()) <= LONGEST_BYTES:
        return f"has not 1 to {LONGEST_BYTES} bytes"
    if _FORBIDDEN.search(name):
        return "has a character that no file may have everywhere"
    if name != name.strip() or name[0] in ".-~" or name.endswith("."):
        return "begins or ends with what a file's should not"
    if _DEVICES.fullmatch(name) or _FORBIDDEN.search(folded(name)):
        return "means something else on some system"
    return None
