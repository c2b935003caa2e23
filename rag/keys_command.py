"""The commands that say who may use the service: ``rag keys add``, ``list``, ``revoke``."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rag.access import RIGHTS
from rag.options import sentence
from rag.terminal import Parser, tell

if TYPE_CHECKING:
    from pathlib import Path

    from rag.keys import Grant, Key


def add_keys(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``rag keys``."""
    text = "make, list and revoke the API keys of the service"
    keys = commands.add_parser("keys", help=text, description=sentence(text))
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    _add_add(actions)
    _add_list(actions)
    _add_revoke(actions)


def _add_add(actions: argparse._SubParsersAction[Parser]) -> None:
    text = "make a key and print its token, this once"
    add = actions.add_parser("add", help=text, description=sentence(text))
    whose = add.add_mutually_exclusive_group(required=True)
    whose.add_argument("--tenant", help="the only tenant it is for")
    whose.add_argument("--all-tenants", action="store_true", help="it is for any tenant")
    right = "what it allows; may be repeated (default: query)"
    add.add_argument("--right", action="append", choices=RIGHTS, default=[], help=right)
    reads = add.add_mutually_exclusive_group()
    label = "it also reads documents with this label; may be repeated"
    reads.add_argument("--label", action="append", default=[], metavar="L", help=label)
    every = "it reads all documents (default: only those without labels)"
    reads.add_argument("--all-labels", action="store_true", help=every)
    add.add_argument("--expires", metavar="TIME", help="when it ends: 90d, 12h (default: never)")
    add.add_argument("--note", default="", metavar="TEXT", help="what it is for")
    _add_common_options(add)
    add.set_defaults(command=_add)


def _add_list(actions: argparse._SubParsersAction[Parser]) -> None:
    text = "list the keys, without anything that would let somebody in"
    listed = actions.add_parser("list", help=text, description=sentence(text))
    _add_common_options(listed)
    listed.set_defaults(command=_list)


def _add_revoke(actions: argparse._SubParsersAction[Parser]) -> None:
    text = "revoke a key; running services follow within a second"
    revoke = actions.add_parser("revoke", help=text, description=sentence(text))
    revoke.add_argument("id", metavar="ID", help="its id: the digits after frag_")
    _add_common_options(revoke)
    revoke.set_defaults(command=_revoke)


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", metavar="DIR", help="where collections and keys are stored")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def _add(options: argparse.Namespace) -> None:
    from rag.keyring import change_keys
    from rag.keys import made_key

    path = _path(options)
    now = datetime.now(UTC)
    key, token = made_key(_grant(options, now), now)
    change_keys(path, lambda keys: (*keys, key))
    if options.json:
        _say(json.dumps({**_shown(key, now), "token": token}))
        return
    tell(f"key {key.id} is in {path}; this is its token, which is shown only now:")
    _say(token)


def _grant(options: argparse.Namespace, now: datetime) -> Grant:
    from rag.durations import seconds_of
    from rag.errors import ValueRangeError
    from rag.keys import Grant
    from rag.labels import checked_labels

    expires = None
    if options.expires is not None:
        try:
            expires = now + timedelta(seconds=seconds_of(options.expires))
        except OverflowError as exc:
            remedy = "leave --expires out for a key that never ends"
            raise ValueRangeError("too long a time", options.expires, remedy) from exc
    chosen = options.right or ["query"]
    return Grant(
        rights=tuple(right for right in RIGHTS if right in chosen),
        tenant=options.tenant,
        labels=None if options.all_labels else checked_labels(options.label),
        note=options.note,
        expires=expires,
    )


def _list(options: argparse.Namespace) -> None:
    from rag.keyring import read_keys

    keys, now = read_keys(_path(options)), datetime.now(UTC)
    if options.json:
        _say(json.dumps({"keys": [_shown(key, now) for key in keys]}))
    elif keys:
        _say("\n".join(_line(key, now) for key in keys))
    else:
        tell("no keys; rag keys add makes one")


def _revoke(options: argparse.Namespace) -> None:
    from rag.keyring import change_keys, read_keys

    path, now = _path(options), datetime.now(UTC)

    def revoked(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        _named(keys, options.id)
        return tuple(key.revoke(now) if key.id == options.id else key for key in keys)

    _named(read_keys(path), options.id)  # before a file is made where there is none
    change_keys(path, revoked)
    key = _named(read_keys(path), options.id)
    _say(json.dumps(_shown(key, now)) if options.json else _line(key, now))


def _named(keys: tuple[Key, ...], number: str) -> Key:
    from rag.errors import NotFoundError

    for key in keys:
        if key.id == number:
            return key
    raise NotFoundError("there is no such key", number, "see rag keys list")


def _shown(key: Key, now: datetime) -> dict[str, object]:
    return {k: v for k, v in key.fields().items() if k != "sha256"} | {"state": key.state(now)}


def _line(key: Key, now: datetime) -> str:
    grant = key.grant
    labels = "all labels" if grant.labels is None else ", ".join(grant.labels) or "no labels"
    ends = f"until {grant.expires:%Y-%m-%d %H:%M} UTC" if grant.expires else "without end"
    return "  ".join(
        (
            key.id,
            f"{key.state(now):<7}",
            "+".join(grant.rights),
            f"tenant {grant.tenant}" if grant.tenant else "all tenants",
            labels,
            ends,
            *filter(None, [grant.note]),
        )
    )


def _path(options: argparse.Namespace) -> Path:
    from rag.keyring import keys_path
    from rag.settings import load_settings

    return keys_path(load_settings(data_dir=options.data_dir))


def _say(text: str) -> None:
    from rag.receipts import printable

    sys.stdout.write(f"{printable(text)}\n")
