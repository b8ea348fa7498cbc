"""`RemoteJob`: a job that an executor runs outside of this process or interpreter."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Protocol

from aldente._simulation.choices import OptionKind


class Waiting(Protocol):
    """What a job needs of those that wait for its end."""

    @property
    def loop(self) -> Any:
        """The loop of the run."""
        ...

    def end(self, job: Any) -> None:
        """Remove a job that has ended."""
        ...


class RemoteJob:
    """A job of an executor whose workers are no threads of this process.

    The loop can't take turns with those, so it waits for their end in real time once nothing else
    can happen.

    Args:
        workers: the workers that learn of its end.
        executor: the executor that runs it.
        function: the function that it calls.
        remote: the future of the executor.
    """

    kind = OptionKind.END_JOB

    def __init__(
        self,
        workers: Waiting,
        executor: concurrent.futures.Executor,
        function: Callable[..., Any],
        remote: concurrent.futures.Future[Any],
    ) -> None:
        self.who = name_of(function)
        self.executor = executor
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self.awaited: asyncio.Future[Any] = asyncio.wrap_future(self.future, loop=workers.loop)
        self.context: Context = copy_context()
        self.remote = remote
        self._workers = workers

    def go(self) -> None:
        """Notice its end: the schedule chose this job."""
        self._workers.end(self)

    def complete(self) -> None:
        """Notify the waiters of its end."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.remote.result())
        except (Exception, concurrent.futures.CancelledError) as error:
            self.future.set_exception(error)

    def crash(self, host: str) -> bool:
        """Like `Job`'s; it runs on elsewhere, and its end means nothing any more."""
        self.remote.cancel()
        return True

    def abandon(self) -> None:
        """Cancel it, as the loop is closed."""
        self.remote.cancel()


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function; of the inner one if `asyncio.to_thread` or a partial wraps it."""
    args = getattr(function, "args", ())
    inner = getattr(function, "func", function)
    if getattr(inner, "__name__", "") == "run" and args:
        inner = args[0]
    while isinstance(inner, functools.partial):
        inner = inner.func
    return getattr(inner, "__qualname__", type(inner).__name__)
