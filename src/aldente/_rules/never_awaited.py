"""The rule ``never-awaited``: a coroutine that was made and dropped, so that it never ran.

Python warns of it when the coroutine is freed. If a reference cycle or an exception kept the
coroutine, that is during a later test, so each coroutine is charged to the test that made it.

CPython's origin tracking (`sys.set_coroutine_origin_tracking_depth`) records where a coroutine was
made. It is one frame deep: each further frame would cost as much as a step of the event loop.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from aldente import _python_compat
from aldente._own_errors import contained, containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._rules.coroutine_origins import CoroutineMakers, Maker
from aldente._source import caller, is_users, place_of, users_frame

if TYPE_CHECKING:
    from aldente._rules.coroutine_origins import Coroutine, Filters
    from aldente._rules.observation import Observation

RULE = Rule(
    "never-awaited",
    catches="a coroutine that was made and dropped, so that it never ran",
    why=(
        "Calling an 'async def' function only makes a coroutine; its body runs when it is awaited. "
        "A test that forgets to await passes without having tested anything."
    ),
    explanation=(
        "Found in sync and async tests and fixtures: results of coroutine functions and methods, "
        "of AsyncMock and of anything else that makes a coroutine. The finding is charged to the "
        "test that made the coroutine, also when it is freed only during a later one.\n\n"
        "A mock's coroutine that the code under test drops, rather than the test itself, is a "
        "warning unless you set the level: usually the real method is a plain one, and the mock is "
        "not.\n\n"
        "Not a finding: a coroutine that was closed with close(); one whose warning the test asks "
        "for, with pytest.warns or warnings.catch_warnings(record=True); one whose warning is "
        "ignored by filterwarnings.\n\n"
        "The place is where the coroutine was made."
    ),
    is_seen_at_once=True,
    # The coroutine for a loop that could not run.
    explained_by="nested-loop",
)

_FIX = "Await it, or pass it to asyncio.create_task() and await the task."

_FIX_OF_CALLBACK = (
    "The function is a callback, whose caller does not await what it returns. Pass a plain "
    "function that starts a task, 'lambda: asyncio.create_task(...)' on the loop's thread, and "
    "await the task."
)

# One frame; the module's docstring says why.
_DEPTH = 1

# The most frames between the coroutine function of an AsyncMock and the mock's caller. Calls of
# mocks cost so much more than a step of the loop that more frames do not matter.
_DEPTH_IN_MOCKS = 8


class CoroutineWatch:
    """Reports coroutines that are dropped, with the test that made them.

    Args:
        report: called with each finding, on the thread that drops the coroutine.
        passes_on: whether a coroutine that was made before this object, and that the collector
            frees, is left to what Python called before.
    """

    def __init__(self, report: Callable[[Finding], None], *, passes_on: bool = False) -> None:
        self._report = report
        self._makers = CoroutineMakers(earlier=Maker("") if passes_on else None)
        self._reported: dict[int, object] = {}
        self._receiver: object = None
        self._is_collecting = False
        self._undo_mocks: Callable[[], None] | None = None
        self._original: Callable[[Coroutine], None] = lambda coroutine: None

    @property
    def knows_makers(self) -> bool:
        """Whether this garbage collector shows which test made a coroutine."""
        return self._makers.knows_tests

    def begin(self, test: str) -> None:
        """Charge new coroutines to a test, given by its node id."""
        self._makers.begin(test)
        self._receiver = _python_compat.receiver()
        if self._undo_mocks is None and "unittest.mock" in sys.modules:
            from aldente._doubles import mock_compat
            from aldente._rules import coroutine_makers  # noqa: F401 # no import when one is dropped

            self._undo_mocks = mock_compat.track_calls_of_async_mocks(_DEPTH_IN_MOCKS)

    @containing("looking for coroutines that have not started", False)
    def has_waiting(self) -> bool:
        """Whether coroutines that have not started are known to be alive after the last test."""
        self._receiver = _python_compat.receiver()
        return self._makers.are_waiting()

    @containing("looking for coroutines that an exception holds", None)
    def look_into(self, error: BaseException) -> None:
        """Report coroutines that only an exception's frames hold: they can't be awaited."""
        from aldente._rules.coroutine_origins import look_into_frames

        look_into_frames(error, lambda coroutine: self._report_once(coroutine, None, None))

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, report coroutines; Python warns only of those that are not reported."""
        depth = sys.get_coroutine_origin_tracking_depth()
        with contextlib.ExitStack() as undo:
            # First and last, so that it knows of a collection that drops a coroutine meanwhile.
            gc.callbacks.append(self._on_collection)
            undo.callback(self._forget_collections)
            self._original = _python_compat.replace_on_unawaited(self._on_dropped)
            undo.callback(_python_compat.replace_on_unawaited, self._original)
            undo.callback(sys.set_coroutine_origin_tracking_depth, depth)
            sys.set_coroutine_origin_tracking_depth(max(depth, _DEPTH))
            undo.callback(self._forget_mocks)
            yield

    def _forget_collections(self) -> None:
        # A test may have cleared the list.
        with contextlib.suppress(ValueError):
            gc.callbacks.remove(self._on_collection)

    def _forget_mocks(self) -> None:
        if self._undo_mocks is not None:
            self._undo_mocks()

    @containing("looking for coroutines at a garbage collection", None)
    def _on_collection(self, phase: str, information: dict[str, int]) -> None:
        self._is_collecting = phase == "start"
        if self._is_collecting:
            self._makers.look(is_collecting=True)

    def _on_dropped(self, coroutine: Coroutine) -> None:
        """Replaces the function that Python calls to warn of a coroutine."""
        is_asked_for = True
        with contained("looking at a coroutine that was dropped"):
            is_asked_for = self._look_at_dropped(coroutine, caller())
        if is_asked_for:
            # From here, as stacklevel=2 is then the line that Python itself would name.
            warnings.warn(_warning_of(coroutine), RuntimeWarning, stacklevel=2, source=coroutine)

    def _look_at_dropped(self, coroutine: Coroutine, dropper: FrameType | None) -> bool:
        """Report a coroutine; return True if its warning is wanted instead.

        Args:
            coroutine: the coroutine, which is about to be freed.
            dropper: the frame that was running then.
        """
        call = _call_of_double(coroutine)
        if call is not None:
            # So that the check of the doubles at the end does not report it again.
            call.is_reported = True
        if self._reported.pop(id(coroutine.cr_origin), self) is coroutine.cr_origin:
            return False
        maker = None
        # Code that records warnings inside the test wants this one.
        is_asked_for = self._receiver is None or _python_compat.receiver() is not self._receiver
        filters = _python_compat.warning_filters()
        if self._is_collecting and self._makers.newest is not None:
            # The collector runs at any time; the code that it interrupts is unrelated.
            maker = self._makers.maker_of(coroutine)
            if maker is self._makers.earlier:
                self._original(coroutine)
                return False
            is_others = maker is not self._makers.newest
            is_asked_for = is_asked_for and not is_others
            if is_others or dropper is None or not is_users(dropper.f_code.co_filename):
                filters = maker.filters
        message = f"coroutine '{coroutine.__qualname__}' was never awaited"
        if not is_asked_for and not _is_ignored(message, dropper, filters):
            self._report_once(coroutine, dropper, maker)
        return is_asked_for

    def _report_once(
        self, coroutine: Coroutine, dropper: FrameType | None, maker: Maker | None
    ) -> None:
        origin = coroutine.cr_origin
        maker = maker or self._makers.maker_of(coroutine)
        if origin is not None:
            self._reported[id(origin)] = origin
        mock, is_mild = _mock_of(coroutine), False
        fix = _FIX_OF_CALLBACK if _is_of_callback(coroutine, dropper) else _FIX
        place = _place_of(coroutine, dropper, maker.test)
        if mock is not None:
            from aldente._rules import coroutine_makers

            is_mild = coroutine_makers.is_callers_choice(
                coroutine, _place_of_handing_over(coroutine, dropper, maker.test), maker.test
            )
            fix = coroutine_makers.fix_of(mock, is_callers_choice=is_mild, fix=fix)
        self._report(
            Finding(
                RULE.name,
                f"the coroutine {_name_of(coroutine)} was never awaited.",
                fix,
                place,
                made_by=maker.test,
                is_mild=is_mild,
                subject=coroutine.__qualname__ if mock is None else "",
            )
        )


def _is_ignored(message: str, caller: FrameType | None, filters: Filters) -> bool:
    """Whether warning filters ignore a RuntimeWarning that a frame causes with this message."""
    name = caller.f_globals.get("__name__", "<string>") if caller is not None else "sys"
    for action, pattern, category, module, line in filters:
        if (
            (pattern is None or pattern.match(message))
            and issubclass(RuntimeWarning, category)
            and (module is None or module.match(name))
            and (not line or (caller is not None and line == caller.f_lineno))
        ):
            return str(action) == "ignore"
    return False


def _warning_of(coroutine: Coroutine) -> str:
    """Return the text of Python's own warning."""
    text = f"coroutine '{coroutine.__qualname__}' was never awaited"
    origin = coroutine.cr_origin
    if origin is None or sys.get_coroutine_origin_tracking_depth() <= _DEPTH:
        return text
    # Something else tracks more frames, asyncio's debug mode for example.
    stack = [(path, line, name, None) for path, line, name in reversed(origin)]
    lines = "".join(traceback.StackSummary.from_list(stack).format())
    return f"{text}\nCoroutine created at (most recent call last)\n{lines}".rstrip()


def _call_of_double(coroutine: Coroutine) -> Any:
    """The call of an `aldente.Double` that returned a coroutine; None for any other coroutine."""
    # Without importing them, as most runs have no doubles.
    if coroutine.cr_code.co_qualname != "awaited" or coroutine.cr_frame is None:
        return None
    call = coroutine.cr_frame.f_locals.get("call")
    return call if type(call).__module__ == "aldente._doubles.calls" else None


def _is_of_callback(coroutine: Coroutine, dropper: FrameType | None) -> bool:
    """Whether a loop or thread made a coroutine, by calling a function that was passed to it."""
    caller = _caller_of(coroutine)
    if caller is None and dropper is not None:
        # Origins are tracked only on the thread that runs tests.
        caller = place_of(dropper)
    return caller is not None and _is_of_callers(caller.path)


# The modules that call such functions: those of loops, threads and pools.
_CALLERS = ("asyncio/events.py", "threading.py", "concurrent/futures/thread.py")


def _is_of_callers(path: str) -> bool:
    return not is_users(path) and path.replace(os.sep, "/").endswith(_CALLERS)


def _caller_of(coroutine: Coroutine) -> SourcePlace | None:
    """The line that called a coroutine function, the user's or not; None if not known."""
    if _mock_of(coroutine) is not None:
        from aldente._rules import coroutine_makers

        return coroutine_makers.caller_of(coroutine)
    origin = coroutine.cr_origin
    return SourcePlace(origin[0][0], origin[0][1]) if origin else None


def _place_of_handing_over(
    coroutine: Coroutine, dropper: FrameType | None, test: str | None
) -> SourcePlace | None:
    """Where a function was passed on whose coroutine its caller dropped."""
    if not _is_of_callback(coroutine, dropper):
        return None
    from aldente._rules.coroutine_makers import place_of_handing_over

    mock = _mock_of(coroutine)
    name = coroutine.__name__
    if mock is not None:
        from aldente._rules import coroutine_makers

        name = coroutine_makers.name_of(mock).removesuffix("()").rpartition(".")[2]
    return place_of_handing_over(name, test)


def _mock_of(coroutine: Coroutine) -> Any:
    """The AsyncMock whose call made a coroutine that has not started; None for all others."""
    if not coroutine.__qualname__.endswith("AsyncMockMixin._execute_mock_call"):
        return None
    # The function of every AsyncMock; its argument is the mock.
    return coroutine.cr_frame.f_locals.get("self") if coroutine.cr_frame is not None else None


def _name_of(coroutine: Coroutine) -> str:
    call = _call_of_double(coroutine)
    if call is not None:
        return f"of the double {call}"
    mock = _mock_of(coroutine)
    if mock is not None:
        from aldente._rules import coroutine_makers

        return f"of the AsyncMock {coroutine_makers.name_of(mock)!r}"
    return repr(coroutine.__qualname__)


def _place_of(
    coroutine: Coroutine, dropper: FrameType | None, test: str | None
) -> SourcePlace | None:
    """The line of the user's that made a coroutine, or the nearest known line."""
    call = _call_of_double(coroutine)
    if call is not None and call.place is not None:
        place: SourcePlace = call.place
        return place
    origin = coroutine.cr_origin
    made = SourcePlace(origin[0][0], origin[0][1]) if origin else None
    caller = _caller_of(coroutine)
    if caller is not None and is_users(caller.path):
        return caller
    handed_over = _place_of_handing_over(coroutine, dropper, test)
    if handed_over is not None:
        return handed_over
    frame = users_frame(dropper)
    if frame is not None:
        return place_of(frame)
    code = coroutine.cr_code
    if is_users(code.co_filename):
        return SourcePlace(code.co_filename, code.co_firstlineno)
    return made


def install(observation: Observation) -> None:
    """Also report async context managers that are never entered."""
    from aldente._rules import dropped_managers

    observation.enter(dropped_managers.watch(observation.report, observation.current_test))
