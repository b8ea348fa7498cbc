"""Carries changes of context variables between tasks and the code around them.

A task runs in a `contextvars.Context` of its own, so what an async fixture sets would be lost to
the test; and synchronous fixtures run in the context of the whole test session, so what they set
would reach the next test. `carry_over` fixes the first and `IsolatedContext` the second.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar, Token, copy_context
from typing import Any, NamedTuple

from aldente._asyncio_compat import is_loop_running_here

_MISSING = object()


def carry_over(source: Context) -> Callable[[], None] | None:
    """Set every context variable in the current context to its value in another.

    Args:
        source: a context that began as a copy of the current one.

    Returns:
        A function that undoes it, and does nothing in another context; None when nothing was
        changed.

    >>> language = ContextVar("language", default="en")
    >>> context = copy_context()
    >>> _ = context.run(language.set, "it")
    >>> undo = carry_over(context)
    >>> language.get()
    'it'
    >>> undo(); language.get()
    'en'
    """
    current = copy_context()
    tokens: list[tuple[ContextVar[Any], Token[Any]]] = [
        (variable, variable.set(value))
        for variable, value in source.items()
        if current.get(variable, _MISSING) is not value
    ]
    if not tokens:
        return None

    def undo() -> None:
        for variable, token in reversed(tokens):
            # It fails where a test has requested the fixture in another context, such as that of a
            # thread, which is gone by now.
            with contextlib.suppress(ValueError):
                variable.reset(token)

    return undo


class IsolatedContext:
    """A copy of the current context that can be entered for a while, then left permanently.

    `contextvars.Context.run` would do, if pytest let a plugin call what runs a test; but a plugin's
    hook can only act before and after. So this enters the context as C code does, with
    ``PyContext_Enter``, part of CPython's public C API since 3.7. Where that can't be reached there
    is no isolation: variables that a synchronous fixture sets and never resets stay set.
    """

    def __init__(self) -> None:
        self._context: Context | None = None
        self._thread = 0

    def enter(self) -> bool:
        """Make a copy of the current context the current one, unless it is entered already.

        Inside a task it does nothing: a task has a context of its own.

        Returns:
            Whether it was entered now.
        """
        switch = _find_switch()
        if self._context is not None or switch is None or is_loop_running_here():
            return False
        self._context = copy_context()
        self._thread = threading.get_ident()
        switch.enter(self._context)
        return True

    def leave(self) -> None:
        """Go back permanently to the context before `enter`; does nothing when not entered."""
        context, self._context = self._context, None
        switch = _find_switch()
        if context is not None and switch is not None:
            switch.leave(context)

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """While entered, be in the context around this one; carry its changes over on exit."""
        context, switch = self._context, _find_switch()
        if (
            context is None
            or switch is None
            or self._thread != threading.get_ident()
            or is_loop_running_here()
        ):
            # A task or another thread is in a context of its own.
            yield
            return
        switch.leave(context)
        before = copy_context()
        try:
            yield
        finally:
            after = copy_context()
            switch.enter(context)
            for variable, value in after.items():
                if before.get(variable, _MISSING) is not value:
                    variable.set(value)


class _Switch(NamedTuple):
    """Enters and leaves a context through CPython's C API."""

    enter: Callable[[Context], int]
    leave: Callable[[Context], int]


@functools.cache
def _find_switch() -> _Switch | None:
    """The switch, or None on an interpreter without ctypes or without CPython's C API."""
    try:
        # Imported here, as it takes some milliseconds and few test suites need it.
        import ctypes

        enter = ctypes.pythonapi.PyContext_Enter
        leave = ctypes.pythonapi.PyContext_Exit
    except (ImportError, AttributeError):
        return None
    for function in (enter, leave):
        function.argtypes = [ctypes.py_object]
        function.restype = ctypes.c_int
    return _Switch(enter, leave)
