"""`Observation`: what the module of a rule gets to observe the loops of tests.

`LoopMakers`, which it has, remembers which test made a loop, or left a task, so that late errors
are charged to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import weakref
from collections.abc import Callable, Collection, Iterator
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple, Protocol, TypeVar

from aldente import _asyncio_compat, _python_compat
from aldente._own_errors import containing
from aldente._records import Finding
from aldente._rules.watchdog import Watcher
from aldente._runner.running import LoopRun
from aldente._settings import Settings

# The test that runs on a loop that outlives it. Its callbacks and tasks inherit it.
_test_on_wide_loop: ContextVar[tuple[LoopMakers, str] | None] = ContextVar(
    "aldente_test", default=None
)

# The wider fixture that is being set up: its tasks and callbacks belong to none of the tests.
_wide_fixture: ContextVar[tuple[LoopMakers, str] | None] = ContextVar(
    "aldente_fixture", default=None
)


class LoopMakers:
    """Which test made each loop and task that may outlive it.

    Args:
        current_test: returns the node id of the running test; None between tests.

    Attributes:
        is_noting: whether new loops belong to the test. Those that aldente makes do not: it may use
            them again, or for a wider scope.
    """

    def __init__(self, current_test: Callable[[], str | None]) -> None:
        self._current_test = current_test
        # By identity: weak references to objects in a reference cycle are cleared before finalizers
        # run, which is when libraries and asyncio report what was left open.
        self._others: dict[int, _NotedOwner] = {}
        self._gone: list[int] = []
        self._tasks: dict[int, _LeftTask] = {}
        self._held: dict[str, list[Finding]] = {}
        # Threads begin with a context of their own, which does not record the test.
        self._threads: weakref.WeakKeyDictionary[threading.Thread, str] = (
            weakref.WeakKeyDictionary()
        )
        self.is_noting = True

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, record loops as they are made."""
        owner: Any = asyncio.BaseEventLoop
        original = owner.__init__
        send = owner.call_soon_threadsafe
        makers = self

        def __init__(self: asyncio.BaseEventLoop, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            makers._note_loop(self)

        @functools.wraps(send)
        def call_soon_threadsafe(
            self: asyncio.BaseEventLoop,
            callback: Callable[..., object],
            *args: Any,
            context: Context | None = None,
        ) -> asyncio.Handle:
            if context is None and makers._threads:
                context = makers._context_of_this_thread()
            handle: asyncio.Handle = send(self, callback, *args, context=context)
            return handle

        owner.__init__ = __init__
        owner.call_soon_threadsafe = call_soon_threadsafe
        try:
            yield
        finally:
            # A later replacement by something else must stay.
            if owner.__init__ is __init__:
                owner.__init__ = original
            if owner.call_soon_threadsafe is call_soon_threadsafe:
                owner.call_soon_threadsafe = send

    @containing("noting which test starts a thread", None)
    def note_thread(self, thread: threading.Thread) -> None:
        """A thread is about to be started: what it hands to a wide loop belongs to its test."""
        makers, test = _test_on_wide_loop.get() or (None, None)
        if makers is not self:
            starter = _python_compat.thread_with(threading.get_ident())
            test = None if starter is None else self._threads.get(starter)
        if test is not None:
            self._threads[thread] = test

    @containing("looking which test has started a thread", None)
    def _context_of_this_thread(self) -> Context | None:
        """The context of a callback that a test's thread hands over; None for all others."""
        thread = _python_compat.thread_with(threading.get_ident())
        test = None if thread is None else self._threads.get(thread)
        if test is None or _test_on_wide_loop.get() is not None:
            return None
        context = copy_context()
        self.enter(test, context)
        return context

    @containing("noting which test makes a loop", None)
    def _note_loop(self, loop: asyncio.BaseEventLoop) -> None:
        test = self._current_test()
        if test is not None and self.is_noting:
            self.note(loop, test)

    @containing("noting which test a loop or task belongs to", None)
    def note(self, loop_or_task: object, test: str) -> None:
        """Remember which test a loop or task belongs to."""
        if isinstance(loop_or_task, asyncio.Task):
            task = loop_or_task
            self._tasks[id(task)] = _LeftTask(weakref.ref(task), task.get_name(), test)
            task.add_done_callback(self._forget_if_well)
            return
        self.forget_gone()
        key = id(loop_or_task)
        with contextlib.suppress(TypeError):
            # Loops of other kinds may not be weakly referable.
            reference = weakref.ref(loop_or_task, lambda _: self._gone.append(key))
            self._others[key] = _NotedOwner(reference, type(loop_or_task), test)

    def forget_gone(self) -> None:
        """Forget what was freed; new objects may get its identity."""
        while self._gone:
            key = self._gone.pop()
            noted = self._others.get(key)
            if noted is not None and noted.reference() is None:
                del self._others[key]

    def enter(self, test: str, context: Context) -> None:
        """Have a test on a loop that outlives it own the callbacks scheduled in its context."""
        context.run(_test_on_wide_loop.set, (self, test))

    @contextlib.contextmanager
    def setting_up(self, fixture: str, context: Context) -> Iterator[None]:
        """While entered, what is started in a context belongs to a fixture that outlives a test."""
        context.run(_wide_fixture.set, (self, fixture))
        try:
            yield
            self._held[fixture] = []
        finally:
            # Tests may see the variables of the fixtures that they use.
            context.run(_wide_fixture.set, None)

    def hold(self, fixture: str, finding: Finding) -> bool:
        """Keep what a fixture is found to have done until it is torn down; False if it has been."""
        held = self._held.get(fixture)
        if held is not None:
            held.append(finding)
        return held is not None

    def end_fixture(self, fixture: str) -> list[Finding]:
        """A fixture is being torn down: what was kept until now."""
        return self._held.pop(fixture, [])

    def fixture_of(self, task_or_handle: object) -> str | None:
        """The wider fixture that has started a task or set a callback; None if it is not known."""
        if isinstance(task_or_handle, asyncio.Handle):
            context: Context | None = _asyncio_compat.context_of_callback(task_or_handle)
        else:
            # Public from Python 3.12 on.
            get_context = getattr(task_or_handle, "get_context", None)
            context = get_context() if get_context is not None else None
        if context is None or _test_on_wide_loop in context:
            return None
        makers, fixture = context.get(_wide_fixture) or (None, None)
        return fixture if makers is self else None

    def is_noted(self, loop_or_task: object) -> bool:
        """Whether it is known which test a loop or task belongs to."""
        if isinstance(loop_or_task, asyncio.Task):
            known = self._tasks.get(id(loop_or_task))
            return known is not None and known.reference() is loop_or_task
        noted = self._others.get(id(loop_or_task))
        return noted is not None and noted.reference() is loop_or_task

    def maker_of(self, future: object) -> str | None:
        """The node id of the test that a future, task, callback or loop belongs to.

        A callback does not know its loop; for the others the loop may decide.
        """
        if isinstance(future, asyncio.Handle):
            return self._test_in(_asyncio_compat.context_of_callback(future))
        if isinstance(future, asyncio.Task):
            known = self._tasks.get(id(future))
            # Weak references are gone when the garbage collector ends a task, which is when asyncio
            # reports it.
            if known is not None and (
                known.reference() is future
                or (known.reference() is None and known.name == future.get_name())
            ):
                return known.test
            # Public from Python 3.12 on.
            get_context = getattr(future, "get_context", None)
            test = self._test_in(get_context()) if get_context is not None else None
            if test is not None:
                return test
        own = self._test_of(future)
        if own is not None or not isinstance(future, asyncio.Future):
            return own
        return self._test_of(future.get_loop())

    def _test_of(self, thing: object) -> str | None:
        noted = self._others.get(id(thing))
        if noted is None:
            return None
        alive = noted.reference()
        return (
            noted.test if alive is thing or (alive is None and noted.kind is type(thing)) else None
        )

    def _test_in(self, context: Context) -> str | None:
        makers, test = context.get(_test_on_wide_loop) or (None, None)
        # A test may run pytest in the same process.
        return test if makers is self else None

    def _forget_if_well(self, task: asyncio.Task[Any]) -> None:
        # By private attributes, as exception() would mark the exception as retrieved.
        if task.cancelled() or not _asyncio_compat.has_unseen_exception(task):
            self._tasks.pop(id(task), None)


class _NotedOwner(NamedTuple):
    """A loop, or a future that is not a task, that belongs to a test."""

    reference: weakref.ref[object]
    kind: type
    test: str


class _LeftTask(NamedTuple):
    """A task that a test left behind."""

    reference: weakref.ref[asyncio.Task[Any]]
    name: str
    test: str


T = TypeVar("T")

AnyLoop = asyncio.AbstractEventLoop
AnyTask = asyncio.Task[Any]


class Session(Protocol):
    """What the session of a test runner calls, whether its tests run loops or not.

    Attributes:
        at_thread_start: what is called with each thread before it is started.
        at_tear_down: what is called when a test has been torn down, before it is charged.
        at_session_end: what is called after the last test, before late findings are taken.
        report: takes a finding.
        is_torn_down: whether the test that began last is over.
    """

    is_torn_down: bool
    at_thread_start: list[Callable[[threading.Thread], None]]
    at_tear_down: list[Callable[[], None]]
    at_session_end: list[Callable[[], None]]
    report: Callable[[Finding], None]

    @property
    def current_test(self) -> str | None:
        """The node id of the test that began last."""

    def has_found(self, rule: str) -> bool:
        """Whether a rule has a finding in the running test."""
        ...


class Observation:
    """Where rules report, and what they have called while the loops of tests are observed.

    The function ``install`` in the module of a rule gets it, once a session and before the first
    loop runs. It enters context managers, and appends to the lists of what is called when. The
    functions in these lists contain their own errors (`aldente._own_errors`), except those of
    ``at_loop_start``, ``at_leftovers``, ``excused_finders`` and ``message_readers``, whose callers
    do it.

    Args:
        session: the session, which takes the findings.
        settings: all settings.
        is_allowed: whether the running code allows findings of a rule, on any thread.

    Attributes:
        session: as given.
        settings: as given.
        is_allowed: as given.
        report: takes a finding, on any thread.
        makers: which test each loop and task belongs to.
        wide_loops: loops that outlive a test, and may have objects of many tests.
        installed: what is undone after the last test.
        watchers: what the watchdog's thread calls to look at a running loop.
        at_loop_start: what is called with the run of a loop that is about to be observed, once.
        at_run_end: what is called with a run each time that it has ended, on its thread.
        at_leftovers: what is called with a run before its remaining tasks are cancelled.
        at_tasks_left: what is called with tasks that are left pending, and whether only those of
            the user's own code count.
        at_loop_end: what is called with a loop that has ended, after the former. These two are also
            called for the loop of each run of an explored test, for which no other is.
        at_drained: what is called with a run when no task is left to close anything.
        at_test_end: what is called with a loop that outlives a test, and with the test.
        at_closed_loop: what is called when a test or fixture has closed its loop.
        excused_finders: give the tasks of a loop that end with something that is reported itself.
        message_readers: give the finding for what an exception handler received that is no
            exception, if it is one.
    """

    def __init__(
        self, session: Session, settings: Settings, is_allowed: Callable[[str], bool]
    ) -> None:
        self.session = session
        self.report = session.report
        self.settings = settings
        self.is_allowed = is_allowed
        self.makers = LoopMakers(self.current_test)
        self.wide_loops: weakref.WeakSet[AnyLoop] = weakref.WeakSet()
        self.installed = contextlib.ExitStack()
        self.watchers: list[Watcher] = []
        self.at_loop_start: list[Callable[[LoopRun], None]] = []
        self.at_run_end: list[Callable[[LoopRun], None]] = []
        self.at_leftovers: list[Callable[[LoopRun], None]] = []
        self.at_tasks_left: list[Callable[[Collection[AnyTask], bool], None]] = []
        self.at_loop_end: list[Callable[[AnyLoop], None]] = []
        self.at_drained: list[Callable[[LoopRun], None]] = []
        self.at_test_end: list[Callable[[AnyLoop, str], None]] = []
        self.at_closed_loop: list[Callable[[], None]] = []
        self.excused_finders: list[Callable[[AnyLoop], Collection[object]]] = []
        self.message_readers: list[Callable[[AnyLoop, dict[str, Any]], Finding | None]] = []
        self._shared: dict[Callable[[Observation], Any], Any] = {}

    def current_test(self) -> str | None:
        """The node id of the test that began last."""
        return self.session.current_test

    def enter(self, manager: contextlib.AbstractContextManager[T]) -> T:
        """Enter a context manager, to be left after the last test."""
        return self.installed.enter_context(manager)

    def share(self, make: Callable[[Observation], T]) -> T:
        """What a function makes of this observation, once for all rules that need it."""
        if make not in self._shared:
            self._shared[make] = make(self)
        made: T = self._shared[make]
        return made
