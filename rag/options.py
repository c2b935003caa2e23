"""Options that several commands share, and the settings that they stand for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.settings import Settings


def sentence(text: str) -> str:
    """Return a command's help as its description."""
    return f"{text[0].upper()}{text[1:]}."


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add whose documents, where, and how."""
    parser.add_argument("--tenant", help="whose documents")
    add_place_options(parser)
    parser.add_argument("--tier", choices=("lexical", "neural"), help="with or without vectors")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """Add which collection, and where it is."""
    parser.add_argument("--collection", help="which set of documents")
    parser.add_argument("--data-dir", metavar="DIR", help="where collections are stored")


def settings_of(options: argparse.Namespace, **more: object) -> Settings:
    """Return the settings in force with a command's options over them.

    Raises:
        SettingsError: A value is out of bounds, unknown, or cannot be read.
    """
    from rag.settings import load_settings

    names = ("tenant", "collection", "data_dir", "tier")
    return load_settings(**{name: getattr(options, name) for name in names}, **more)
