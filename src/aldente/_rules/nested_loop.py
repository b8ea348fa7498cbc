"""The rule ``nested-loop``: a second event loop inside async code, or a test closing its own."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._rules.background_error import errors_within, is_users_code
from aldente._runner import running
from aldente._source import caller, is_users, place_of

if TYPE_CHECKING:
    from aldente._rules.observation import Observation

RULE = Rule(
    name="nested-loop",
    catches="a second event loop inside an async test, or a test that closes or replaces its loop",
    why=(
        "A thread runs one event loop at a time, so the tasks of a second one never run there; "
        "and an object that belongs to one loop (a future, lock or connection) fails or hangs on "
        "another."
    ),
    explanation="""\
Async tests and fixtures run on an event loop that aldente makes, runs and closes. Code that they
call sometimes brings a loop of its own: `asyncio.run()`, `asyncio.Runner`,
`loop.run_until_complete()` and `loop.run_forever()` are refused by asyncio while a loop runs in the
same thread; a loop from `asyncio.new_event_loop()` can't run there; `asyncio.set_event_loop()` has
no effect until the running loop has ended, and then misleads the code that runs next.

Reported are calls that your own code makes, not those of installed packages, in a thread whose loop
is running; and a test that closes its loop or leaves another one current.

Not reported: asking for the running loop; loops in other threads, also when they were made here and
given to the thread; sync tests and fixtures that run a loop of their own.

Fix: await the coroutine, making the functions around it async, or start it with
`asyncio.create_task()`. Code that insists on a loop of its own runs in a thread:
`await asyncio.to_thread(function)`.""",
    explains_failure=True,
)

Report = Callable[[Finding], object]

_AWAIT_INSTEAD = (
    "Await it instead, making the functions around it async, or start it with "
    "asyncio.create_task(). Code that insists on a loop of its own runs in a thread: 'await "
    "asyncio.to_thread(function)'."
)
_USE_RUNNING_LOOP = (
    "Use the running loop: await the code, start it with asyncio.create_task(), or hand on "
    "asyncio.get_running_loop(). A loop for another thread is best made in that thread, by "
    "asyncio.run()."
)
_LEAVE_OPEN = (
    "Leave the loop to aldente, which made it and closes it after what still runs on it has ended. "
    "Code under test that closes its loop gets one of its own, in a sync test."
)


class _LoopCall(NamedTuple):
    """What the user called, in words, and what to do instead."""

    what: str
    fix: str


def _refused(call: str, fix: str = _AWAIT_INSTEAD) -> _LoopCall:
    return _LoopCall(f"{call} was called while an event loop is running in this thread.", fix)


# By the name of asyncio's function.
_RUNNING_CALLS = {
    "run": _refused("asyncio.run()"),
    "Runner.run": _refused("asyncio.Runner.run()"),
    "run_until_complete": _refused("loop.run_until_complete()"),
    "run_forever": _refused(
        "loop.run_forever()",
        "Await what you are waiting for, such as an asyncio.Event: the loop is running already. A "
        "server or worker is started with asyncio.create_task().",
    ),
}
_SETTING = _refused(
    "asyncio.set_event_loop()",
    "Leave it out: in async code asyncio.get_running_loop() returns the running loop, whatever "
    "was set. For a loop of another thread, call it in that thread.",
)
_CLOSING = _LoopCall("loop.close() was called on the event loop that is running.", _LEAVE_OPEN)


class _MadeLoop(NamedTuple):
    """A loop that user code made; not yet a finding, as another thread may be about to run it."""

    loop: weakref.ref[asyncio.AbstractEventLoop]
    thread: int
    finding: Finding


@contextmanager
def watch(report: Report) -> Iterator[Callable[[], None]]:
    """Report event loops that the user's code makes, runs or sets where one is running.

    Yields:
        A function to call when a test or fixture has ended: it reports the loops that user code
        made and that no other thread has run since. Leaving calls it too.
    """
    made: list[_MadeLoop] = []
    is_watching = True

    def report_if_watching(finding: Finding) -> None:
        # Another patch on top of this one may go on calling it.
        if is_watching:
            report(finding)

    @containing("looking for loops that were made by hand", None)
    def settle() -> None:
        findings = [entry.finding for entry in made]
        made.clear()
        for finding in findings:
            report_if_watching(finding)

    loops: Any = asyncio.BaseEventLoop
    with ExitStack() as patches:
        # Only the name in the package: asyncio itself calls, and aldente compares,
        # asyncio.events.new_event_loop and its neighbours.
        for name, watch_function in (("run", _watch_run), ("set_event_loop", _watch_setting)):
            _patch(patches, asyncio, name, functools.partial(watch_function, report_if_watching))
        # Every way of making a loop calls it, also through names that were imported before.
        _patch(patches, loops, "__init__", functools.partial(_watch_making, made))
        watch_check = functools.partial(_watch_check, report_if_watching, made)
        _patch(patches, loops, _asyncio_compat.RUN_CHECK, watch_check)
        try:
            yield settle
        finally:
            settle()
            is_watching = False


def explain_error(error: BaseException) -> Finding | None:
    """The finding about nested loops in an exception that ended a test, or None.

    For calls that `watch` sees it is the same finding.
    """
    for inner in errors_within(error):
        if isinstance(inner, RuntimeError):
            finding = _explain(inner)
            if finding is not None:
                return finding
    return None


@containing("looking for a loop inside another one", None)
def find_in_failure(error: BaseException) -> Finding | None:
    """The finding for the error of a test."""
    is_of_loops = isinstance(error, (RuntimeError, BaseExceptionGroup))
    return explain_error(error) if is_of_loops else None


def closed_loop(what: str, place: SourcePlace | None = None) -> Finding:
    """The finding for a test or fixture that has closed the loop it ran on.

    Args:
        what: the test or fixture, as messages name it.
        place: where it is defined.
    """
    return Finding(RULE.name, f"{what} closed the event loop it ran on.", _LEAVE_OPEN, place)


def replaced_loop(what: str, left: object, place: SourcePlace | None = None) -> Finding:
    """The finding for a test or fixture that has left another loop current than the one it ran on.

    Args:
        what: the test or fixture, as messages name it.
        left: the loop that is current now, or None.
        place: where it is defined.
    """
    now = "none" if left is None else f"another one ({type(left).__name__})"
    return Finding(
        RULE.name,
        f"{what} replaced the current event loop: there is {now} now.",
        "Leave asyncio.set_event_loop() out, or call it in the thread whose loop it is. An "
        "asyncio.Runner sets the loop too: use it in a sync test or in a thread.",
        place,
    )


def _watch_run(report: Report, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def run(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if _asyncio_compat.is_loop_running_here():
            _report_call(report, _RUNNING_CALLS["run"], caller())
        return original(*args, **kwargs)

    return run


def _watch_setting(report: Report, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def set_event_loop(loop: asyncio.AbstractEventLoop | None) -> None:
        __tracebackhide__ = True
        if _asyncio_compat.is_loop_running_here() and loop is not asyncio.get_running_loop():
            _report_call(report, _SETTING, caller())
        original(loop)

    return set_event_loop


def _watch_making(made: list[_MadeLoop], original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __init__(self: asyncio.AbstractEventLoop, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        __tracebackhide__ = True
        original(self, *args, **kwargs)
        if _asyncio_compat.is_loop_running_here():
            _note_made(made, self, caller())

    return __init__


def _watch_check(
    report: Report, made: list[_MadeLoop], original: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def check_running(self: asyncio.AbstractEventLoop) -> None:
        __tracebackhide__ = True
        try:
            original(self)
        except RuntimeError:
            _report_running(report, caller())
            raise
        if made:
            _forget_made(made, self)

    return check_running


@containing("looking at the run of a loop inside another one", None)
def _report_running(report: Report, frame: FrameType | None) -> None:
    called, place = _users_call(frame)
    if called is not None and called.f_code.co_name in _RUNNING_CALLS and place is not None:
        report(_finding(_RUNNING_CALLS[called.f_code.co_name], place))


@containing("noting where a loop is made by hand", None)
def _note_made(
    made: list[_MadeLoop], loop: asyncio.AbstractEventLoop, frame: FrameType | None
) -> None:
    called, place = _users_call(frame)
    if place is None:
        return
    name = called.f_code.co_qualname if called is not None else ""
    by = "asyncio.Runner" if name.startswith("Runner.") else "asyncio.new_event_loop()"
    if name.endswith("__init__") or not name:
        by = f"{type(loop).__name__.removeprefix('_Unix')}()"
    call = _LoopCall(
        f"{by} made an event loop while one is running in this thread, and no other thread has run "
        "it.",
        _AWAIT_INSTEAD if name.startswith("Runner.") else _USE_RUNNING_LOOP,
    )
    entry = _MadeLoop(weakref.ref(loop), threading.get_ident(), _finding(call, place))
    made.append(entry)


@containing("finding which thread runs a loop", None)
def _forget_made(made: list[_MadeLoop], loop: asyncio.AbstractEventLoop) -> None:
    """A loop that another thread runs was made for that thread."""
    for entry in list(made):
        if entry.loop() is loop and entry.thread != threading.get_ident():
            made.remove(entry)


@containing("finding what makes or runs a loop", None)
def _report_call(report: Report, call: _LoopCall, frame: FrameType | None) -> None:
    _, place = _users_call(frame)
    if place is not None:
        report(_finding(call, place))


def _finding(call: _LoopCall, place: SourcePlace | None) -> Finding:
    return Finding(RULE.name, call.what, call.fix, place)


def _users_call(frame: FrameType | None) -> tuple[FrameType | None, SourcePlace | None]:
    """The function of asyncio that the user's code called, and where.

    Args:
        frame: the frame to begin with, going outwards.

    Returns:
        The outermost frame of asyncio's, if there is one in between, and the place in the user's
        code; None for the place if other code made the call.
    """
    called = None
    while frame is not None and _is_asyncios(frame):
        called, frame = frame, frame.f_back
    if frame is None or not is_users(frame.f_code.co_filename):
        return called, None
    return called, place_of(frame)


def _module_of(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _is_asyncios(frame: FrameType) -> bool:
    # aldente's replacements for asyncio's methods count as asyncio's.
    return _module_of(frame).startswith("asyncio.") or _module_of(frame) == running.__name__


def _explain(error: RuntimeError) -> Finding | None:
    # uvloop's messages have other capitals and a full stop.
    message = str(error).lower().rstrip(".")
    frames = _frames_of(error)
    last = max((index for index, (_, place) in enumerate(frames) if place), default=None)
    place = None if last is None else frames[last][1]
    inner = [frame for frame, _ in frames[0 if last is None else last + 1 :]]
    call = _call_of(message, inner)
    if call is None:
        return None
    library = _library_of(inner)
    if library is None:
        return _finding(call, place)
    return Finding(
        RULE.name,
        f"{call.what} It was called by {library}.",
        f"Use the async interface of {library}; or call it in a thread: 'await "
        "asyncio.to_thread(function)'.",
        place,
    )


def _frames_of(error: BaseException) -> list[tuple[FrameType, SourcePlace | None]]:
    """The frames of a traceback, with their places where the code is the user's."""
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        place = SourcePlace(path, traceback.tb_lineno) if is_users_code(path) else None
        frames.append((traceback.tb_frame, place))
        traceback = traceback.tb_next
    return frames


def _call_of(message: str, inner: list[FrameType]) -> _LoopCall | None:
    """What was called, from the error's message and the frames below the user's."""
    if message == "asyncio.run() cannot be called from a running event loop":
        return _RUNNING_CALLS["run"]
    if message == "runner.run() cannot be called from a running event loop":
        return _RUNNING_CALLS["Runner.run"]
    if message == "cannot close a running event loop":
        return _CLOSING
    if message in (
        "this event loop is already running",
        "cannot run the event loop while another loop is running",
    ):
        # Cython gives functions their full name.
        names = [frame.f_code.co_name.rpartition(".")[2] for frame in inner]
        name = next((name for name in names if name in _RUNNING_CALLS), "run_until_complete")
        return _RUNNING_CALLS[name]
    return None


def _library_of(inner: list[FrameType]) -> str | None:
    """The installed package between the user's code and the event loop, if there is one."""
    no_libraries = {"", "uvloop", __name__.partition(".")[0], *sys.stdlib_module_names}
    packages = (_module_of(frame).partition(".")[0] for frame in inner)
    return next((name for name in packages if name not in no_libraries), None)


def _patch(
    patches: ExitStack,
    owner: Any,
    name: str,
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> None:
    """Replace a function of a module or class until a stack unwinds."""
    original = vars(owner).get(name)
    if original is None:
        return
    replacement = make(original)
    setattr(owner, name, replacement)

    def undo() -> None:
        # A later replacement by something else must stay.
        if vars(owner).get(name) is replacement:
            setattr(owner, name, original)

    patches.callback(undo)


def install(observation: Observation) -> None:
    """Report second loops, and loops that tests close or replace."""
    session = observation.session
    session.at_tear_down.append(observation.enter(watch(observation.report)))

    def report_unless_placed(finding: Finding) -> None:
        # The same pitfall may have been reported with its place.
        if not session.has_found(RULE.name):
            observation.report(finding)

    @containing("checking whether the current loop was replaced", None)
    def look_for_replaced_loop(run: running.LoopRun) -> None:
        current = _asyncio_compat.current_event_loop()
        if current is not None and current is not run.loop:
            report_unless_placed(replaced_loop("The test or fixture", current))

    @containing("checking whether a loop was closed", None)
    def report_closed_loop() -> None:
        report_unless_placed(closed_loop("The test or one of its fixtures"))

    observation.at_run_end.append(look_for_replaced_loop)
    observation.at_closed_loop.append(report_closed_loop)
