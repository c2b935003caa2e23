"""Several plans at once, each in a process of its own: a process's CPU time is its plan's alone."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import active_children, get_context, resource_tracker
from types import FrameType
from typing import NoReturn, TypeVar

from eval.run import Advance, Plan

_Result = TypeVar("_Result")


def each(
    work: Callable[[Plan], _Result], plans: Sequence[Plan], jobs: int, advance: Advance
) -> list[_Result]:
    """Return ``work`` of each plan, in their order; ``advance`` is called as each one is done.

    What ``work`` raises is raised here, once the plans under way have ended. An interrupt ends
    those at once: it is for this process alone to act on.
    """
    if jobs <= 1 or len(plans) == 1:
        return [_told(work(plan), advance) for plan in plans]
    others = set(active_children())
    # Not forked: the engines' threads would not live on in the child.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _leave_interrupts_to_the_parent)
    try:
        futures = _submitted(pool, work, plans)
        for future in as_completed(futures):
            future.result()
            advance(1)
        return [future.result() for future in futures]
    except KeyboardInterrupt:
        for worker in set(active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _submitted(
    pool: ProcessPoolExecutor, work: Callable[[Plan], _Result], plans: Sequence[Plan]
) -> list[Future[_Result]]:
    with _interrupts_held_back():
        return [pool.submit(work, plan) for plan in plans]


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let workers start undisturbed; an interrupt that comes meanwhile is raised afterwards.

    A worker inherits that it is held back: one may find it before it is set up.
    """
    told: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: told.append(number))
    # The tracker, which multiprocessing starts with the first worker, would let it through again.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
    if told:
        raise KeyboardInterrupt


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _left)


def _left(number: int, _: FrameType | None) -> NoReturn:
    # Left in order, so that temporary folders go; told once, it must not be disturbed in that.
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _told(result: _Result, advance: Advance) -> _Result:
    advance(1)
    return result
