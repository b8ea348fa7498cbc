"""Remembers which test made a loop, or left a task, so that late errors are charged to it."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._own_errors import containing

# The test that runs on a loop that outlives it. Its callbacks inherit it, and its tasks.
_test_on_wide_loop: ContextVar[tuple[LoopMakers, str] | None] = ContextVar(
    "aldente_test", default=None
)


class LoopMakers:
    """The makers of loops and tasks that may outlive a test.

    Args:
        current_test: gives the node id of the test that runs now; None between tests.

    Attributes:
        is_noting: whether loops that are made belong to the test. Those that aldente makes do not:
            they may be used again, or be wider.
    """

    def __init__(self, current_test: Callable[[], str | None]) -> None:
        self._current_test = current_test
        self._makers: weakref.WeakKeyDictionary[object, str] = weakref.WeakKeyDictionary()
        self._tasks: dict[int, _Task] = {}
        self.is_noting = True

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, loops are noted as they are made."""
        owner: Any = asyncio.BaseEventLoop
        original = owner.__init__
        makers = self

        def __init__(self: asyncio.BaseEventLoop, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            makers._note_loop(self)

        owner.__init__ = __init__
        try:
            yield
        finally:
            owner.__init__ = original

    @containing("noting which test makes a loop", None)
    def _note_loop(self, loop: asyncio.BaseEventLoop) -> None:
        test = self._current_test()
        if test is not None and self.is_noting:
            self.note(loop, test)

    @containing("noting which test a loop or task belongs to", None)
    def note(self, loop_or_task: object, test: str) -> None:
        """Remember which test a loop or task belongs to."""
        if isinstance(loop_or_task, asyncio.Task):
            task = loop_or_task
            self._tasks[id(task)] = _Task(weakref.ref(task), task.get_name(), test)
            task.add_done_callback(self._forget_if_well)
            return
        with contextlib.suppress(TypeError):
            # Loops of other kinds may not be weakly referable.
            self._makers[loop_or_task] = test

    def enter(self, test: str, context: Context) -> None:
        """Have a test on a loop that outlives it own the callbacks that are set in its context."""
        context.run(_test_on_wide_loop.set, (self, test))

    def is_noted(self, loop_or_task: object) -> bool:
        """Whether it is known which test a loop or task belongs to."""
        if isinstance(loop_or_task, asyncio.Task):
            known = self._tasks.get(id(loop_or_task))
            return known is not None and known.reference() is loop_or_task
        return loop_or_task in self._makers

    def maker_of(self, future: object) -> str | None:
        """The node id of the test that a future, task, callback or loop belongs to.

        Maybe by its loop, which a callback does not tell.
        """
        if isinstance(future, asyncio.Handle):
            return self._test_in(_asyncio_compat.context_of_callback(future))
        if isinstance(future, asyncio.Task):
            known = self._tasks.get(id(future))
            # Weak references are gone when the garbage collector ends a task, which is when asyncio
            # tells what became of it.
            if known is not None and (
                known.reference() is future
                or (known.reference() is None and known.name == future.get_name())
            ):
                return known.test
            # Public from Python 3.12 on.
            get_context = getattr(future, "get_context", None)
            test = self._test_in(get_context()) if get_context is not None else None
            if test is not None:
                return test
        loop = future.get_loop() if isinstance(future, asyncio.Future) else future
        try:
            if isinstance(future, asyncio.Future) and future in self._makers:
                return self._makers[future]
            return self._makers.get(loop)
        except TypeError:
            # It is not weakly referable, so it is not noted.
            return None

    def _test_in(self, context: Context) -> str | None:
        makers, test = context.get(_test_on_wide_loop) or (None, None)
        # A test may run pytest in its own process.
        return test if makers is self else None

    def _forget_if_well(self, task: asyncio.Task[Any]) -> None:
        # From its own attributes, as asking for the exception would count as having seen to it.
        if task.cancelled() or not _asyncio_compat.has_unseen_exception(task):
            self._tasks.pop(id(task), None)


class _Task(NamedTuple):
    """A task that a test has left."""

    reference: weakref.ref[asyncio.Task[Any]]
    name: str
    test: str
