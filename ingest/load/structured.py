"""JSON: ``path: value`` sentences, rows for flat records, sections for titled texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NoReturn, TypeAlias, cast

from ingest.load.builder import DocumentBuilder
from ingest.load.dates import iso_date
from ingest.load.plain import render
from ingest.load.source import Source
from ingest.load.tables import row_sentence
from rag.errors import LoadError

Json: TypeAlias = "bool | str | list[Json] | dict[str, Json] | None"

_TITLE_KEYS = ("title", "name", "heading")
_TEXT_KEYS = ("text", "content", "contents", "body", "passage")
_DATE_KEYS = ("date", "created", "published", "updated")


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the file's values.

    Raises:
        LoadError: The file is not JSON.
    """
    value = parse(source.data(), source.path.name)
    if isinstance(value, dict):
        into.access = _labels(value.get("access"))
        if _text_key(value):
            _describe(value, into)
    _write(value, into)


def read_lines(source: Source, into: DocumentBuilder) -> None:
    """Add the values of a file with one JSON value per line.

    Raises:
        LoadError: A line is not JSON.
    """
    for number, line in enumerate(source.data().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            _write(parse(line, f"{source.path.name}, line {number}"), into)


def parse(data: bytes, name: str) -> Json:
    """Return the value of strict JSON; numbers stay as they are written.

    Raises:
        LoadError: ``data`` is not JSON in UTF-8, UTF-16 or UTF-32 (RFC 8259 and its forerunner).
    """
    try:
        text = data.decode(json.detect_encoding(data))
        value = json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
        raise LoadError("not JSON", f"{name}: {reason}", "export it again as UTF-8 JSON") from exc
    return cast("Json", value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _write(value: Json, into: DocumentBuilder) -> None:
    if value in (None, "", [], {}):
        return
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for item in value:
            _write_record(cast("dict[str, Json]", item), into)
    elif isinstance(value, dict):
        _write_record(value, into)
    else:
        _write_leaves(value, into)


def _write_record(record: Mapping[str, Json], into: DocumentBuilder) -> None:
    key = _text_key(record)
    if key is not None:
        _write_section(record, key, into)
    elif not any(isinstance(value, list | dict) for value in record.values()):
        cells = [" ".join(_scalar(value).split()) for value in record.values()]
        names = [" ".join(name.split()) for name in record]
        into.add(row_sentence(cells, names), "table_row")
    else:
        _write_leaves(dict(record), into)


def _write_section(record: Mapping[str, Json], text_key: str, into: DocumentBuilder) -> None:
    title_key = next((key for key in _TITLE_KEYS if isinstance(record.get(key), str)), None)
    if title_key is not None:
        into.heading(str(record[title_key]), 1)
    render(str(record[text_key]), into)
    shown = {text_key, title_key}
    _write_leaves({key: value for key, value in record.items() if key not in shown}, into)


def _write_leaves(value: Json, into: DocumentBuilder) -> None:
    for path, leaf in _leaves(value):
        into.add(f"{path}: {leaf}" if path else leaf, "list_item")


def _leaves(value: Json) -> Iterator[tuple[str, str]]:
    """Yield (path, text) in document order; a stack because the nesting is the file's choice."""
    stack: list[tuple[str, Json]] = [("", value)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict) and node:
            inner = [(f"{path}.{key}" if path else key, item) for key, item in node.items()]
            stack.extend(reversed(inner))
        elif isinstance(node, list) and node:
            stack.extend((f"{path}[{index}]", node[index]) for index in reversed(range(len(node))))
        else:
            yield path, _scalar(node)


def _scalar(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return value if value and isinstance(value, str) else json.dumps(value)


def _text_key(record: Mapping[str, Json]) -> str | None:
    return next((key for key in _TEXT_KEYS if isinstance(record.get(key), str)), None)


def _labels(value: Json) -> tuple[str, ...]:
    """Return what a record says of who may read it; what is no label is refused later on."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    return tuple(item if isinstance(item, str) else json.dumps(item) for item in items)


def _describe(record: Mapping[str, Json], into: DocumentBuilder) -> None:
    """Take the document's own title, date and tags from its single record."""
    into.title = next((v for key in _TITLE_KEYS if isinstance(v := record.get(key), str)), None)
    dates = (iso_date(v) for key in _DATE_KEYS if isinstance(v := record.get(key), str))
    into.date = next((day for day in dates if day), None)
    tags = record.get("tags")
    if isinstance(tags, list):
        into.tags = tuple(tag for tag in tags if isinstance(tag, str))
