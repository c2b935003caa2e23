import threading
import time

import pytest

from rag.thread_clock import busiest, native_threads, thread_seconds


def test_a_threads_processor_time_is_its_own() -> None:
    if not native_threads():
        pytest.skip("the system lists no threads")
    before, done, stop = native_threads(), threading.Event(), threading.Event()
    own: list[float] = []

    def work() -> None:
        while time.thread_time() < 0.2:
            pass
        own.append(time.thread_time())
        done.set()
        stop.wait(30)

    idle = threading.Thread(target=stop.wait, args=(30,))
    busy = threading.Thread(target=work)
    idle.start()
    busy.start()
    try:
        assert done.wait(30)
        started = native_threads() - before
        assert busiest(started) == busy.native_id
        seconds = thread_seconds(busy.native_id or 0)
        assert seconds is not None
        assert own[0] <= seconds < own[0] + 0.1
    finally:
        stop.set()
        idle.join()
        busy.join()


def test_unknown_threads() -> None:
    assert busiest(frozenset()) is None
    assert thread_seconds(2**22 + 1) is None
    assert busiest(frozenset({2**22 + 1})) is None
