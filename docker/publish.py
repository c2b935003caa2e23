# ruff: noqa: INP001 -- a script that the image runs by its path
"""Copy what says which generation is published, for services with a disk of their own.

With ``index = "server"`` the passages are on the server, and a service needs only the pointer, the
description and the manifest of the generation. Ingest keeps databases in its folder that must not
lie on a network disk, so the services get copies: ``publish.py SOURCE TARGET``, the folders of one
collection. The pointer comes last and in one step, so no service ever sees half of it.
"""

import os
import shutil
import sys
from pathlib import Path

_POINTER = "CURRENT"
_FILES = ("manifest.sqlite", "generation.json")


def publish(source: Path, target: Path) -> str:
    """Copy the published generation's files, then the pointer; return its name.

    Older copies go, but for the one that was published before: a service may be reading it.

    Raises:
        OSError: Nothing is published in ``source``, or ``target`` cannot be written.
    """
    name, before = _published(source), None
    if (target / _POINTER).exists():
        before = _published(target)
    place = target / "generations" / name
    place.mkdir(parents=True, exist_ok=True)
    for file in _FILES:
        _replace(source / "generations" / name / file, place / file)
    _replace(source / _POINTER, target / _POINTER)
    for other in (target / "generations").iterdir():
        if other.name not in (name, before):
            shutil.rmtree(other)
    return name


def _published(collection: Path) -> str:
    return (collection / _POINTER).read_text(encoding="utf-8").strip()


def _replace(source: Path, target: Path) -> None:
    fresh = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: publish.py SOURCE TARGET, the folders of one collection")
    try:
        sys.stdout.write(publish(Path(sys.argv[1]), Path(sys.argv[2])) + "\n")
    except OSError as exc:
        sys.exit(f"error: cannot publish: {exc}")
