"""Entities, external parts and references in every format that holds XML or HTML.

Three things must never happen: another file's words in the text, a call to another host, and text
that grows while it is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.load.wire import LoadOutcome

Read = Callable[[Path], LoadOutcome]
_WORDS = "the-words-of-another-file"
_SMALL = 50_000  # characters: what no sound document here comes near
_LAUGHS = '<!ENTITY e0 "ha">' + "".join(
    f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10)
)
_QUADRATIC = f'<!ENTITY e9 "{"a" * 100_000}">'

# What stands in the document type, and how the text uses it.
ATTACKS = {
    "file": ('<!ENTITY e9 SYSTEM "{file}">', "&e9;"),
    "url": ('<!ENTITY e9 SYSTEM "{url}">', "&e9;"),
    "ftp": ('<!ENTITY e9 SYSTEM "{ftp}">', "&e9;"),
    "parameter": ('<!ENTITY % p SYSTEM "{url}">%p;', ""),
    "parameter-file": ('<!ENTITY % p SYSTEM "{file}"><!ENTITY e9 "%p;">%p;', "&e9;"),
    "laughs": (_LAUGHS, "&e9;"),
    "quadratic": (_QUADRATIC, "&e9;" * 1_000),
}
PARTS = {
    "xml": ("",),
    "docx": ("word/document.xml", "docProps/core.xml", "word/styles.xml", "_rels/.rels"),
    "pptx": ("ppt/presentation.xml", "ppt/slides/slide1.xml", "docProps/core.xml"),
    "xlsx": ("xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml", "docProps/core.xml"),
    "odt": ("content.xml", "meta.xml", "META-INF/manifest.xml"),
    "epub": ("META-INF/container.xml", "p.opf", "one.xhtml"),
}
PLACES = [(suffix, part) for suffix, parts in PARTS.items() for part in parts]


def entities(sound: str, attack: str, canary: Any, secret: Path) -> str:
    """Return XML with a document type put before its root, and the entity used in its text."""
    declared, use = ATTACKS[attack]
    for name, url in (
        ("{file}", secret.as_uri()),
        ("{url}", canary.url("x.dtd")),
        ("{ftp}", canary.url("x", "ftp")),
    ):
        declared = declared.replace(name, url)
    declaration, _, rest = sound.partition("?>") if sound.startswith("<?xml") else ("", "", sound)
    end = rest.rindex("</") if "</" in rest else len(rest)
    root = rest.lstrip()[1:].split(maxsplit=1)[0].split(">")[0].rstrip("/")
    prolog = f"{declaration}?>" if declaration else ""
    external = f' SYSTEM "{canary.url("external.dtd")}"'
    return f"{prolog}<!DOCTYPE {root}{external} [{declared}]>{rest[:end]}{use}{rest[end:]}"


def spelled(text: str, spelling: str) -> bytes:
    """Return XML in one of the ways that hide a declaration from a search for its letters."""
    if spelling == "late":  # beyond what is looked at before parsing
        head, found, rest = text.partition("<!DOCTYPE")
        return f"{head}<!--{'-'.join(' ' * 6_000)}-->{found}{rest}".encode()
    if spelling == "wide":
        body = text.split("?>", 1)[1] if text.startswith("<?xml") else text
        return f'<?xml version="1.0" encoding="UTF-16"?>{body}'.encode("utf-16")
    return text.encode()


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("suffix", "part"), PLACES, ids=lambda value: value or "whole")
def test_entities_are_neither_read_nor_fetched_nor_grown(
    *,
    tmp_path: Path,
    forge: Any,
    canary: Any,
    secret: Path,
    read_hostile: Read,
    suffix: str,
    part: str,
    attack: str,
) -> None:
    for spelling in ("plain", "late", "wide"):
        path = tmp_path / f"{spelling}.{suffix}"
        if suffix == "xml":
            text = entities("<a><b>Some words.</b></a>", attack, canary, secret)
            path.write_bytes(spelled(text, spelling))
        else:
            sound = forge.members(forge.whole(suffix)).get(part, b"<manifest></manifest>")
            text = entities(sound.decode(), attack, canary, secret)
            path.write_bytes(forge.altered(suffix, {part: spelled(text, spelling)}))
        outcome = read_hostile(path)
        assert (outcome.document is None) is not (outcome.error is None)
        said = outcome.document.text if outcome.document else str(outcome.error)
        assert _WORDS not in said
        assert len(said) < _SMALL
        assert outcome.seconds is not None
        assert outcome.seconds < 3
    assert canary.calls == []


_HTML = """<html><head><link rel=stylesheet href="{url}"><base href="{url}">
<script src="{url}"></script><meta http-equiv=refresh content="0; url={url}"></head>
<body background="{url}"><p>Some words.</p><img src="{url}" srcset="{url} 2x" alt="picture">
<iframe src="{url}"></iframe><object data="{url}"></object><embed src="{url}">
<iframe src="{file}"></iframe><video poster="{url}" src="{url}"></video>
<svg><image href="{url}"/><use href="{url}#a"/></svg>
<style>@import "{url}";</style></body></html>"""
_MARKDOWN = """# Words\n\n![picture]({url})\n\n[link]: {url}\n\n<iframe src="{url}"></iframe>
\n[file]({file})\n\n[[{file}]]\n\n!include {file}\n"""
_REST = """Words
=====

.. include:: {path}

.. literalinclude:: {path}

.. raw:: html
   :file: {path}

.. raw:: html
   :url: {url}

.. csv-table:: t
   :file: {path}

.. csv-table:: t
   :url: {url}

.. image:: {url}

.. figure:: {url}

.. |x| image:: {url}

.. highlight:: python

.. code:: python
   :include: {path}

.. parsed-literal::
   :file: {path}

.. meta::
   :x: {url}
"""
_MAIL = """Subject: words
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/external-body; access-type=URL; URL="{url}"

--b
Content-Type: message/external-body; access-type=local-file; name="{path}"

Content-Type: text/plain

--b
Content-Type: text/html
Content-Location: {url}

<img src="{url}"><iframe src="{file}"></iframe><p>Some words.</p>
--b
Content-Type: message/partial; id="{url}"; number=1; total=2

Some words.
--b--
"""
_XML = """<?xml version="1.0"?><?xml-stylesheet href="{url}" type="text/xsl"?>
<a xmlns:xi="http://www.w3.org/2001/XInclude" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
xsi:schemaLocation="x {url}" xml:base="{url}"><xi:include href="{file}" parse="text"/>
<xi:include href="{url}"/><b>Some words.</b></a>"""
_NOTEBOOK = """{{"cells": [{{"cell_type": "markdown", "source": ["![x]({url}) Some words."],
"attachments": {{"a": "{file}"}}}}], "nbformat": 4}}"""
_PROGRAM = '# Some words.\n#include "{path}"\nimport: {url}\n!include {path}\n'
_WEB_ARCHIVE = "MIME-Version: 1.0\nContent-Type: text/html\nContent-Location: {url}\n\n" + _HTML


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", _HTML),
        ("a.md", _MARKDOWN),
        ("a.rst", _REST),
        ("a.eml", _MAIL),
        ("a.xml", _XML),
        ("a.mhtml", _WEB_ARCHIVE),
        ("a.ipynb", _NOTEBOOK),
        ("a.yaml", _PROGRAM),
        ("a.json", '{{"$ref": "{url}", "text": "Some words.", "include": "{file}"}}'),
        ("a.csv", "a,b\n=WEBSERVICE(\"{url}\"),words\n=cmd|'/c calc'!A1,words\n"),
    ],
    ids=lambda value: value if len(value) < 10 else "",
)
def test_no_reference_in_a_text_is_followed(
    *, tmp_path: Path, canary: Any, secret: Path, read_hostile: Read, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(
        text.format(url=canary.url("fetched"), file=secret.as_uri(), path=secret), encoding="utf-8"
    )
    outcome = read_hostile(path)
    assert outcome.document is not None, outcome.error
    assert "words" in outcome.document.text.lower()
    assert _WORDS not in outcome.document.text
    assert canary.calls == []


_RELATION = (
    '<Relationship Id="rId99{n}" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
    'relationships/{kind}" Target="{target}" TargetMode="External"/>'
)
_KINDS = ("attachedTemplate", "image", "oleObject", "frame", "subDocument", "aFChunk", "footnotes")


@pytest.mark.parametrize(
    ("suffix", "rels"),
    [
        ("docx", "word/_rels/document.xml.rels"),
        ("docx", "_rels/.rels"),
        ("docx", "word/_rels/settings.xml.rels"),
        ("pptx", "ppt/_rels/presentation.xml.rels"),
        ("pptx", "ppt/slides/_rels/slide1.xml.rels"),
        ("xlsx", "xl/_rels/workbook.xml.rels"),
        ("xlsx", "xl/worksheets/_rels/sheet1.xml.rels"),
    ],
)
@pytest.mark.parametrize("where", ["url", "file", "share"])
def test_no_external_part_of_an_office_file_is_fetched(
    *,
    tmp_path: Path,
    forge: Any,
    canary: Any,
    secret: Path,
    read_hostile: Read,
    suffix: str,
    rels: str,
    where: str,
) -> None:
    target = {
        "url": canary.url("template.dotm"),
        "file": secret.as_uri(),
        "share": f"file://127.0.0.1:{canary.port}/share/a.dotm",
    }[where]
    empty = (
        b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        b"</Relationships>"
    )
    sound = forge.members(forge.whole(suffix)).get(rels, empty).decode()
    added = "".join(
        _RELATION.format(n=n, kind=kind, target=target)
        for n, kind in zip(itertools.count(), _KINDS, strict=False)
    )
    end = sound.rindex("</") if "</" in sound else sound.rindex("/>")
    closed = sound if "</" in sound else sound[:end] + "></Relationships>"
    place = closed.rindex("</")
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(forge.altered(suffix, {rels: closed[:place] + added + closed[place:]}))
    outcome = read_hostile(path)
    said = outcome.document.text if outcome.document else str(outcome.error)
    assert _WORDS not in said
    assert outcome.document is None or "Some words." in said
    assert canary.calls == []


@pytest.mark.parametrize(
    "href", ["../../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/"]
)
def test_a_chapter_outside_of_the_book_is_missing(
    tmp_path: Path, forge: Any, read_hostile: Read, href: str
) -> None:
    path = tmp_path / "a.epub"
    path.write_bytes(forge.book(href=href))
    assert "lacks a part" in str(read_hostile(path).error)


def test_the_canary_sings(canary: Any) -> None:
    """Else no test above could fail."""
    import urllib.request

    with pytest.raises(OSError, match=r"."):
        urllib.request.urlopen(canary.url("x"), timeout=5)  # noqa: S310 -- our own port
    assert canary.calls
