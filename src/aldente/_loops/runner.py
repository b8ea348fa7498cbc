"""`LoopRunner`: one event loop, driven from synchronous code, closed in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from contextvars import Context
from typing import Any, TypeVar

from aldente import _asyncio_compat
from aldente._loops.draining import AnyTask, drain_tasks
from aldente._loops.generator_host import GeneratorHost
from aldente._loops.interrupts import InterruptGuard
from aldente.errors import RunningLoopError

T = TypeVar("T")

# How long tasks that were cancelled may take to end, in seconds; and how long once the user has
# pressed Ctrl-C and waits for the prompt.
DRAIN_LIMIT = 30.0
DRAIN_LIMIT_INTERRUPTED = 3.0

# What the running loops of this process are busy with; loops of other tools are not in here.
_busy: dict[asyncio.AbstractEventLoop, str] = {}


class LoopRunner:
    """Runs coroutines on one event loop, one at a time, from code that is not async.

    The loop is made when it is first needed, and made current, as `asyncio.Runner` does it.

    Args:
        loop_factory: makes the loop.
        debug: True for asyncio's debug mode; None leaves it to asyncio.

    >>> import contextvars
    >>> async def answer():
    ...     return 42
    >>> runner = LoopRunner()
    >>> runner.run(answer(), context=contextvars.copy_context(), name="example")
    42
    >>> runner.close()
    """

    def __init__(
        self,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        debug: bool | None = None,
    ) -> None:
        self._loop = loop_factory()
        if debug is not None:
            self._loop.set_debug(debug)
        self._hosts: set[GeneratorHost[Any]] = set()
        self._main_task: AnyTask | None = None
        self._needed_hosts: Collection[GeneratorHost[Any]] = ()
        self._interrupted = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        return self._loop

    def run(
        self,
        coroutine: Coroutine[Any, Any, T],
        *,
        context: Context,
        name: str,
        needs: Sequence[GeneratorHost[Any]] = (),
    ) -> T:
        """Run a coroutine to its end and return its result.

        Args:
            coroutine: what to run.
            context: the context of its task.
            name: the name of its task.
            needs: the hosts of what it uses; when one of them dies it is cancelled.

        Raises:
            BaseException: what the coroutine raised, or why one of the needed hosts died.
            KeyboardInterrupt: the user pressed Ctrl-C; the coroutine was cancelled and has ended.
            RunningLoopError: an event loop is running in this thread.
        """
        try:
            self._check_idle(name)
            if needs:
                self._raise_death(needs)
        except BaseException:
            coroutine.close()
            raise
        task = self._loop.create_task(coroutine, context=context)
        # Not an argument of create_task: a custom task factory may not take it.
        task.set_name(name)
        return self._drive(task, task, needs)

    def start_generator(
        self,
        generator: AsyncGenerator[T, None],
        *,
        label: str,
        context: Context,
        name: str,
        needs: Sequence[GeneratorHost[Any]] = (),
    ) -> tuple[GeneratorHost[T], T]:
        """Run an async generator to its ``yield``, in a task that goes on hosting it.

        Args:
            generator: the async generator, not started.
            label: what messages call it: its name with file and line.
            context: the context of its task.
            name: the name of its task.
            needs: the hosts of what it uses.

        Returns:
            The host, for `finish_generator`, and the value that was yielded.

        Raises:
            FixtureYieldError: it ended without a ``yield``.
            BaseException: as `run`.
        """
        self._check_idle(name)
        self._raise_death(needs)
        host = GeneratorHost(
            generator,
            label=label,
            loop=self._loop,
            context=context,
            name=name,
            on_death=self._on_death,
        )
        value = self._drive(host.ready, host.task, needs)
        self._hosts.add(host)
        return host, value

    def finish_generator(self, host: GeneratorHost[Any]) -> None:
        """Run a hosted generator from its ``yield`` to its end.

        Raises:
            FixtureYieldError: it yielded again.
            BaseException: what it raised, unless it died before and that has been raised already.
        """
        self._hosts.discard(host)
        if host.task.done():
            self._raise_death([host])
            return
        self._check_idle(host.task.get_name())
        host.request_end()
        self._drive(host.task, host.task, ())

    def close(self) -> None:
        """Cancel and drain what is left on the loop, then end async generators, executor and loop.

        Every step is taken even when one before it fails.

        Raises:
            StuckTasks: tasks did not end although they were cancelled.
        """
        loop = self._loop
        if loop.is_closed():
            return
        try:
            if self._leftover_tasks():
                limit = DRAIN_LIMIT_INTERRUPTED if self._interrupted else DRAIN_LIMIT
                drain_tasks(loop, self._leftover_tasks, limit)
        finally:
            try:
                if _asyncio_compat.may_have_async_generators(loop):
                    loop.run_until_complete(loop.shutdown_asyncgens())
            finally:
                try:
                    if _asyncio_compat.may_have_default_executor(loop):
                        loop.run_until_complete(loop.shutdown_default_executor())
                finally:
                    loop.close()
                    asyncio.set_event_loop(None)

    def _leftover_tasks(self) -> Collection[AnyTask]:
        if not self._hosts and not _asyncio_compat.may_have_tasks(self._loop):
            return ()
        tasks = asyncio.all_tasks(self._loop)
        tasks.update(host.task for host in self._hosts)
        return tasks

    def _check_idle(self, wanted: str) -> None:
        if _asyncio_compat.is_loop_running_here():
            running = asyncio.get_running_loop()
            raise RunningLoopError(wanted, _busy.get(running))

    def _drive(
        self,
        goal: asyncio.Future[T],
        task: AnyTask,
        needs: Collection[GeneratorHost[Any]],
    ) -> T:
        """Run the loop until the goal is reached; the task is what works towards it."""
        loop = self._loop
        self._main_task = task
        self._needed_hosts = needs
        _busy[loop] = task.get_name()
        guard = InterruptGuard(task, loop)
        try:
            with guard:
                asyncio.set_event_loop(loop)
                result = loop.run_until_complete(goal)
        except (KeyboardInterrupt, SystemExit):
            # It went through the loop, from a second Ctrl-C or from any task or callback, and left
            # the task where it was.
            self._interrupted = True
            self._abandon(goal, task)
            raise
        except asyncio.CancelledError as cancellation:
            self._raise_reason(guard, needs, cancellation)
            raise
        except BaseException as error:
            if guard.interrupted:
                self._interrupted = True
                raise KeyboardInterrupt from error
            raise
        finally:
            del _busy[loop]
            self._main_task = None
            self._needed_hosts = ()
        if guard.interrupted or needs:
            self._raise_reason(guard, needs, None)
        return result

    def _abandon(self, goal: asyncio.Future[Any], task: AnyTask) -> None:
        """End a task whose result nobody will ask for any more."""
        if not task.done():
            try:
                drain_tasks(self._loop, lambda: [task], DRAIN_LIMIT_INTERRUPTED)
            except (KeyboardInterrupt, SystemExit):
                # A task group hands the interrupt of one of its tasks on to the task around it.
                if not task.done():
                    raise
        for future in (task, goal):
            if future.done() and not future.cancelled():
                # Asked for, so that asyncio does not log that nobody did.
                future.exception()

    def _raise_reason(
        self,
        guard: InterruptGuard,
        needs: Collection[GeneratorHost[Any]],
        cancellation: asyncio.CancelledError | None,
    ) -> None:
        """Raise why the task was cancelled from here, if it was."""
        if guard.interrupted:
            self._interrupted = True
            raise KeyboardInterrupt from cancellation
        self._raise_death(needs)

    def _raise_death(self, hosts: Collection[GeneratorHost[Any]]) -> None:
        for host in hosts:
            if host.death is not None and not host.death_reported:
                host.death_reported = True
                raise host.death

    def _on_death(self, host: GeneratorHost[Any]) -> None:
        self._hosts.discard(host)
        if self._main_task is not None and host in self._needed_hosts:
            self._main_task.cancel()
