"""What anyio does differently in a run: its threads take turns, its cancel scopes are in order.

`anyio.to_thread.run_sync`, which Starlette and FastAPI call for functions that are not coroutine
functions, starts threads of its own. In a run each of these is a thread pool of one thread, so that
the schedule decides when it goes on, as for a job of an executor. Checked on anyio 4.6 to 4.16.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from aldente._imports import AfterImport
from aldente._simulation.explored import LimitedLoop

_BACKEND = "anyio._backends._asyncio"

T = TypeVar("T")


class InOrder(set[T]):
    """A set that iterates over its items in the order in which they were added."""

    def __init__(self, items: Iterable[T] = ()) -> None:
        super().__init__()
        self._order: dict[T, None] = {}
        for item in items:
            self.add(item)

    def __iter__(self) -> Iterator[T]:
        return iter(self._order)

    def add(self, item: T, /) -> None:
        """Like a set's."""
        super().add(item)
        self._order[item] = None

    def remove(self, item: T, /) -> None:
        """Like a set's."""
        super().remove(item)
        del self._order[item]

    def discard(self, item: Any, /) -> None:
        """Like a set's."""
        super().discard(item)
        self._order.pop(item, None)

    def clear(self) -> None:
        """Like a set's."""
        super().clear()
        self._order.clear()

    def pop(self) -> T:
        """Like a set's: the item that was added first."""
        item = next(iter(self._order), None)
        if item is None:
            return super().pop()
        self.remove(item)
        return item


class AnyioInRuns:
    """While entered, anyio's part for asyncio makes ordered sets, and threads that take turns.

    The module may be imported before or meanwhile.
    """

    def __init__(self) -> None:
        self._until_imported = AfterImport([_BACKEND], _replace).installed()
        self._was_imported = False

    def __enter__(self) -> None:
        self._was_imported = _BACKEND in sys.modules
        if self._was_imported:
            _replace()
        else:
            self._until_imported.__enter__()

    def __exit__(self, *exception: object) -> None:
        if not self._was_imported:
            self._until_imported.__exit__(None, None, None)
        backend: Any = sys.modules.get(_BACKEND)
        if backend is not None:
            vars(backend).pop("set", None)
            found: Any = getattr(backend, "WorkerThread", None)
            if hasattr(found, "original"):
                backend.WorkerThread = found.original


def _replace() -> None:
    backend: Any = sys.modules[_BACKEND]
    backend.set = InOrder
    # Without such a class, threads are those that the program starts itself, and reports say so.
    if hasattr(backend, "WorkerThread"):
        backend.WorkerThread = _in_turns(backend.WorkerThread)


@functools.cache
def _in_turns(original: Any) -> Any:
    """A class of anyio's worker threads that take turns with a simulated loop."""
    if hasattr(original, "original"):
        return original

    class WorkerInTurns(original):  # type: ignore[misc]
        """A worker thread: on a simulated loop it is not started, but has a thread pool of one."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._is_in_turns = isinstance(self.loop, LimitedLoop)
            if self._is_in_turns:
                self.queue = _Jobs(self, original.run)

        def start(self) -> None:
            """Like a thread's; the pool starts its own with the first job."""
            if not self._is_in_turns:
                super().start()

    WorkerInTurns.original = original
    WorkerInTurns.__name__, WorkerInTurns.__qualname__ = original.__name__, original.__qualname__
    WorkerInTurns.__module__ = original.__module__
    return WorkerInTurns


class _Jobs:
    """What stands for the queue of a worker: an item is a job of a thread pool; None ends it.

    Args:
        worker: the worker.
        function: what its thread would do until the end, with the worker as its argument.
    """

    def __init__(self, worker: Any, function: Callable[[Any], None]) -> None:
        self._worker = worker
        self._function = function
        self._executor = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=worker.name)
        self._last: asyncio.Future[Any] | None = None

    def put_nowait(self, item: Any) -> None:
        """Like a queue's."""
        if item is None:
            # A thread that has nothing to do ends before the run does.
            self._executor.shutdown(wait=self._last is None or self._last.done())
            return
        job = functools.partial(run, item[1], self._function, _Once(self._worker, item))
        self._last = self._worker.loop.run_in_executor(self._executor, job)


def run(function: object, work: Callable[[Any], None], worker: object) -> None:
    """Do what a worker does; reports name the job by the function that it is about."""
    work(worker)


class _Once:
    """A worker of anyio while it does one job: its queue has an item and the end."""

    def __init__(self, worker: Any, item: Any) -> None:
        self._worker = worker
        self._items = [item]
        self.queue = self

    def get(self) -> Any:
        """Like a queue's."""
        return self._items.pop() if self._items else None

    def task_done(self) -> None:
        """Like a queue's."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._worker, name)
