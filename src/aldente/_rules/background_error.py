"""The rule ``background-error``: an exception in a task or callback that was never retrieved.

It covers everything that a loop's exception handler receives: a task's exception that was never
retrieved, and exceptions from callbacks and from async generators that are being closed. asyncio
only logs these.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import re
import traceback
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._source import is_users
from aldente.errors import BlockedEnd, PhaseTimeout

if TYPE_CHECKING:
    from aldente._rules.observation import Observation
    from aldente._runner.running import LoopRun


def errors_within(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes and contexts, and the members of groups, each once."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            pending.extend(current.exceptions)
        pending.append(current.__cause__)
        if not current.__suppress_context__:
            pending.append(current.__context__)


def is_users_code(path: str) -> bool:
    """`is_users` for a traceback entry; entries of Cython name sources that are not installed."""
    return is_users(path) and not path.endswith((".pyx", ".pxi", ".pxd"))


RULE = Rule(
    "background-error",
    catches="an exception in a task or callback that was never retrieved",
    why=(
        "asyncio only logs such an exception, so a test passes although the code under test has "
        "failed."
    ),
    explanation=(
        "Found: exceptions of tasks and futures that are never awaited, of callbacks (call_soon, "
        "call_later, done-callbacks, protocols), of async generators that are closed; whatever the "
        "exception handler of the event loop receives.\n\n"
        "Not a finding: an exception that a test's own exception handler receives "
        "(loop.set_exception_handler); one that is retrieved, by await, gather, a TaskGroup or "
        "task.exception(); a cancellation."
    ),
)

Context = dict[str, Any]
# Returns the node id of the test that a future or loop belongs to; None for the current test.
FindMaker = Callable[[object], str | None]

_FIX = (
    "Await the task where its result matters (asyncio.TaskGroup does it for you), or handle the "
    "exception inside the task or callback."
)


def handle_as_asyncio(loop: asyncio.BaseEventLoop, context: Context) -> None:
    """Have asyncio's own default handler log a context, even if it is patched."""
    inspect.unwrap(asyncio.BaseEventLoop.default_exception_handler)(loop, context)


def report_failed(loop: asyncio.AbstractEventLoop) -> None:
    """Have a closed loop report its failed tasks now, rather than when they are freed.

    Their exceptions can't be retrieved any more, but a variable may keep the tasks alive.
    """
    for task in _asyncio_compat.failed_and_unseen(loop):
        report_task(task)


def report_task(task: asyncio.Future[Any]) -> None:
    """Have the loop of a failed task or future report it now, and not again when it is freed."""
    context = {
        "message": f"{type(task).__name__} exception was never retrieved",
        # Retrieving it keeps asyncio from logging it.
        "exception": task.exception(),
        "future": task,
    }
    task.get_loop().call_exception_handler(context)


class ErrorWatch:
    """Reports what the exception handlers of event loops receive.

    Args:
        report: called with each finding.
        find_maker: returns the test that a task, future or loop belongs to.
        find_other: gives the finding for what libraries say without an exception, if it is one.
        find_fixture: gives the fixture, in words, that a task or callback belongs to rather than to
            a test.
        hold: takes the finding of a fixture that is set up, and reports it when that is torn down;
            False if it does not.
    """

    def __init__(
        self,
        report: Callable[[Finding], None],
        find_maker: FindMaker = lambda future: None,
        find_other: Callable[
            [asyncio.AbstractEventLoop, Context], Finding | None
        ] = lambda loop, context: None,
        find_fixture: FindMaker = lambda future: None,
        hold: Callable[[str, Finding], bool] = lambda fixture, finding: False,
    ) -> None:
        self._report = report
        self._find_maker = find_maker
        self._find_other = find_other
        self._find_fixture = find_fixture
        self._hold = hold

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, the default exception handler of asyncio's loops also reports."""
        original = asyncio.BaseEventLoop.default_exception_handler

        def default_exception_handler(self: asyncio.BaseEventLoop, context: Context) -> None:
            receive(self, context)
            if not _asyncio_compat.was_reported_by_shield(context):
                original(self, context)

        receive = self.receive
        vars(default_exception_handler)["__wrapped__"] = original
        asyncio.BaseEventLoop.default_exception_handler = (  # type: ignore[method-assign]
            default_exception_handler
        )
        try:
            with _asyncio_compat.recording_tasks(), _asyncio_compat.ShieldLeavesExceptions():
                yield
        finally:
            owner: Any = asyncio.BaseEventLoop
            # A later replacement by something else must stay.
            if owner.default_exception_handler is default_exception_handler:
                owner.default_exception_handler = original

    def handle(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        """Exception handler for loops of other kinds, whose default handler can't be replaced."""
        self.receive(loop, context)
        if not _asyncio_compat.was_reported_by_shield(context):
            loop.default_exception_handler(context)

    @containing("looking at what an exception handler received", None)
    def receive(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        """Report what the exception handler of a loop received, if it is a finding."""
        finding = find(context) or (self._find_other(loop, context) if _is_other(context) else None)
        if finding is not None:
            future = context.get("future") or context.get("task")
            made_by = finding.made_by
            if made_by is None and future is None and "handle" in context:
                made_by = self._find_maker(context["handle"])
            if made_by is None:
                # Libraries name objects of their own here; only the loop is known.
                made_by = self._find_maker(loop if future is None else future)
            fixture = self._find_fixture(context.get("handle") if future is None else future)
            finding = finding._replace(made_by=made_by)
            if fixture is not None:
                # The test that ran when it failed has not started it.
                details = (*finding.details, _mention_of(fixture))
                finding = finding._replace(made_by=None, details=details)
                if self._hold(fixture, finding):
                    return
            self._report(finding)


def find(context: Context) -> Finding | None:
    """Return the finding for what an exception handler received; None if it is not an exception."""
    error = context.get("exception")
    # The first two have propagated out of the loop already; the others are aldente's own.
    is_reported = isinstance(error, (KeyboardInterrupt, SystemExit, PhaseTimeout, BlockedEnd))
    if error is None or is_reported or isinstance(error, asyncio.CancelledError):
        return None
    if _asyncio_compat.is_reported_by_shield(context):
        # It may still be awaited.
        return None
    return Finding(
        RULE.name,
        f"{_summary(error)}, {_origin(context)}.",
        _FIX,
        _place_of(error.__traceback__) or _place_where_made(context),
        details=(*_users_lines(error), *_definition_of_callback(context)),
        subject=type(error).__name__,
    )


def _mention_of(fixture: str) -> str:
    return (
        f"it was started by the set-up of the fixture {fixture}, which outlives a test, so it is "
        "reported at the fixture's tear-down"
    )


def _is_other(context: Context) -> bool:
    """Whether an exception handler received something that is not an exception."""
    error = context.get("exception")
    return error is None or isinstance(error, asyncio.CancelledError)


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).splitlines()[0]


def _origin(context: Context) -> str:
    """Where the exception comes from, in words."""
    task = context.get("task") or context.get("future")
    if isinstance(task, asyncio.Task):
        coroutine = task.get_coro()
        if type(coroutine).__name__ == "async_generator_athrow":
            # The task in which a loop closes a generator without references.
            return "in an async generator while it was closed"
        name = getattr(coroutine, "__qualname__", type(coroutine).__name__)
        return f"in the task {task.get_name()!r} running {name!r}, which was never awaited"
    if isinstance(task, asyncio.Future):
        return "set on a future that was never awaited"
    if "asyncgen" in context:
        name = getattr(context["asyncgen"], "__qualname__", "?")
        return f"in the async generator {name!r} while it was closed"
    if "handle" in context:
        return f"in {_callback_in(context)} of the event loop"
    message: str = context.get("message") or "passed to the event loop's exception handler"
    return f"with the message {message!r}"


# How asyncio's handles describe a callback: its name, its arguments, and where it is defined.
_CALLBACK_IN_MESSAGE = re.compile(
    r"Exception in callback (?P<name><.*?>|[^(]*)\(.*?(?: at (?P<path>[^\n]+):(?P<line>\d+))?$",
    re.DOTALL,
)


def _callback_in(context: Context) -> str:
    """The callback, by the name that asyncio's own log gives it."""
    found = _CALLBACK_IN_MESSAGE.match(str(context.get("message")))
    # Loops of other kinds have other messages.
    return "a callback" if found is None else f"the callback {_ADDRESS.sub('', found['name'])!r}"


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def _definition_of_callback(context: Context) -> Iterator[str]:
    """Yield where the callback that failed is defined, from asyncio's own message."""
    found = _CALLBACK_IN_MESSAGE.match(str(context.get("message"))) if "handle" in context else None
    if found is not None and found["path"] and is_users(found["path"]):
        yield f"the callback is defined at {found['path']}:{found['line']}"


def _place_where_made(context: Context) -> SourcePlace | None:
    """Where a callback was passed to the loop, which asyncio records in debug mode."""
    made = context.get("source_traceback") or ()
    users = [entry for entry in made if is_users(entry.filename)]
    return SourcePlace(users[-1].filename, users[-1].lineno) if users else None


def _place_of(error_traceback: TracebackType | None) -> SourcePlace | None:
    """The innermost line of the user's code, or else of a library's, in a traceback."""
    place = None
    current = error_traceback
    while current is not None:
        path = current.tb_frame.f_code.co_filename
        if is_users(path) or (
            (place is None or not is_users(place.path))
            and current.tb_frame.f_globals.get("__name__", "").partition(".")[0] != "asyncio"
        ):
            place = SourcePlace(path, current.tb_lineno)
        current = current.tb_next
    return place


def _users_lines(error: BaseException) -> Iterator[str]:
    """Yield the user's frames of a traceback, if there is more than one."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)
    ]
    if len(frames) < 2:
        return
    for frame in frames:
        yield f"{frame.name} at {frame.filename}:{frame.lineno}"


def listen(observation: Observation) -> ErrorWatch:
    """Have the exception handlers of asyncio's loops report; for `Observation.share`."""
    makers = observation.makers
    observation.enter(makers.installed())
    observation.session.at_thread_start.append(makers.note_thread)

    def read_message(loop: asyncio.AbstractEventLoop, context: Context) -> Finding | None:
        readings = (read(loop, context) for read in observation.message_readers)
        return next(filter(None, readings), None)

    watch = ErrorWatch(
        observation.report, makers.maker_of, read_message, makers.fixture_of, makers.hold
    )
    observation.enter(watch.installed())
    return watch


def install(observation: Observation) -> None:
    """Report what exception handlers receive, and failed tasks that something keeps alive."""
    watch = observation.share(listen)
    failed = _FailedTasks(observation)
    observation.at_loop_start.append(functools.partial(_set_handler, watch))
    observation.at_drained.append(failed.note)
    observation.at_test_end.append(failed.note_on_wide_loop)
    observation.session.at_tear_down.append(failed.report)
    observation.session.at_session_end.append(failed.report_lost)


def _set_handler(watch: ErrorWatch, run: LoopRun) -> None:
    """Set an exception handler on a loop that is not asyncio's."""
    if not isinstance(run.loop, asyncio.BaseEventLoop):
        run.loop.set_exception_handler(watch.handle)
        _asyncio_compat.record_tasks_of(run.loop)


class _FailedTasks:
    """Reports failed tasks that something keeps alive.

    asyncio reports them when they are freed, which may be in another test, or never.
    """

    def __init__(self, observation: Observation) -> None:
        self._makers = observation.makers
        self._failed: list[weakref.ref[asyncio.Future[Any]]] = []

    @containing("looking for failed tasks", None)
    def note(self, run: LoopRun) -> None:
        """Note the failed tasks of a loop that is about to be closed."""
        for task in _asyncio_compat.failed_and_unseen(run.loop):
            if self._makers.maker_of(task) is None:
                # It failed between two tests on a wide loop.
                self._makers.note(task, "")
            self._failed.append(weakref.ref(task))

    @containing("looking for what a test left on a wide loop", None)
    def note_on_wide_loop(self, loop: asyncio.AbstractEventLoop, test: str) -> None:
        """Record whose the failed tasks are; other code may still retrieve their exceptions."""
        if _asyncio_compat.may_have_tasks(loop):
            for failed in _asyncio_compat.failed_and_unseen(loop):
                if not self._makers.is_noted(failed):
                    self._makers.note(failed, test)

    @containing("looking for failed tasks that are still alive", None)
    def report(self) -> None:
        """Report the failed tasks that are still alive after the tear-down of their test."""
        failed, self._failed = self._failed, []
        for task in filter(None, [reference() for reference in failed]):
            if _asyncio_compat.has_unseen_exception(task):
                report_task(task)

    @containing("looking for failed tasks at the end of the session", None)
    def report_lost(self) -> None:
        """Report the failed tasks of tests that something keeps alive to the end of the session.

        asyncio would report them, if at all, when the interpreter exits, without effect on the exit
        status.
        """
        for task in _asyncio_compat.failed_and_unseen():
            # Tasks of other tools belong to no test.
            if self._makers.maker_of(task) is not None:
                report_task(task)
