"""Zip containers, looked at before anything in them is parsed."""

from __future__ import annotations

import zlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from ingest.load.limits import RATIO_FLOOR_BYTES, ParseLimits
from ingest.load.source import Source
from rag.errors import LoadError, ParseLimitError, UnsupportedFormatError

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MOST_MEMBERS = 20_000
_XML_SUFFIXES = (".xml", ".rels", ".opf", ".ncx")
_PROLOG_BYTES = 4096
_ENCRYPTED = 0x1  # general purpose flag bit 0. Source: PKWARE APPNOTE 6.3.10, section 4.4.4


def check_archive(source: Source) -> None:
    """Refuse a container that is encrypted, damaged, a bomb, or declares XML entities.

    Raises:
        LoadError: It is no readable zip file, or one of its parts declares entities.
        ParseLimitError: It unpacks to more than the limits allow.
        UnsupportedFormatError: It is an OLE file, encrypted, or a legacy format.
    """
    name = source.path.name
    if source.head(len(_OLE)) == _OLE:
        raise UnsupportedFormatError(
            "password-protected or legacy Office file",
            name,
            "remove the password, or save it in the current format of the application",
        )
    with open_archive(source.path) as archive:
        members = archive.infolist()
        _check_sizes(members, source.check(), source.limits)
        for member in members:
            _check_member(archive, member, name)


def open_archive(path: Path) -> ZipFile:
    """Return the opened container; the caller closes it.

    Raises:
        LoadError: It is no readable zip file.
    """
    try:
        return ZipFile(path)
    except (BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as exc:
        raise LoadError(
            "damaged container", f"{path.name}: {exc}", "save the file again from its application"
        ) from exc


def read_member(archive: ZipFile, name: str) -> bytes:
    """Return one member's bytes.

    Raises:
        LoadError: There is no such member, or it is damaged.
    """
    try:
        return archive.read(name)
    except KeyError as exc:
        raise LoadError("container lacks a part", name, "save the file again") from exc
    except (BadZipFile, OSError, RuntimeError, EOFError, zlib.error) as exc:
        raise LoadError("damaged container", f"{name}: {exc}", "save the file again") from exc


def _check_sizes(members: list[ZipInfo], packed: int, limits: ParseLimits) -> None:
    unpacked = sum(member.file_size for member in members)
    if len(members) > _MOST_MEMBERS or unpacked > limits.unpacked_bytes:
        raise ParseLimitError(
            "container unpacks to too much",
            f"{len(members)} members, {unpacked} bytes",
            "split the file, or save it again with less in it",
        )
    if unpacked > RATIO_FLOOR_BYTES and unpacked > limits.unpack_ratio * packed:
        raise ParseLimitError(
            f"container unpacks to more than {limits.unpack_ratio:g} times its size",
            f"{packed} to {unpacked} bytes",
            "save the file again from its application, or split it",
        )


def _check_member(archive: ZipFile, member: ZipInfo, name: str) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise UnsupportedFormatError("encrypted container", name, "remove the password")
    if not member.filename.lower().endswith(_XML_SUFFIXES):
        return
    try:
        with archive.open(member) as part:
            prolog = part.read(_PROLOG_BYTES)
    except (BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, zlib.error) as exc:
        raise LoadError(
            "damaged container", f"{name}, {member.filename}: {exc}", "save the file again"
        ) from exc
    if b"<!ENTITY" in prolog:
        raise LoadError(
            "XML entity declarations are refused", f"{name}, {member.filename}", "remove them"
        )
