"""The commands that keep a collection well: ``rag doctor``, ``rag backup``, ``rag restore``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rag.terminal import Parser

if TYPE_CHECKING:
    from rag.backup.catalogue import Catalogue
    from rag.backup.reading import Backup
    from rag.backup.restoring import Restored
    from rag.doctor import Diagnosis
    from rag.settings import Settings

_MEGABYTE = 1e6


def add_doctor(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``rag doctor``."""
    text = "look whether all that answering needs is there and sound, and say what to do"
    doctor = commands.add_parser("doctor", help=text, description=_sentence(text))
    doctor.add_argument("--tier", choices=("lexical", "neural"), help="with or without vectors")
    _add_common_options(doctor)
    doctor.set_defaults(command=_doctor)


def add_backup(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``rag backup``."""
    text = "copy a collection as of now, while it is used, and check the copy"
    backup = commands.add_parser("backup", help=text, description=_sentence(text))
    backup.add_argument(
        "target", type=Path, metavar="TARGET", help="a new folder, or a new .tar or .tar.gz"
    )
    _add_common_options(backup)
    backup.set_defaults(command=_backup)


def add_restore(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add ``rag restore``."""
    text = "put a backup back: whole and checked, or not at all"
    restore = commands.add_parser("restore", help=text, description=_sentence(text))
    restore.add_argument("source", type=Path, metavar="SOURCE", help="what rag backup made")
    restore.add_argument("--check", action="store_true", help="only look at it, as restoring does")
    restore.add_argument(
        "--force", action="store_true", help="publish it also where something is published"
    )
    _add_common_options(restore)
    restore.set_defaults(command=_restore)


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--collection", help="which set of documents")
    parser.add_argument("--data-dir", metavar="DIR", help="where collections are stored")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def _doctor(options: argparse.Namespace) -> int:
    from rag import logs

    logs.discard()
    diagnosis = _diagnosis(options)
    _say(diagnosis.to_json() if options.json else diagnosis.to_text())
    return diagnosis.exit_code


def _diagnosis(options: argparse.Namespace) -> Diagnosis:
    from rag.doctor import Diagnosis, Examined, Finding, examine
    from rag.errors import SettingsError

    try:
        settings = _settings(options, tier=options.tier)
    except SettingsError as exc:  # without them there is nothing else to look at
        finding = Finding("fail", f"{exc.what}: {exc.value}", exc.remedy)
        return Diagnosis((Examined("settings", finding, 0.0),))
    from rag.build_doctor import build_checks

    return examine(build_checks(settings))


def _backup(options: argparse.Namespace) -> int:
    from rag.backup.making import make_backup

    settings = _settings(options)
    made = make_backup(settings.data_dir / settings.collection, options.target)
    _say(_made_json(made, options.target) if options.json else _made_text(made, options.target))
    return 1 if made.left_out else 0


def _made_json(made: Catalogue, target: Path) -> str:
    return json.dumps({"target": str(target), **_summary(made)})


def _made_text(made: Catalogue, target: Path) -> str:
    lines = [f"{target}: {_contents(made)}, read again and right"]
    lines += [f"LEFT OUT {path}: {why}" for path, why in made.left_out]
    return "\n".join(lines)


def _summary(made: Catalogue) -> dict[str, object]:
    return {
        "collection": made.collection,
        "created": made.created,
        "made_by": made.made_by,
        "generation": int(made.generation),
        "chunks": made.chunks,
        "files": len(made.files),
        "bytes": made.bytes,
        "formats": made.formats,
        "left_out": [list(pair) for pair in made.left_out],
    }


def _contents(made: Catalogue) -> str:
    size = f"{len(made.files):,} files, {made.bytes / _MEGABYTE:,.1f} MB"
    return f"generation {int(made.generation)} of {made.collection}, {made.chunks:,} chunks, {size}"


def _restore(options: argparse.Namespace) -> int:
    from rag.backup.formats import known_formats
    from rag.backup.reading import opened
    from rag.backup.restoring import restore
    from rag.build_upkeep import build_inspection

    settings = _settings(options)
    inspect = build_inspection(settings)
    with opened(options.source, known_formats()) as backup:
        if options.check:
            _check(backup, settings)
            _say(_checked(options, backup.catalogue))
            return 0
        directory = settings.data_dir / settings.collection
        done = restore(backup, directory, inspect, force=options.force)
    _say(_restored_json(done) if options.json else _restored_text(done, settings))
    return 0


def _check(backup: Backup, settings: Settings) -> None:
    from rag.backup.restoring import check_backup
    from rag.build_upkeep import build_inspection

    with tempfile.TemporaryDirectory(prefix="rag-restore-") as folder:
        check_backup(backup, Path(folder), build_inspection(settings))


def _checked(options: argparse.Namespace, made: Catalogue) -> str:
    if options.json:
        return json.dumps({"source": str(options.source), **_summary(made)})
    text = f"{options.source}: {_contents(made)}, of {made.created}; sound, and can be restored"
    return "\n".join([text, *(f"LEFT OUT {path}: {why}" for path, why in made.left_out)])


def _restored_json(done: Restored) -> str:
    return json.dumps(
        {
            "generation": done.generation.number,
            "chunks": done.generation.chunks,
            "before": int(done.before) if done.before and done.before.isdigit() else None,
            "put_back": done.put_back,
            "kept": done.kept,
            "set_aside": done.set_aside,
        }
    )


def _restored_text(done: Restored, settings: Settings) -> str:
    generation = done.generation
    size = f"{generation.documents:,} documents, {generation.chunks:,} chunks, counted and found"
    place = f"collection {settings.collection}"
    lines = [f"Generation {generation.number} is published ({place}): {size}"]
    if done.before:
        lines.append(f"  before      {done.before}, still there for rag-ingest rollback --to")
    for name, paths in (("put back", done.put_back), ("kept", done.kept)):
        lines.append(f"  {name:<11} {', '.join(paths) or 'nothing'}")
    lines += [f"  damaged     {path}" for path in done.set_aside]
    return "\n".join(lines)


def _settings(options: argparse.Namespace, **more: object) -> Settings:
    from rag.settings import load_settings

    return load_settings(collection=options.collection, data_dir=options.data_dir, **more)


def _say(text: str) -> None:
    from rag.receipts import printable

    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.stdout.write(f"{printable(text)}\n")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
