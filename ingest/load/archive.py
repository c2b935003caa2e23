"""Zip containers, looked at before anything in them is parsed."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from ingest.load.limits import RATIO_FLOOR_BYTES, ParseLimits
from ingest.load.source import Source
from rag.errors import LoadError, ParseLimitError, UnsupportedFormatError

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MOST_MEMBERS = 20_000
_XML_SUFFIXES = (".xml", ".rels", ".opf", ".ncx")
_PROLOG_BYTES = 4096
_ENCRYPTED = 0x1  # general purpose flag bit 0. Source: PKWARE APPNOTE 6.3.10, section 4.4.4
# The methods of Office files, OpenDocument and EPUB, which are all that zlib bounds.
# Source: ISO/IEC 29500-2 annex B; ODF 1.3 part 2, section 3.3; EPUB 3.3, section 4.2.2.
_METHODS = frozenset((ZIP_STORED, ZIP_DEFLATED))
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")  # Source: PKWARE APPNOTE 6.3.10, section 4.3.7
# Deflate makes at most 1032 bytes of one, so smaller parts harm nobody, whatever they claim.
# Source: zlib technical details, "Maximum expansion factor".
_TRUSTED_BYTES: Final = 64 * 1024
_PIECE_BYTES: Final = 1 << 20


def check_archive(source: Source) -> None:
    """Refuse a container that is encrypted, damaged, a bomb, or declares XML entities.

    Raises:
        LoadError: It is no readable zip file, or one of its parts declares entities.
        ParseLimitError: It unpacks to more than the limits allow, or to more than it says.
        UnsupportedFormatError: It is an OLE file, encrypted, a legacy format, or packed in a way
            that none of these formats has.
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
        with source.path.open("rb") as file:
            for member in members:
                _check_honest(file, member, name)


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
    if member.compress_type not in _METHODS:
        raise UnsupportedFormatError(
            f"container packed with method {member.compress_type}",
            f"{name}, {member.filename}",
            "save the file again from its application",
        )
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


def _check_honest(file: IO[bytes], member: ZipInfo, name: str) -> None:
    """Refuse a part that unpacks to more than it says: libraries unpack it all, and then cut it.

    Unpacked here piece by piece, and only where the lie could cost memory.
    """
    if member.compress_type == ZIP_STORED or member.compress_size <= _TRUSTED_BYTES:
        return
    unpacked = 0
    try:
        for piece in _inflated(file, member):
            unpacked += len(piece)
            if unpacked > member.file_size:
                break
    except (OSError, zlib.error, struct.error) as exc:
        raise LoadError(
            "damaged container", f"{name}, {member.filename}: {exc}", "save the file again"
        ) from exc
    if unpacked > member.file_size:
        raise ParseLimitError(
            "container part unpacks to more than it says",
            f"{name}, {member.filename}: more than {member.file_size} bytes",
            "save the file again from its application",
        )


def _inflated(file: IO[bytes], member: ZipInfo) -> Iterator[bytes]:
    """Yield what a deflated part holds, however much it is, in pieces of bounded size."""
    file.seek(member.header_offset)
    *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    file.seek(name_bytes + extra_bytes, os.SEEK_CUR)
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    left = member.compress_size
    while not inflating.eof:
        packed = inflating.unconsumed_tail
        if not packed:
            packed = file.read(min(_PIECE_BYTES, left))
            left -= len(packed)
        piece = inflating.decompress(packed, _PIECE_BYTES)
        if not (packed or piece):
            return
        yield piece
