"""API keys: what one allows, the token that its holder shows, and how it stands in a file.

A token is ``frag_<id>_<secret>``. The id is no secret: logs and the audit log name it. Of the
secret only its SHA-256 is kept. That is enough for 256 random bits, which nobody finds by trying
however fast they hash; salts and slow hashes are for passwords that people choose.
Source: NIST SP 800-63B, section 5.1.2.2, for secrets of at least 112 bits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, cast

from rag.access import RIGHTS, Caller, Right
from rag.errors import ValueRangeError
from rag.labels import checked_labels
from rag.settings_server import NAME

_ID_BYTES: Final = 5
_SECRET_BYTES: Final = 32
_TOKEN: Final = re.compile(r"frag_([0-9a-f]{10})_([A-Za-z0-9_-]{43})")
_ID: Final = re.compile(r"[0-9a-f]{10}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST_NOTE: Final = 200
_FIELDS: Final = frozenset(
    ("id", "sha256", "rights", "tenant", "labels", "note", "created", "expires", "revoked")
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key allows.

    Attributes:
        rights: What its holder may do, in the order of ``access.RIGHTS``.
        tenant: The only tenant it is for; None is any.
        labels: Documents with one of these labels, sorted, may be read beside those without any;
            None is all documents.
        note: What it is for, in the words of whoever made it.
        expires: From when on it is good for nothing; None is never.
    """

    rights: tuple[Right, ...]
    tenant: str | None
    labels: tuple[str, ...] | None = ()
    note: str = ""
    expires: datetime | None = None

    def __post_init__(self) -> None:
        _check_rights(self)
        if self.tenant is not None and not re.fullmatch(NAME, self.tenant):
            raise ValueRangeError("no name of a tenant", self.tenant[:80], "use letters and digits")
        if self.labels is not None and self.labels != checked_labels(self.labels):
            raise ValueRangeError("labels are not sorted", self.labels, "sort them, each once")
        if len(self.note) > _LONGEST_NOTE or not self.note.isprintable():
            remedy = f"use one line of at most {_LONGEST_NOTE} characters"
            raise ValueRangeError("the note cannot be kept", repr(self.note[:80]), remedy)


def _check_rights(grant: Grant) -> None:
    if not grant.rights or grant.rights != tuple(each for each in RIGHTS if each in grant.rights):
        remedy = f"give some of {', '.join(RIGHTS)}, in this order"
        raise ValueRangeError("rights cannot be used", grant.rights, remedy)
    if "metrics" in grant.rights and grant.tenant is not None:
        remedy = "make a key for all tenants, as the counters are of all of them"
        raise ValueRangeError("metrics for one tenant", grant.tenant, remedy)


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its id, the SHA-256 of its secret in hexadecimal digits, and what it allows."""

    id: str
    digest: str
    grant: Grant
    created: datetime
    revoked: datetime | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id) or not _DIGEST.fullmatch(self.digest):
            raise ValueRangeError("no key", self.id[:80], "make keys with rag keys add")
        for at in (self.created, self.revoked, self.grant.expires):
            if at is not None and at.tzinfo is None:
                raise ValueRangeError("a time without its zone", at, "use UTC")

    @property
    def caller(self) -> Caller:
        """Its holder."""
        grant = self.grant
        return Caller(self.id, grant.tenant, frozenset(grant.rights), grant.labels)

    def state(self, now: datetime) -> str:
        """Return whether it is ``valid``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        expires = self.grant.expires
        return "expired" if expires is not None and expires <= now else "valid"

    def revoke(self, now: datetime) -> Key:
        """Return it revoked; one that was keeps its time."""
        return self if self.revoked is not None else replace(self, revoked=now)

    def fields(self) -> dict[str, object]:
        """Return it as it is written to a file."""
        grant = self.grant
        return {
            "id": self.id,
            "sha256": self.digest,
            "rights": list(grant.rights),
            "tenant": grant.tenant,
            "labels": None if grant.labels is None else list(grant.labels),
            "note": grant.note,
            "created": _written(self.created),
            "expires": _written(grant.expires),
            "revoked": _written(self.revoked),
        }


def made_key(grant: Grant, now: datetime) -> tuple[Key, str]:
    """Return a new key and its token, which is kept nowhere."""
    number, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    return Key(
        number, _digest(secret), grant, now.replace(microsecond=0)
    ), f"frag_{number}_{secret}"


def id_in(token: str) -> str | None:
    """Return the id that a text has as a token, None if it is no token."""
    match = _TOKEN.fullmatch(token)
    return match[1] if match else None


def opened_by(keys: Mapping[str, Key], token: str) -> Key | None:
    """Return the key that a token is of, in a time that tells nothing of any digest."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    key = keys.get(match[1])
    expected = key.digest if key else "0" * 64
    return key if hmac.compare_digest(_digest(match[2]), expected) else None


def key_of(fields: object) -> Key:
    """Return the key that stands in a file.

    Raises:
        ValueError: It is none; ``ValueRangeError`` is one.
        TypeError: A part of it is of another type.
    """
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        raise ValueError("no key, or one with other fields")
    labels = fields["labels"]
    grant = Grant(
        rights=cast("tuple[Right, ...]", _texts(fields["rights"])),
        tenant=None if fields["tenant"] is None else _text(fields["tenant"]),
        labels=None if labels is None else _texts(labels),
        note=_text(fields["note"]),
        expires=_read(fields["expires"]),
    )
    created = _read(fields["created"])
    if created is None:
        raise ValueError("a key that was never made")
    return Key(
        _text(fields["id"]), _text(fields["sha256"]), grant, created, _read(fields["revoked"])
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


def _read(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(_text(value))


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("no list of texts")
    return tuple(_text(each) for each in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
