"""Async context managers of functions with ``@asynccontextmanager`` that nobody enters.

Nothing of the function runs then, as with a coroutine that nobody awaits; Python does not tell.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import AsyncGeneratorType, FrameType
from typing import Any, NamedTuple

from aldente._own_errors import contained, containing
from aldente._records import Finding, SourcePlace
from aldente._source import is_users, place_of


class _Made(NamedTuple):
    """A context manager that nobody has entered yet."""

    name: str
    place: SourcePlace
    test: str


@contextlib.contextmanager
def watch(
    report: Callable[[Finding], None], current_test: Callable[[], str | None]
) -> Iterator[None]:
    """Report context managers that are freed and have not been entered.

    Args:
        report: called with each finding, on whatever thread drops the context manager.
        current_test: gives the node id of the test that is running.
    """
    kind = type(_sample())
    watching = _Watching(report, current_test)
    replaced = {
        "__init__": watching.noting(kind.__init__),
        "__aenter__": watching.forgetting(kind.__aenter__),
        # As a decorator it makes others in its place.
        "__call__": watching.forgetting(kind.__call__),
        "__del__": watching.finalize,
    }
    before = {name: vars(kind)[name] for name in replaced if name in vars(kind)}
    # A run within a test of another run comes to see what that sees.
    watching.finalize_before = before.get("__del__", lambda manager: None)
    for name, replacement in replaced.items():
        setattr(kind, name, replacement)
    try:
        yield
    finally:
        for name, replacement in replaced.items():
            # A later replacement by something else must stay.
            if vars(kind).get(name) is not replacement:
                continue
            if name in before:
                setattr(kind, name, before[name])
            else:
                delattr(kind, name)


@contextlib.asynccontextmanager
async def _sample() -> AsyncIterator[None]:
    yield


class _Watching:
    """What takes the place of the methods of context managers."""

    def __init__(
        self, report: Callable[[Finding], None], current_test: Callable[[], str | None]
    ) -> None:
        self._report = report
        self._current_test = current_test
        # By identity: they are freed before their turn in a reference cycle comes.
        self._made: dict[int, _Made] = {}
        self.finalize_before: Callable[[Any], None] = lambda manager: None
        # A function, as a bound method would not be given the context manager.
        self.finalize = self._finalizing()

    def noting(self, original: Callable[..., None]) -> Callable[..., None]:
        """In the place of the method that makes one of a function and its arguments."""

        @functools.wraps(original)
        def __init__(manager: Any, function: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            __tracebackhide__ = True
            original(manager, function, *args, **kwargs)
            self._note(manager, function, inspect.currentframe())

        return __init__

    @containing("noting where a context manager is made", None)
    def _note(self, manager: object, function: Any, frame: FrameType | None) -> None:
        test = self._current_test()
        made_in = _maker(frame) if test is not None else None
        # What a library makes for itself is its own to enter.
        if test is not None and made_in is not None and is_users(made_in.f_code.co_filename):
            name = getattr(function, "__qualname__", repr(function))
            self._made[id(manager)] = _Made(name, place_of(made_in), test)

    def forgetting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """In the place of a method that uses one."""

        @functools.wraps(original)
        def method(manager: Any, *args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            self._made.pop(id(manager), None)
            return original(manager, *args, **kwargs)

        return method

    def _finalizing(self) -> Callable[[Any], None]:
        def __del__(manager: Any) -> None:  # noqa: N807
            self.finalize_before(manager)
            made = self._made.pop(id(manager), None)
            if made is not None and not _has_begun(manager):
                with contained("reporting a context manager that nobody has entered"):
                    self._report(_finding(made))

        return __del__


@containing("looking whether a context manager's function has begun", True)
def _has_begun(manager: Any) -> bool:
    """Whether the function runs, was closed or may run yet, by the generator that a manager has."""
    if type(vars(manager).get("gen")) is not AsyncGeneratorType:
        return False
    if _references_to_generator(manager) > _ITS_OWN_REFERENCES:
        return True
    frame: FrameType | None = manager.gen.ag_frame
    if frame is None:
        return True
    instructions = dis.get_instructions(frame.f_code)
    begin = next(each.offset for each in instructions if each.opname == "RESUME")
    return frame.f_lasti >= begin


def _references_to_generator(manager: Any) -> int:
    return sys.getrefcount(vars(manager)["gen"])


# Those that the manager and the call itself have. The program has more if it uses the generator.
_ITS_OWN_REFERENCES = _references_to_generator(_sample())


def _maker(frame: FrameType | None) -> FrameType | None:
    """The frame that has called the function with ``@asynccontextmanager``."""
    while frame is not None and frame.f_code.co_filename in (__file__, contextlib.__file__):
        frame = frame.f_back
    return frame


def _finding(made: _Made) -> Finding:
    return Finding(
        "never-awaited",
        f"the context manager that {made.name!r} made was never entered.",
        f"Enter it: 'async with {made.name.rpartition('.')[2]}(...):'. Nothing of the function "
        "runs before that.",
        made.place,
        made_by=made.test,
        # It may be somebody's offer that nobody had to take.
        is_mild=True,
    )
