"""What several commands have in common: their options, and the records that these name."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from eval.places import CACHE, POLICY, RESULTS

if TYPE_CHECKING:
    from eval.records import Record


def positive(text: str) -> int:
    """Return a whole number above 0, for ``argparse``."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def from_zero(text: str) -> int:
    """Return a whole number of 0 or more, for ``argparse``."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 0 or more")
    return int(text)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the result as JSON."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_to_step(step: argparse.ArgumentParser) -> None:
    """Add to a command's step what every command has: JSON, and tracebacks."""
    add_json(step)
    # Suppressed where it is not given, so as not to undo the one before the step.
    suppressed = argparse.SUPPRESS
    step.add_argument("--debug", action="store_true", default=suppressed, help="show tracebacks")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the settings that are changed most often."""
    parser.add_argument("--budget", type=int, metavar="TOKENS", help="context budget")
    parser.add_argument("--frugality", type=float, metavar="SHARE", help="recall that may be lost")
    parser.add_argument("--tier", choices=("lexical", "neural"), help="with or without a model")


def add_questions(parser: argparse.ArgumentParser) -> None:
    """Add what says which questions are asked, and where things are kept."""
    parser.add_argument("--split", metavar="NAME", help="only the texts of this split")
    parser.add_argument("--questions", type=positive, metavar="N", help="only N of the questions")
    add_seed(parser, "draws the questions")
    add_results(parser)
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER", default=CACHE, help="folder of computed vectors"
    )


def add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the seed of what is drawn."""
    parser.add_argument(
        "--seed", type=from_zero, default=0, metavar="N", help=f"{what} (default 0)"
    )


def add_jobs(parser: argparse.ArgumentParser, what: str) -> None:
    """Add how much is done at once."""
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help=f"{what} at once")


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add where the records are kept."""
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", default=RESULTS, help="folder of the records"
    )


def add_policy(parser: argparse.ArgumentParser, default: Path | None = POLICY) -> None:
    """Add the gate's policy; without a default the usual one is taken where there is one."""
    where = f"default: {POLICY}" if default else f"default: {POLICY}, where there is one"
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", default=default, help=f"the gate's policy ({where})"
    )


def record_named(name: str, results: Path) -> Record:
    """Return the record in the file ``name``, or of that name in the results.

    Raises:
        UsageError: There is neither.
        LoadError: It is not a record.
    """
    from eval.records import read

    inside = results / f"{name}.json"
    return read(inside if inside.is_file() and not Path(name).is_file() else Path(name))


def records_in(results: Path) -> Iterator[Record]:
    """Yield the records of a folder, newest first; what cannot be read is told on stderr."""
    from eval.records import found
    from rag.receipts import printable
    from rag.terminal import tell

    def left_out(what: str, value: object) -> None:
        tell(f"left out: {' '.join(printable(f'{what}: {value}').split())}. Remove it.")

    for _, record in found(results, lambda exc: left_out(exc.what, exc.value)):
        yield record
