"""A coroutine that was made and dropped, so that nothing of it ran.

Python notices it when the coroutine is freed, and says so with a warning. When a reference cycle or
an exception has kept the coroutine, that is during a later test, so each coroutine is charged to
the test that made it by its age:

Python's garbage collector keeps new objects in the order of their making until it looks at them for
the first time. A marker is made with each test, so the coroutines between two markers are those of
one test. They are looked up whenever the collector is about to run, which it does often and which
comes before any of them can move on. Nothing is collected for this.

Where a coroutine was made comes from CPython's origin tracking
(`sys.set_coroutine_origin_tracking_depth`), one frame deep: each further frame would cost as much
as a step of the event loop.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import sys
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator
from types import CoroutineType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from aldente import _python_compat
from aldente._places import is_users, place_of, users_frame
from aldente._records import Finding, Rule, SourcePlace

RULE = Rule(
    "never-awaited",
    "error",
    catches="a coroutine that was made and dropped, so that nothing of it ran",
    why=(
        "Calling an 'async def' function only makes a coroutine; its body runs when it is awaited. "
        "A test that forgets to await passes without having tested anything."
    ),
    explanation=(
        "Found in sync and async tests and fixtures: results of coroutine functions and methods, "
        "of AsyncMock and of anything else that makes a coroutine. The finding is charged to the "
        "test that made the coroutine, also when it is freed only during a later one.\n\n"
        "Not a finding: a coroutine that was closed with close(); one whose warning the test asks "
        "for, with pytest.warns or warnings.catch_warnings(record=True); one whose warning is "
        "ignored by filterwarnings.\n\n"
        "The place is that where the coroutine was made. While a loop has been busy without a "
        "pause for some time, places are not tracked, to keep it fast; the finding then gives the "
        "line that dropped the coroutine, or that of its function."
    ),
)

if TYPE_CHECKING:
    Coroutine = CoroutineType[Any, Any, Any]

_MEND = "Await it, or hand it to asyncio.create_task() and await the task."

# One frame: see above.
_DEPTH = 1


class _Made(NamedTuple):
    """A coroutine that has not started yet, seen by its origin, which nothing else shares."""

    reference: weakref.ref[Coroutine]
    origin: object
    test: str


class Watch:
    """Sees coroutines that are dropped, and tells which test has made them.

    Args:
        report: called with each finding, on whatever thread drops the coroutine.
    """

    def __init__(self, report: Callable[[Finding], None]) -> None:
        self._report = report
        # A list of a node id for each test since the last look, in the order of their making.
        self._markers: list[list[str]] = []
        self._made: dict[int, _Made] = {}
        self._reported: dict[int, object] = {}
        self._receiver: object = None
        self._is_paused = False
        self._original: Callable[[Coroutine], None] = lambda coroutine: None

    def begin(self, test: str) -> None:
        """Charge what is made from now on to a test, given by its node id."""
        self._markers.append([test])
        self._reported.clear()
        self._receiver = _python_compat.receiver()
        if self._is_paused:
            self.resume()

    def has_waiting(self) -> bool:
        """Whether coroutines that have not started are known to be alive, after the last test."""
        self._receiver = _python_compat.receiver()
        self._look_at_new_objects()
        return any(map(_is_waiting, self._made.values()))

    def pause(self) -> None:
        """Stop tracking where coroutines are made, on this thread."""
        if not self._is_paused and self._receiver is not None:
            self._is_paused = True
            sys.set_coroutine_origin_tracking_depth(0)

    def resume(self) -> None:
        """Track where coroutines are made again, on this thread."""
        if self._is_paused:
            self._is_paused = False
            sys.set_coroutine_origin_tracking_depth(_DEPTH)

    def look_into(self, entry: TracebackType | None) -> None:
        """Report coroutines that an exception's frames hold: nobody can await them any more."""
        while entry is not None:
            for value in list(entry.tb_frame.f_locals.values()):
                if type(value) is CoroutineType and _is_new(value):
                    self._report_once(value, None)
            entry = entry.tb_next

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, coroutines are seen; the loop's own warning is given only for others."""
        depth = sys.get_coroutine_origin_tracking_depth()
        self._original = _python_compat.replace_on_unawaited(self._on_dropped)
        sys.set_coroutine_origin_tracking_depth(max(depth, _DEPTH))
        gc.callbacks.append(self._on_collection)
        try:
            yield
        finally:
            gc.callbacks.remove(self._on_collection)
            sys.set_coroutine_origin_tracking_depth(depth)
            _python_compat.replace_on_unawaited(self._original)

    def _on_collection(self, phase: str, information: dict[str, int]) -> None:
        if phase == "start":
            self._look_at_new_objects()

    def _look_at_new_objects(self) -> None:
        """Note the coroutines among the new objects that have not started, by their test."""
        if not self._markers:
            return
        for key in [key for key, made in self._made.items() if not _is_waiting(made)]:
            del self._made[key]
        new = gc.get_objects(generation=0)
        # Nearly always there are none, which is known in a fraction of the time.
        if CoroutineType in map(type, new):
            self._note(new)
        del self._markers[:-1]

    def _note(self, objects: list[object]) -> None:
        markers = iter(self._markers)
        test = next(markers)[0]
        # The first marker may be older than this generation.
        following = next(markers, None)
        for value in objects:
            if following is not None and value is following:
                test = following[0]
                following = next(markers, None)
            elif type(value) is CoroutineType and _is_new(value):
                origin = value.cr_origin
                if origin is not None:
                    self._made[id(origin)] = _Made(weakref.ref(value), origin, test)

    def _on_dropped(self, coroutine: Coroutine) -> None:
        """Stands in for the function that Python calls to warn of a coroutine."""
        if self._reported.get(id(coroutine.cr_origin), self) is coroutine.cr_origin:
            return
        frame = inspect.currentframe()
        dropper = frame.f_back if frame is not None else None
        if (
            self._receiver is None
            # Whoever records warnings inside the test asks for this one.
            or _python_compat.receiver() is not self._receiver
            or _is_ignored(f"coroutine '{coroutine.__qualname__}' was never awaited", dropper)
        ):
            # From here, as the line that Python gives with it is that of the caller.
            warnings.warn(_warning_of(coroutine), RuntimeWarning, stacklevel=2, source=coroutine)
            return
        self._report_once(coroutine, dropper)

    def _report_once(self, coroutine: Coroutine, dropper: FrameType | None) -> None:
        origin = coroutine.cr_origin
        test = self._maker_of(coroutine)
        if origin is not None:
            self._reported[id(origin)] = origin
        self._report(
            Finding(
                RULE.name,
                f"the coroutine {_name_of(coroutine)} was never awaited.",
                _MEND,
                _place_of(coroutine, dropper),
                made_by=test,
            )
        )

    def _maker_of(self, coroutine: Coroutine) -> str:
        origin = coroutine.cr_origin
        made = self._made.pop(id(origin), None) if origin is not None else None
        if made is not None:
            return made.test
        if origin is not None and len(self._markers) > 1:
            # No collector has come by since it was made. A coroutine that is being freed is put
            # behind all others, but its origin is where it was.
            markers = iter(self._markers)
            test = next(markers)[0]
            following = next(markers, None)
            for value in gc.get_objects(generation=0):
                if following is not None and value is following:
                    test = following[0]
                    following = next(markers, None)
                elif value is origin:
                    return test
        return self._markers[-1][0]


def _is_new(coroutine: Coroutine) -> bool:
    return (
        not coroutine.cr_running and not coroutine.cr_suspended and coroutine.cr_frame is not None
    )


def _is_waiting(made: _Made) -> bool:
    coroutine = made.reference()
    return coroutine is not None and _is_new(coroutine)


def _is_ignored(message: str, caller: FrameType | None) -> bool:
    """Whether the warning filters ignore a RuntimeWarning that a frame causes with this message."""
    name = caller.f_globals.get("__name__", "<string>") if caller is not None else "sys"
    for action, pattern, category, module, line in warnings.filters:
        if (
            (pattern is None or pattern.match(message))
            and issubclass(RuntimeWarning, category)
            and (module is None or module.match(name))
            and (not line or (caller is not None and line == caller.f_lineno))
        ):
            return action == "ignore"
    return False


def _warning_of(coroutine: Coroutine) -> str:
    """The text of Python's own warning."""
    text = f"coroutine '{coroutine.__qualname__}' was never awaited"
    origin = coroutine.cr_origin
    if origin is None or len(origin) <= _DEPTH:
        return text
    # Somebody else tracks more of it, asyncio's debug mode for example.
    stack = [(path, line, name, None) for path, line, name in reversed(origin)]
    lines = "".join(traceback.StackSummary.from_list(stack).format())
    return f"{text}\nCoroutine created at (most recent call last)\n{lines}".rstrip()


def _name_of(coroutine: Coroutine) -> str:
    if coroutine.__qualname__.endswith("AsyncMockMixin._execute_mock_call"):
        # The function of every AsyncMock; its argument is the mock.
        mock = coroutine.cr_frame.f_locals.get("self") if coroutine.cr_frame else None
        name = getattr(mock, "_extract_mock_name", lambda: "mock")()
        return f"of the AsyncMock {name!r}"
    return repr(coroutine.__qualname__)


def _place_of(coroutine: Coroutine, dropper: FrameType | None) -> SourcePlace | None:
    """The nearest that is known to the user's line that made a coroutine."""
    origin = coroutine.cr_origin
    made = SourcePlace(origin[0][0], origin[0][1]) if origin else None
    if made is not None and is_users(made.path):
        return made
    frame = users_frame(dropper)
    if frame is not None:
        return place_of(frame)
    code = coroutine.cr_code
    if is_users(code.co_filename):
        return SourcePlace(code.co_filename, code.co_firstlineno)
    return made
