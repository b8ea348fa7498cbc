"""Charges ResourceWarnings that are errors to the test that made what was freed unclosed.

Python gives them when something is freed, which the garbage collector may do during any test. With
``-W error`` the warning is raised in a finalizer; there it ends nothing, but pytest fails the test
that runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from aldente._own_errors import containing
from aldente._records import FREED, Finding, SourcePlace
from aldente._rules.resource_origins import Makings

_FIX = "Close it where it was made, best by 'async with'; in a fixture after the 'yield'."

# The node id of the test, and its line; None for what is not known.
_MadeBy = tuple[str | None, SourcePlace | None]


class LateWarnings:
    """Takes the ResourceWarnings of what other tests have made, if they are errors.

    Args:
        makings: returns the test that made something.
        current_test: gives the node id of the test that is running; None between tests.
        maker_of_loop: gives the node id of the test that made an event loop, if one did.
        report: called with each finding, on the thread that frees something.
    """

    def __init__(
        self,
        makings: Makings,
        current_test: Callable[[], str | None],
        maker_of_loop: Callable[[object], str | None],
        report: Callable[[Finding], None],
    ) -> None:
        self._makings = makings
        self._current_test = current_test
        self._maker_of_loop = maker_of_loop
        self._report = report

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, warnings are taken that finalizers raise; see `finalize` too."""
        before = sys.unraisablehook

        def hook(unraisable: sys.UnraisableHookArgs) -> None:
            if not self._is_taken(unraisable):
                before(unraisable)

        sys.unraisablehook = hook
        try:
            yield
        finally:
            # A later replacement by something else must stay.
            if sys.unraisablehook is hook:
                sys.unraisablehook = before

    def finalize(self, finalizer: Callable[..., None], made: Any, **stand_ins: object) -> None:
        """Call a ``__del__``; it goes on after its warning, and so closes what it has.

        Args:
            finalizer: the method, or its replacement.
            made: what is about to be freed.
            stand_ins: further arguments.
        """
        making = self._making_by_other_test(made)
        if making is None:
            finalizer(made, **stand_ins)
            return
        is_reported = False

        def warn(
            message: Warning | str,
            category: type[Warning] | None = None,
            stacklevel: int = 1,
            source: object = None,
        ) -> None:
            nonlocal is_reported
            try:
                warnings.warn(message, category, stacklevel + 1, source)
            except ResourceWarning as warning:
                self._report_late(making, warning)
                is_reported = True

        try:
            finalizer(made, **{**stand_ins, **_stand_ins(finalizer, warn)})
        except Exception:
            # Closing may fail, as the loop is closed; without this it would not have come so far.
            if not is_reported:
                raise

    @containing("looking whose resource a warning is about", False)
    def _is_taken(self, unraisable: sys.UnraisableHookArgs) -> bool:
        """Report a warning that a finalizer has raised, if it is about another test's resource."""
        warning = unraisable.exc_value
        if not isinstance(warning, ResourceWarning):
            return False
        candidates = [self._making_of(made) for made in _candidates(unraisable)]
        descriptor = _DESCRIPTOR.match(str(warning))
        if descriptor is not None:
            # CPython does not pass on what has a finalizer in C, from 3.14 on.
            making = self._makings.of_descriptor(int(descriptor[1]))
            candidates.append(None if making is None else (making.test, making.place))
        for candidate in candidates:
            if candidate is not None and self._is_others(candidate):
                self._report_late(candidate, warning)
                return True
        return False

    @containing("looking which test made a resource", None)
    def _making_by_other_test(self, made: object) -> _MadeBy | None:
        """The test that made something and where, if that is not the test that runs now."""
        making = self._making_of(made)
        return making if making is not None and self._is_others(making) else None

    def _making_of(self, made: object) -> _MadeBy | None:
        if isinstance(made, asyncio.AbstractEventLoop):
            return self._maker_of_loop(made), None
        making = self._makings.of(made)
        if making is not None:
            return making.test, making.place
        # A client of a library that is not known, which keeps its loop.
        loops = {id(loop): loop for loop in _loops_in(made)}
        makers = {self._maker_of_loop(loop) for loop in loops.values()}
        return (makers.pop(), None) if len(makers) == 1 else None

    def _is_others(self, making: _MadeBy) -> bool:
        test, _ = making
        return bool(test) and test != self._current_test()

    @containing("reporting a resource that was freed unclosed", None)
    def _report_late(self, making: _MadeBy, warning: Warning) -> None:
        if str(warning) == _OF_WRITERS:
            # Its transport warns too.
            return
        test, place = making
        self._report(
            Finding(
                "leaked-resource",
                f"{FREED}, and warnings are errors: {_text_of(warning)}.",
                _FIX,
                place,
                made_by=test,
                is_grave=True,
            )
        )


def _candidates(unraisable: sys.UnraisableHookArgs) -> Iterator[object]:
    """What a warning may be about: what has a finalizer in C, or the ``self`` of a ``__del__``."""
    yield unraisable.object
    trace = unraisable.exc_traceback
    while trace is not None:
        yield trace.tb_frame.f_locals.get("self")
        trace = trace.tb_next


def _loops_in(made: object) -> Iterator[asyncio.AbstractEventLoop]:
    """The event loops among the attributes of an object."""
    for referent in gc.get_referents(made):
        for each in referent.values() if type(referent) is dict else (referent,):
            if issubclass(type(each), asyncio.AbstractEventLoop):
                yield each


def _stand_ins(finalizer: Callable[..., None], warn: Callable[..., None]) -> dict[str, object]:
    """The arguments by which a ``__del__`` is given another ``warnings.warn``.

    Finalizers keep what they call as a default, as modules may be gone when they run.
    """
    function: Any = inspect.unwrap(finalizer)
    defaults = function.__defaults__ or ()
    end = function.__code__.co_argcount
    names = function.__code__.co_varnames[end - len(defaults) : end]
    found: dict[str, object] = {}
    for name, default in zip(names, defaults, strict=True):
        if default is warnings.warn:
            found[name] = warn
        elif default is warnings:
            found[name] = SimpleNamespace(warn=warn)
    return found


# How Python calls a socket or file in its warning.
_DESCRIPTOR = re.compile(r"unclosed (?:<socket\.socket fd=|file <_io\.FileIO name=)(\d+)\b")


def _text_of(warning: Warning) -> str:
    return _ADDRESS.sub("", str(warning)).rstrip(".")


# What a stream's writer says whose loop is closed. Checked on CPython 3.11.7 to 3.15.0.
_OF_WRITERS = "loop is closed"

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
