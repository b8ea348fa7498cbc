"""The one task in which an async generator is set up and torn down.

Task groups, `asyncio.timeout` and cancel scopes belong to the task that entered them. An async
generator whose set-up and tear-down ran in two tasks could not have one of them around its
``yield``; hosted by one task it can, and a cancellation that such a block sends reaches the
generator at its ``yield``, as it would reach any other ``await``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from typing import Any, Generic, TypeVar

from aldente import _asyncio_compat
from aldente.errors import FixtureEnded, FixtureYieldError

T = TypeVar("T")


class GeneratorHost(Generic[T]):
    """Hosts an async generator: runs it to its ``yield``, waits, and later runs it to its end.

    Between the two the task waits. It is then no task of the user's, so `asyncio.all_tasks` does
    not show it: code that cancels "all other tasks" must not end the fixtures around it.

    Args:
        generator: the async generator, not started.
        describe: gives what messages call it: its name with file and line.
        loop: the loop it lives on; not running.
        context: the context in which all of it runs.
        name: the name of its task.
        on_death: called on the loop when the generator ends although nobody asked it to.

    Attributes:
        task: the task.
        ready: done when the generator has yielded (with its value) or failed before.
        death: why the generator ended before it was asked to, or None.
        death_reported: whether somebody has already raised that.
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
        self._on_death = on_death
        self._end_requested: asyncio.Future[None] = loop.create_future()
        self.ready: asyncio.Future[T] = loop.create_future()
        self.death: BaseException | None = None
        self.death_reported = False
        self.task = loop.create_task(self._live(), context=context)
        self.task.set_name(name)
        self.task.add_done_callback(self._on_done)

    @property
    def label(self) -> str:
        """What messages call it."""
        return self._describe()

    def request_end(self) -> None:
        """Let the generator go on after its ``yield``; does nothing when it has ended."""
        if not self._end_requested.done():
            self._end_requested.set_result(None)

    async def _live(self) -> None:
        try:
            value = await anext(self._generator)
        except StopAsyncIteration:
            raise FixtureYieldError(self.label, 0) from None
        self.ready.set_result(value)
        _asyncio_compat.hide_task(self.task)
        try:
            await self._end_requested
        except asyncio.CancelledError as cancellation:
            _asyncio_compat.show_task(self.task)
            await self._expect_end(self._generator.athrow(cancellation))
        else:
            _asyncio_compat.show_task(self.task)
            await self._expect_end(anext(self._generator))

    async def _expect_end(self, last_step: Any) -> None:
        try:
            await last_step
        except StopAsyncIteration:
            return
        await self._generator.aclose()
        raise FixtureYieldError(self.label, 2)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if not self.ready.done():
            self._fail_set_up(task)
        elif not self._end_requested.done() or self._end_requested.cancelled():
            self.death = self._cause_of_death(task)
            self._on_death(self)

    def _fail_set_up(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self.ready.cancel()
            return
        exception = task.exception()
        # Before its yield the task ends only by raising: see _live.
        assert exception is not None
        self.ready.set_exception(exception)
        # Asked for, so that asyncio does not log that nobody did when Ctrl-C ended the wait for it.
        self.ready.exception()

    def _cause_of_death(self, task: asyncio.Task[None]) -> BaseException:
        if task.cancelled():
            return FixtureEnded(self.label, cancelled=True)
        return task.exception() or FixtureEnded(self.label, cancelled=False)
