"""Hangs end by themselves and name their culprit: the rule deadlock, time limits, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject, SetConstant
from tests.plugin.rules import part_of
from tests.plugin.test_ending import wait_for

# Runs are in processes of their own here: one that hangs after all is ended with its process.

DEADLOCKS = """
import asyncio
import pytest

async def test_lost_wake_up():
    event = asyncio.Event()
    await event.wait()

async def test_lock_cycle():
    one, two = asyncio.Lock(), asyncio.Lock()

    async def take(first, second):
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    left = asyncio.create_task(take(one, two), name="left")
    right = asyncio.create_task(take(two, one), name="right")
    await asyncio.gather(left, right)

async def test_condition():
    condition = asyncio.Condition()
    async with condition:
        await condition.wait()

async def test_queue():
    queue = asyncio.Queue()
    await queue.get()

async def test_circle():
    tasks = {}

    async def wait_for_other(name):
        await tasks[name]

    tasks["left"] = asyncio.create_task(wait_for_other("right"), name="left")
    tasks["right"] = asyncio.create_task(wait_for_other("left"), name="right")
    await tasks["left"]

@pytest.fixture
async def resource():
    yield
    print("torn down")

async def test_is_torn_down(resource):
    await asyncio.get_running_loop().create_future()

async def test_next():
    pass
"""


@pytest.mark.usefixtures("quick_deadlocks")
def test_every_kind_of_deadlock(run_project: RunProject) -> None:
    """A lost wake-up, a lock cycle, a condition, a queue and a circle each end with the culprit."""
    result = run_project("-n0", "-q", plugins=["xdist"], subprocess=True, test_it=DEADLOCKS)
    result.assert_outcomes(failed=6, passed=1)
    assert result.duration < 20
    text = result.stdout.str()
    for name, culprit in {
        "test_lost_wake_up": "test_it.py:6: 'test_lost_wake_up' waits for event (an Event) to be set.",
        "test_lock_cycle": "test_it.py:14: 'left' waits for second (Lock 1), held by 'right', which waits for second (Lock 2), held by 'left'.",
        "test_condition": "test_it.py:24: 'test_condition' waits for condition (a Condition) to be notified.",
        "test_queue": "test_it.py:28: 'test_queue' waits for an item from queue (a Queue), which is empty.",
        "test_circle": "test_it.py:34: 'left' waits for 'right', which waits for 'left'.",
    }.items():
        assert (
            f"Deadlock: for 0.2 s nothing could happen any more while '{name}' was running" in text
        )
        assert culprit in text
    result.stdout.fnmatch_lines(["*- Captured stdout teardown -*", "torn down"])


WAKEABLE = """
import asyncio
import os
import signal
import socket
import threading
import time
import pytest

# Longer than a deadlock must last.
LONG = 0.4

async def test_thread():
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def wake():
        time.sleep(LONG)
        loop.call_soon_threadsafe(event.set)

    thread = threading.Thread(target=wake)
    thread.start()
    await event.wait()
    thread.join()

async def test_executor():
    await asyncio.to_thread(time.sleep, LONG)

async def test_child():
    process = await asyncio.create_subprocess_exec("sleep", str(LONG))
    assert await process.wait() == 0

async def test_connection():
    left, right = socket.socketpair()
    right.setblocking(False)

    def send():
        time.sleep(LONG)
        left.send(b"x")

    with left, right:
        sender = threading.Thread(target=send)
        sender.start()
        assert await asyncio.get_running_loop().sock_recv(right, 1) == b"x"
        sender.join()

async def test_signal():
    event = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, event.set)
    signal.setitimer(signal.ITIMER_REAL, LONG)
    await event.wait()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGALRM)

async def test_timer():
    await asyncio.sleep(LONG)
"""

# Code of the program's that looks like Python's own.
MY_THREAD = """
import time

def _worker(loop, event):
    time.sleep(0.4)
    loop.call_soon_threadsafe(event.set)
"""

WAKEABLE_ON_BOTH_CLOCKS = """
import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import aldente
import my_thread

pytestmark = [aldente.virtual_time] if VIRTUAL else []
LONG = 0.4

async def test_signal_of_another_process():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(event.set))
    code = f"import os, time; time.sleep({LONG}); os.kill(os.getppid(), {int(signal.SIGUSR1)})"
    with subprocess.Popen([sys.executable, "-c", code]):
        await event.wait()
    signal.signal(signal.SIGUSR1, before)

async def test_alarm():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    before = signal.signal(signal.SIGALRM, lambda *_: loop.call_soon_threadsafe(event.set))
    signal.setitimer(signal.ITIMER_REAL, LONG)
    async with asyncio.timeout(60):
        await event.wait()
    signal.signal(signal.SIGALRM, before)

async def test_semaphore_of_another_process():
    context = multiprocessing.get_context("fork")
    semaphore, lock = context.Semaphore(0), threading.Lock()

    def wait():
        with lock:
            semaphore.acquire()

    def release():
        time.sleep(LONG)
        semaphore.release()

    child = context.Process(target=release)
    child.start()
    await asyncio.to_thread(wait)
    child.join()

async def test_worker_of_its_own():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    thread = threading.Thread(target=my_thread._worker, args=(loop, event))
    thread.start()
    await event.wait()
    thread.join()
"""


@pytest.mark.usefixtures("quick_deadlocks")
@pytest.mark.skipif(os.name == "nt", reason="signals and socket pairs of POSIX")
def test_what_could_still_wake_the_loop(run_project: RunProject) -> None:
    """No deadlock is reported while a thread, job, child, connection, signal or timer may come."""
    result = run_project("-q", subprocess=True, test_it=WAKEABLE)
    result.assert_outcomes(passed=6)


@pytest.mark.usefixtures("quick_deadlocks")
@pytest.mark.skipif(os.name == "nt", reason="signals and forks of POSIX")
@pytest.mark.parametrize("is_virtual", [False, True], ids=["real", "virtual"])
def test_what_could_still_wake_the_loop_on_both_clocks(
    run_project: RunProject, is_virtual: bool
) -> None:
    """No deadlock is reported while another process or any thread of the program's may end a wait."""
    # Python warns of forks with threads.
    project = WAKEABLE_ON_BOTH_CLOCKS.replace("VIRTUAL", str(is_virtual))
    result = run_project(
        "-q", "-Wignore::DeprecationWarning", subprocess=True, my_thread=MY_THREAD, test_it=project
    )
    result.assert_outcomes(passed=4)


@pytest.mark.usefixtures("quick_deadlocks")
@pytest.mark.skipif(os.name == "nt", reason="signals and socket pairs of POSIX")
def test_deadlocks_under_xdist(run_project: RunProject) -> None:
    """In a worker of pytest-xdist, whose own threads wake no loop, a deadlock is found all the same."""
    project = (
        WAKEABLE.partition("async def test_child")[0]
        + DEADLOCKS.partition("async def test_lock_cycle")[0]
    )
    result = run_project("-n1", plugins=["xdist"], subprocess=True, test_it=project)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Deadlock: for 0.2 s nothing could happen any more while 'test_lost_wake_up' was running*",
            "*'test_lost_wake_up' waits for event (an Event) to be set.",
        ]
    )


@pytest.mark.usefixtures("quick_deadlocks")
def test_an_allowed_deadlock_has_a_time_limit(run_project: RunProject) -> None:
    """Where a deadlock is a warning only, the time limit ends the test, and both are told."""
    result = run_project(
        "--aldente-rule=deadlock=warn",
        "--aldente-timeout=1.5",
        subprocess=True,
        test_it=DEADLOCKS.partition("async def test_lock_cycle")[0],
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * aldente.errors.PhaseTimeout: 'test_lost_wake_up' was still running after 1.5 s, so aldente cancelled it.",
            "deadlock [[]warn[]]: *",
        ]
    )


LIMITS = """
import asyncio
import threading
import time
import aldente
import pytest

pytestmark = aldente.timeout(0.1)

@pytest.fixture
async def resource():
    yield
    print("torn down")

async def test_sleeps(resource):
    time.sleep(60)

async def test_computes(resource):
    while True: pass

async def test_locks(resource):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

async def test_waits(resource):
    asyncio.create_task(asyncio.sleep(50), name="other")
    await asyncio.sleep(60)

async def test_swallows(resource):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        pass

@pytest.fixture
async def slow_set_up(resource):
    await asyncio.sleep(60)

async def test_set_up(slow_set_up):
    pass

@pytest.fixture
async def slow_tear_down(resource):
    yield
    await asyncio.sleep(60)

async def test_tear_down(slow_tear_down):
    pass

async def test_quick(resource):
    await asyncio.sleep(0)

def test_sync():
    time.sleep(0.15)

@aldente.timeout(30)
async def test_mark_of_the_test():
    await asyncio.sleep(0.15)
"""


@pytest.mark.skipif(os.name == "nt", reason="a blocking call is broken into by a signal")
def test_time_limits(run_project: RunProject) -> None:
    """At its limit each phase ends with what it was doing, and all that was set up is torn down."""
    result = run_project("--aldente-rule=leaked-task=off", "-rP", subprocess=True, test_it=LIMITS)
    result.assert_outcomes(failed=5, errors=2, passed=4)
    text = result.stdout.str()
    for name, source in {
        "test_sleeps": "time.sleep(60)",
        "test_computes": "while True:",
        "test_locks": "lock.acquire()",
    }.items():
        report = part_of(result, name)
        assert (
            f"E       aldente.errors.PhaseTimeout: {name!r} blocked the loop and had not ended after 0.1 s, so aldente interrupted it."
            in report
        )
        assert (
            "E       Fix: await the async counterpart of the call that blocks, or run the call in a "
            "thread with asyncio.to_thread()." in report
        )
        assert f" in {name}" in report
        assert source in report
    assert (
        "E       aldente.errors.PhaseTimeout: 'test_waits' was still running after 0.1 s, so aldente cancelled it.\n"
        "E       'test_waits' (test_waits) waits for a timer: asyncio.sleep(60).\n"
        "E           test_it.py:27: await asyncio.sleep(60)\n"
        "E\n"
        "E       'other' (sleep) waits for a timer: asyncio.sleep(50).\n"
    ) in part_of(result, "test_waits")
    assert "'test_swallows' was still running after 0.1 s, so aldente cancelled it." in text
    assert (
        "'fixture slow_set_up' was still running after 0.1 s, so aldente cancelled it."
        in part_of(result, "ERROR at setup of test_set_up")
    )
    assert (
        "'fixture slow_tear_down' was still running after 0.1 s, so aldente cancelled it."
        in part_of(result, "ERROR at teardown of test_tear_down")
    )
    # Of the five that failed, the one whose tear-down did, and the quick one.
    assert text.count("\ntorn down\n") == 7


@pytest.mark.parametrize(
    ("ini", "arguments"),
    [("aldente_timeout = 0.1", []), ("aldente_timeout = 30", ["--aldente-timeout=0.1"])],
    ids=["ini", "command line"],
)
def test_where_the_limit_comes_from(
    run_project: RunProject, ini: str, arguments: list[str]
) -> None:
    """The command line's limit beats the configuration file's, and a mark beats both."""
    result = run_project(
        *arguments,
        ini=ini,
        subprocess=True,
        test_it="""
        import asyncio
        import aldente

        async def test_slow():
            await asyncio.sleep(60)

        @aldente.timeout(30)
        async def test_marked():
            await asyncio.sleep(0.15)
        """,
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["*'test_slow' was still running after 0.1 s, so aldente cancelled it."]
    )


def test_never_scheduled(run_project: RunProject) -> None:
    """A test that its loop has never given a turn is told apart from one that is running."""
    result = run_project(
        "--aldente-timeout=0.1",
        "--aldente-rule=leaked-task=off",
        subprocess=True,
        conftest="""
        import asyncio

        class Unfair(asyncio.SelectorEventLoop):
            def call_soon(self, callback, *arguments, context=None):
                if type(callback).__name__.startswith("TaskStep") and not self.fair:
                    self.fair = True
                    return self.call_later(1, callback, *arguments, context=context)
                return super().call_soon(callback, *arguments, context=context)

            fair = False

        def pytest_asyncio_loop_factories():
            return {"unfair": Unfair}
        """,
        test_it="""
        async def test_it():
            pass
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * aldente.errors.PhaseTimeout: 'test_it*' got no turn within 0.1 s, so aldente "
            "ended it: other tasks or callbacks kept the event loop busy."
        ]
    )


def test_what_blocks_the_end_of_a_loop(run_project: RunProject) -> None:
    """A task or async generator that is left behind and blocks while it is ended is interrupted."""
    result = run_project(
        "--aldente-timeout=0.2",
        "--aldente-rule=leaked-task=off",
        "--aldente-rule=leaked-asyncgen=off",
        subprocess=True,
        test_it="""
        import asyncio

        async def stubborn():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                while True:
                    pass

        async def test_task():
            asyncio.create_task(stubborn())
            await asyncio.sleep(0)

        async def stir():
            try:
                yield 1
            finally:
                while True:
                    pass

        async def test_generator():
            global generator
            generator = stir()
            await anext(generator)

        async def test_next():
            pass
        """,
    )
    result.assert_outcomes(passed=3, errors=2)
    assert result.duration < 30
    for name, culprit in {"test_task": "stubborn", "test_generator": "stir"}.items():
        text = part_of(result, f"ERROR at teardown of {name}")
        assert text.startswith(
            "Code that was left on the event loop at the end of its scope blocked the loop and had not ended after 0.2 s, so aldente interrupted it.\n"
            "In production it would hold up the shutdown for ever.\n"
            "Fix: let CancelledError through (re-raise it after cleaning up), and await the async counterpart of the call that blocks, or run the call in a thread with asyncio.to_thread().\n"
            "The stack of the loop's thread, innermost last:\n"
            "  test_it.py:"
        )
        assert f" in {culprit}\n" in text


def test_a_test_that_swallows_its_end(run_project: RunProject, set_constant: SetConstant) -> None:
    """A test that swallows cancellations is given up, says so, and holds up nothing after it."""
    set_constant("aldente._rules.long_runs.END_LIMIT", 1.0)
    result = run_project(
        "--aldente-timeout=0.2",
        subprocess=True,
        test_it="""
        import asyncio

        async def test_it():
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass

        async def test_next():
            pass
        """,
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "'test_it' was still running after 0.2 s, so aldente cancelled it.",
            "1 task(s) did not end within 3 s of being cancelled, so aldente gave up on them:",
            "  'test_it' running test_it at *",
        ]
    )


@pytest.mark.parametrize("seconds", ["-1", "'soon'", "[]", "True", "float('nan')"])
def test_wrong_limits(run_project: RunProject, seconds: str) -> None:
    """A mark with a limit that is no positive number is refused where it stands."""
    result = run_project(
        test_it=f"import aldente\n\n@aldente.timeout({seconds})\nasync def test_it(): pass\n"
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "E * aldente.errors.InvalidSetting: * is not a valid timeout. It must be a number of seconds greater than 0, or 0 for no limit."
        ]
    )


@pytest.mark.skipif(os.name == "nt", reason="SIGINT can't be sent to one process on Windows")
def test_ctrl_c_tells_who_waits_for_whom(tmp_path: Path) -> None:
    """Ctrl-C during a hang ends the run with what each task was waiting for."""
    (tmp_path / "test_it.py").write_text(
        "import asyncio, pathlib\n\n"
        # Once both wait.
        "async def serve(event):\n    asyncio.get_running_loop().call_soon(pathlib.Path('ready').touch)\n"
        "    await event.wait()\n\n"
        "async def test_it():\n    event = asyncio.Event()\n    task = asyncio.create_task(serve(event), name='server')\n    await task\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "aldente",
            "--aldente-rule=deadlock=off",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(tmp_path / "ready", process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 2, output
    assert (
        "aldente: at Ctrl-C:\n"
        "'test_it' (test_it) waits for 'server'.\n"
        "    test_it.py:10: await task\n"
        "\n"
        "'server' (serve) waits for event (an Event) to be set."
    ) in output


@pytest.mark.usefixtures("quick_deadlocks")
@pytest.mark.parametrize("clock", ["real", "virtual"])
def test_a_handler_that_another_test_has_left(run_project: RunProject, clock: str) -> None:
    """A signal handler that was there before the loop was made is no way out of a deadlock."""
    result = run_project(
        "-p",
        "no:randomly",
        subprocess=True,
        ini=f"aldente_clock = {clock}",
        test_it="""
        import asyncio
        import signal

        def test_leaves_a_handler():
            signal.signal(signal.SIGUSR1, lambda *_: None)

        async def test_hangs():
            await asyncio.Event().wait()
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*DeadlockError*"])
