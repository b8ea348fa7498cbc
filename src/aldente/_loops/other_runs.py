"""Runs of event loops that no `LoopRunner` drives: those of sync tests, and of threads.

`asyncio.run`, `asyncio.Runner`, ``unittest.IsolatedAsyncioTestCase`` and the runners of other tools
all come to ``run_until_complete``.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from aldente import _asyncio_compat
from aldente._loops import running
from aldente._loops.draining import AnyTask, try_cancel
from aldente._loops.ending import LIMIT_OF_STUCK_JOBS, LOOK_AT_JOBS


class OtherRun:
    """A run of a loop until something is done; what watchers ask of it is as with a `LoopRunner`.

    Args:
        loop: the loop.
        awaited: what it runs for: a coroutine, a task or another future.

    Attributes:
        loop: as the argument.
        runs: always 1.
        thread: the identifier of the thread that runs it.
        deadline: always None: nobody has set a limit.
        is_virtual: always False.
        end_reason: what it is to end with; None if nobody has asked for its end.
    """

    runs = 1
    deadline = None
    is_virtual = False

    def __init__(self, loop: asyncio.AbstractEventLoop, awaited: Awaitable[Any]) -> None:
        self.loop = loop
        self.thread = threading.get_ident()
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
        """Whether it was told to end, which its task does not mind so far."""
        return self.end_reason is not None

    def leftover_tasks(self) -> Collection[AnyTask]:
        """The tasks that are pending on the loop."""
        return asyncio.all_tasks(self.loop)

    def is_hosting(self, task: AnyTask) -> bool:
        """Never: it has no generators of fixtures."""
        return False

    def end(self, reason: BaseException) -> None:
        """Have it end with an exception; called on the loop, once more if that does not help."""
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
    """While entered, runs of other loops are known to `aldente._loops.running`.

    Args:
        are_jobs_stuck: whether jobs of executors wait for ever. The end of such a loop does not
            wait for them then, as asyncio would, for minutes at least.
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
        # An aldente runner looks at them itself.
        if running.runner_of(self) is None and are_jobs_stuck():
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
            running.runner_of(self) is not None
            or _asyncio_compat.is_loop_running_here()
            or not _asyncio_compat.has_selector(self)
        ):
            return original(self, future)
        run = OtherRun(self, future)
        running.begin_other(self, run)
        try:
            result = original(self, future)
        except (asyncio.CancelledError, RuntimeError) as error:
            if run.end_reason is None:
                raise
            main = run.main_task
            is_own = isinstance(error, RuntimeError) and main is not None and main.done()
            # Otherwise the loop has raised it, as it was stopped.
            cause = error if is_own else None
            raise run.end_reason.with_traceback(error.__traceback__) from cause
        finally:
            running.end_other(self)
        if run.end_reason is not None:
            raise run.end_reason
        return result

    return run_until_complete
