"""The rule ``deadlock``: when it is sure that nothing can happen on a loop any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from types import FrameType

import pytest

from aldente import _own_errors
from aldente._own_errors import OwnError
from aldente._rules import deadlock
from aldente._runner.runner import LoopRunner
from aldente._runner.running import LoopRun
from aldente._stacks import frames_of_threads
from tests.unit.looks import MadeUpLoop, MadeUpRun, frame_of, look, selecting


def is_suspected(*frames: FrameType, bystanders: tuple[int, ...] = ()) -> bool:
    """Whether a loop is thought to hang while its thread, and others, stay where they are."""
    watch = deadlock.DeadlockWatch(lambda run: None, bystanders)
    loop, run = MadeUpLoop(), MadeUpRun("task")
    others = {f"thread{number}": frame for number, frame in enumerate(frames[1:], 1)}
    for now in (0.0, deadlock.LIMIT / 2, deadlock.LIMIT + 0.1):
        assert not loop.to_call
        watch.look(look(run, frames[0], now, loop=loop, **others))
    return bool(loop.to_call)


def test_a_loop_in_its_selector() -> None:
    """A loop hangs that waits in its selector, of the module that asyncio uses, and nowhere else."""
    assert is_suspected(selecting())
    assert not is_suspected(frame_of("select"))
    assert not is_suspected(frame_of("poll", path=selecting().f_code.co_filename))


def waiting(timeout: float | None) -> FrameType:
    """A frame of a thread that waits for another one."""
    namespace: dict[str, object] = {}
    code = "import sys\ndef wait(timeout):\n    return sys._getframe()\n"
    exec(compile(code, threading.__file__, "exec"), namespace)
    wait = namespace["wait"]
    assert callable(wait)
    frame: FrameType = wait(timeout)
    return frame


def test_other_threads() -> None:
    """Another thread could wake the loop, unless it is a bystander or waits itself, with no end."""
    assert not is_suspected(selecting(), frame_of("work"))
    assert not is_suspected(selecting(), waiting(60))
    assert is_suspected(selecting(), waiting(None))
    assert is_suspected(selecting(), waiting(60), bystanders=(1,))
    assert not is_suspected(selecting(), waiting(60), frame_of("work"), bystanders=(1,))


def test_something_happens_in_between() -> None:
    """The time in which nothing can happen starts anew when something could, or another run begins."""
    watch = deadlock.DeadlockWatch(lambda run: None)
    loop, run = MadeUpLoop(), MadeUpRun("task")
    watch.look(look(run, selecting(), 0.0, loop=loop))
    loop._ready = ["callback"]
    watch.look(look(run, selecting(), 0.5, loop=loop))
    loop._ready = []
    watch.look(look(run, selecting(), 1.1, loop=loop))
    watch.look(look(MadeUpRun("other"), selecting(), 2.2, loop=loop))
    assert not loop.to_call


def test_the_next_run_of_a_runner() -> None:
    """A run is not found to hang for as long as one before it, whose loop and runner it has."""
    watch, loop, run = deadlock.DeadlockWatch(lambda run: None), MadeUpLoop(), MadeUpRun("main")
    watch.look(look(run, selecting(), 0.0, loop=loop))
    run.runs += 1
    watch.look(look(run, selecting(), 1.1, loop=loop))
    watch.look(look(run, selecting(), 2.0, loop=loop))
    assert not loop.to_call
    watch.look(look(run, selecting(), 2.2, loop=loop))
    assert loop.to_call


class Hang:
    """A watch of deadlocks, and a loop that it thinks to hang when told so.

    Attributes:
        found: the runs in which it has found a deadlock.
    """

    def __init__(self) -> None:
        self.found: list[LoopRun] = []
        self.runner = LoopRunner()
        self.end: Callable[[], object] = lambda: None
        # Those of the test run; `wait` adds its own, which only ends the test.
        self.bystanders = set(frames_of_threads())
        self._watch = deadlock.DeadlockWatch(self._on_deadlock, self.bystanders)

    def _on_deadlock(self, run: LoopRun) -> None:
        self.found.append(run)
        self.end()

    async def suspect(self) -> None:
        """Have it look at the loop for so long that it thinks it hangs."""
        # The runner has a callback of its own on the loop at first.
        await asyncio.sleep(0)
        for now in (0.0, deadlock.LIMIT + 0.1):
            self._watch.look(look(self.runner, selecting(), now, loop=self.runner.loop))

    async def wait(self) -> None:
        """Wait for nothing but the deadlock to be found."""
        future = asyncio.get_running_loop().create_future()
        self.end = lambda: future.set_result(None)
        # So that the test fails, rather than hangs, when it is not found. Not by a timer of the
        # loop, which could wake it.
        limit = threading.Timer(10, self.runner.loop.call_soon_threadsafe, [future.cancel])
        limit.daemon = True
        limit.start()
        self.bystanders.add(limit.ident or 0)
        try:
            await self.suspect()
            await future
        finally:
            limit.cancel()


@pytest.fixture
def hang() -> Iterator[Hang]:
    """A watch and a loop, which is closed afterwards."""
    hang = Hang()
    yield hang
    hang.runner.close()


def run(hang: Hang, main: Callable[[], object]) -> None:
    """Run a coroutine function on the loop."""
    coroutine = main()
    assert asyncio.iscoroutine(coroutine)
    hang.runner.run(coroutine, context=copy_context(), name="main")


def test_the_loop_itself_confirms_it(hang: Hang) -> None:
    """A deadlock is confirmed on the loop once that has read the wake-up by which it was asked."""
    run(hang, hang.wait)
    assert hang.found == [hang.runner]


@pytest.mark.parametrize("what", ["timer", "callback"])
def test_what_happens_before_it_is_confirmed(hang: Hang, what: str) -> None:
    """A timer or callback that comes between the suspicion and its confirmation refutes it."""

    async def main() -> None:
        await hang.suspect()
        if what == "timer":
            await asyncio.sleep(0.01)
        else:
            for _ in range(5):
                await asyncio.sleep(0)

    run(hang, main)
    assert hang.found == []


def test_a_run_that_ends_before_it_is_confirmed(hang: Hang) -> None:
    """The suspicion of a run is not confirmed once that has ended, nor in the next run."""

    async def suspected() -> None:
        await hang.suspect()

    async def innocent() -> None:
        await asyncio.to_thread(int)

    run(hang, suspected)
    run(hang, innocent)
    assert hang.found == []


def test_an_error_while_it_is_confirmed(hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and not to the exception handler of the loop."""
    told: list[OwnError] = []
    monkeypatch.setattr(_own_errors, "listeners", [told.append])
    received = []
    hang.runner.loop.set_exception_handler(lambda loop, context: received.append(context))

    def fail(loop: asyncio.AbstractEventLoop) -> bool:
        raise LookupError("broken inside")

    async def main() -> None:
        await hang.suspect()
        for _ in range(10):
            await asyncio.sleep(0)

    monkeypatch.setattr("aldente._asyncio_compat.is_waiting_for_nothing", fail)
    run(hang, main)
    assert (received, hang.found) == ([], [])
    assert [each.doing for each in told] == ["looking whether a loop is stuck"]


def test_what_is_ready_while_it_is_confirmed(hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is ready just then takes its turn first, and then the hang is confirmed."""
    suspect = hang.suspect

    def go_on(turns: int) -> None:
        if turns:
            hang.runner.loop.call_soon(go_on, turns - 1)

    async def suspect_and_go_on() -> None:
        await suspect()
        go_on(4)

    monkeypatch.setattr(hang, "suspect", suspect_and_go_on)
    run(hang, hang.wait)
    assert hang.found == [hang.runner]


def test_the_next_task_of_a_runner(hang: Hang) -> None:
    """A suspicion is confirmed for the task that it was about and for no other of the same runner."""

    async def main() -> None:
        task = asyncio.current_task()
        await asyncio.sleep(0)
        other: asyncio.Task[None] = asyncio.Task(asyncio.sleep(0))
        await other
        await asyncio.sleep(0)
        hang._watch._confirm(hang.runner.loop, hang.runner, other)
        hang._watch._confirm(hang.runner.loop, hang.runner, None)
        assert hang.found == []
        hang._watch._confirm(hang.runner.loop, hang.runner, task)
        assert hang.found == [hang.runner]

    run(hang, main)
