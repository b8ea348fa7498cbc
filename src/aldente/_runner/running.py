"""Which event loops run now, and their runners.

A `LoopRunner` registers its runs here, and notifies an `Observer` of their events. An `OtherRun`
represents the run of a loop without a runner: a sync test's, or a thread's.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from aldente import _asyncio_compat, _system
from aldente._runner.shutdown import LIMIT_OF_STUCK_JOBS, LOOK_AT_JOBS, AnyTask, try_cancel


class LoopRun(Protocol):
    """A run of an event loop, as watchers see it; a `LoopRunner` is one.

    Attributes:
        loop: the loop.
        runs: how many runs of the loop there were, this one included.
        thread: the identifier of the thread that runs it.
        main_task: the task, or future, that it runs for; None when there is none.
        timeout: how long it may take, in seconds; None without a limit.
        deadline: when it must end, by `aldente._system.monotonic`; None without a limit.
        end_limit: how long ending what is left on the loop may take, in seconds.
        is_virtual: whether the time of the loop is virtual.
        is_ending: whether `end` was called, and it has not ended yet.
        interrupted: whether the user has pressed Ctrl-C in it.
        handlers_before: the signal handlers that were set when the loop was made; None if unknown.
    """

    runs: int
    thread: int
    timeout: float | None
    deadline: float | None
    end_limit: float
    is_virtual: bool
    interrupted: bool

    @property
    def handlers_before(self) -> tuple[Any, ...] | None: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def main_task(self) -> AnyTask | None: ...
    @property
    def is_ending(self) -> bool: ...
    def leftover_tasks(self) -> Collection[AnyTask]:
        """The pending tasks of the loop, without fixtures' tasks."""
        ...

    def is_hosting(self, task: AnyTask) -> bool:
        """Whether a task hosts an async generator of a fixture."""
        ...

    def end(self, reason: BaseException) -> None:
        """End it with an exception; called on the loop."""

    def end_no_later(self) -> None:
        """Give up what is left on the loop, at its limit of real time; called on the loop."""

    def break_in(self, reason: BaseException) -> bool:
        """Raise an exception in what blocks the loop, if that is possible."""
        ...


# The runners whose loops are running in this process, and the runs of other loops.
_running: dict[asyncio.AbstractEventLoop, LoopRun] = {}
_others: dict[asyncio.AbstractEventLoop, OtherRun] = {}

# Called on the thread of each loop that is about to run, with its run.
listeners: list[Callable[[Any], object]] = []


def begin(loop: asyncio.AbstractEventLoop, runner: LoopRun) -> None:
    """Register a run of a runner's loop, which is about to begin."""
    _running[loop] = runner
    for notify in listeners:
        notify(runner)


def end(loop: asyncio.AbstractEventLoop) -> None:
    """Unregister the run of a loop that has stopped, or failed to start."""
    _running.pop(loop, None)


def begin_other(loop: asyncio.AbstractEventLoop, run: OtherRun) -> None:
    """Register the run of a loop without a runner, which is about to begin."""
    _others[loop] = run
    for notify in listeners:
        notify(run)


def end_other(loop: asyncio.AbstractEventLoop) -> None:
    """Unregister the run of a loop without a runner."""
    _others.pop(loop, None)


def runner_of(loop: asyncio.AbstractEventLoop) -> LoopRun | None:
    """The runner that runs a loop now; None if none does, or another tool does."""
    return _running.get(loop)


def running() -> list[tuple[asyncio.AbstractEventLoop, LoopRun]]:
    """The loops that runners run now, on any thread, with their runners."""
    # Atomically, as other threads begin and end runs meanwhile.
    return list(_running.items())


def others() -> list[tuple[asyncio.AbstractEventLoop, OtherRun]]:
    """The loops that run now without a runner, on any thread, with their runs."""
    return list(_others.items())


def number() -> int:
    """How many loops are running now."""
    return len(_running) + len(_others)


class Observer(Protocol):
    """Is notified of the runs of loops."""

    def on_run_end(self, runner: LoopRun) -> None:
        """Called on the thread of a run that has ended."""

    def are_jobs_stuck(self) -> bool:
        """Whether jobs of executors wait for something that no other thread can do.

        Called on the thread of a loop that is about to be closed.
        """
        ...

    def on_interrupt(self, runner: LoopRun) -> None:
        """Called at Ctrl-C, before anything is cancelled."""

    def on_leftovers(self, runner: LoopRun) -> None:
        """Called before the loop is drained of what is left on it."""

    def on_drained(self, runner: LoopRun) -> None:
        """Called when the loop is drained and about to be closed."""


class NoObserver:
    """Does nothing with what it is notified of."""

    def on_run_end(self, runner: LoopRun) -> None:
        """Do nothing."""

    def are_jobs_stuck(self) -> bool:
        """No: it does not look at threads."""
        return False

    def on_interrupt(self, runner: LoopRun) -> None:
        """Do nothing."""

    def on_leftovers(self, runner: LoopRun) -> None:
        """Do nothing."""

    def on_drained(self, runner: LoopRun) -> None:
        """Do nothing."""


class OtherRun:
    """A run of a loop until a future is done, with the attributes that watchers use.

    Args:
        loop: the loop.
        awaited: what it runs for: a coroutine, a task or another future.

    Attributes:
        loop: as the argument.
        runs: always 1.
        thread: the identifier of the thread that runs it.
        deadline: always None, as there is no limit.
        is_virtual: always False.
        handlers_before: always None, as the loop may be an old one.
        end_reason: the exception that ends it; None until `end` is called.
    """

    runs = 1
    deadline = None
    is_virtual = False
    handlers_before = None

    def __init__(self, loop: asyncio.AbstractEventLoop, awaited: Awaitable[Any]) -> None:
        self.loop = loop
        self.thread = _system.get_ident()
        self.end_reason: BaseException | None = None
        self._awaited = awaited
        self._main: asyncio.Future[Any] | None = (
            awaited if isinstance(awaited, asyncio.Future) else None
        )

    @property
    def main_task(self) -> asyncio.Future[Any] | None:
        """The task, or future, that it runs for; None before there is one."""
        if self._main is None:
            for task in asyncio.all_tasks(self.loop):
                if task.get_coro() is self._awaited:
                    self._main = task
        return self._main

    @property
    def is_ending(self) -> bool:
        """Whether `end` was called, and its task has not ended yet."""
        return self.end_reason is not None

    def leftover_tasks(self) -> Collection[AnyTask]:
        """The tasks that are pending on the loop."""
        return asyncio.all_tasks(self.loop)

    def is_hosting(self, task: AnyTask) -> bool:
        """Always False: it has no generators of fixtures."""
        return False

    def end(self, reason: BaseException) -> None:
        """End it with an exception; called on the loop, again if that does not help."""
        if self.is_ending:
            self.loop.stop()
            return
        self.end_reason = reason
        main = self.main_task
        if isinstance(main, asyncio.Task):
            if not try_cancel(main):
                self.loop.stop()
        elif main is None or not main.cancel():
            self.loop.stop()


@contextmanager
def watched(are_jobs_stuck: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """While entered, register the runs of loops without a runner.

    Args:
        are_jobs_stuck: whether jobs of executors wait for ever. Then the end of such a loop does
            not wait for them, while asyncio would, for minutes at least.
    """
    owner: Any = asyncio.BaseEventLoop
    originals = {name: vars(owner)[name] for name in ("run_until_complete", _SHUT_DOWN)}
    replacements = {
        "run_until_complete": _watching(originals["run_until_complete"]),
        _SHUT_DOWN: _shutting_down(originals[_SHUT_DOWN], are_jobs_stuck),
    }
    for name, replacement in replacements.items():
        setattr(owner, name, replacement)
    try:
        yield
    finally:
        for name, replacement in replacements.items():
            # A later replacement by something else must stay.
            if vars(owner)[name] is replacement:
                setattr(owner, name, originals[name])


_SHUT_DOWN = "shutdown_default_executor"


def _shutting_down(
    original: Callable[..., Any], are_jobs_stuck: Callable[[], bool]
) -> Callable[..., Any]:
    @functools.wraps(original)
    async def shutdown_default_executor(
        self: asyncio.BaseEventLoop, *args: Any, **kwargs: Any
    ) -> None:
        __tracebackhide__ = True
        # An aldente runner looks at them itself.
        if runner_of(self) is None and are_jobs_stuck():
            end = self.time() + LIMIT_OF_STUCK_JOBS
            while are_jobs_stuck():
                if self.time() > end:
                    executor = _asyncio_compat.forbid_default_executor(self)
                    if executor is not None:
                        executor.shutdown(wait=False)
                    return
                await asyncio.sleep(LOOK_AT_JOBS)
        await original(self, *args, **kwargs)

    return shutdown_default_executor


def _watching(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def run_until_complete(self: asyncio.AbstractEventLoop, future: Any) -> Any:
        __tracebackhide__ = True
        if (
            runner_of(self) is not None
            or _asyncio_compat.is_loop_running_here()
            or not _asyncio_compat.has_selector(self)
        ):
            return original(self, future)
        run = OtherRun(self, future)
        begin_other(self, run)
        try:
            result = original(self, future)
        except (asyncio.CancelledError, RuntimeError) as error:
            if run.end_reason is None:
                raise
            main = run.main_task
            is_own = isinstance(error, RuntimeError) and main is not None and main.done()
            # Otherwise the loop raised it, as it was stopped.
            cause = error if is_own else None
            raise run.end_reason.with_traceback(error.__traceback__) from cause
        finally:
            end_other(self)
        if run.end_reason is not None:
            raise run.end_reason
        return result

    return run_until_complete
