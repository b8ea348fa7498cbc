"""`LoopRunner`: one event loop, driven from synchronous code, closed in order."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterator, Sequence
from contextvars import Context
from typing import Any, TypeVar

from aldente import _asyncio_compat, _system
from aldente._runner import outside, running
from aldente._runner.generator_task import GeneratorHost, raise_death, run_task
from aldente._runner.interrupts import InterruptGuard
from aldente._runner.running import NoObserver, Observer
from aldente._runner.shutdown import (
    IN_HURRY,
    PATIENT,
    AnyTask,
    describe_task,
    drain_tasks,
    end_loop,
    give_turns,
    give_up,
    try_cancel,
)
from aldente._system import monotonic
from aldente.errors import RunningLoopError, StuckTasks

T = TypeVar("T")

_NO_OBSERVER = NoObserver()


class LoopRunner:
    """Runs coroutines on one event loop, one at a time, from code that is not async.

    The constructor makes the loop; the loop is the current one whenever it runs.

    Args:
        loop_factory: makes the loop.
        keep: takes back a loop that is like new, and returns whether it did. It gets the loop in a
            list, and nothing else here refers to it then.
        debug: True for asyncio's debug mode; None leaves it to asyncio.
        observer: is notified of its runs.
        is_virtual: whether the time of the loop is virtual; kept as an attribute.

    Attributes:
        interrupted: whether Ctrl-C ended a run.
        main_task: the task that the loop is running for; None while it is not running, or only to
            end what is left on it.
        runs: how many runs have begun.
        thread: the identifier of the thread that runs it.
        timeout: how long a run may take, in seconds; None for no limit.
        deadline: when the current run must end, by `time.monotonic`; None for no limit. The
            observer enforces it.
        end_limit: without a main task: how long what is left may block the loop, in seconds.
        handlers_before: the signal handlers that were set when the loop was made. They are kept
            here, as a loop that is known to anything else is not used again.

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
        observer: Observer = _NO_OBSERVER,
        is_virtual: bool = False,
    ) -> None:
        self.is_virtual = is_virtual
        self._loop_factory = loop_factory
        self._loop = loop_factory()
        self.handlers_before: outside.Handlers = outside.signal_handlers()
        self._keep = keep
        self._is_closed = False
        self._debug = debug
        if debug is not None:
            self._loop.set_debug(debug)
        self._hosts: set[GeneratorHost[Any]] = set()
        self._needed_hosts: Collection[GeneratorHost[Any]] = ()
        self._observer = observer
        self._guard: InterruptGuard | None = None
        self._given_up: set[AnyTask] = set()
        self._end_reason: BaseException | None = None
        self.interrupted = False
        self.main_task: AnyTask | None = None
        self.runs = 0
        self.thread = 0
        self.timeout: float | None = None
        self.deadline: float | None = None
        self.end_limit = 0.0
        self._is_end_over = False

    def open_again(self) -> None:
        """Make another loop, after `close_if_unused` closed a loop that was like new."""
        self._loop = self._loop_factory()
        self.handlers_before = outside.signal_handlers()
        if self._debug is not None:
            self._loop.set_debug(self._debug)
        self._is_closed = False

    @property
    def can_open_again(self) -> bool:
        """Whether it would be like a new one, if it were opened again."""
        return not (self._hosts or self._given_up or self.interrupted)

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
            needs: the hosts of the fixtures that it uses; if one of them dies, it is cancelled.

        Raises:
            BaseException: what the coroutine raised, or why one of the needed hosts died.
            KeyboardInterrupt: the user pressed Ctrl-C; the coroutine was cancelled and has ended.
            RunningLoopError: an event loop is running in this thread, or this one in another.
        """
        try:
            self._check_idle(name)
            if needs:
                raise_death(needs)
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
            describe: returns its name for messages, with file and line.
            context: the context of its task.
            name: the name of its task.
            needs: the hosts of the fixtures that it uses.
            on_death: called when it ends unasked.

        Returns:
            The host, for `finish_generator`, and the value that was yielded.

        Raises:
            FixtureYieldError: it ended without a ``yield``.
            BaseException: as `run`.
        """
        self._check_idle(name)
        raise_death(needs)

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
            # It may have swallowed its cancellation and yielded; then nothing would finish it.
            self._abandon(host.task, error)
            self._hosts.discard(host)
            raise

    def finish_generator(self, host: GeneratorHost[Any]) -> None:
        """Run a hosted generator from its ``yield`` to its end.

        Raises:
            FixtureYieldError: it yielded again.
            BaseException: what it raised, unless it died before and that was raised already.
        """
        if not host.task.done():
            self._check_idle(host.task.get_name(), is_tear_down=True)
            self._drive(host.task, (), host.run_to_end)
        host.see_end()
        self._hosts.discard(host)
        if host.death is not None and not host.death_reported:
            raise host.death

    def close(self, *, in_hurry: bool = False) -> None:
        """Cancel and drain what is left on the loop, then end async generators, executor and loop.

        Every step is taken even when one before it fails.

        Args:
            in_hurry: whether the user pressed Ctrl-C and waits for the prompt.

        Raises:
            StuckTasks: tasks did not end although they were cancelled.
            StuckShutdown: async generators or the executor's jobs did not end.
            BlockedEnd: something blocked the loop and was interrupted.
        """
        if self.close_if_unused():
            return
        self._is_closed = True
        leftover_tasks = self.leftover_tasks()
        _asyncio_compat.make_current(self._loop)
        try:
            if _asyncio_compat.is_loop_running_beneath():
                # The test of these tasks has failed for that already.
                give_up(leftover_tasks)
            elif not self._loop.is_closed():
                real = (IN_HURRY if in_hurry else PATIENT).at_most(self.timeout)
                # Virtual time passes instantly, but jobs of the executor take real time.
                limits = PATIENT._replace(executor=real.executor) if self.is_virtual else real
                with (
                    _asyncio_compat.without_suspended_loop(),
                    self._interrupting_blocks(real.tasks) as blocks,
                ):
                    if not in_hurry:
                        give_turns(self._loop, self.leftover_tasks)
                        self._observer.on_leftovers(self)
                    end_loop(
                        self._loop,
                        self.leftover_tasks,
                        limits,
                        lambda: self._is_end_over,
                        self._observer.are_jobs_stuck,
                    )
                    if not in_hurry:
                        self._observer.on_drained(self)
                if blocks:
                    raise blocks[0]
        finally:
            self._loop.close()
            _asyncio_compat.forget_current_loop()

    def close_if_unused(self) -> bool:
        """Close it directly, if its loop is like new and `keep` takes it.

        Returns:
            Whether it is closed.
        """
        if self._is_closed:
            return True
        if self.leftover_tasks():
            return False
        _asyncio_compat.forget_current_loop()
        box = [self._loop]
        del self._loop
        self._is_closed = self._keep(box)
        if not self._is_closed:
            self._loop = box.pop()
        return self._is_closed

    def leftover_tasks(self) -> Collection[AnyTask]:
        """The pending tasks of the loop, including those of generators."""
        if not self._hosts and not _asyncio_compat.may_have_tasks(self._loop):
            return ()
        tasks = asyncio.all_tasks(self._loop)
        tasks.update(host.task for host in self._hosts)
        return tasks - self._given_up

    def is_hosting(self, task: AnyTask) -> bool:
        """Whether a task hosts a generator that waits at its ``yield``."""
        return any(host.task is task and host.is_waiting for host in self._hosts)

    def _check_idle(self, wanted: str, *, is_tear_down: bool = False) -> None:
        """Refuse to run something while its loop, or another one in this thread, is running."""
        beneath: LoopRunner | None = None
        if _asyncio_compat.is_loop_running_here():
            found = running.runner_of(asyncio.get_running_loop())
            beneath = found if isinstance(found, LoopRunner) else None
            if beneath is None and _asyncio_compat.is_loop_running_beneath():
                raise RunningLoopError(wanted, None)
        elif self.main_task is not None:
            # In another thread, which waits for the code that runs here.
            beneath = self
        elif running.number():
            # Likewise, on another loop than this one.
            beneath = self._busy_sibling()
        if beneath is not None:
            task = beneath.main_task
            raise RunningLoopError(
                wanted,
                task.get_name() if task is not None else "what ends an event loop",
                is_other_run=not beneath.has_observer(self._observer),
                is_tear_down=is_tear_down,
            )

    def has_observer(self, observer: Observer) -> bool:
        """Whether an observer is notified of its runs."""
        return self._observer is observer

    def _busy_sibling(self) -> LoopRunner | None:
        """A runner of the same session that runs something now, on another thread."""
        if self._observer is _NO_OBSERVER:
            # It belongs to no session.
            return None
        for _, run in running.running():
            if isinstance(run, LoopRunner) and run.has_observer(self._observer):
                return run
        return None

    def _drive(
        self,
        task: AnyTask,
        needs: Collection[GeneratorHost[Any]],
        run_loop: Callable[[], T],
    ) -> T:
        """Run the loop for a task until what it works towards is reached."""
        loop = self._loop
        self._end_reason = None
        self.main_task = task
        self.runs += 1
        self.thread = _system.get_ident()
        self.deadline = None if self.timeout is None else monotonic() + self.timeout
        self._needed_hosts = needs
        guard = self._guard = InterruptGuard(task, loop, self._on_interrupt)
        try:
            running.begin(loop, self)
            with guard, _asyncio_compat.without_suspended_loop():
                _asyncio_compat.make_current(loop)
                result = run_loop()
        except BaseException as error:
            if not task.done() and not isinstance(error, asyncio.CancelledError):
                error.add_note(f"It ended {describe_task(task)}.")
            reason = self._reason(guard, needs, error)
            self._abandon(task, reason or error)
            if reason is None or reason is error:
                raise
            # This runner requested the cancellation, so it explains nothing.
            cause = None if isinstance(error, asyncio.CancelledError) else error
            raise reason from cause
        finally:
            running.end(loop)
            self.main_task = self._guard = None
            self._needed_hosts = ()
            self._observer.on_run_end(self)
        if guard.interrupted or needs or self._end_reason is not None:
            swallowed = self._reason(guard, needs, None)
            if swallowed is not None:
                raise swallowed
        return result

    @contextlib.contextmanager
    def _interrupting_blocks(self, seconds: float) -> Iterator[list[BaseException]]:
        """While entered, interrupt code that blocks the loop for longer; yields the errors."""
        before = (self.main_task, self._guard, self._end_reason, self.deadline)
        blocks: list[BaseException] = []
        self.thread = _system.get_ident()
        self.main_task = self._end_reason = None
        self.end_limit = seconds
        self._is_end_over = False
        self.deadline = monotonic() + seconds
        self._guard = InterruptGuard(None, self._loop, self._on_interrupt)
        is_in_run = running.runner_of(self._loop) is not None
        try:
            running.begin(self._loop, self)
            with self._guard:
                yield blocks
        finally:
            if not is_in_run:
                running.end(self._loop)
            if self._end_reason is not None:
                blocks.append(self._end_reason)
            self.main_task, self._guard, self._end_reason, self.deadline = before

    @property
    def is_ending(self) -> bool:
        """Whether `end` was called for the current run, and its task has not ended yet."""
        return self._end_reason is not None

    def end(self, reason: BaseException) -> None:
        """End the current run with an exception; called on the loop.

        The first call cancels the task of the run. A second call means that the task has ignored
        that, and stops the loop.
        """
        if self.main_task is None:
            return
        if self._end_reason is not None:
            self._loop.stop()
            return
        self._end_reason = reason
        if not try_cancel(self.main_task):
            self._loop.stop()

    def end_no_later(self) -> None:
        """Give up what is left on the loop, at its limit of real time; called on the loop."""
        self._is_end_over = True
        self._loop.stop()

    def break_in(self, reason: BaseException) -> bool:
        """Raise an exception in the code that blocks the loop; called from another thread.

        Returns:
            Whether that is possible: only on the main thread, and with Python's SIGINT handler.
        """
        guard = self._guard
        if guard is None:
            return False
        before, self._end_reason = self._end_reason, reason
        if guard.has_broken_in:
            # It was caught, as by a loop that tries again after every Exception.
            self._end_reason = before or reason
            return guard.break_in(asyncio.CancelledError())
        if guard.break_in(reason):
            return True
        self._end_reason = None
        return False

    def _on_interrupt(self) -> None:
        self._observer.on_interrupt(self)

    def _abandon(self, task: AnyTask, error: BaseException) -> None:
        """End a task that an exception left behind, as its result will never be retrieved.

        The exception propagated through the loop: a second Ctrl-C, a time-out by signal, or a
        KeyboardInterrupt or SystemExit of any task or callback.
        """
        if not task.done():
            try:
                with self._interrupting_blocks(IN_HURRY.tasks) as blocks:
                    drain_tasks(
                        self._loop, lambda: [task], IN_HURRY.tasks, lambda: self._is_end_over
                    )
                for block in blocks:
                    error.add_note(str(block))
            except StuckTasks as stuck:
                self._given_up.add(task)
                error.add_note(str(stuck))
            except (KeyboardInterrupt, SystemExit):
                # A task group passes the interrupt of one of its tasks on to its parent task.
                if not task.done():
                    raise
        if task.done() and not task.cancelled():
            # Retrieved, so that asyncio does not log it.
            task.exception()

    def _reason(
        self,
        guard: InterruptGuard,
        needs: Collection[GeneratorHost[Any]],
        error: BaseException | None,
    ) -> BaseException | None:
        """Why a run really ended: Ctrl-C, the death of a host, or its own exception."""
        if isinstance(error, KeyboardInterrupt):
            self.interrupted = True
            return error
        # With the traceback of the user's code that was interrupted.
        place = error.__traceback__ if isinstance(error, asyncio.CancelledError) else None
        if guard.interrupted:
            self.interrupted = True
            return KeyboardInterrupt().with_traceback(place)
        if self._end_reason is not None:
            ended, self._end_reason = self._end_reason, None
            return ended.with_traceback(place or ended.__traceback__)
        for host in needs:
            if host.death is not None:
                host.death_reported = True
                return host.death
        return error

    def _on_death(self, host: GeneratorHost[Any]) -> None:
        self._hosts.discard(host)
        if self.main_task is not None and host in self._needed_hosts:
            self.main_task.cancel()
