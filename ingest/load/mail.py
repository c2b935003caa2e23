"""E-mail messages, and web archives, which are messages by their form."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime

from ingest.load import plain, webpage
from ingest.load.builder import DocumentBuilder
from ingest.load.encoding import decode
from ingest.load.source import Source
from rag.errors import LoadError

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_MOST_NESTED = 5  # forwarded messages within forwarded messages


def read(source: Source, into: DocumentBuilder) -> None:
    """Add headers, body and the names of attachments; forwarded messages likewise.

    Raises:
        LoadError: The file is not a message.
    """
    data = _unwrapped(source.data(), source.path.name)
    message = message_from_bytes(data, policy=policy.compat32)
    if not message.keys():
        raise LoadError("not an e-mail message", source.path.name, "export it again as .eml")
    into.title = _header(message, "Subject") or None
    into.date = _day(message)
    _write(message, into, _MOST_NESTED)


def read_archive(source: Source, into: DocumentBuilder) -> None:
    """Add the page that a web archive was made of.

    Raises:
        LoadError: There is no page in the file.
    """
    render_archive(source.data(), source.path.name, into)


def render_archive(data: bytes, name: str, into: DocumentBuilder) -> None:
    """Add the first page in a web archive.

    Raises:
        LoadError: There is no page in it.
    """
    message = message_from_bytes(data, policy=policy.compat32)
    for part in message.walk():
        if part.get_content_type() in {"text/html", "application/xhtml+xml"}:
            webpage.render(_text(part), into)
            return
    raise LoadError("web archive without a page", name, "save the page again as .html")


def _unwrapped(data: bytes, name: str) -> bytes:
    """Return the message in bytes of ASCII, also if the file was saved as UTF-16."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4]:
        return decode(data, name).encode("utf-8")
    return data.removeprefix(b"\xef\xbb\xbf")


def _write(message: Message, into: DocumentBuilder, depth: int) -> None:
    headers = [(name, _header(message, name)) for name in _SHOWN]
    into.add("\n".join(f"{name}: {value}" for name, value in headers if value))
    for part in _bodies(message):
        text = _text(part)
        if part.get_content_type() == "text/html":
            webpage.render(text, into)
        else:
            plain.render(text, into)
    names = [name for part in _leaves(message) if (name := _attachment(part))]
    if names:
        into.add(f"Attachments: {'; '.join(names)}.")
    for inner in _forwarded(message):
        if depth:
            _write(inner, into, depth - 1)


def _bodies(message: Message) -> list[Message]:
    """Return the parts to read: the plain ones, or those in HTML where there are no others."""
    texts = [part for part in _leaves(message) if _is_body(part)]
    chosen = []
    for part in texts:
        html = part.get_content_type() == "text/html"
        if not html or not any(p.get_content_type() == "text/plain" and _text(p) for p in texts):
            chosen.append(part)
    return chosen


def _is_body(part: Message) -> bool:
    return part.get_content_maintype() == "text" and not _attachment(part)


def _leaves(message: Message) -> Iterator[Message]:
    """Yield the parts of this message without those of messages forwarded in it."""
    stack = [message]
    while stack:
        part = stack.pop()
        payload = part.get_payload()
        if part.get_content_type() == "message/rfc822":
            continue
        if isinstance(payload, list):
            stack.extend(reversed([inner for inner in payload if isinstance(inner, Message)]))
        else:
            yield part


def _forwarded(message: Message) -> Iterator[Message]:
    stack = [message]
    while stack:
        part = stack.pop()
        payload = part.get_payload()
        inner = [item for item in payload if isinstance(item, Message)] if _nested(payload) else []
        if part.get_content_type() == "message/rfc822":
            yield from inner
        else:
            stack.extend(reversed(inner))


def _nested(payload: object) -> bool:
    return isinstance(payload, list)


def _attachment(part: Message) -> str:
    """Return the part's file name if it is an attachment, else an empty string."""
    disposition = str(part.get("Content-Disposition", "")).strip().lower()
    if part.get_content_maintype() == "text" and not disposition.startswith("attachment"):
        return ""
    try:
        name = part.get_filename() or ""
    except (ValueError, LookupError, TypeError):  # malformed RFC 2231 parameters
        name = ""
    return _decoded(name) or ("unnamed" if disposition.startswith("attachment") else "")


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = part.get_content_charset()
    return decode(payload, part.get_content_type(), charset)


def _header(message: Message, name: str) -> str:
    return ", ".join(_decoded(str(value)) for value in message.get_all(name, []))


def _decoded(value: str) -> str:
    """Return a header's words; one that is malformed stays as it was written."""
    try:
        text = str(make_header(decode_header(value)))
    except (HeaderParseError, ValueError, LookupError):
        text = value
    return " ".join(text.split()) or value.strip()


def _day(message: Message) -> str | None:
    try:
        return parsedate_to_datetime(str(message.get("Date", ""))).date().isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
