"""Time limits: what happens at a deadline, and breaking into code that blocks its loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest

from aldente._rules import long_runs
from aldente._runner.runner import LoopRunner
from aldente.errors import PhaseTimeout
from tests.unit.looks import MadeUpLoop, MadeUpRun, frame_of, in_step, look


class Task:
    """What the watch asks of a task."""

    def get_name(self) -> str:
        """The name of the test."""
        return "test_it"

    def get_coro(self) -> object:
        """No coroutine that tells whether it has started."""
        return None


def late_run() -> tuple[long_runs.TimeLimit, MadeUpLoop, Any]:
    """A watch, and the loop and run of a task that had to end at 1.0 s."""
    run = MadeUpRun(Task())
    run.deadline = 1.0
    return long_runs.TimeLimit(lambda run, error: error.add_note("it waits")), MadeUpLoop(), run


def test_before_the_deadline() -> None:
    """Before its deadline, or without one, a run is left alone."""
    watch, loop, run = late_run()
    watch.look(look(run, frame_of("compute"), 0.9, loop=loop))
    run.deadline = None
    watch.look(look(run, frame_of("compute"), 2.0, loop=loop))
    assert (loop.to_call, run.broken_in) == ([], [])


def test_a_loop_that_does_not_answer() -> None:
    """A loop is asked to end its run at the deadline; what blocks it for a second more is told where."""
    watch, loop, run = late_run()
    frame = in_step(lambda: frame_of("compute", path="/project/test_it.py", module="test_it"))
    watch.look(look(run, frame, 1.1, loop=loop))
    assert len(loop.to_call) == 1
    watch.look(look(run, frame, 2.0, loop=loop))
    assert run.broken_in == []
    watch.look(look(run, frame, 2.2, loop=loop))
    (error,) = run.broken_in
    assert str(error).startswith(
        "'test_it' blocked the loop and had not ended after 0.1 s, so aldente interrupted it."
    )
    assert "  /project/test_it.py:2 in compute\n" in error.__notes__[0]
    # Not again at once: the code may take its time to end.
    watch.look(look(run, frame, 3.0, loop=loop))
    assert len(run.broken_in) == 1


@pytest.mark.parametrize("module", ["pdb", "bdb", "pudb.debugger", "debugpy.server"])
def test_a_debugger(module: str) -> None:
    """A run that stands in a debugger at its deadline has no limit from then on."""
    watch, loop, run = late_run()
    watch.look(look(run, in_step(lambda: frame_of("cmdloop", module=module)), 1.1, loop=loop))
    assert run.deadline is None
    for now in (2.2, 5.5):
        watch.look(look(run, in_step(lambda: frame_of("compute")), now, loop=loop))
    assert (loop.to_call, run.broken_in) == ([], [])


@pytest.mark.parametrize(
    ("function", "path"),
    [("set_trace", "/project/test_it.py"), ("compute", "/project/debugpy/test_pdb.py")],
)
def test_what_is_named_like_a_debugger(function: str, path: str) -> None:
    """Code of the user's that is called as a debugger's has its limit."""
    watch, loop, run = late_run()
    frame = in_step(lambda: frame_of(function, path=path, module="test_pdb"))
    watch.look(look(run, frame, 1.1, loop=loop))
    assert run.deadline == 1.0
    assert len(loop.to_call) == 1


@pytest.fixture
def runner() -> Iterator[LoopRunner]:
    """A runner on a plain loop, closed afterwards."""
    runner = LoopRunner()
    yield runner
    runner.close()


def error() -> PhaseTimeout:
    """What is to be raised."""
    return PhaseTimeout("test_it", 0.1, "blocked the loop")


def run_and_break_in(
    runner: LoopRunner, work: Callable[[threading.Event], object] = threading.Event.set
) -> tuple[str, list[bool]]:
    """Run a task into which another thread breaks, and give its result and what that was told.

    Args:
        runner: runs it.
        work: what the task does; it sets the event when the other thread may break in.
    """
    is_at_work, has_broken_in = threading.Event(), threading.Event()
    told = []

    def break_in() -> None:
        is_at_work.wait(10)
        told.append(runner.break_in(error()))
        has_broken_in.set()

    async def main() -> str:
        thread = threading.Thread(target=break_in)
        thread.start()
        try:
            work(is_at_work)
        finally:
            await asyncio.to_thread(has_broken_in.wait, 10)
        return "done"

    return runner.run(main(), context=copy_context(), name="test_it"), told


def block(is_at_work: threading.Event) -> None:
    """Block the thread for a while, unless something is raised in it."""
    is_at_work.set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pass


def run_next(runner: LoopRunner) -> str | None:
    """What a task gives on the same loop afterwards."""
    return runner.run(asyncio.sleep(0, "done"), context=copy_context(), name="next")


@pytest.mark.skipif(os.name == "nt", reason="a blocking call is broken into by a signal")
def test_breaking_in(runner: LoopRunner) -> None:
    """On the main thread the exception is raised in what blocks the loop, and the run ends with it."""
    with pytest.raises(PhaseTimeout) as caught:
        run_and_break_in(runner, block)
    assert any(entry.name == "block" for entry in caught.traceback)
    assert run_next(runner) == "done"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_somebody_else_handles_ctrl_c(runner: LoopRunner) -> None:
    """With a handler of the user's for SIGINT nobody can break in, and the run ends as it would."""
    received = []
    before = signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    try:
        assert run_and_break_in(runner) == ("done", [False])
    finally:
        signal.signal(signal.SIGINT, before)
    assert received == []


def test_off_the_main_thread(runner: LoopRunner) -> None:
    """Into a loop that another thread than the main one runs nobody can break in."""
    results = []
    thread = threading.Thread(target=lambda: results.append(run_and_break_in(runner)))
    thread.start()
    thread.join()
    assert results == [("done", [False])]


def test_between_runs(runner: LoopRunner) -> None:
    """When the run has ended there is nothing to break into, and the next one is as it would be."""
    assert run_next(runner) == "done"
    assert not runner.break_in(error())
    assert run_next(runner) == "done"
