import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from rag.errors import BackendError, BackendRejectedError, BackendTimeoutError
from rag.generating import Ended
from rag.relay import Outlet, Piece, Work, relayed

END = Ended("stop", None)


def relay(
    write: Callable[[Outlet], None], seconds: float = 20.0, abandoned: threading.Event | None = None
) -> list[Piece]:
    event = abandoned or threading.Event()
    pieces = relayed(Work(write, event.set), time.monotonic() + seconds)
    return [piece for piece in pieces if piece != ""]


def test_pieces_come_in_order_and_the_end_is_last() -> None:
    pieces = [str(n) for n in range(200)]

    def write(outlet: Outlet) -> None:
        assert all(outlet.put(piece) for piece in [*pieces, END])
        outlet.put("after the end")

    assert relay(write) == [*pieces, END]


def test_an_error_comes_after_what_was_written() -> None:
    def write(outlet: Outlet) -> None:
        outlet.put("a")
        raise BackendRejectedError("no", 1, "do")

    pieces = filter(None, relayed(Work(write, lambda: None), time.monotonic() + 20))
    assert next(pieces) == "a"
    with pytest.raises(BackendRejectedError):
        next(pieces)


def test_whatever_the_work_raises_is_heard() -> None:
    def write(_: Outlet) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        relay(write)


def test_whoever_waits_for_the_first_piece_can_leave() -> None:
    abandoned = threading.Event()
    pieces = relayed(
        Work(lambda _: abandoned.wait(30) and None, abandoned.set), time.monotonic() + 60
    )
    started = time.monotonic()
    assert next(pieces) == ""
    pieces.close()  # type: ignore[attr-defined]
    assert abandoned.is_set()
    assert time.monotonic() - started < 5


def test_work_without_an_end_broke_off() -> None:
    def write(outlet: Outlet) -> None:
        outlet.put("a")

    with pytest.raises(BackendError, match="broke off"):
        relay(write)


def test_the_deadline_does_not_wait_for_the_work() -> None:
    stuck, abandoned = threading.Event(), threading.Event()

    def write(_: Outlet) -> None:
        stuck.wait(30)

    started = time.monotonic()
    with pytest.raises(BackendTimeoutError):
        relay(write, 0.2, abandoned)
    assert 0.2 <= time.monotonic() - started < 5
    assert abandoned.is_set()
    stuck.set()


def test_a_work_that_never_pauses_is_cut_at_the_deadline() -> None:
    ended = threading.Event()

    def write(outlet: Outlet) -> None:
        while outlet.put("a"):
            pass
        ended.set()

    with pytest.raises(BackendTimeoutError):
        relay(write, 0.2)
    assert ended.wait(10)


def test_nothing_begins_after_the_deadline() -> None:
    begun = threading.Event()
    with pytest.raises(BackendTimeoutError):
        relay(lambda _: begun.set(), 0)
    assert not begun.is_set()


@pytest.mark.parametrize("taken", [1, 3])
def test_leaving_ends_the_work(taken: int) -> None:
    ended, abandoned = threading.Event(), threading.Event()

    def write(outlet: Outlet) -> None:
        while outlet.put("a"):
            pass
        assert not outlet.wanted()
        ended.set()

    pieces = relayed(Work(write, abandoned.set), time.monotonic() + 60)
    for _ in range(taken):
        next(pieces)
    time.sleep(0.05)  # so that the writer waits for room
    pieces.close()  # type: ignore[attr-defined]
    assert ended.wait(10)
    assert abandoned.is_set()


def test_whoever_waits_on_another_thread_does_not_keep_the_process() -> None:
    script = (
        "import threading, time\n"
        "from rag.errors import BackendError\n"
        "from rag.relay import Work, relayed\n"
        "work = Work(lambda _: time.sleep(60), lambda: None)\n"
        "def wait():\n"
        "    try:\n"
        "        list(relayed(work, time.monotonic() + 60))\n"
        "    except BackendError as error:\n"
        "        print(error.value)\n"
        "threading.Thread(target=wait).start()\n"
    )
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=True,
        timeout=50,
        env=environment,
    )
    assert ran.stdout == b"the process ends\n"
    assert time.monotonic() - started < 20
