"""What was run: the settings, the data, the code and the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from eval.records import Record
from eval.report.contents import Contents, Entry
from eval.report.markup import Html, element
from eval.report.numbers import UNKNOWN, whole
from eval.report.tables import table

_UNSET: Final = "not set"


def provenance(contents: Contents) -> Iterator[Html]:
    """Yield what every record was made with, the settings that are not the defaults first."""
    for entry in contents.compared:
        yield element("h3", entry.name)
        yield _changed(entry)
        yield element(
            "details",
            element("summary", f"All settings, data, code and machine of {entry.name}"),
            _table("Settings", _values(entry.record.settings, _UNSET)),
            _table("Data and identity", _identity(entry.record)),
            _table("Environment", _values(entry.record.environment, UNKNOWN)),
        )


def changed(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that have a default and another value."""
    return {
        name: value
        for name, value in settings.items()
        if name in defaults and _plain(value) != _plain(defaults[name])
    }


def _changed(entry: Entry) -> Html:
    from rag.settings import Settings  # takes 100 ms to import

    defaults = Settings.model_construct().model_dump(mode="json")
    settings = entry.record.settings
    # Another system's settings have other defaults, even under the same names.
    if not settings.keys() <= defaults.keys():
        return _table("Settings", _values(settings, _UNSET))
    found = changed(settings, defaults)
    if not found:
        return element("p", "Every setting is the default.")
    rows = (
        (name, *(_UNSET if each is None else _plain(each) for each in (value, defaults[name])))
        for name, value in found.items()
    )
    return table("Settings that are not the default", ("Setting", "Here", "Default"), rows)


def _table(caption: str, rows: Iterator[tuple[str, str]]) -> Html:
    return table(caption, ("What", "Value"), rows)


def _values(values: Mapping[str, Any], missing: str, above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _values(value, missing, f"{above}{name}: ")
        else:
            yield f"{above}{name}", missing if value is None else _plain(value)


def _identity(record: Record) -> Iterator[tuple[str, str]]:
    data, identity, measured = record.data, record.identity, record.measured
    yield "question set", data.name
    yield "documents", whole(data.documents)
    yield "questions asked", f"{whole(identity.questions)} of {whole(data.questions)}"
    yield "of these answerable", whole(data.answerable)
    yield "left out", data.left_out or "nothing"
    yield "sha256 of the data", identity.data_sha256
    yield "record", identity.key
    yield "fingerprint of the settings", identity.fingerprint
    yield "hash of the questions asked", identity.asked
    yield "commit", measured.commit or UNKNOWN
    yield "hash of the code", identity.code
    yield "machine", identity.machine
    yield "seed", str(identity.seed)
    yield "run at", measured.at
    yield "times asked", whole(len(measured.repeats))
    yield "answered in different ways", ", ".join(measured.unstable) or "none"
    load = measured.load_average
    yield "load of the machine", UNKNOWN if load is None else f"{load:.2f}"


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)
