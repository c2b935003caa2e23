"""Bytes to text: byte order mark, declared encoding, UTF-8, then detection."""

from __future__ import annotations

import codecs
import re

from rag.errors import LoadError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Labels that the web reads as a superset. Source: WHATWG Encoding Standard, section 4.2.
_SUPERSETS = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
}
_SEVEN_BIT = ("iso-2022", "iso2022", "hz")  # their bytes are valid UTF-8 too
# Legacy encodings that documents really come in; a free choice finds EBCDIC in short texts.
_CANDIDATES = (
    "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 iso8859_2 iso8859_5 "
    "iso8859_7 iso8859_15 koi8_r koi8_u mac_roman cp437 cp850 cp932 euc_jp gb18030 big5 cp949"
).split()
_DETECTION_BYTES = 64 * 1024
_FOREIGN = re.compile(r"[À-ÿ]{4}|[a-zß-ÿ][À-ÖØ-Þ]|[a-zß-ÿ][¡-¿][a-zß-ÿ]")
_CONTROL_BYTES = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")


def decode(data: bytes, name: str, declared: str | None = None) -> str:
    r"""Return ``data`` as text with ``\n`` line ends and without its byte order mark.

    Args:
        data: The whole file.
        name: What to call it in an error.
        declared: An encoding named by the document itself, believed when it fits and the
            bytes are not UTF-8.

    Raises:
        LoadError: ``data`` is not text.
    """
    text = _from_mark(data, name)
    if text is None and declared is not None and declared.lower().startswith(_SEVEN_BIT):
        text = _from_label(data, declared)
    if text is None:
        text = _attempt(data, "utf-8")
    if text is None and declared is not None:
        text = _from_label(data, declared)
    if text is None or "\x00" in text:
        text = _detected(data, name) if text is None else _wide(data, name)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def _from_mark(data: bytes, name: str) -> str | None:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, errors="replace")
            if text.count("\ufffd") > 1 + len(text) // 100:
                raise _not_text(name, f"its byte order mark says {encoding}, its bytes do not")
            return text.replace("\x00", "")
    return None


def _from_label(data: bytes, label: str) -> str | None:
    try:
        encoding = codecs.lookup(label).name
    except (LookupError, ValueError):  # unknown, or with a NUL in it
        return None
    if encoding.startswith(("utf-16", "utf-32")) and b"\x00" not in data[:_DETECTION_BYTES]:
        return None
    text = _attempt(data, _SUPERSETS.get(encoding, encoding))
    return None if text is None or "\x00" in text else text


def _attempt(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except (UnicodeError, LookupError):  # LookupError: codecs that are not text encodings
        return None
    return text if isinstance(text, str) else None


def _detected(data: bytes, name: str) -> str:
    if b"\x00" in data:
        return _wide(data, name)
    head = data[:_DETECTION_BYTES]
    if len(_CONTROL_BYTES.findall(head)) > len(head) // 20:
        raise _not_text(name, "more than 5 % of its bytes are control characters")
    for encoding in ("cp1252", _best_guess(data), "cp1252"):
        text = _attempt(data, encoding)
        if text is not None and (encoding != "cp1252" or _western(text)):
            return text
    return data.decode("latin-1")


def _western(text: str) -> bool:
    """Tell whether what cp1252 made of the bytes reads like a Western European language.

    Accented letters are then a small share of all letters and stand inside lower-case words;
    other scripts turn into long runs of them, other Latin alphabets into signs within words.
    """
    head = text[:_DETECTION_BYTES]
    high = sum(not char.isascii() for char in head)
    return _FOREIGN.search(head) is None and high * 5 <= len(head)


def _best_guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    sample = _at_line_end(data)
    best = from_bytes(sample, cp_isolation=list(_CANDIDATES), language_threshold=0.05).best()
    return "cp1252" if best is None else best.encoding


def _at_line_end(data: bytes) -> bytes:
    head = data[:_DETECTION_BYTES]
    if len(data) == len(head):
        return head
    cut = head.rfind(b"\n")
    return head if cut < 0 else head[:cut]


def _wide(data: bytes, name: str) -> str:
    """Decode UTF-16 without a mark: nearly every second byte of Western text is zero."""
    head = data[:_DETECTION_BYTES]
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = head[offset::2]
        other = head[1 - offset :: 2]
        if half.count(0) > 0.7 * len(half) and other.count(0) == 0:
            text = _attempt(data, encoding)
            if text is not None:
                return text
    raise _not_text(name, "it contains NUL bytes")


def _not_text(name: str, why: str) -> LoadError:
    return LoadError(
        "not a text file", f"{name}: {why}", "give the file the suffix of its real format"
    )
