"""`Invariant`: what has to hold after every step of a simulated run."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aldente import _asyncio_compat
from aldente._records import SourcePlace
from aldente.errors import InvalidSetting, InvariantBroken

if TYPE_CHECKING:
    from aldente._loops.simulated.explored import ExploredLoop

_ALLOWED = (
    "It must be a function without arguments that is not async: no step must come between its "
    "beginning and its end."
)


class Invariant:
    """A check that is made after every step, until the program ends or the block is left.

    Args:
        loop: the loop.
        check: raises, or returns False, when something is wrong.

    Attributes:
        is_over: whether it is checked no more.
    """

    def __init__(self, loop: ExploredLoop, check: Callable[[], object]) -> None:
        self._loop = loop
        self._check = check
        self.is_over = False
        loop.add_after_hook(self._after_step)

    def __enter__(self) -> Invariant:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """Check no more."""
        self.is_over = True
        self._loop.remove_after_hook(self._after_step)

    def _after_step(self, callback: Any) -> None:
        self.check(_who(callback))

    def check(self, who: str) -> None:
        """Check once, after a step of somebody, or of so much of it as there was.

        Raises:
            BaseException: what the check raises.
        """
        try:
            result = self._check()
            if result is False:
                raise InvariantBroken(_name_of(self._check), _place_of(self._check), who)
            if inspect.isawaitable(result):
                _drop(result)
                raise InvalidSetting("check", self._check, _ALLOWED)
        except BaseException:
            self.end()
            self._loop.tell(f"the invariant {_name_of(self._check)} is broken", is_place_told=False)
            raise


def _who(callback: Any) -> str:
    task = _asyncio_compat.task_of_step(callback)
    if task is not None:
        return who_is(task)
    return f"the callback {getattr(callback, '__qualname__', type(callback).__name__)}"


def who_is(task: asyncio.Task[Any]) -> str:
    """What a task is called in messages."""
    return f"the task {task.get_name()!r}"


def check_is_sync(check: object) -> None:
    """Refuse what can't be an invariant.

    Raises:
        InvalidSetting: it is no function, or an async one.
    """
    if inspect.isawaitable(check):
        _drop(check)
    elif callable(check) and not inspect.iscoroutinefunction(check):
        return
    raise InvalidSetting("check", check, _ALLOWED)


def _drop(awaitable: object) -> None:
    # Not awaited, and told of by the exception.
    close: Callable[[], object] = getattr(awaitable, "close", bool)
    close()


def _name_of(check: Callable[[], object]) -> str:
    return repr(getattr(check, "__qualname__", type(check).__qualname__))


def _place_of(check: Callable[[], object]) -> str:
    code = getattr(inspect.unwrap(check), "__code__", None)
    return str(SourcePlace(code.co_filename, code.co_firstlineno)) if code is not None else ""
