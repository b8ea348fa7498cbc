"""The one task in which an async generator is set up and torn down.

Its loop runs only until that is done, without extra iterations.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextvars import Context
from typing import Any, Generic, TypeVar

from aldente import _asyncio_compat
from aldente.errors import FixtureEnded, FixtureYieldError

T = TypeVar("T")


def run_task(loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]) -> T:
    """Run a loop until a task is done, and return its result, as ``run_until_complete`` does.

    That takes one more iteration of the loop to notice that a task is done. For a task that waits
    for nothing, like most small tests, the iteration is most of the cost of running it.

    Args:
        loop: the loop of the task; not running.
        task: the task.

    Raises:
        BaseException: what the task raised.
        RuntimeError: other code stopped the loop first.

    >>> loop = asyncio.new_event_loop()
    >>> run_task(loop, loop.create_task(asyncio.sleep(0, "done")))
    'done'
    >>> loop.close()
    """

    def stop(task: asyncio.Task[Any]) -> None:
        if task.cancelled() or not isinstance(task.exception(), (KeyboardInterrupt, SystemExit)):
            loop.stop()
        # These two have propagated out of the run already; a stop() would end the next one.

    def stop_when_done() -> None:
        if task.done():
            loop.stop()
        else:
            task.add_done_callback(stop)

    # Its turn is right after the task's first step.
    handle = loop.call_soon(stop_when_done)
    try:
        run_until_stopped(loop)
    finally:
        handle.cancel()
        task.remove_done_callback(stop)
    if not task.done():
        raise stopped_early()
    return task.result()


def run_until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, and one more iteration for what was scheduled by then."""
    loop.run_forever()
    if _asyncio_compat.may_have_ready_callbacks(loop):
        # run_until_complete would have noticed the end in that iteration.
        loop.stop()
        loop.run_forever()


def stopped_early() -> RuntimeError:
    """The error of ``run_until_complete`` when other code stops its loop."""
    return RuntimeError("Event loop stopped before Future completed.")


class GeneratorHost(Generic[T]):
    """Hosts an async generator: runs it to its ``yield``, waits, and later runs it to its end.

    In between the task waits. It is not one of the user's tasks then, so `asyncio.all_tasks` does
    not return it: code that cancels "all other tasks" must not end the fixtures around it.

    Args:
        generator: the async generator, not started.
        describe: returns its name for messages, with file and line.
        loop: the loop it lives on; not running.
        context: the context in which all of it runs.
        name: the name of its task.
        on_death: called on the loop when the generator ends unasked.

    Attributes:
        task: the task.
        death: why the generator ended before it was asked to, or None.
        death_reported: whether it was raised already.
    """

    def __init__(
        self,
        generator: AsyncGenerator[T, None],
        *,
        describe: Callable[[], str],
        loop: asyncio.AbstractEventLoop,
        context: Context,
        name: str,
        on_death: Callable[[GeneratorHost[Any]], None],
    ) -> None:
        self._generator = generator
        self._describe = describe
        self._loop = loop
        self._on_death = on_death
        self._end_requested: asyncio.Future[None] = loop.create_future()
        self._value: T
        self._has_yielded = False
        self._is_loop_run_for_it = False
        self._is_ended_by_group = False
        self.death: BaseException | None = None
        self.death_reported = False
        self.task = loop.create_task(self._live(), context=context)
        self.task.set_name(name)
        self.task.add_done_callback(self._on_done)

    @property
    def generator(self) -> AsyncGenerator[T, None]:
        """The async generator."""
        return self._generator

    @property
    def is_waiting(self) -> bool:
        """Whether the generator waits at its ``yield``."""
        return self._has_yielded and not self._end_requested.done()

    @property
    def label(self) -> str:
        """Its name in messages."""
        return self._describe()

    def run_to_yield(self) -> T:
        """Run the loop until the generator has yielded, and return the value.

        Raises:
            BaseException: what it raised instead.
        """
        self._run_loop()
        if self.task.done():
            self.task.result()
        elif not self._has_yielded:
            raise stopped_early()
        return self._value

    def run_to_end(self) -> None:
        """Resume the generator after its ``yield``, and run the loop until it has ended.

        Raises:
            BaseException: what it raised.
        """
        if not self._end_requested.done():
            self._end_requested.set_result(None)
        self._run_loop()
        if not self.task.done():
            raise stopped_early()
        self.task.result()

    def _run_loop(self) -> None:
        """Run the loop until the generator stops it."""
        self._is_loop_run_for_it = True
        try:
            run_until_stopped(self._loop)
        finally:
            self._is_loop_run_for_it = False

    def _stop_loop(self) -> None:
        if self._is_loop_run_for_it:
            self._loop.stop()

    async def _live(self) -> None:
        try:
            self._value = await anext(self._generator)
        except StopAsyncIteration:
            raise FixtureYieldError(self.label, 0) from None
        self._has_yielded = True
        _asyncio_compat.hide_task(self.task)
        self._stop_loop()
        try:
            await self._end_requested
        except asyncio.CancelledError as cancellation:
            _asyncio_compat.show_task(self.task)
            # Now, as the group forgets the task when it is left.
            self._is_ended_by_group = _asyncio_compat.is_cancelled_by_group(self.task)
            await self._expect_end(self._generator.athrow(cancellation))
        else:
            _asyncio_compat.show_task(self.task)
            await self._expect_end(anext(self._generator))
            # A normal end, so the callback is not needed.
            self.task.remove_done_callback(self._on_done)
            self._stop_loop()

    async def _expect_end(self, last_step: Any) -> None:
        try:
            await last_step
        except StopAsyncIteration:
            return
        await self._generator.aclose()
        raise FixtureYieldError(self.label, 2)

    def see_end(self) -> None:
        """Record an early end even if the loop was stopped before the callback ran."""
        if self.task.done():
            self._note_end()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._note_end()
        self._stop_loop()

    def _note_end(self) -> None:
        is_death = not self._end_requested.done() or self._end_requested.cancelled()
        if self._has_yielded and is_death and self.death is None:
            self.death = self._cause_of_death(self.task)
            self._on_death(self)

    def _cause_of_death(self, task: asyncio.Task[None]) -> BaseException:
        is_cancelled = task.cancelled()
        error = None if is_cancelled else task.exception()
        return error or FixtureEnded(
            self.label, cancelled=is_cancelled, by_group=self._is_ended_by_group
        )


def hosted_generator(coroutine: object) -> object | None:
    """The async generator that a task with this coroutine hosts; None if it hosts none."""
    frame = getattr(coroutine, "cr_frame", None)
    # Read the variables last: before Python 3.13 f_locals keeps their values alive.
    if frame is None or frame.f_code is not _HOST_CODE:
        return None
    host: GeneratorHost[Any] = frame.f_locals["self"]
    return host.generator


_HOST_CODE = vars(GeneratorHost)["_live"].__code__


def raise_death(hosts: Iterable[GeneratorHost[Any]]) -> None:
    """Raise the error that ended one of the hosts early, if any."""
    for host in hosts:
        host.see_end()
        if host.death is not None:
            host.death_reported = True
            raise host.death
