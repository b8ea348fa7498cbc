"""What is known of the threads beside that of a loop."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from aldente._loops.other_threads import Bystanders, can_only_wait
from aldente._loops.virtual import threads as threads_of_loops


def test_a_bystander_is_one_while_it_lives() -> None:
    """The identifier of a thread that has ended may be the next one's, which is no bystander."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(60,))
    thread.start()
    assert thread.ident is not None
    bystanders = Bystanders([thread.ident, -1])
    assert thread.ident in bystanders
    assert threading.get_ident() not in bystanders
    # None of threading's: nobody knows when it ends.
    assert list(bystanders) == [thread.ident, -1]
    release.set()
    thread.join()
    assert thread.ident not in bystanders
    assert len(bystanders) == 1


def test_threads_that_can_only_wait() -> None:
    """Waiting without a time-out is told from waiting with one, and from work."""
    release = threading.Event()
    waits = threading.Thread(target=release.wait)
    waits_for_a_while = threading.Thread(target=release.wait, args=(60,))
    sleeps = threading.Thread(target=time.sleep, args=(0.2,))
    threads = [waits, waits_for_a_while, sleeps]
    for thread in threads:
        thread.start()
    # The time that a thread takes to come to where it waits.
    end = time.monotonic() + 60
    while not can_only_wait(sys._current_frames().get(waits.ident or 0)):
        assert time.monotonic() < end
    frames = sys._current_frames()
    seen = [can_only_wait(frames.get(thread.ident or 0)) for thread in threads]
    release.set()
    for thread in threads:
        thread.join()
    assert seen == [True, False, False]
    assert not can_only_wait(None)


@pytest.mark.skipif(sys.platform != "linux", reason="no files of threads")
@pytest.mark.parametrize(
    ("arguments", "waits"),
    [
        ("0x7f00 0x189 0x0 0x0 0x0 0x0", True),
        ("0x7f00 0x89 0x0 0x7f10 0x0 0x0", False),
        ("0x7f00 0x80 0x2 0x0 0x0 0x0", False),
        ("0x7f00 0x0 0x2 0x0 0x0 0x0", False),
        ("0x7f00 0x80 0xffffffffffffffff 0x0 0x0 0x0", True),
    ],
    ids=["semaphore", "with a time-out", "private lock", "shared lock", "semaphore of musl"],
)
def test_what_a_thread_waits_for(
    monkeypatch: pytest.MonkeyPatch, arguments: str, waits: bool
) -> None:
    """A lock of the C library is one that is had in a moment, by a thread that has been woken."""
    call = [threads_of_loops._FUTEX, *arguments.split()]
    monkeypatch.setattr(threads_of_loops, "_system_call", lambda thread: call)
    assert threads_of_loops.waits_for_a_lock(threading.current_thread()) is waits
