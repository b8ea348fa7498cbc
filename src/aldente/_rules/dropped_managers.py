"""Async context managers of functions with ``@asynccontextmanager`` that are never entered.

As with a coroutine that is never awaited, nothing of the function runs; Python does not warn.
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


class _MadeManager(NamedTuple):
    """A context manager that has not been entered."""

    name: str
    place: SourcePlace
    test: str


@contextlib.contextmanager
def watch(
    report: Callable[[Finding], None], current_test: Callable[[], str | None]
) -> Iterator[None]:
    """Report context managers that are freed without having been entered.

    Args:
        report: called with each finding, on the thread that drops the context manager.
        current_test: returns the node id of the running test.
    """
    kind = type(_sample())
    watching = _Watching(report, current_test)
    replaced = {
        "__init__": watching.noting(kind.__init__),
        "__aenter__": watching.forgetting(kind.__aenter__),
        # Called as a decorator, it makes new ones.
        "__call__": watching.forgetting(kind.__call__),
        "__del__": watching.finalize,
    }
    before = {name: vars(kind)[name] for name in replaced if name in vars(kind)}
    # With pytest inside a test, the outer run goes on watching too.
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
    """Replacements for the methods of context managers."""

    def __init__(
        self, report: Callable[[Finding], None], current_test: Callable[[], str | None]
    ) -> None:
        self._report = report
        self._current_test = current_test
        # By identity: in a reference cycle weak references are cleared before finalizers run.
        self._made: dict[int, _MadeManager] = {}
        self.finalize_before: Callable[[Any], None] = lambda manager: None
        # A function, as a bound method would not receive the context manager.
        self.finalize = self._finalizing()

    def noting(self, original: Callable[..., None]) -> Callable[..., None]:
        """Return the replacement for ``__init__``, which records the context manager."""

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
        # Context managers that a library makes are the library's to enter.
        if test is not None and made_in is not None and is_users(made_in.f_code.co_filename):
            name = getattr(function, "__qualname__", repr(function))
            self._made[id(manager)] = _MadeManager(name, place_of(made_in), test)

    def forgetting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return the replacement for a method that uses one, which forgets it."""

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
                with contained("reporting a context manager that was never entered"):
                    self._report(_finding(made))

        return __del__


@containing("checking whether a context manager's function has begun", True)
def _has_begun(manager: Any) -> bool:
    """Whether a manager's generator has started, was closed or may still start."""
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


# From the manager and the call itself. There are more if the program uses the generator.
_ITS_OWN_REFERENCES = _references_to_generator(_sample())


def _maker(frame: FrameType | None) -> FrameType | None:
    """The frame that called the function with ``@asynccontextmanager``."""
    while frame is not None and frame.f_code.co_filename in (__file__, contextlib.__file__):
        frame = frame.f_back
    return frame


def _finding(made: _MadeManager) -> Finding:
    return Finding(
        "never-awaited",
        f"the context manager that {made.name!r} made was never entered.",
        f"Enter it: 'async with {made.name.rpartition('.')[2]}(...):'. Nothing of the function "
        "runs before that.",
        made.place,
        made_by=made.test,
        # The code may offer it to callers that need not use it.
        is_mild=True,
        subject=made.name,
    )
