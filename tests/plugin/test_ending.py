"""Whatever a scope started ends with it, in order; Ctrl-C ends a run cleanly."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aldente._runner.shutdown import Limits
from tests.plugin.conftest import RunProject


def test_a_scope_ends_in_order(run_project: RunProject) -> None:
    """Tasks are cancelled and drained, then async generators closed, then the executor, then the loop."""
    result = run_project(
        "-s",
        test_it="""
        import asyncio

        events = []
        keep = []

        async def background():
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0)
                events.append("task drained")
                keep.append(asyncio.create_task(started_while_draining()))

        async def started_while_draining():
            try:
                await asyncio.sleep(3600)
            finally:
                events.append("late task drained")

        async def generate():
            try:
                yield
            finally:
                await asyncio.sleep(0)
                events.append("generator closed")

        async def test_leaves_everything():
            loop = asyncio.get_running_loop()
            keep.append(asyncio.create_task(background()))
            generator = generate()
            await anext(generator)
            keep.append(generator)
            await asyncio.to_thread(lambda: None)
            shutdown = loop.shutdown_default_executor

            async def record(*arguments):
                await shutdown(*arguments)
                events.append("executor shut down")

            loop.shutdown_default_executor = record
            keep.append(loop)

        def test_order():
            assert events == [
                "task drained", "late task drained", "generator closed", "executor shut down",
            ]
            assert keep[2].is_closed()
        """,
    )
    result.assert_outcomes(passed=2)


def test_tasks_of_a_wide_loop_live_until_its_end(run_project: RunProject) -> None:
    """A task that one test of a module starts serves the next ones, and ends with the module's loop."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        pytestmark = pytest.mark.asyncio(loop_scope="module")
        started = {}

        async def serve():
            try:
                while True:
                    await asyncio.sleep(0)
                    started["turns"] = started.get("turns", 0) + 1
            finally:
                started["ended"] = True

        async def test_starts():
            started["task"] = asyncio.create_task(serve())

        async def test_uses():
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert started["turns"] > 0 and "ended" not in started
        """,
        test_later="""
        from test_it import started

        def test_ended():
            assert started["ended"]
        """,
    )
    result.assert_outcomes(passed=3)


def test_a_task_that_fails_while_it_is_drained_is_logged(run_project: RunProject) -> None:
    """Errors of drained tasks go to the loop's exception handler, as ``asyncio.run`` does it."""
    result = run_project(
        "-W",
        "default",
        test_it="""
        import asyncio
        import pytest

        handled = []

        async def stubborn():
            try:
                await asyncio.sleep(3600)
            finally:
                raise ValueError("while draining")

        async def test_leaves_it():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: handled.append(context))
            task = asyncio.create_task(stubborn())
            await asyncio.sleep(0)

        def test_handled():
            (context,) = handled
            assert str(context["exception"]) == "while draining"
            assert "cancelled it at the end of its scope" in context["message"]
        """,
    )
    result.assert_outcomes(passed=2)


def test_a_task_that_refuses_to_end_is_given_up_by_name(
    run_project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that swallows its cancellation is an error of tear-down, not a hang."""
    monkeypatch.setattr("aldente._runner.runner.PATIENT", Limits(0.05, 60, 60))
    result = run_project(
        test_it="""
        import asyncio

        async def refuse():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    if release:
                        return

        release = []
        keep = []

        async def test_starts_it():
            keep.append(asyncio.create_task(refuse(), name="refuser"))
            await asyncio.sleep(0)

        async def test_next():
            release.append(True)
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "1 task(s) did not end within 0.05 s of being cancelled, so aldente gave up on them:",
            "  'refuser' running refuse at *test_it.py:6",
            "Fix: let CancelledError through*",
        ]
    )


def test_no_residue_is_left_for_the_next_test(run_project: RunProject) -> None:
    """No current loop, running loop, signal handler or open descriptor stays behind."""
    result = run_project(
        test_it="""
        import asyncio
        import os
        import signal
        import pytest
        from aldente._asyncio_compat import current_event_loop

        def residue():
            return (
                # Not get_event_loop(), which makes a loop up to Python 3.13 if none was ever set.
                current_event_loop(),
                asyncio._get_running_loop(),
                signal.getsignal(signal.SIGINT),
                signal.getsignal(signal.SIGTERM),
            )

        before = []

        @pytest.fixture(scope="module")
        async def wide():
            yield

        async def test_warm_up():
            before.append(len(os.listdir("/proc/self/fd")) if os.path.exists("/proc") else 0)

        async def test_async(wide):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)
            asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
            await asyncio.to_thread(lambda: None)

        def test_sync():
            current, running, interrupt, terminate = residue()
            assert current is None and running is None
            assert interrupt is signal.default_int_handler
            assert terminate is signal.SIG_DFL
        """
    )
    result.assert_outcomes(passed=3)


def test_descriptors_do_not_pile_up(run_project: RunProject) -> None:
    """A hundred tests leave as many open descriptors as one, whatever they leave registered."""
    result = run_project(
        test_it="""
        import asyncio
        import os
        import socket
        import pytest

        counts = []
        fds = "/proc/self/fd"
        pytestmark = pytest.mark.skipif(not os.path.isdir(fds), reason="needs /proc")

        @pytest.mark.parametrize("n", range(100))
        async def test_many(n):
            left, right = socket.socketpair()
            with left, right:
                if n % 2:
                    asyncio.get_running_loop().add_reader(left, print)
                asyncio.get_running_loop().call_soon_threadsafe(lambda: None)
                await asyncio.sleep(0)
            counts.append(len(os.listdir(fds)))

        def test_count():
            assert max(counts[2:]) - min(counts[2:]) <= 3
        """
    )
    result.assert_outcomes(passed=101)


def test_a_loop_that_the_test_closed_is_warned_about(run_project: RunProject) -> None:
    """A sync test that closes the loop of its fixture does not break the end of the scope."""
    result = run_project(
        "-Wdefault",
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def loop():
            return asyncio.get_running_loop()

        def test_closes(loop):
            loop.close()

        async def test_next(loop):
            pass
        """,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "*test_closes*",
            "*RuntimeWarning: An exception occurred during teardown of an asyncio.Runner. The "
            "reason is likely that you closed the underlying event loop in a test*",
            "*Fix: don't close the loop of a test.",
        ]
    )


def test_what_breaks_through_the_loop_ends_the_test(run_project: RunProject) -> None:
    """A time-out by signal, or ``loop.stop()``, leaves nothing of the test running for the next."""
    result = run_project(
        test_it="""
        import asyncio
        import signal
        import pytest

        pytestmark = pytest.mark.asyncio(loop_scope="module")
        ended = []

        def time_out(signum, frame):
            pytest.fail("Timeout >0.05s")

        async def wait():
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append(True)

        async def test_times_out():
            signal.signal(signal.SIGALRM, time_out)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            await wait()

        async def test_stops():
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
            await wait()

        async def test_nothing_is_left():
            assert ended == [True, True]
            assert len(asyncio.all_tasks()) == 1
        """
    )
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(
        ["*Timeout >0.05s*", "*It ended 'test_times_out' running test_times_out at *"]
    )


@pytest.mark.parametrize("leftover", ["executor", "generator"])
def test_what_cannot_be_cancelled_is_given_up(
    run_project: RunProject, monkeypatch: pytest.MonkeyPatch, leftover: str
) -> None:
    """An executor job or async generator that does not end is an error of tear-down, not a hang."""
    monkeypatch.setattr("aldente._runner.runner.PATIENT", Limits(30, 0.05, 0.05))
    result = run_project(
        "-W",
        "ignore",
        test_it=f"""
        import asyncio
        import threading

        event = threading.Event()
        keep = []

        async def generate():
            try:
                yield
            finally:
                await asyncio.sleep(3600)

        async def test_leaves_it():
            if {leftover == "executor"}:
                asyncio.get_running_loop().run_in_executor(None, event.wait)
            else:
                keep.append(generate())
                await anext(keep[0])

        def test_next():
            event.set()
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["A* that was started on the event loop did not end within 0.05 s *"]
    )


INTERRUPTED = """
import asyncio
import pathlib
import pytest

@pytest.fixture(scope="session")
async def session_resource():
    yield
    await asyncio.sleep(0)
    print("SESSION TORN DOWN")

@pytest.fixture
async def resource(session_resource):
    WHERE_FIXTURE
    yield
    await asyncio.sleep(0)
    print("RESOURCE TORN DOWN")

async def background():
    try:
        await asyncio.sleep(3600)
    finally:
        print("BACKGROUND DRAINED")

async def wait():
    pathlib.Path("ready").touch()
    await asyncio.sleep(3600)

async def wait_twice():
    try:
        await wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        print("CLEANED UP")
        raise

async def swallow():
    try:
        await wait()
    except asyncio.CancelledError:
        print("SWALLOWED")

async def replace():
    try:
        await wait()
    except asyncio.CancelledError:
        raise KeyError("replaced")

async def refuse():
    while True:
        try:
            await wait()
        except asyncio.CancelledError:
            pathlib.Path("refused").touch()

async def test_it(resource):
    task = asyncio.create_task(background())
    await WHERE_TEST()

async def test_never_runs():
    print("MUST NOT RUN")
"""


def interrupt_run(folder: Path, body: str, presses: int = 1, *options: str) -> tuple[int, str]:
    """Run pytest in a process, press Ctrl-C when the test waits, and return exit code and output."""
    (folder / "test_it.py").write_text(body)
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-p", "aldente"]
    process = subprocess.Popen(
        [*command, *options],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(folder / "ready", process)
        process.send_signal(signal.SIGINT)
        if presses == 2:
            wait_for(folder / "refused", process)
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, output


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the process under test has made a file."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(os.name == "nt", reason="SIGINT can't be sent to one process on Windows")
@pytest.mark.parametrize(
    ("where", "says"),
    [("wait", ""), ("wait_twice", "CLEANED UP"), ("swallow", "SWALLOWED"), ("replace", "")],
)
def test_ctrl_c_drains_the_test_then_tears_down(tmp_path: Path, where: str, says: str) -> None:
    """Ctrl-C cancels the test, tears fixtures down, drains tasks, and pytest exits with 2."""
    body = INTERRUPTED.replace("WHERE_TEST", where).replace("WHERE_FIXTURE", "")
    code, output = interrupt_run(tmp_path, body)
    assert code == 2, output
    assert says in output
    assert "RESOURCE TORN DOWN" in output
    assert "SESSION TORN DOWN" in output
    assert "BACKGROUND DRAINED" in output
    assert "KeyboardInterrupt" in output
    if where.startswith("wait"):
        # Where the test was, not where aldente raised it.
        assert re.search(r"test_it\.py:\d+: KeyboardInterrupt", output), output
    assert "MUST NOT RUN" not in output
    assert "Task was destroyed" not in output
    assert "never retrieved" not in output


@pytest.mark.skipif(os.name == "nt", reason="SIGINT can't be sent to one process on Windows")
def test_ctrl_c_during_set_up(tmp_path: Path) -> None:
    """Ctrl-C in a fixture's set-up cancels that, and tears down what was set up before."""
    body = INTERRUPTED.replace("WHERE_TEST", "wait").replace("WHERE_FIXTURE", "await wait()")
    code, output = interrupt_run(tmp_path, body)
    assert code == 2, output
    assert "SESSION TORN DOWN" in output
    assert "RESOURCE TORN DOWN" not in output
    assert "Task was destroyed" not in output
    assert "never retrieved" not in output


@pytest.mark.skipif(os.name == "nt", reason="SIGINT can't be sent to one process on Windows")
def test_ctrl_c_with_a_task_that_refuses_to_end(tmp_path: Path) -> None:
    """Ctrl-C with a stuck background task exits with 2 and names the task."""
    body = INTERRUPTED.replace("WHERE_TEST", "wait").replace("WHERE_FIXTURE", "")
    body = body.replace("background()", "stuck()") + (
        "\n\nasync def stuck():\n    while True:\n        try:\n            await asyncio.sleep(20)\n"
        "        except asyncio.CancelledError:\n            pass\n"
    )
    code, output = interrupt_run(tmp_path, body)
    assert code == 2, output
    assert "aldente: 1 task(s) did not end within 3 s" in output
    assert "running stuck at" in output


@pytest.mark.skipif(os.name == "nt", reason="SIGINT can't be sent to one process on Windows")
def test_a_second_ctrl_c_ends_a_test_that_refuses(tmp_path: Path) -> None:
    """A test that swallows the first Ctrl-C ends with the second, within seconds and by name."""
    body = INTERRUPTED.replace("WHERE_TEST", "refuse").replace("WHERE_FIXTURE", "")
    code, output = interrupt_run(tmp_path, body, 2)
    assert code == 2, output
    assert "SESSION TORN DOWN" in output
    assert "MUST NOT RUN" not in output
    assert "'test_it' running test_it" in output
    assert "Task was destroyed" not in output
