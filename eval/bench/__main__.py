"""``python -m eval.bench``: the benchmarks, where their data are."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from eval.bench import frontier
from rag.errors import RagError

_DATA_VARIABLE = "RAG_BENCH_DATA"
_QUICK_QUESTIONS = 200


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks of a benchmark; ``corpora`` is empty where it names none."""

    data: Path
    quick: bool
    corpora: tuple[str, ...]
    systems: tuple[str, ...]


# Returns the exit status.
_Bench: TypeAlias = Callable[[Request], int]


def _frontier(request: Request) -> int:
    whole = frontier.Plan(request.data)
    corpora = request.corpora or (("squad_small",) if request.quick else whole.corpora)
    questions = _QUICK_QUESTIONS if request.quick else whole.questions
    frontier.run(frontier.Plan(request.data, corpora, request.systems, questions))
    return 0


def _calibrate(request: Request) -> int:
    from eval.bench import calibrate

    whole = frontier.Plan(request.data)
    questions = _QUICK_QUESTIONS if request.quick else whole.questions
    calibrate.run(request.data, questions, record=not request.quick)
    return 0


def _latency(request: Request) -> int:
    from eval.bench import latency

    plan = latency.Plan(request.data, 5_000, 100) if request.quick else latency.Plan(request.data)
    latency.run(plan)
    return 0


def _ingest(request: Request) -> int:
    from eval.bench import ingest

    ingest.run(ingest.Plan(request.data, 40, 4) if request.quick else ingest.Plan(request.data))
    return 0


def _kill(request: Request) -> int:
    from eval.bench import kill

    kills = "5" if request.quick else "50"
    return kill.main([str(request.data / "docs_markup" / "owasp"), "--kills", kills])


def _tenants(request: Request) -> int:
    from eval.bench import tenants

    return tenants.bench(quick=request.quick)


def _module(name: str) -> _Bench:
    """Return ``bench(data: Path, *, quick: bool)`` of a module here, imported when it is called."""

    def run(request: Request) -> int:
        import_module(f"eval.bench.{name}").bench(request.data, quick=request.quick)
        return 0

    return run


_BENCHES: dict[str, _Bench] = {
    "frontier": _frontier,
    "tiers": _module("tiers"),
    "cascade": _module("cascade"),
    "rerank": _module("rerank"),
    "spans": _module("spans"),
    "weights": _module("weights"),
    "ablation": _module("ablation"),
    "retrieval": _module("retrieval"),
    "wording": _module("wording"),
    "demand": _module("demand"),
    "answers": _module("answers"),
    "embedding": _module("embedding"),
    "frugality": _module("frugality"),
    "groundedness": _module("groundedness"),
    "safety": _module("safety"),
    "injection": _module("injection"),
    "followup": _module("followup"),
    "green": _module("green"),
    "metering": _module("metering"),
    "generation": _module("generation"),
    "generation_energy": _module("generation_energy"),
    "cache": _module("cache"),
    "calibrate": _calibrate,
    "latency": _latency,
    "load": _module("load"),
    "coldstart": _module("coldstart"),
    "tenants": _tenants,
    "ingest": _ingest,
    "kill": _kill,
}
_ALL = tuple(_BENCHES)
_WITHOUT_DATA = {"green", "metering", "generation_energy", "tenants"}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks asked for; return the exit status."""
    options = _parser().parse_args(arguments)
    # Settings refuse RAG_* names that they do not know.
    default = os.environ.pop(_DATA_VARIABLE, "../shared/data")
    data = options.data or Path(default)
    if not (set(options.only) <= _WITHOUT_DATA or (data / "squad_v1_dev").is_dir()):
        print(f"bench skipped: no data at {data} (set {_DATA_VARIABLE} or --data)")
        return 0
    request = Request(data, options.quick, tuple(options.corpora), tuple(options.systems))
    status = 0
    try:
        for name in options.only:
            print(f"\n## {name}\n", flush=True)
            status = max(status, _BENCHES[name](request))
    except RagError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m eval.bench", description=__doc__)
    parser.add_argument("--only", type=_names(_ALL), default=_ALL, help=f"of {','.join(_ALL)}")
    parser.add_argument("--data", type=Path, help=f"data folder (else ${_DATA_VARIABLE})")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, to try it out")
    corpora = frontier.Plan(Path()).corpora
    parser.add_argument(
        "--corpora", type=_names(corpora), default=(), help=f"frontier: {','.join(corpora)}"
    )
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
