"""The parsing process: loads one file after the other under limits that the kernel enforces."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from ingest.load.limits import ParseLimits
from ingest.load.registry import Format, load_document
from ingest.load.wire import Task, decode_task, encode_result
from rag.errors import LoadError, ParseLimitError
from rag.types import Document

READY = b"ready"
_FILES_PER_PROCESS = 2_000  # then a fresh one takes over, so that leaks stay small
_STATM = Path("/proc/self/statm")


def serve(pipe: Connection, formats: Mapping[str, Format], limits: ParseLimits) -> None:
    """Answer tasks until the other end closes the pipe or this process has served its time."""
    _settle()
    pipe.send_bytes(READY)
    for served in range(1, _FILES_PER_PROCESS + 1):
        try:
            task = decode_task(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        started = time.perf_counter()
        result, exhausted = _guarded(task, formats, limits)
        retiring = exhausted or served == _FILES_PER_PROCESS
        seconds = time.perf_counter() - started
        try:
            pipe.send_bytes(encode_result(result, seconds, retiring=retiring))
        except OSError:  # the pool is gone
            return
        if retiring:
            return


def _settle() -> None:
    """Leave interrupts to the pool, the standard output to results, and no core dumps."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # its default is to end the process
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    os.dup2(sys.stderr.fileno() if sys.stderr is not None else os.open(os.devnull, os.O_WRONLY), 1)


def _guarded(
    task: Task, formats: Mapping[str, Format], limits: ParseLimits
) -> tuple[Document | LoadError, bool]:
    """Return the document or why there is none, and whether memory ran out.

    The alarm ends the process even inside C code that never returns to the interpreter.
    """
    name = task.path.name
    _bound_memory(limits.memory_bytes)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)
    try:
        return load_document(task.path, task.doc_id, formats=formats, limits=limits), False
    except LoadError as exc:
        return exc, False
    except MemoryError:
        needed = f"{name} needs more than {limits.memory_bytes} bytes"
        remedy = "split the file or raise parse_memory_mb"
        return ParseLimitError("out of memory", needed, remedy), True
    except RecursionError:
        return ParseLimitError("nested too deeply", name, "flatten the file"), False
    # A process boundary: whatever a third-party parser throws at a broken file ends here as
    # one kind of error, with its own class and message for the reader.
    except Exception as exc:  # noqa: BLE001
        cause = f"{name}: {type(exc).__name__}: {exc}"[:500]
        return LoadError("file cannot be parsed", cause, "open and save it again"), False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _bound_memory(None)


def _bound_memory(headroom: int | None) -> None:
    """Limit address space to what is held now plus ``headroom`` [bytes]; None lifts the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    held = _address_space() if headroom is not None else None
    soft = hard
    if headroom is not None and held is not None:
        soft = held + headroom if hard == resource.RLIM_INFINITY else min(held + headroom, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    """Return this process's address space [bytes], or None where the system does not tell."""
    try:
        pages = int(_STATM.read_text("ascii").split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()
