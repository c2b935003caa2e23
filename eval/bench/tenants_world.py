"""Five tenants with nearly the same documents, and what each of them may be told.

Every text and every name of a tenant holds its mark, a word that stands nowhere else, and every
labelled text a second mark. So whatever a response says of somebody else's is found in its bytes.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ingest.build import build_toolkit
from ingest.labels import AccessRule
from ingest.progress import Progress
from ingest.sync import SyncRequest, sync
from rag.errors import IndexStateError
from rag.keyring import change_keys
from rag.keys import Grant, made_key
from rag.settings import Settings, load_settings

MARKS: Final[Mapping[str, str]] = {
    "acme": "zorvexa",
    "globex": "quilbran",
    "initech": "murtasko",
    "umbrella": "fendrilo",
    "hooli": "pwyntaro",
}
TENANTS: Final = tuple(MARKS)
THINGS: Final = tuple("gate vault archive garage server elevator freezer workshop".split())
_LABELLED: Final = "hidden"  # ends the second mark
LABEL: Final = "board"
_PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever holds a key: for one tenant, with or without the label, to ask or to do all."""

    tenant: str
    label: bool
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request of theirs is sent with."""
        return {"Authorization": f"Bearer {self.token}"}

    def forbidden(self) -> tuple[bytes, ...]:
        """Return what no response to them may hold: others' marks and names, and hidden ones."""
        others = [
            word for name, mark in MARKS.items() if name != self.tenant for word in (name, mark)
        ]
        hidden = [] if self.label else [MARKS[self.tenant] + _LABELLED]
        return tuple(word.encode() for word in (*others, *hidden))


@dataclass(slots=True)
class Tenant:
    """What a tenant has: a folder of files, with what stands in each; held by one lock."""

    name: str
    folder: Path
    texts: dict[str, str] = field(default_factory=dict)
    labelled: set[str] = field(default_factory=set)
    uploads: dict[str, bool] = field(default_factory=dict)  # name -> whether it is labelled
    lock: threading.Lock = field(default_factory=threading.Lock)
    serial: int = 0

    def question(self, chance: random.Random) -> str:
        """Return a question that every tenant asks, each with its own answer."""
        return f"What is the access code of the {chance.choice(THINGS)}?"

    def text(self, thing: str, *, labelled: bool) -> str:
        """Return a text about a thing, another one each time."""
        self.serial += 1
        mark = MARKS[self.name] + (_LABELLED if labelled else "")
        return (
            f"The access code of the {thing} is {mark}-{self.serial}. "
            f"It was set by the {mark} staff, who change it every {self.serial % 11 + 2} weeks.\n"
        )

    def change(self, chance: random.Random) -> None:
        """Write, change or delete one file of the folder; about a quarter are labelled."""
        thing = chance.choice(THINGS)
        name = f"{MARKS[self.name]}-{thing}.txt"
        path = self.folder / name
        if name in self.texts and chance.random() < 0.25:
            path.unlink()
            del self.texts[name]
            self.labelled.discard(name)
            return
        labelled = chance.random() < 0.25
        self.texts[name] = self.text(thing, labelled=labelled)
        path.write_text(self.texts[name], encoding="utf-8")
        (self.labelled.add if labelled else self.labelled.discard)(name)


@dataclass(frozen=True, slots=True)
class World:
    """A collection, its tenants, and the keys that were made for them."""

    settings: Settings
    tenants: Mapping[str, Tenant]
    holders: tuple[Holder, ...]
    operator: str

    def ingest(self, tenant: Tenant, change: Callable[[Tenant], None] = lambda _: None) -> None:
        """Change a tenant's folder and bring its part of the collection up to date."""
        with tenant.lock:
            change(tenant)
            while True:
                try:
                    publish(self.settings, tenant)
                except IndexStateError:  # the service takes in what was sent to it
                    time.sleep(_PAUSE_SECONDS)
                else:
                    return

    def all_ingested(self, chance: random.Random) -> None:
        """Give every tenant its first documents."""
        for tenant in self.tenants.values():
            for _ in range(5):
                tenant.change(chance)
            self.ingest(tenant)


def publish(settings: Settings, tenant: Tenant) -> None:
    """Bring a tenant's part of a collection up to date with its folder, labels and all."""
    own = settings.model_copy(update={"tenant": tenant.name})
    rules = tuple(
        AccessRule(str(tenant.folder / name), (LABEL,) if name in tenant.labelled else ())
        for name in sorted(tenant.texts)
    )
    request = SyncRequest((tenant.folder,), delete_missing=True, access=rules)
    sync(request, build_toolkit(own), Progress())


def made_world(folder: Path) -> World:
    """Return a world of its own in an empty folder; nothing is published yet."""
    settings = load_settings(
        data_dir=folder / "data", tier="lexical", ingest_workers=1, answer_threshold=0.2
    )
    tenants = {name: Tenant(name, folder / name) for name in TENANTS}
    for tenant in tenants.values():
        tenant.folder.mkdir()

    def token(grant: Grant) -> str:
        key, text = made_key(grant, datetime.now(UTC))
        change_keys(settings.data_dir / "keys.json", lambda keys: (*keys, key))
        return text

    holders = tuple(
        Holder(name, label, token(Grant(("query", "ingest", "admin"), name, (LABEL,) * label)))
        for name in TENANTS
        for label in (False, True)
    )
    operator = token(Grant(("query", "admin", "metrics"), None, None))
    return World(settings, tenants, holders, operator)


def leaks(holder: Holder, said: Iterable[bytes]) -> list[str]:
    """Return what a response told somebody that it may not."""
    forbidden = holder.forbidden()
    return [word.decode() for text in said for word in forbidden if word in text.lower()]
