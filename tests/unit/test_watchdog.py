"""The watchdog's thread: nobody meets it, it is gone while the process forks, and it ends."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from aldente import _own_errors, _python_compat
from aldente._own_errors import OwnError
from aldente._rules.watchdog import Look, RegularAlarm, Watchdog
from aldente._runner.bystanders import Bystanders
from aldente._runner.runner import LoopRunner
from aldente._runner.threads import Threads


@pytest.fixture(scope="module", autouse=True)
async def plugins_watchdog() -> None:
    """The plugin's own watchdog, which begins with the first loop of the process, has begun."""


class Recorder:
    """A watcher that keeps what it is shown."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.has_looked = threading.Event()

    def look(self, look: Look) -> None:
        self.looks.append(look)
        self.has_looked.set()


def number_of_threads() -> int:
    return len(_python_compat.get_frames_of_threads())


def run_in_a_process(code: str) -> None:
    """Run code in a process of its own, which is to end well and in silence."""
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")


def wait_for_number_of_threads(number: int) -> None:
    """Wait until there are so many threads; one is there for a moment after its last word."""
    end = time.monotonic() + 60
    while number_of_threads() != number:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_it_looks_at_running_loops() -> None:
    """While a loop runs, watchers are shown it with its runner and the frames of all threads."""
    recorder = Recorder()
    runner = LoopRunner()

    async def run() -> None:
        assert recorder.has_looked.wait(60)

    with Watchdog([recorder]).installed():
        runner.run(run(), context=contextvars.copy_context(), name="run")
    look = recorder.looks[0]
    assert (look.loop, look.run) == (runner.loop, runner)
    assert threading.get_ident() in look.frames
    # All threads but its own, and that of the watchdog which looks at this very test, if any.
    assert _python_compat.hidden_threads.isdisjoint(look.frames)
    assert len(look.frames) == number_of_threads() - len(_python_compat.hidden_threads)
    runner.close()


def test_a_finalizer_shows_its_thread_to_threading() -> None:
    """Code that the collector runs there may ask for the current thread, as logging does."""
    # Before CPython 3.13 ended threads of other tests may be listed, and be taken for this one.
    running = set(sys._current_frames())
    loop = asyncio.new_event_loop()
    others = Threads(loop, Bystanders(running))
    loop.close()
    shown, release = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def show() -> None:
        threads.append(threading.current_thread())
        shown.set()
        release.wait(60)

    hidden = _python_compat.HiddenThread(show)
    try:
        assert shown.wait(60)
        assert threads[0] in threading.enumerate()
        assert others.is_alone()
        assert not others.may_ever_call_in()
    finally:
        release.set()
        assert hidden.join(60)
    assert threads[0] not in threading.enumerate()


def test_nobody_meets_its_thread() -> None:
    """The thread is none of threading's, and it has ended when the watchdog is left."""
    threads, number = threading.enumerate(), number_of_threads()
    with Watchdog([]).installed():
        assert threading.enumerate() == threads
        assert threading.active_count() == len(threads)
    assert number_of_threads() == number


def test_starting_and_stopping_twice() -> None:
    """A second start or stop does nothing."""
    watchdog = Watchdog([])
    number = number_of_threads()
    watchdog.stop()
    watchdog.start()
    watchdog.start()
    watchdog.stop()
    watchdog.stop()
    assert number_of_threads() == number


def test_threads_that_start_and_stop_it_at_once() -> None:
    """As several threads do that fork: it ends with as many threads as before."""
    number = number_of_threads()
    watchdog = Watchdog([])

    def change() -> None:
        for _ in range(50):
            watchdog.stop()
            watchdog.start()

    threads = [threading.Thread(target=change, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    watchdog.stop()
    assert number_of_threads() == number


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_is_gone_while_the_process_forks() -> None:
    """A fork warns of no other thread, the parent is watched on, and the child can be watched anew."""
    code = """
import contextvars, os, threading, warnings
warnings.simplefilter("error")
from aldente._rules.watchdog import Watchdog
from aldente._runner.runner import LoopRunner
from tests.unit.test_watchdog import Recorder, number_of_threads

def is_watched(recorder):
    recorder.has_looked.clear()
    runner = LoopRunner()
    async def run():
        return recorder.has_looked.wait(30)
    try:
        return runner.run(run(), context=contextvars.copy_context(), name="run")
    finally:
        runner.close()

recorder = Recorder()
watchdog = Watchdog([recorder])
with watchdog.installed():
    assert is_watched(recorder)
    child = os.fork()
    if child == 0:
        assert number_of_threads() == 1
        watchdog.start()
        os._exit(0 if is_watched(recorder) else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert is_watched(recorder)
"""
    run_in_a_process(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_that_forks_is_looked_at_on() -> None:
    """The thread that is started anew after the fork looks at the run that goes on."""
    code = """
import contextvars, os
from aldente._rules.watchdog import Watchdog
from aldente._runner.runner import LoopRunner
from tests.unit.test_watchdog import Recorder

recorder = Recorder()
runner = LoopRunner()

async def run():
    assert recorder.has_looked.wait(30)
    child = os.fork()
    if child == 0:
        os._exit(0)
    recorder.has_looked.clear()
    assert recorder.has_looked.wait(30)

with Watchdog([recorder]).installed():
    runner.run(run(), context=contextvars.copy_context(), name="run")
runner.close()
"""
    run_in_a_process(code)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of its threads")
def test_it_has_ended_for_the_system_too() -> None:
    """When it has stopped, the system counts as many threads as before, every time."""
    number = len(os.listdir("/proc/self/task"))
    watchdog = Watchdog([])
    for _ in range(200):
        watchdog.start()
        watchdog.stop()
        assert len(os.listdir("/proc/self/task")) == number


# CPython 3.13.0 to 3.13.9 and 3.14.0 count threads that are started again after the fork.
COUNTS_TOO_LATE = (3, 13) <= sys.version_info < (3, 13, 10) or sys.version_info[:3] == (3, 14, 0)

FORKS = """
import contextvars, os, warnings
from aldente._rules.watchdog import Watchdog
from aldente._runner.runner import LoopRunner
from tests.unit.test_watchdog import COUNTS_TOO_LATE, Recorder

recorder = Recorder()
runner = LoopRunner()

def fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

async def run(then):
    recorder.has_looked.clear()
    assert recorder.has_looked.wait(30)
    then()

def start(then):
    runner.run(run(then), context=contextvars.copy_context(), name="run")

# Not as errors, which Python keeps to itself before 3.15.
with warnings.catch_warnings(record=True) as found, Watchdog([recorder]).installed():
    warnings.simplefilter("always")
    for _ in range(20):
        {forks}
runner.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_between_runs() -> None:
    """Python warns of no other thread when the process forks after a run that was looked at."""
    run_in_a_process(FORKS.format(forks="start(lambda: None); fork()") + "assert found == []")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.skipif(COUNTS_TOO_LATE, reason="this Python counts what is started after the fork")
def test_forks_in_runs() -> None:
    """Python warns of no other thread when the process forks in a run that was looked at."""
    run_in_a_process(FORKS.format(forks="start(fork)") + "assert found == []")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_signal_handler_that_forks_while_it_stops() -> None:
    """A fork that interrupts the beginning of another one does not wait for it, for ever."""
    code = """
import os, signal, time
from aldente._rules.watchdog import Watchdog
from tests.unit.test_watchdog import Recorder

forks = []

def fork(*arguments):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    forks.append(child)

signal.signal(signal.SIGALRM, fork)
watchdog = Watchdog([Recorder()])
with watchdog.installed():
    for number in range(50):
        with watchdog._changing:
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            # Not signal.pause(), which the signal may come before.
            while len(forks) == number:
                time.sleep(0.0001)
"""
    run_in_a_process(code)


class MadeUpAlarm:
    """An alarm that rings when the test says so, and notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_deaf = False
        self.is_lost = False
        self._rings = threading.Semaphore(0)
        self._waits = threading.Semaphore(0)

    def ring(self) -> None:
        """Ring, and wait until what follows is done and the thread waits again."""
        self._rings.release()
        assert self._waits.acquire(timeout=60)

    def wait_for_thread(self) -> None:
        """Wait until the thread waits for the first time."""
        assert self._waits.acquire(timeout=60)

    def wait(self) -> None:
        """Wait for the ring."""
        self._waits.release()
        self._rings.acquire()

    def expect(self, *, is_only: bool) -> bool:
        """Note it."""
        self.asked.append("expect" if is_only else "expect beside others")
        return not self.is_lost

    def repeat(self) -> None:
        """Note it."""
        self.asked.append("repeat")

    def stop(self) -> bool:
        """Ring, unless nobody hears it."""
        if not self.is_deaf:
            self._rings.release()
        return not self.is_deaf

    def close(self) -> None:
        """Note it."""
        self.asked.append("close")


@pytest.fixture
def alarm(monkeypatch: pytest.MonkeyPatch) -> MadeUpAlarm:
    """The alarm of the next watchdog."""
    alarm = MadeUpAlarm()
    monkeypatch.setattr("aldente._rules.watchdog.make_alarm", lambda: alarm)
    return alarm


def test_what_it_asks_its_alarm(alarm: MadeUpAlarm) -> None:
    """To ring for a run that begins, and again as long as one goes on."""
    recorder, runner = Recorder(), LoopRunner()

    async def run() -> None:
        assert alarm.asked == ["expect"]
        alarm.ring()
        alarm.ring()
        assert alarm.asked == ["expect", "repeat", "repeat"]

    with Watchdog([recorder]).installed():
        alarm.wait_for_thread()
        # Once at its start, as a run may be going on then.
        assert alarm.asked == ["repeat"]
        alarm.asked.clear()
        runner.run(run(), context=contextvars.copy_context(), name="run")
        alarm.asked.clear()
        # It was for a run that is over.
        alarm.ring()
        assert alarm.asked == []
    assert alarm.asked == ["close"]
    assert len(recorder.looks) == 2
    runner.close()


def test_a_run_beside_another(alarm: MadeUpAlarm) -> None:
    """Runs that begin beside others say so, lest they put off the look at those."""
    long_run, short_run = LoopRunner(), LoopRunner()

    def run(runner: LoopRunner, coroutine: Coroutine[Any, Any, None]) -> None:
        runner.run(coroutine, context=contextvars.copy_context(), name="run")

    async def short() -> None:
        pass

    async def long() -> None:
        await asyncio.to_thread(run, short_run, short())

    with Watchdog([Recorder()]).installed():
        alarm.asked.clear()
        run(long_run, long())
    assert alarm.asked == ["expect", "expect beside others", "close"]
    long_run.close()
    short_run.close()


def test_an_alarm_that_is_lost(alarm: MadeUpAlarm, monkeypatch: pytest.MonkeyPatch) -> None:
    """When somebody has closed its descriptor, another alarm wakes another thread."""
    recorder, runner = Recorder(), LoopRunner()

    async def run() -> None:
        assert recorder.has_looked.wait(60)

    number = number_of_threads()
    with Watchdog([recorder]).installed():
        alarm.is_lost = True
        monkeypatch.undo()
        runner.run(run(), context=contextvars.copy_context(), name="run")
    runner.close()
    # Its thread waits still, and would for ever.
    wait_for_number_of_threads(number + 1)
    alarm.stop()
    wait_for_number_of_threads(number)


def test_nobody_hears_that_it_stops(alarm: MadeUpAlarm, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait then for a thread that may sleep for ever, and can be started again."""
    number = number_of_threads()
    alarm.is_deaf = True
    watchdog = Watchdog([])
    watchdog.start()
    # In a thread, so that the test fails, rather than hangs, when it waits.
    stopping = threading.Thread(target=watchdog.stop, daemon=True)
    stopping.start()
    stopping.join(60)
    assert not stopping.is_alive()
    wait_for_number_of_threads(number + 1)
    monkeypatch.setattr("aldente._rules.watchdog.make_alarm", MadeUpAlarm)
    watchdog.start()
    watchdog.stop()
    alarm.is_deaf = False
    alarm.stop()
    wait_for_number_of_threads(number)


def test_an_alarm_that_is_lost_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that does not hear that it is to end is waited for only so long."""
    alarm = MadeUpAlarm()
    number = number_of_threads()
    with monkeypatch.context() as patch:
        patch.setattr("aldente._rules.watchdog.make_alarm", lambda: alarm)
        patch.setattr("aldente._rules.watchdog.END_LIMIT", 0.01)
        patch.setattr(alarm, "stop", lambda: True)
        watchdog = Watchdog([])
        watchdog.start()
        stopping = threading.Thread(target=watchdog.stop, daemon=True)
        stopping.start()
        stopping.join(60)
        assert not stopping.is_alive()
    alarm.stop()
    wait_for_number_of_threads(number)


def test_the_time_of_a_look() -> None:
    """A look tells its time by time.monotonic, by which deadlines of runs are given."""
    recorder = Recorder()
    runner = LoopRunner()

    async def run() -> None:
        assert recorder.has_looked.wait(60)

    before = time.monotonic()
    with Watchdog([recorder]).installed():
        runner.run(run(), context=contextvars.copy_context(), name="run")
    assert before <= recorder.looks[0].now <= time.monotonic()
    runner.close()


class Raiser(Recorder):
    """A watcher that fails when it is shown a loop."""

    def look(self, look: Look) -> None:
        super().look(look)
        raise ValueError("broken")


class Closer(Recorder):
    """A watcher on whose look the loop is closed meanwhile, by the thread that it belongs to."""

    def look(self, look: Look) -> None:
        super().look(look)
        look.loop.close()
        look.loop.call_soon_threadsafe(print)


def test_a_watcher_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a watcher is told; it and the others go on with the next loop."""
    told: list[OwnError] = []
    monkeypatch.setattr(_own_errors, "listeners", [told.append])
    raiser, recorder = Raiser(), Recorder()
    watchdog = Watchdog([raiser, recorder])
    runner = LoopRunner()
    for _ in range(2):
        watchdog._look([(runner.loop, runner)])
    assert (len(raiser.looks), len(recorder.looks)) == (2, 2)
    assert [(each.doing, each.summary) for each in told] == [
        ("looking at a running loop", "ValueError: broken")
    ] * 2
    runner.close()


def test_a_loop_that_is_closed_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    """A watcher that fails because the loop was closed meanwhile is asked again, without a word."""
    closer = Closer()
    watchdog = Watchdog([closer])
    for _ in range(2):
        runner = LoopRunner()
        watchdog._look([(runner.loop, runner)])
    assert len(closer.looks) == 2
    assert capsys.readouterr().err == ""


def test_runs_of_others() -> None:
    """A watchdog that is told which runs to look at looks at no others."""
    mine, other = LoopRunner(), LoopRunner()
    of_mine, of_all = Recorder(), Recorder()

    async def wait_for(recorder: Recorder, times: int = 1) -> None:
        for _ in range(times):
            recorder.has_looked.clear()
            assert recorder.has_looked.wait(60)

    with (
        Watchdog([of_mine], lambda run: run is mine).installed(),
        Watchdog([of_all]).installed(),
    ):
        other.run(wait_for(of_all, 4), context=contextvars.copy_context(), name="other")
        assert of_mine.looks == []
        mine.run(wait_for(of_mine), context=contextvars.copy_context(), name="mine")
    assert {look.run for look in of_mine.looks} == {mine}
    mine.close()
    other.close()


class WithFiles(Recorder):
    """A watcher that records which thread opens and closes its files."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[int] = []
        self.closed: list[int] = []

    def on_thread_start(self) -> None:
        self.opened.append(threading.get_native_id())

    def on_thread_end(self) -> None:
        self.closed.append(threading.get_native_id())


def test_watchers_with_files() -> None:
    """Files are open when the start returns, and closed when the end does, on the watchdog's thread."""
    watcher = WithFiles()
    watchdog = Watchdog([Recorder(), watcher])
    for number in (1, 2):
        watchdog.start()
        assert len(watcher.opened) == number
        assert len(watcher.closed) == number - 1
        watchdog.stop()
        assert watcher.closed == watcher.opened
    assert threading.get_native_id() not in watcher.opened


class LostAlarm(RegularAlarm):
    """An alarm that knows, when a run begins, that it can't ring in time."""

    def expect(self, *, is_only: bool) -> bool:
        return False


def test_files_after_the_alarm_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that lost its alarm does not close the files of the one that takes its place."""
    alarms = iter([LostAlarm(), RegularAlarm()])
    monkeypatch.setattr("aldente._rules.watchdog.make_alarm", lambda: next(alarms))
    watcher = WithFiles()
    runner = LoopRunner()
    with Watchdog([watcher]).installed():
        runner.run(asyncio.sleep(0.2), context=contextvars.copy_context(), name="run")
        first, second = watcher.opened
        assert watcher.closed == []
    assert watcher.closed == [second]
    assert first != second
    runner.close()


def test_a_watcher_that_cannot_open_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error as files are opened is reported; the thread looks at loops all the same."""

    class Raises(WithFiles):
        def on_thread_start(self) -> None:
            raise LookupError("no files here")

    told: list[OwnError] = []
    monkeypatch.setattr(_own_errors, "listeners", [told.append])
    watcher = Raises()
    runner = LoopRunner()

    async def run() -> None:
        assert watcher.has_looked.wait(60)

    with Watchdog([watcher]).installed():
        runner.run(run(), context=contextvars.copy_context(), name="run")
    runner.close()
    assert [(each.doing, each.summary) for each in told] == [
        ("opening or closing files of a rule", "LookupError: no files here")
    ]
