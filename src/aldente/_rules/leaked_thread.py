"""The rule ``leaked-thread``: a thread that a test has started, and that outlives it."""

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
from aldente._clocks import monotonic
from aldente._own_errors import containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._source import caller, is_users, place_of
from aldente._stacks import frames_of_threads, variables_of, with_callers

RULE = Rule(
    name="leaked-thread",
    level="warn",
    catches="a non-daemon thread that a test has started and left running",
    why=(
        "Python waits for it when the process ends, which may be for ever; until then it goes on "
        "beside other tests, with what it holds and changes."
    ),
    explanation="""\
Found at the end of a test: threads that its code, or what that has called, has started and that are
alive, each with the line that has started it and the one where it is. A thread that is about to end
is given a second for that.

When the last test is over, the process does not wait for such threads: it says so and ends.

Not a finding: daemon threads; threads that an executor keeps for its next job; threads that a
fixture of a wider scope has started, and those that these start, as long as the session lasts;
threads of plugins.

Fix: close what has started it (a connection, a client, a pool), best by `async with`; or tell the
thread to stop and `join()` it.""",
)

_FIX = (
    "Close what has started it (a connection, a client, a pool), best by 'async with'; or tell it "
    "to stop and join() it. A thread that may be cut off when the process ends is made with "
    "daemon=True."
)

# How long threads may take to end when their test does, and when the session does, in seconds.
_GRACE = 1.0
_GRACE_AT_END = 3.0
_LOOK = 0.01

# Whose frames are around those of tests.
_RUNNERS = ("_pytest.", "pluggy.", "xdist.", "execnet.")


class _Start(NamedTuple):
    """A thread that was started while a test was under way.

    Attributes:
        thread: the thread, not kept alive.
        place: the user's line that has started it.
        test: the node id of the test.
        is_wide: whether it was started by a fixture that outlives the test.
    """

    thread: weakref.ref[threading.Thread]
    place: SourcePlace
    test: str
    is_wide: bool


class Watch:
    """Sees threads that tests leave behind.

    Args:
        report: takes the findings.
        current_test: gives the node id of the test that is under way; None between tests.
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
        # Those that were told of, or end with their executor.
        self._left: list[_Start] = []
        # Of all threads, as one of them may start others.
        self._origins: weakref.WeakKeyDictionary[threading.Thread, _Start] = (
            weakref.WeakKeyDictionary()
        )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, it is recorded which threads are started."""
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
        """A test has been torn down: report the threads that it has left running."""
        if not self._starts:
            return
        ended = [start for start in self._starts if start.test == test and not start.is_wide]
        self._starts = [start for start in self._starts if start not in ended]
        self._conclude(ended)

    def end_session(self) -> None:
        """The last test is over: report the threads that fixtures of a wider scope have left."""
        starts, self._starts = self._starts, []
        self._conclude(starts)

    def let_go(self, status: int | None) -> list[str]:
        """Have the process end without the threads that were left.

        Args:
            status: the exit status of the process; None if it isn't known.

        Returns:
            A line for each of them; none where Python waits for them all the same.
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
        # Those that wait for their end, as asyncio does for the jobs of a loop that is closed.
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
        """How the thread was started that starts another one; None if that says nothing.

        A job of the user's belongs to the test that is under way, however old the pool is.
        """
        here = threading.current_thread()
        if here is threading.main_thread() or here not in self._origins:
            return None
        origin = self._origins[here]
        is_same = not origin.is_wide and origin.test == self._current_test()
        return origin if is_same or _users_place(frame) is None or not _is_pools(frame) else None


# Their worker threads end with the first task of the event loop that they work for.
_ENDING_THEIR_OWN = ("anyio.",)

_EXECUTORS = "concurrent.futures.thread"


# Threads whose functions call those that others hand over.
_POOLS = ("concurrent.futures.", "multiprocessing.pool", *_ENDING_THEIR_OWN)


def _is_pools(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(_POOLS):
            return True
        frame = frame.f_back
    return False


def _users_place(frame: FrameType | None) -> SourcePlace | None:
    """Where the user's code stands that has led to a frame, within what a runner of tests calls."""
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
    """Whether it is an executor's, without a job: it ends with that, or with the process."""
    # With dis and more, which few test runs need.
    from aldente._runner.threads import is_worker

    frame = _frame_of(thread)
    return frame is not None and is_worker(frame)


def _wait_for_end(thread: threading.Thread, seconds: float) -> None:
    """Wait until a thread has ended, or is seen to wait for what nobody has brought so far."""
    from aldente._runner.threads import only_wait

    end, waits = monotonic() + seconds, 0
    while thread.is_alive() and monotonic() < end and waits < 2:
        thread.join(_LOOK)
        frame = _frame_of(thread)
        waits = waits + 1 if frame is not None and only_wait(thread.ident or 0, frame) else 0


def _waiting_for(threads: list[threading.Thread]) -> list[threading.Thread]:
    """The threads that are in ``join()`` of one of some threads."""
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
    )


def _shown_frame(stack: list[FrameType]) -> FrameType | None:
    """The innermost frame of the user's code, or else that outside of what threads wait with."""
    waiting = {threading.__file__, getattr(sys.modules.get("queue"), "__file__", None)}
    users = (frame for frame in stack if is_users(frame.f_code.co_filename))
    others = (frame for frame in stack if frame.f_code.co_filename not in waiting)
    return next(itertools.chain(users, others), None)
