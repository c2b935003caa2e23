"""``python -m eval.bench``: the benchmarks, where their data are."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from eval.bench import calibrate, frontier
from rag.errors import RagError

_ALL = ("frontier", "calibrate", "latency", "ingest", "kill")
_DATA_VARIABLE = "RAG_BENCH_DATA"
_QUICK_QUESTIONS = 200


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks asked for; return the exit status."""
    options = _parser().parse_args(arguments)
    # Settings refuse RAG_* names that they do not know.
    default = os.environ.pop(_DATA_VARIABLE, "../shared/data")
    data = options.data or Path(default)
    if not (data / "squad_v1_dev").is_dir():
        print(f"bench skipped: no data at {data} (set {_DATA_VARIABLE} or --data)")
        return 0
    status = 0
    try:
        for name in options.only:
            print(f"\n## {name}\n", flush=True)
            status = max(status, _run(name, data, options))
    except RagError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    return status


def _run(name: str, data: Path, options: argparse.Namespace) -> int:
    if name == "frontier":
        quick = options.quick
        corpora = options.corpora or (("squad_small",) if quick else frontier.Plan(data).corpora)
        questions = _QUICK_QUESTIONS if quick else frontier.Plan(data).questions
        frontier.run(frontier.Plan(data, tuple(corpora), tuple(options.systems), questions))
    if name == "latency":
        from eval.bench import latency

        latency.run(latency.Plan(data, 5_000, 100) if options.quick else latency.Plan(data))
    if name == "ingest":
        from eval.bench import ingest

        ingest.run(ingest.Plan(data, 40, 4) if options.quick else ingest.Plan(data))
    if name == "kill":
        from eval.bench import kill

        kills = "5" if options.quick else "50"
        return kill.main([str(data / "docs_markup" / "owasp"), "--kills", kills])
    if name == "calibrate":
        calibrate.run(data, _QUICK_QUESTIONS if options.quick else frontier.Plan(data).questions)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.bench", description=__doc__)
    parser.add_argument("--only", type=_names(_ALL), default=_ALL, help=f"of {','.join(_ALL)}")
    parser.add_argument("--data", type=Path, help=f"data folder (else ${_DATA_VARIABLE})")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, to try it out")
    corpora = frontier.Plan(Path()).corpora
    parser.add_argument("--corpora", type=_names(corpora), help=f"frontier: {','.join(corpora)}")
    families = frontier.FAMILIES
    parser.add_argument(
        "--systems", type=_names(families), default=families, help=f"frontier: {','.join(families)}"
    )
    return parser


class _names:  # noqa: N801 -- argparse shows the name of a type in its errors
    """Parses a comma-separated choice of known names."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known

    def __call__(self, text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        unknown = [name for name in names if name not in self._known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(self._known)}")
        return names


if __name__ == "__main__":
    sys.exit(main())
