"""Threads of jobs in simulated runs: what they do does not depend on how fast they are."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

import pytest

import aldente
from aldente import _system
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._runner import threads
from aldente._simulation import turns
from aldente._simulation.foreign_threads import ForeignThreads
from aldente._strategies.fifo import Fifo

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="no files of threads"),
    # Steps wait for threads.
    aldente.allow("blocking-call"),
]

Main = Callable[[], Coroutine[Any, Any, object]]


def until(condition: Callable[[], object]) -> None:
    """Wait in real time until something is so."""
    end = _system.monotonic() + 60
    while not condition():
        assert _system.monotonic() < end
        _system.sleep(0.0001)


def run(main: Main) -> Run:
    """Run a program in stock order, and have it not fail."""
    strategy = Fifo()
    strategy.start()
    result = simulate(main, strategy, RunSettings(), is_compared=True)
    if result.error is not None:
        raise result.error
    return result


def assert_same_runs(main: Callable[[bool], Coroutine[Any, Any, list[object]]]) -> list[object]:
    """Compare two runs of a program, and return its result.

    Args:
        main: the program; the argument says whether a thread, or a look, takes long.
    """
    fast, slow = (run(functools.partial(main, is_slow)) for is_slow in (False, True))
    assert slow.result == fast.result
    assert (slow.choices, slow.counts) == (fast.choices, fast.counts)
    assert slow.fingerprint == fast.fingerprint
    result: list[object] = fast.result
    return result


# As it is before a test replaces it.
_system_call = threads.system_call


def has_called_in(thread: threading.Thread) -> bool:
    """Whether a thread has called in on the loop, and waits for its turn."""
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)
    is_in_call = False
    while frame is not None:
        is_in_call = is_in_call or frame.f_code.co_name == "call_soon_threadsafe"
        frame = frame.f_back
    return is_in_call and threads.is_in_futex(thread)


class Looks:
    """The looks at threads, which a test may have take long."""

    def __init__(self) -> None:
        self.count = 0
        self.before: Callable[[threading.Thread], object] | None = None

    def system_call(self, thread: threading.Thread) -> list[str]:
        """As the original, after what is to come before."""
        if threading.current_thread() is threading.main_thread():
            self.count += 1
            if self.before is not None:
                self.before(thread)
        return _system_call(thread)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Looks]:
    """The looks of a test."""
    found = Looks()
    monkeypatch.setattr(threads, "system_call", found.system_call)
    yield found
    found.before = None


async def count_steps(noted: list[object]) -> None:
    """Take some steps beside jobs."""
    for number in range(6):
        noted.append(number)
        await asyncio.sleep(0)


def test_a_look_may_take_long(looks: Looks) -> None:
    """A woken thread that gives its turn back in the middle of a look is noticed by that look."""

    async def main(is_slow: bool) -> list[object]:
        loop = asyncio.get_running_loop()
        noted: list[object] = []
        answer: concurrent.futures.Future[None] = concurrent.futures.Future()
        has_gone_on, may_call_in = threading.Event(), threading.Event()
        workers: list[threading.Thread] = []
        at: list[int] = []

        def look(thread: threading.Thread) -> None:
            if thread in workers and has_gone_on.is_set() and not may_call_in.is_set():
                at.append(looks.count)
                if not is_slow or len(at) == 2:
                    may_call_in.set()
                    until(lambda: has_called_in(thread))

        def work() -> None:
            workers.append(threading.current_thread())
            loop.call_soon_threadsafe(wake)
            answer.result()
            has_gone_on.set()
            # It runs, and does not wait for a lock.
            until(may_call_in.is_set)
            loop.call_soon_threadsafe(noted.append, "job")

        def wake() -> None:
            answer.set_result(None)
            until(has_gone_on.is_set)

        looks.before = look
        await asyncio.gather(asyncio.to_thread(work), count_steps(noted))
        assert len(at) == (2 if is_slow else 1)
        return noted

    assert_same_runs(main)


@pytest.mark.parametrize("is_fast", [False, True])
def test_a_thread_that_runs_beside_a_step(is_fast: bool) -> None:
    """What a woken thread calls in comes after the step that woke it, even if it is fast."""

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        noted: list[object] = []
        answer: concurrent.futures.Future[None] = concurrent.futures.Future()
        workers: list[threading.Thread] = []

        def work() -> None:
            workers.append(threading.current_thread())
            loop.call_soon_threadsafe(wake)
            answer.result()
            loop.call_soon_threadsafe(noted.append, "job")

        def wake() -> None:
            answer.set_result(None)
            if is_fast:
                until(lambda: has_called_in(workers[0]))
            loop.call_soon(noted.append, "callback")

        await asyncio.to_thread(work)
        return noted

    assert run(main).result == ["callback", "job"]


def test_a_notified_thread_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread whose wait has a time-out rests until it is notified, though it waits for the GIL."""
    condition = threading.Condition()
    is_waiting = threading.Event()

    def wait() -> None:
        with condition:
            is_waiting.set()
            assert condition.wait(60)

    thread = threading.Thread(target=wait)
    thread.start()
    is_waiting.wait()
    with condition:
        # A wait for the GIL looks like this too.
        call = [threads.FUTEX, "0x7f00", "0x189", "0x0", "0x7f10"]
        monkeypatch.setattr(threads, "system_call", lambda thread: call)
        before = turns.rest_of(thread)
        condition.notify()
        # It can't leave the wait until the condition is released.
        after = turns.rest_of(thread)
    thread.join()
    assert before is not None
    assert before.call == ()
    assert after is None


def test_a_thread_that_hands_the_gil_over_does_not_rest_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look that finds a thread in another wait for a lock than before takes it to have woken."""
    turn = turns.Turn()
    turn.thread = threading.current_thread()
    call = [threads.FUTEX, "0x7f00", "0x189", "0x0", "0x0"]
    monkeypatch.setattr(threads, "system_call", lambda thread: call)
    assert not turn.comes_back(lambda: False, lambda looks: False)
    assert not turn.has_woken()
    call[1] = "0x55aa"
    assert turn.has_woken()


def test_a_thread_that_wakes_another(looks: Looks) -> None:
    """Threads go on in the order of their jobs, even if the later job has woken the earlier one."""

    async def main(is_late: bool) -> list[object]:
        loop = asyncio.get_running_loop()
        noted: list[object] = []
        answer: concurrent.futures.Future[None] = concurrent.futures.Future()
        is_first_to_go = threading.Event()
        has_gone_on, may_go_on = threading.Event(), threading.Event()
        workers: dict[str, threading.Thread] = {}

        def first() -> None:
            workers["first"] = threading.current_thread()
            is_first_to_go.wait()
            loop.call_soon_threadsafe(noted.append, "first")

        def second() -> None:
            workers["second"] = threading.current_thread()
            loop.call_soon_threadsafe(wake)
            answer.result()
            has_gone_on.set()
            until(may_go_on.is_set)
            is_first_to_go.set()
            until(lambda: has_called_in(workers["first"]))
            loop.call_soon_threadsafe(noted.append, "second")

        def look(thread: threading.Thread) -> None:
            # The first job was looked at before.
            if has_gone_on.is_set() and thread is workers.get("second"):
                may_go_on.set()

        def wake() -> None:
            answer.set_result(None)
            until(has_gone_on.is_set)
            if not is_late:
                may_go_on.set()
                until(lambda: has_called_in(workers["second"]))

        looks.before = look
        await asyncio.gather(*map(asyncio.to_thread, [first, second]), count_steps(noted))
        return noted

    result = assert_same_runs(main)
    assert result.index("first") < result.index("second")


def test_a_slow_thread_that_a_job_has_started(looks: Looks) -> None:
    """A job that waits for a thread of its own keeps the turn while that thread runs."""

    async def main(is_slow: bool) -> list[object]:
        loop = asyncio.get_running_loop()
        noted: list[object] = []

        def take_long() -> None:
            end = looks.count + 10 * is_slow
            # Without a pause, in which it would not run.
            while looks.count < end:
                pass

        def work() -> None:
            thread = threading.Thread(target=take_long)
            thread.start()
            thread.join()
            loop.call_soon_threadsafe(noted.append, "job")

        await asyncio.gather(asyncio.to_thread(work), count_steps(noted))
        return noted

    assert_same_runs(main)


def test_a_slow_thread_of_another_job(looks: Looks) -> None:
    """A job that waits for a job that it has woken keeps the turn while that one is on its way."""

    async def main(is_slow: bool) -> list[object]:
        loop = asyncio.get_running_loop()
        noted: list[object] = []
        asked, answered = threading.Event(), threading.Event()

        def answer() -> None:
            asked.wait()
            end = looks.count + 10 * is_slow
            while looks.count < end:
                pass
            answered.set()
            loop.call_soon_threadsafe(noted.append, "answered")

        def ask() -> None:
            asked.set()
            answered.wait()
            loop.call_soon_threadsafe(noted.append, "asked")

        await asyncio.gather(*map(asyncio.to_thread, [answer, ask]), count_steps(noted))
        return noted

    assert_same_runs(main)


@pytest.mark.parametrize("has_timer", [False, True])
def test_a_job_whose_own_thread_takes_long(
    monkeypatch: pytest.MonkeyPatch, has_timer: bool
) -> None:
    """A job that waits for a thread of its own is no deadlock, and reaches no time-out."""
    is_waited_for = threading.Event()
    wait = ForeignThreads.wait

    def wait_for_it(self: ForeignThreads, *args: Any) -> bool:
        is_waited_for.set()
        return wait(self, *args)

    monkeypatch.setattr(ForeignThreads, "wait", wait_for_it)

    async def main() -> int:
        def work() -> int:
            # Longer than the loop waits for jobs alone, of which it knows no such thread.
            thread = threading.Thread(target=until, args=(is_waited_for.is_set,))
            thread.start()
            thread.join()
            return 7

        async with asyncio.timeout(1 if has_timer else None):
            return await asyncio.to_thread(work)

    assert run(main).result == 7


def test_a_job_that_polls_does_not_hold_the_loop_up() -> None:
    """A thread that looks again and again for something is taken to wait for it."""

    async def main() -> list[object]:
        noted: list[object] = []
        is_done = threading.Event()

        def poll() -> None:
            while not is_done.wait(0.05):
                pass
            noted.append("job")

        async def end() -> None:
            await count_steps(noted)
            await asyncio.sleep(3600)
            is_done.set()

        await asyncio.gather(asyncio.to_thread(poll), end())
        return noted

    assert run(main).result == [0, 1, 2, 3, 4, 5, "job"]


def test_a_job_sleeps_after_it_has_waited() -> None:
    """A woken thread that sleeps takes loop time, as one that has not waited."""

    async def main() -> float:
        loop = asyncio.get_running_loop()

        def work() -> None:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(60)
            time.sleep(3600)

        before = loop.time()
        await asyncio.to_thread(work)
        return loop.time() - before

    assert run(main).result == 3600
