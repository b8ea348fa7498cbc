"""The rule ``leaked-thread``: a thread that a test started and that outlives it."""

from __future__ import annotations

import functools
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from aldente import _python_compat
from aldente._own_errors import containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._source import caller, is_users, place_of
from aldente._stacks import frames_of_threads, variables_of, with_callers
from aldente._system import monotonic

RULE = Rule(
    name="leaked-thread",
    catches="a non-daemon thread that a test has started and left running",
    why=(
        "Python waits for it when the process ends, maybe for ever; until then it runs beside "
        "other tests, holds its resources and may change what they see."
    ),
    explanation="""\
Found at the end of a test: threads that its code, or a library that it called, started and that are
alive, each with the line that started it and the line that it runs. A thread that is about to end
gets one second for that.

When the last test is over, aldente names such threads, and the process ends without them.

Not a finding: daemon threads; threads that an executor keeps for its next job; threads that a
fixture of a wider scope started, and those that these start, until the end of the session;
threads of plugins.

Fix: close the object that started it (a connection, a client, a pool), best by `async with`; or
make the thread stop and `join()` it.""",
    is_left_behind=True,
    explained_by="leaked-resource",
)

_FIX = (
    "Close the object that started it (a connection, a client, a pool), best by 'async with'; or "
    "make the thread stop and join() it. If the process may end without the thread, make it with "
    "daemon=True."
)

# How long threads may take to end after their test, and after the session, in seconds.
_GRACE = 1.0
_GRACE_AT_END = 3.0
_LOOK = 0.01

# Packages whose frames call the tests.
_RUNNERS = ("_pytest.", "pluggy.", "xdist.", "execnet.")


class _Start(NamedTuple):
    """A thread that was started while a test ran.

    Attributes:
        thread: a weak reference to the thread.
        place: the user's line that started it.
        test: the node id of the test.
        is_wide: whether a fixture that outlives the test started it.
    """

    thread: weakref.ref[threading.Thread]
    place: SourcePlace
    test: str
    is_wide: bool


class ThreadWatch:
    """Reports threads that tests leave behind.

    Args:
        report: called with each finding.
        current_test: returns the node id of the running test; None between tests.
        is_in_wide_fixture: whether a frame is within the set-up of a fixture that outlives a test.
        on_start: what is called with each thread that is about to be started, but those of
            executors, which do the jobs of many tests.
    """

    def __init__(
        self,
        report: Callable[[Finding], object],
        current_test: Callable[[], str | None],
        is_in_wide_fixture: Callable[[FrameType | None], bool],
        on_start: Sequence[Callable[[threading.Thread], None]] = (),
    ) -> None:
        self._report = report
        self._current_test = current_test
        self._is_in_wide_fixture = is_in_wide_fixture
        self._on_start = on_start
        self._starts: list[_Start] = []
        # Those that were reported, or that end with their executor.
        self._left: list[_Start] = []
        # For daemon threads too, as they may start others.
        self._origins: weakref.WeakKeyDictionary[threading.Thread, _Start] = (
            weakref.WeakKeyDictionary()
        )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, record which threads are started."""
        owner: Any = threading.Thread
        original = owner.start
        replacement = self._recording(original)
        owner.start = replacement
        try:
            yield
        finally:
            # A later replacement by something else must stay.
            if owner.start is replacement:
                owner.start = original

    def end_test(self, test: str) -> None:
        """Report the threads that a test left running, after its teardown."""
        if not self._starts:
            return
        ended = [start for start in self._starts if start.test == test and not start.is_wide]
        self._starts = [start for start in self._starts if start not in ended]
        self._conclude(ended)

    def end_session(self) -> None:
        """Report the threads that fixtures of a wider scope left running, after the last test."""
        starts, self._starts = self._starts, []
        self._conclude(starts)

    def leave(self, thread: threading.Thread, place: SourcePlace, test: str) -> None:
        """Let the process end without a thread that runs of an explored test have left.

        Args:
            thread: the thread.
            place: the line of the test, which is reported with it.
            test: the node id of the test.
        """
        if not thread.daemon and all(start.thread() is not thread for start in self._left):
            self._left.append(_Start(weakref.ref(thread), place, test, is_wide=False))

    def let_go(self, status: int | None) -> list[str]:
        """Have the process end without waiting for the threads that are left.

        Args:
            status: the exit status of the process; None if it isn't known.

        Returns:
            A line for each of them; none where Python can't be kept from waiting.
        """
        left, self._left = self._left, []
        living = [(start, thread) for start in left for thread in _living(start)]
        end = monotonic() + _GRACE_AT_END
        lines, gone = [], []
        for start, thread in living:
            _wait_for_end(thread, end - monotonic())
            if thread.is_alive() and not _is_idle(thread):
                gone.append(thread)
                lines.append(f"{thread.name!r}, started at {start.place}")
        # Also threads that join them, as asyncio's do for the executor of a loop that is closed.
        threads = [*(gone and _waiting_for(gone)), *gone]
        return lines if _python_compat.let_process_end_without(threads, status) else []

    def _conclude(self, starts: list[_Start]) -> None:
        end = monotonic() + _GRACE
        for start in starts:
            for thread in _living(start):
                self._left.append(start)
                if _is_idle(thread):
                    continue
                _wait_for_end(thread, end - monotonic())
                if thread.is_alive() and not _is_idle(thread):
                    self._report(_finding(start, thread))

    def _recording(self, original: Callable[[threading.Thread], None]) -> Callable[..., None]:
        @functools.wraps(original)
        def start(thread: threading.Thread) -> None:
            __tracebackhide__ = True
            if not type(thread).__module__.startswith(_ENDING_THEIR_OWN):
                self._note(thread, caller())
            starter = caller() if self._on_start else None
            if starter is not None and starter.f_globals.get("__name__") != _EXECUTORS:
                for act in self._on_start:
                    act(thread)
            original(thread)

        return start

    @containing("noting where a thread is started", None)
    def _note(self, thread: threading.Thread, frame: FrameType | None) -> None:
        test = self._current_test()
        if test is None:
            return
        place = _users_place(frame)
        parent = self._origin_of_this_thread(frame)
        if parent is not None:
            start = parent._replace(thread=weakref.ref(thread), place=place or parent.place)
        elif place is not None:
            start = _Start(weakref.ref(thread), place, test, self._is_in_wide_fixture(frame))
        else:
            return
        self._origins[thread] = start
        if not thread.daemon:
            self._starts.append(start)

    def _origin_of_this_thread(self, frame: FrameType | None) -> _Start | None:
        """How the current thread, which starts another one, was started; None if that is no help.

        A job of the user's belongs to the running test, however old the pool is.
        """
        here = threading.current_thread()
        if here is threading.main_thread() or here not in self._origins:
            return None
        origin = self._origins[here]
        is_same = not origin.is_wide and origin.test == self._current_test()
        return origin if is_same or _users_place(frame) is None or not _is_pools(frame) else None


# Packages whose worker threads end with the first task of their event loop.
_ENDING_THEIR_OWN = ("anyio.",)

_EXECUTORS = "concurrent.futures.thread"


# Packages whose threads call functions that were submitted from elsewhere.
_POOLS = ("concurrent.futures.", "multiprocessing.pool", *_ENDING_THEIR_OWN)


def _is_pools(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(_POOLS):
            return True
        frame = frame.f_back
    return False


def _users_place(frame: FrameType | None) -> SourcePlace | None:
    """The innermost line of the user's code that led to a frame, below the test runner's frames."""
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return place_of(frame)
        if str(frame.f_globals.get("__name__", "")).startswith(_RUNNERS):
            return None
        frame = frame.f_back
    return None


def _living(start: _Start) -> Iterator[threading.Thread]:
    thread = start.thread()
    if thread is not None and thread.is_alive() and not thread.daemon:
        yield thread


def _frame_of(thread: threading.Thread) -> FrameType | None:
    return frames_of_threads().get(thread.ident or 0)


def _is_idle(thread: threading.Thread) -> bool:
    """Whether it is an executor's without a job: it ends with the executor or the process."""
    # Imported here because it imports dis and more, which few test runs need.
    from aldente._runner.threads import is_worker

    frame = _frame_of(thread)
    return frame is not None and is_worker(frame)


def _wait_for_end(thread: threading.Thread, seconds: float) -> None:
    """Wait until a thread ends, or is twice seen blocked in a wait."""
    from aldente._runner.threads import only_wait

    end, waits = monotonic() + seconds, 0
    while thread.is_alive() and monotonic() < end and waits < 2:
        thread.join(_LOOK)
        frame = _frame_of(thread)
        waits = waits + 1 if frame is not None and only_wait(thread.ident or 0, frame) else 0


def _waiting_for(threads: list[threading.Thread]) -> list[threading.Thread]:
    """The threads that are blocked in ``join()`` on one of the given threads."""
    frames = frames_of_threads()
    return [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
        and (frame := frames.get(thread.ident or 0)) is not None
        and frame.f_code.co_filename == threading.__file__
        and variables_of(frame).get("self") in threads
        and thread not in threads
    ]


def _finding(start: _Start, thread: threading.Thread) -> Finding:
    shown = _shown_frame(with_callers(_frame_of(thread)))
    details = () if shown is None else (f"it is in {place_of(shown)}, {shown.f_code.co_name}",)
    return Finding(
        RULE.name,
        f"the thread {thread.name!r} was left running.",
        _FIX,
        start.place,
        details=details,
        made_by=start.test,
        subject=thread.name,
    )


def _shown_frame(stack: list[FrameType]) -> FrameType | None:
    """The innermost frame of the user's code, or else outside of `threading` and `queue`."""
    waiting = {threading.__file__, getattr(sys.modules.get("queue"), "__file__", None)}
    users = (frame for frame in stack if is_users(frame.f_code.co_filename))
    others = (frame for frame in stack if frame.f_code.co_filename not in waiting)
    return next(itertools.chain(users, others), None)
