"""`LoopRunner`: one event loop, driven from synchronous code, closed in order."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Sequence
from contextvars import Context
from typing import Any, TypeVar

from aldente import _asyncio_compat
from aldente._loops.draining import AnyTask, describe_task, drain_tasks
from aldente._loops.driving import run_task
from aldente._loops.generator_host import GeneratorHost
from aldente._loops.interrupts import InterruptGuard
from aldente.errors import RunningLoopError, StuckShutdown, StuckTasks

T = TypeVar("T")

# How long tasks that were cancelled may take to end, in seconds; how long once the user has pressed
# Ctrl-C and waits for the prompt; and how long async generators and the executor may take.
DRAIN_LIMIT = 30.0
DRAIN_LIMIT_INTERRUPTED = 3.0
SHUTDOWN_LIMIT = 60.0

# What the running loops of this process are busy with; loops of other tools are not in here.
_busy: dict[asyncio.AbstractEventLoop, str] = {}


class LoopRunner:
    """Runs coroutines on one event loop, one at a time, from code that is not async.

    The loop is made at once, and made current whenever it runs.

    Args:
        loop_factory: makes the loop.
        keep: takes a loop that is like new, and says whether it has. It gets the loop in a list;
            nothing else here refers to it then.
        debug: True for asyncio's debug mode; None leaves it to asyncio.

    Attributes:
        interrupted: whether Ctrl-C has ended a run.

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
        *,
        keep: Callable[[list[asyncio.AbstractEventLoop]], bool] = lambda box: False,
    ) -> None:
        self._loop = loop_factory()
        self._keep = keep
        self._is_closed = False
        if debug is not None:
            self._loop.set_debug(debug)
        self._hosts: set[GeneratorHost[Any]] = set()
        self._main_task: AnyTask | None = None
        self._needed_hosts: Collection[GeneratorHost[Any]] = ()
        self.interrupted = False

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
                _raise_death(needs)
        except BaseException:
            coroutine.close()
            raise
        task = self._loop.create_task(coroutine, context=context)
        # Not an argument of create_task: a custom task factory may not take it.
        task.set_name(name)
        return self._drive(task, needs, functools.partial(run_task, self._loop, task))

    def start_generator(
        self,
        generator: AsyncGenerator[T, None],
        *,
        describe: Callable[[], str],
        context: Context,
        name: str,
        needs: Sequence[GeneratorHost[Any]] = (),
        on_death: Callable[[GeneratorHost[Any]], object] = lambda host: None,
    ) -> tuple[GeneratorHost[T], T]:
        """Run an async generator to its ``yield``, in a task that goes on hosting it.

        Args:
            generator: the async generator, not started.
            describe: gives what messages call it: its name with file and line.
            context: the context of its task.
            name: the name of its task.
            needs: the hosts of what it uses.
            on_death: called when it ends although nobody asked it to.

        Returns:
            The host, for `finish_generator`, and the value that was yielded.

        Raises:
            FixtureYieldError: it ended without a ``yield``.
            BaseException: as `run`.
        """
        self._check_idle(name)
        _raise_death(needs)

        def die(host: GeneratorHost[Any]) -> None:
            self._on_death(host)
            on_death(host)

        host = GeneratorHost(
            generator, describe=describe, loop=self._loop, context=context, name=name, on_death=die
        )
        self._hosts.add(host)
        try:
            return host, self._drive(host.task, needs, host.run_to_yield)
        except BaseException as error:
            # It may have swallowed its cancellation and yielded: nobody would ever finish it.
            self._abandon(host.task, error)
            self._hosts.discard(host)
            raise

    def finish_generator(self, host: GeneratorHost[Any]) -> None:
        """Run a hosted generator from its ``yield`` to its end.

        Raises:
            FixtureYieldError: it yielded again.
            BaseException: what it raised, unless it died before and that has been raised already.
        """
        if not host.task.done():
            self._check_idle(host.task.get_name())
            self._drive(host.task, (), host.run_to_end)
        self._hosts.discard(host)
        if host.death is not None and not host.death_reported:
            raise host.death

    def close(self, *, in_hurry: bool = False) -> None:
        """Cancel and drain what is left on the loop, then end async generators, executor and loop.

        Every step is taken even when one before it fails.

        Args:
            in_hurry: whether the user has pressed Ctrl-C and waits for the prompt.

        Raises:
            StuckTasks: tasks did not end although they were cancelled.
            StuckShutdown: async generators or the executor's jobs did not end.
        """
        if self.close_if_unused():
            return
        self._is_closed = True
        leftover_tasks = self._leftover_tasks()
        asyncio.set_event_loop(self._loop)
        try:
            if _asyncio_compat.is_loop_running_here():
                self._give_up(leftover_tasks)
            elif not self._loop.is_closed():
                self._end_all(DRAIN_LIMIT_INTERRUPTED if in_hurry else DRAIN_LIMIT)
        finally:
            self._loop.close()
            asyncio.set_event_loop(None)

    def close_if_unused(self) -> bool:
        """Close it without further ado, if its loop is like new and there is a use for such a loop.

        Returns:
            Whether it is closed.
        """
        if self._is_closed:
            return True
        if self._leftover_tasks():
            return False
        asyncio.set_event_loop(None)
        box = [self._loop]
        del self._loop
        self._is_closed = self._keep(box)
        if not self._is_closed:
            self._loop = box.pop()
        return self._is_closed

    def _give_up(self, tasks: Collection[AnyTask]) -> None:
        """Leave tasks pending, as another tool's loop is running and this one can't.

        What they belong to has failed for the same reason, and has said so.
        """
        for task in tasks:
            _asyncio_compat.silence_destroyed_task(task)

    def _end_all(self, limit: float) -> None:
        loop = self._loop
        try:
            if self._leftover_tasks():
                drain_tasks(loop, self._leftover_tasks, limit)
        finally:
            try:
                if _asyncio_compat.may_have_async_generators(loop):
                    self._shut_down(loop.shutdown_asyncgens(), "an async generator")
            finally:
                if _asyncio_compat.may_have_default_executor(loop):
                    self._shut_down(loop.shutdown_default_executor(), "an executor job")

    def _shut_down(self, coroutine: Coroutine[Any, Any, None], what: str) -> None:
        task = self._loop.create_task(coroutine)
        self._loop.run_until_complete(asyncio.wait([task], timeout=SHUTDOWN_LIMIT))
        if not task.done():
            _asyncio_compat.silence_destroyed_task(task)
            raise StuckShutdown(what, SHUTDOWN_LIMIT)
        task.result()

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
        task: AnyTask,
        needs: Collection[GeneratorHost[Any]],
        run_loop: Callable[[], T],
    ) -> T:
        """Run the loop for a task until what it works towards is reached."""
        loop = self._loop
        self._main_task = task
        self._needed_hosts = needs
        _busy[loop] = task.get_name()
        guard = InterruptGuard(task, loop)
        try:
            with guard:
                asyncio.set_event_loop(loop)
                result = run_loop()
        except BaseException as error:
            if not task.done() and not isinstance(error, asyncio.CancelledError):
                error.add_note(f"It ended {describe_task(task)}.")
            self._abandon(task, error)
            reason = self._reason(guard, needs, error)
            if reason is None or reason is error:
                raise
            # The cancellation came from here and explains nothing.
            cause = None if isinstance(error, asyncio.CancelledError) else error
            raise reason from cause
        finally:
            del _busy[loop]
            self._main_task = None
            self._needed_hosts = ()
        if guard.interrupted or needs:
            swallowed = self._reason(guard, needs, None)
            if swallowed is not None:
                raise swallowed
        return result

    def _abandon(self, task: AnyTask, error: BaseException) -> None:
        """End a task that an exception has left behind, as nobody will ask for its result any more.

        The exception went through the loop: a second Ctrl-C, a time-out by signal, or a
        KeyboardInterrupt or SystemExit of any task or callback.
        """
        if not task.done():
            try:
                drain_tasks(self._loop, lambda: [task], DRAIN_LIMIT_INTERRUPTED)
            except StuckTasks as stuck:
                error.add_note(str(stuck))
            except (KeyboardInterrupt, SystemExit):
                # A task group hands the interrupt of one of its tasks on to the task around it.
                if not task.done():
                    raise
        if task.done() and not task.cancelled():
            # Asked for, so that asyncio does not log that nobody did.
            task.exception()

    def _reason(
        self,
        guard: InterruptGuard,
        needs: Collection[GeneratorHost[Any]],
        error: BaseException | None,
    ) -> BaseException | None:
        """Why a run really ended: Ctrl-C, the death of what it needed, or what it has raised."""
        if isinstance(error, KeyboardInterrupt):
            self.interrupted = True
            return error
        if guard.interrupted:
            self.interrupted = True
            # With the frames of the user's code that was interrupted.
            place = error.__traceback__ if isinstance(error, asyncio.CancelledError) else None
            return KeyboardInterrupt().with_traceback(place)
        for host in needs:
            if host.death is not None:
                host.death_reported = True
                return host.death
        return error

    def _on_death(self, host: GeneratorHost[Any]) -> None:
        self._hosts.discard(host)
        if self._main_task is not None and host in self._needed_hosts:
            self._main_task.cancel()


def _raise_death(hosts: Collection[GeneratorHost[Any]]) -> None:
    for host in hosts:
        if host.death is not None:
            host.death_reported = True
            raise host.death
