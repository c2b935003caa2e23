"""Jobs as values, and the seam between what runs them and what does their work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from rag.access import Caller

JobKind: TypeAlias = Literal["batch", "ingest"]
JobState: TypeAlias = Literal["waiting", "running", "done", "failed", "cancelled", "expired"]
Ending: TypeAlias = Literal["cancelled", "expired", "revoked", "closing", "yielding"]
OPEN: Final[tuple[JobState, ...]] = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Order:
    """What a job is to be, before it is one.

    Attributes:
        kind: Which worker does it.
        tenant: Whose documents it is about.
        total: Of how many parts it is made, 0 where that is not known.
        deadline: When it is given up [POSIX s]; None is never.
        when_green: Whether it may wait for the hours in which the grid emits least.
        expected_seconds: How long it is expected to take [s]; None is unknown.
        detail: What the worker is told, and has added; never the text of a question or a document.
    """

    kind: JobKind
    tenant: str
    total: int = 0
    deadline: float | None = None
    when_green: bool = False
    expected_seconds: float | None = None
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands; times are POSIX seconds.

    Attributes:
        id: Its name; not to be guessed.
        order: What it was given as.
        caller: Who gave it, with their rights and labels as of then.
        state: Where it stands.
        created: When it was given.
        started: When it was first begun, None before.
        ended: When it ended, None before.
        starts: Before when it is not begun; None is as soon as possible.
        reason: Why it waits or did not end well; empty where there is nothing to say.
        done: Parts that are done.
        failed: Parts that could not be done.
        attempts: How often it was begun since it last got on.
        cancelling: Whether it is to end as soon as it can.
    """

    id: str
    order: Order
    caller: Caller
    state: JobState
    created: float
    started: float | None = None
    ended: float | None = None
    starts: float | None = None
    reason: str = ""
    done: int = 0
    failed: int = 0
    attempts: int = 0
    cancelling: bool = False

    @property
    def kind(self) -> JobKind:
        """Which worker does it."""
        return self.order.kind

    @property
    def tenant(self) -> str:
        """Whose documents it is about."""
        return self.order.tenant

    @property
    def detail(self) -> Mapping[str, object]:
        """What its worker was told, and what it has added."""
        return self.order.detail

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Draft:
    """A folder of its own for what a job to come needs."""

    id: str
    folder: Path


class Run(Protocol):
    """A job under way, as its worker sees it; ``folder`` is the job's own."""

    @property
    def folder(self) -> Path:
        """Where the job's files are."""

    def pause(self, seconds: float = 0.0) -> None:
        """Let time pass [s], and look whether the job is to go on: at least twice a second.

        Raises:
            Stopped: It is not.
        """

    def progress(
        self, done: int, failed: int = 0, detail: Mapping[str, object] | None = None
    ) -> None:
        """Keep on disk how far it got; ``detail`` is added to the job's.

        Raises:
            StorageFullError: There is no room.
        """


class Worker(Protocol):
    """Does jobs of one kind."""

    def work(self, job: Job, run: Run) -> Mapping[str, object]:
        """Do a job for whoever gave it, and return what to add to its detail.

        After a death of the process it is called again with the same job: what was done then
        must stay done, and must not be done twice.

        Raises:
            Stopped: As ``run.pause`` raised it; what was begun has been ended.
            Later: It cannot be done now.
            RagError: It cannot be done; but where there is no room, it is tried again later.
        """


class Stopped(Exception):  # noqa: N818  # no error: somebody wants it so
    """A job is not to go on: cancelled, past its deadline, for the process's end or for others."""

    def __init__(self, why: Ending) -> None:
        self.why: Ending = why
        super().__init__(why)


class Later(Exception):  # noqa: N818  # no error: it is only too early
    """A job cannot be done now, but perhaps after some time [s]."""

    def __init__(self, seconds: float, why: str) -> None:
        self.seconds = seconds
        self.why = why
        super().__init__(f"{why}; again in {seconds:g} s")
