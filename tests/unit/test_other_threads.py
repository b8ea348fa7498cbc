"""What is known of the threads beside that of a loop."""

from __future__ import annotations

import _thread
import asyncio
import functools
import multiprocessing
import queue
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from aldente import _python_compat
from aldente._runner import threads
from aldente._runner.bystanders import Bystanders
from aldente._runner.threads import Threads, can_only_wait


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


def test_a_thread_with_the_identifier_of_one_that_has_ended_is_none() -> None:
    """What `threading` knows is not the thread that it did not know when bystanders were noted."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(60,))
    # As of a thread that has ended by now, whose identifier the system gives to the next one.
    thread.start()
    identifier = thread.ident
    assert identifier is not None
    release.set()
    thread.join()
    bystanders = Bystanders([identifier])
    assert identifier in bystanders
    release.clear()
    next_ones = [threading.Thread(target=release.wait, args=(60,)) for _ in range(100)]
    for each in next_ones:
        each.start()
    given = [each.ident for each in next_ones]
    is_bystander = identifier in bystanders
    release.set()
    for each in next_ones:
        each.join()
    if identifier not in given:
        pytest.skip("this system gives no thread the identifier of another")
    assert not is_bystander


def start_outside_of_threading(function: Callable[[], object]) -> None:
    """Run a function in a thread that `threading` does not start, as one of a library in C.

    Returns when `threading` has noted it.
    """
    is_noted = threading.Event()

    def run() -> None:
        threading.current_thread()
        is_noted.set()
        function()

    _thread.start_new_thread(run, ())
    assert is_noted.wait(60)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows it")
def test_a_foreign_thread_that_has_ended_calls_in_no_more() -> None:
    """Before CPython 3.13 `threading` lists it for ever, or takes the next one for it."""
    loop = asyncio.new_event_loop()
    # Plugins of pytest have threads; those that have ended may be listed too.
    others = Threads(loop, Bystanders(sys._current_frames()))
    loop.close()
    for _ in range(2):
        assert others.is_alone()
        release = threading.Event()
        start_outside_of_threading(functools.partial(release.wait, 60))
        try:
            assert not others.is_alone()
            assert others.may_ever_call_in()
        finally:
            release.set()
        # The system's thread ends a moment later.
        end = time.monotonic() + 60
        while not others.is_alone():
            assert time.monotonic() < end
        assert not others.may_ever_call_in()


def test_another_thread_has_the_identifier_of_a_bystander() -> None:
    """Before CPython 3.13 a thread that `threading` did not start counts as alive for ever."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(60,))
    thread.start()
    assert thread.ident is not None
    bystanders = Bystanders([thread.ident])
    active = _python_compat._ACTIVE_THREADS
    # As if it had ended, and the system had given its identifier to a new one.
    active[thread.ident] = threading.Thread()
    try:
        assert thread.ident not in bystanders
    finally:
        active[thread.ident] = thread
        release.set()
        thread.join()


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


class Slots:
    """An object without a dict."""

    __slots__ = ("lock",)

    def __init__(self, lock: threading.Lock) -> None:
        self.lock = lock


class Waits:
    """Ways to wait for another thread, or not only for one, and what ends them.

    Attributes:
        queue: it is empty.
        lock: it is taken.
        slots: has the lock too.
        semaphore: other processes may have it too; it is taken.
    """

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.lock.acquire()
        self.semaphore = multiprocessing.get_context("spawn").Semaphore(0)
        self.slots = Slots(self.lock)

    def get(self) -> None:
        self.queue.get()

    def get_of_variable(self) -> None:
        waited = self.queue
        while waited.get():
            pass

    def enter(self) -> None:
        with self.lock:
            self.lock.acquire(blocking=False)

    def acquire(self) -> None:
        self.lock.acquire()

    def enter_slot(self) -> None:
        with self.slots.lock:
            self.lock.acquire(blocking=False)

    def acquire_while_holding(self) -> None:
        """Another process may release what it waits for."""
        lock = threading.Lock()
        with lock:
            self.semaphore.acquire()

    def acquire_either(self) -> None:
        lock = self.lock
        (self.semaphore if lock.locked() else lock).acquire()

    def get_with_time_out(self) -> None:
        self.queue.get(timeout=60)

    def acquire_with_time_out(self) -> None:
        self.lock.acquire(timeout=60)

    def compute(self) -> None:
        while self.queue.empty():
            pass
        self.queue.get()

    def end(self) -> None:
        """Have all who wait go on."""
        self.queue.put(0)
        self.lock.release()
        self.semaphore.release()


FOR_EVER = [
    lambda waits: waits.get,
    lambda waits: waits.get_of_variable,
    lambda waits: waits.enter,
    lambda waits: waits.enter_slot,
    lambda waits: waits.acquire,
    lambda waits: waits.queue.get,
    lambda waits: waits.lock.acquire,
    lambda waits: functools.partial(waits.queue.get),
]
NOT_FOR_EVER = [
    lambda waits: waits.get_with_time_out,
    lambda waits: waits.acquire_with_time_out,
    lambda waits: waits.compute,
    lambda waits: waits.acquire_while_holding,
    lambda waits: waits.acquire_either,
    lambda waits: functools.partial(waits.queue.get, timeout=60),
    lambda waits: functools.partial(waits.lock.acquire, True, 60),
]


def frame_when(thread: threading.Thread, is_there: Callable[[Any], bool]) -> Any:
    """The frame of a thread once it has come to where it stays; the one after a while else."""
    end = time.monotonic() + 60
    while True:
        frame = sys._current_frames().get(thread.ident or 0)
        if is_there(frame) or time.monotonic() > end:
            return frame


@pytest.mark.parametrize("in_job", [False, True], ids=["thread", "job"])
@pytest.mark.parametrize("way", FOR_EVER)
def test_waits_in_c(way: Callable[[Waits], Callable[[], object]], in_job: bool) -> None:
    """A thread that waits in C, where it has no frame, can only wait too; also as asyncio's job."""
    waits = Waits()
    with ThreadPoolExecutor(1) as executor:
        thread = threading.Thread(target=way(waits))
        if in_job:
            executor.submit(functools.partial(copy_context().run, way(waits)))
            (thread,) = executor._threads
        else:
            thread.start()
        try:
            assert can_only_wait(frame_when(thread, can_only_wait))
        finally:
            waits.end()
            if not in_job:
                thread.join()


@pytest.mark.parametrize("in_job", [False, True], ids=["thread", "job"])
@pytest.mark.parametrize("way", NOT_FOR_EVER)
def test_what_goes_on_by_itself(way: Callable[[Waits], Callable[[], object]], in_job: bool) -> None:
    """A thread with a time-out, or with work to do, is never taken for one that can only wait."""
    waits = Waits()
    with ThreadPoolExecutor(1) as executor:
        thread = threading.Thread(target=way(waits))
        if in_job:
            executor.submit(functools.partial(copy_context().run, way(waits)))
            (thread,) = executor._threads
        else:
            thread.start()
        try:
            for _ in range(50):
                frame = sys._current_frames().get(thread.ident or 0)
                # Until it has begun, an executor's thread has no job.
                if frame is not None and frame.f_code.co_name != "_worker":
                    assert not can_only_wait(frame) or frame.f_code.co_name == "wait"
                time.sleep(0)
        finally:
            waits.end()
            if not in_job:
                thread.join()


def test_a_thread_that_waits_for_the_end_of_another() -> None:
    """Waiting for a thread to end is waiting; with a time-out it is not."""
    waits = Waits()
    awaited = threading.Thread(target=waits.get)
    awaited.start()
    joins = threading.Thread(target=awaited.join)
    joins_for_a_while = threading.Thread(target=awaited.join, args=(60,))
    joins.start()
    joins_for_a_while.start()
    try:
        assert can_only_wait(frame_when(joins, can_only_wait))
        there = frame_when(
            joins_for_a_while,
            lambda frame: (
                frame is not None and frame.f_code.co_name in ("join", "_wait_for_tstate_lock")
            ),
        )
        assert not can_only_wait(there)
    finally:
        waits.end()
        for thread in (joins, joins_for_a_while, awaited):
            thread.join()


def test_a_worker_of_the_programs() -> None:
    """A function that has the name of that of executors' threads is none of theirs."""
    namespace: dict[str, Any] = {"sys": sys}
    exec(
        compile("def _worker(): return sys._getframe()", "/tests/test_my_thread.py", "exec"),
        namespace,
    )
    assert not can_only_wait(namespace["_worker"]())
    with ThreadPoolExecutor(1) as executor:
        executor.submit(int).result()
        (thread,) = executor._threads
        assert can_only_wait(frame_when(thread, can_only_wait))


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
    call = [threads.FUTEX, *arguments.split()]
    monkeypatch.setattr(threads, "system_call", lambda thread: call)
    assert threads.waits_for_a_lock(threading.current_thread()) is waits


@pytest.mark.skipif(sys.platform != "linux", reason="no files of threads")
@pytest.mark.parametrize(("state", "waits"), [("S", True), ("R", False)], ids=["asleep", "woken"])
def test_a_woken_thread_does_not_wait(
    monkeypatch: pytest.MonkeyPatch, state: str, waits: bool
) -> None:
    """A woken thread that no processor runs yet still has its system call, for some milliseconds."""
    files = {
        "stat": f"7 (Thread-1 (R) S) {state} 1 7 7 0 -1",
        "syscall": f"{threads.FUTEX} 0x7f00 0x189 0x0 0x0 0x0 0x0",
    }
    monkeypatch.setattr(threads, "_file_of", lambda thread, name: files[name])
    assert threads.waits_for_a_lock(threading.current_thread()) is waits


@pytest.mark.skipif(sys.platform != "linux", reason="no files of threads")
def test_a_look_reads_each_file_of_a_thread_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than all else of a look, and a run of a program with a database has hundreds."""
    read: list[tuple[int | None, str]] = []
    file_of = threads._file_of

    def note(thread: threading.Thread, name: str) -> str:
        read.append((thread.native_id, name))
        return file_of(thread, name)

    loop = asyncio.new_event_loop()
    others = Threads(loop, Bystanders(sys._current_frames()))
    loop.close()
    jobs: queue.SimpleQueue[None] = queue.SimpleQueue()
    idle = threading.Thread(target=jobs.get)
    idle.start()
    while others.may_ever_call_in():
        time.sleep(0.001)
    monkeypatch.setattr(threads, "_file_of", note)
    assert not others.may_ever_call_in()
    jobs.put(None)
    idle.join()
    assert read == [(idle.native_id, "stat"), (idle.native_id, "syscall")]
