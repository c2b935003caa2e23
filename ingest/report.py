"""What a run did, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from ingest.deadletter import DeadLetter
from rag.durations import worded
from rag.impact import sci
from rag.results import Impact, SignedInterval
from rag.sci import STANDARD, missing
from rag.types import Basis, Interval


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage of a run: wall clock and CPU time over all processes [s], energy [J].

    ``basis`` says whether the energy was measured or estimated.
    """

    name: str
    seconds: float
    cpu_seconds: float
    joules: Interval
    basis: Basis = "estimated"


@dataclass(frozen=True, slots=True)
class ChunkRate:
    """The software carbon intensity of a run: ``SCI = (E * I + M) / R``, R = 1,000 chunks [g].

    ``chunks`` are those that the run indexed or gave vectors: without one there is no rate.
    ``missing`` says what else is unknown, each with the settings that say it.

    Source: Green Software Foundation, SCI specification (ISO/IEC 21031:2024).
    """

    gco2e_per_1000_chunks: Interval | None
    chunks: int
    missing: tuple[str, ...]
    standard: str = STANDARD


@dataclass(frozen=True, slots=True)
class FileCounts:
    """How the files ended; ``missing`` are gone but were not asked to be deleted."""

    indexed: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0
    removed: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class ChunkCounts:
    """Chunks of this run, and of the tenant after it.

    ``embedded`` were computed in this run, ``cached`` had their vectors from earlier ones;
    ``waiting`` have none yet.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    embedded: int = 0
    cached: int = 0
    stored: int = 0
    tokens: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class DuplicateCounts:
    """The tenant's repeated chunks, their tokens, and what not storing them saved [J].

    ``saved_joules`` is the embedding of what is not stored, at this run's cost of a chunk; None
    if this run embedded nothing.
    """

    exact: int = 0
    exact_tokens: int = 0
    near: int = 0
    near_tokens: int = 0
    near_dropped: bool = False
    saved_joules: Interval | None = None


@dataclass(frozen=True, slots=True)
class GreenStart:
    """How a run waited for a greener grid, and what the forecast says that it saved.

    ``asked`` and ``started`` are UTC, ISO 8601. The intensities are means over the run's expected
    length [gCO2e/kWh], the first for a start when it was asked for; ``saved_gco2e`` is for the
    energy that the run took [g]. None is unknown.
    """

    asked: str
    started: str
    waited_seconds: float
    reason: str
    source: str | None
    now_gco2e_per_kwh: float | None
    then_gco2e_per_kwh: float | None
    saved_share: float | None
    saved_gco2e: SignedInterval | None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The result of one run; ``generation`` is what is published after it, if anything.

    ``joules`` is that of ``impact``, which has what else the run cost.
    """

    collection: str
    tenant: str
    generation: int | None
    published: bool
    dry_run: bool = False
    files: FileCounts = field(default_factory=FileCounts)
    chunks: ChunkCounts = field(default_factory=ChunkCounts)
    duplicates: DuplicateCounts = field(default_factory=DuplicateCounts)
    stages: tuple[StageCost, ...] = ()
    joules: Interval | None = None
    failures: tuple[DeadLetter, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    green: GreenStart | None = None
    impact: Impact | None = None
    sci: ChunkRate | None = None

    @property
    def exit_code(self) -> int:
        """1 if files failed, else 0."""
        return 1 if self.files.failed else 0

    def to_json(self) -> str:
        """Return the report as one JSON object on one line."""
        return json.dumps(asdict(self))

    def to_text(self) -> str:
        """Return the report as people read it."""
        lines = [_headline(self), *_file_lines(self), *_chunk_lines(self)]
        lines += cost_lines(self.stages, self.impact, self.sci)
        lines += _green_lines(self.green)
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes), *_failures(self)])


def _headline(report: SyncReport) -> str:
    place = f"collection {report.collection}, tenant {report.tenant}"
    if report.dry_run:
        return f"Dry run, nothing was changed ({place})"
    if report.generation is None:
        return f"Nothing to publish yet ({place})"
    state = "published" if report.published else "unchanged"
    return f"Generation {report.generation} {state} ({place})"


def _file_lines(report: SyncReport) -> list[str]:
    files = report.files
    indexed = "to index" if report.dry_run else "indexed"
    removed = "to remove" if report.dry_run else "removed"
    parts = [f"{files.indexed:,} {indexed}", f"{files.unchanged:,} unchanged"]
    parts += [f"{files.skipped:,} skipped", f"{files.failed:,} failed"]
    parts += [f"{files.removed:,} {removed}"]
    lines = [f"  files       {', '.join(parts)}"]
    if report.skipped:
        reasons = sorted(report.skipped.items(), key=lambda item: (-item[1], item[0]))
        lines.append(f"  skipped     {', '.join(f'{count:,} {why}' for why, count in reasons)}")
    if files.missing:
        lines.append(
            f"  missing     {files.missing:,} are gone and stay indexed (--delete-missing)"
        )
    return lines


def _chunk_lines(report: SyncReport) -> list[str]:
    if report.dry_run:
        return []
    chunks, copies = report.chunks, report.duplicates
    change = f"{chunks.added:,} added, {chunks.changed:,} changed, {chunks.removed:,} removed"
    lines = [f"  chunks      {chunks.stored:,} stored ({chunks.tokens:,} tokens): {change}"]
    if chunks.embedded or chunks.cached or chunks.waiting:
        waiting = f", {chunks.waiting:,} wait for rag-ingest embed" if chunks.waiting else ""
        lines.append(
            f"  vectors     {chunks.embedded:,} embedded, {chunks.cached:,} from the cache{waiting}"
        )
    saved = f", {_range(copies.saved_joules)} J saved" if copies.saved_joules else ""
    near = "dropped" if copies.near_dropped else "kept"
    lines.append(
        f"  duplicates  {copies.exact:,} exact ({copies.exact_tokens:,} tokens) stored once,"
        f" {copies.near:,} near ({copies.near_tokens:,} tokens) {near}{saved}"
    )
    return lines


def chunk_rate(impact: Impact, chunks: int) -> ChunkRate:
    """Return the software carbon intensity of a run that worked on so many chunks."""
    rate = sci(impact.gco2e, impact.embodied_gco2e, chunks / 1000)
    return ChunkRate(rate, chunks, missing(impact))


def cost_lines(
    stages: Sequence[StageCost], impact: Impact | None, rate: ChunkRate | None
) -> list[str]:
    """Return what a run cost as people read it: seconds by stage, the rest if metered."""
    if not stages:
        return []
    shown = ", ".join(f"{stage.name} {stage.seconds:.2f}" for stage in stages)
    lines = [f"  seconds     {sum(stage.seconds for stage in stages):.2f} ({shown})"]
    if impact is not None:
        lines += _impact_lines(impact)
    return lines if rate is None else [*lines, f"  SCI         {_rate(rate)}"]


def _impact_lines(impact: Impact) -> Iterator[str]:
    if impact.joules is not None:
        how = "by the counters" if impact.basis == "measured" else "from CPU time"
        yield f"  energy      {_range(impact.joules)} J ({impact.basis} {how})"
    source = f"by location: {impact.grid.source}" if impact.grid else "by location"
    yield f"  carbon      {_amount(impact.gco2e, 'gCO2e', source)}"
    if impact.market_gco2e is not None:
        yield f"              {_amount(impact.market_gco2e, 'gCO2e', 'by market')}"
    yield f"  embodied    {_amount(impact.embodied_gco2e, 'gCO2e', 'share of making the machine')}"
    yield f"  water       {_amount(impact.litres, 'L', 'on site and off')}"


def _rate(rate: ChunkRate) -> str:
    if rate.missing:
        return f"unknown without {' and '.join(rate.missing)}"
    if rate.gco2e_per_1000_chunks is None:
        return "none: no chunk was indexed"
    return f"{_range(rate.gco2e_per_1000_chunks)} gCO2e per 1,000 chunks ({rate.standard})"


def _amount(interval: Interval | None, unit: str, note: str) -> str:
    return "unknown" if interval is None else f"{_range(interval)} {unit} ({note})"


def _green_lines(green: GreenStart | None) -> list[str]:
    if green is None:
        return []
    lines = [f"  start       {green.reason}; waited {worded(green.waited_seconds)}"]
    now, then = green.now_gco2e_per_kwh, green.then_gco2e_per_kwh
    if now is None or then is None:
        return [*lines, "  saved       unknown: no forecast tells"]
    share = "" if green.saved_share is None else f" ({-green.saved_share:+.0%})"
    grams = f": {_range(green.saved_gco2e)} gCO2e saved" if green.saved_gco2e else ""
    return [*lines, f"  saved       {then:.0f} instead of {now:.0f} gCO2e/kWh{share}{grams}"]


def _failures(report: SyncReport) -> list[str]:
    lines = []
    for letter in report.failures:
        kept = " The earlier version stays indexed." if letter.keeps_earlier else ""
        remedy = f"{letter.remedy[:1].upper()}{letter.remedy[1:]}."
        lines.append(f"failed: {letter.path}: {letter.error}: {letter.cause}. {remedy}{kept}")
    if lines:
        lines.append(f"{len(lines):,} files failed; mend them and run rag-ingest retry")
    return lines


def _range(interval: Interval | SignedInterval) -> str:
    bounds = f"{interval.low:.3g}", f"{interval.high:.3g}"
    return " to ".join(dict.fromkeys(bounds))
