"""`Operations`: the calls of a thing's async methods in a run, and how they are run one at a time.

The idea is that of Line-Up: what operations give together is right if they can give it one at a
time (Sebastian Burckhardt, Chris Dern, Madanlal Musuvathi, Roy Tan: Line-Up: A Complete and
Automatic Linearizability Checker. PLDI 2010).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from contextvars import Context, ContextVar
from typing import Any, NamedTuple, Protocol

from aldente._simulation.choices import Values

# Whether the running code is a part of an operation, so that what it calls is none of its own.
_is_inside: ContextVar[bool] = ContextVar("is_inside", default=False)


# What a serial run chooses: whether an operation begins at once, or after others that may come;
# which begins next after one, or whether others may come before; which begins when nothing else can
# happen.
ARRIVAL, DEPARTURE, IDLE = "whether to begin", "after an operation", "the next operation"


class OperatingLoop(Protocol):
    """What operations need of the loop."""

    is_serial: bool
    task_listeners: list[Callable[[asyncio.Task[Any], Context | None], object]]

    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio's."""
        ...

    def pick(self, options: Values) -> int:
        """Let the strategy decide."""
        ...


class Call(NamedTuple):
    """An operation: a call of an async method of the thing.

    Attributes:
        who: the task that has called it, by how it came about: the numbers of its ancestors among
            the children of theirs; None if that is not known.
        task: the name of the task.
        place: which of the calls of that task it is.
        name: the name of the method.
        arguments, keywords: the arguments.
    """

    who: tuple[int, ...] | None
    task: str
    place: int
    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


class Ended(NamedTuple):
    """An operation that has ended.

    Attributes:
        call: the call.
        result: what it has returned; None if it has raised.
        error: what it has raised; None if it has returned.
        began, ended: numbers of these moments, in their order.
    """

    call: Call
    result: Any
    error: BaseException | None
    began: int
    ended: int


class Operations:
    """The operations of a run.

    Args:
        loop: the loop of the run.

    Attributes:
        things: what they are operations of.
        states: returns what of each of them is compared at the end.
        ended: those that have ended, in this order.
        is_ordered: whether those that do not overlap must keep their order.
        is_plain: whether the program does nothing else than to call them.
    """

    def __init__(self, loop: OperatingLoop) -> None:
        self.things: list[Any] = []
        self.states: list[Callable[[], Any]] = []
        self.ended: list[Ended] = []
        self.is_ordered = self.is_plain = False
        self._loop = loop
        self._moments = 0
        self._begun = 0
        self._calls: dict[str, int] = {}
        self._origins: weakref.WeakKeyDictionary[asyncio.Task[Any], tuple[int, ...]] = (
            weakref.WeakKeyDictionary()
        )
        self._children: dict[tuple[int, ...], int] = {}
        task = asyncio.current_task()
        if task is not None:
            self._origins[task] = ()
        loop.task_listeners.append(self._note_task)
        self._running = 0
        self._waiting: list[asyncio.Future[None]] = []

    def _note_task(self, task: asyncio.Task[Any], context: Context | None) -> None:
        parent = asyncio.current_task()
        origin = None if parent is None else self._origins.get(parent)
        if origin is not None:
            number = self._children[origin] = self._children.get(origin, 0) + 1
            self._origins[task] = (*origin, number)

    @property
    def are_over(self) -> bool:
        """Whether all that have begun have ended."""
        return self._begun == len(self.ended)

    def moment(self) -> int:
        """The number of this moment."""
        self._moments += 1
        return self._moments

    async def run(self, name: str, method: Any, arguments: Any, keywords: Any) -> Any:
        """Run an operation, alone if this is a serial run."""
        task = asyncio.current_task()
        who = None if task is None else self._origins.get(task)
        title = "" if task is None else task.get_name()
        place = self._calls[title] = self._calls.get(title, 0) + 1
        call = Call(who, title, place if who is not None else 0, name, arguments, keywords)
        self._begun += 1
        if self._loop.is_serial:
            try:
                await self._enter()
            except BaseException:
                # Nothing of it has happened.
                self._begun -= 1
                raise
        began = self.moment()
        token = _is_inside.set(True)
        try:
            result = await method(*arguments, **keywords)
        except BaseException as error:
            self.ended.append(Ended(call, None, error, began, self.moment()))
            raise
        finally:
            _is_inside.reset(token)
            if self._loop.is_serial:
                self._leave()
        self.ended.append(Ended(call, result, None, began, self.moment()))
        return result

    async def _enter(self) -> None:
        # It may begin now, or after others that are about to come.
        if self._running or self._waiting or self._loop.pick(Values(2, ARRIVAL)):
            turn = self._loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                elif not turn.cancelled():
                    self._leave()
                raise
        else:
            self._running += 1

    def _leave(self) -> None:
        self._running -= 1
        if not self._running and self._waiting:
            # Others may come before the next one begins.
            self._choose(len(self._waiting) + 1, DEPARTURE)

    def _choose(self, count: int, name: str) -> bool:
        """Let one in that waits, if the strategy chooses one; whether it does.

        Args:
            count: how many options there are; the last one may be to let in none.
            name: what decides.
        """
        index = self._loop.pick(Values(count, name)) if count > 1 else 0
        if index == len(self._waiting):
            return False
        self._running += 1
        self._waiting.pop(index).set_result(None)
        return True

    def on_idle(self, *, may_time_pass: bool) -> bool:
        """Let one in, as nothing else is ready; return whether one was.

        Args:
            may_time_pass: whether there are timers, so that others may come in time.
        """
        if self._running or not self._waiting:
            return False
        return self._choose(len(self._waiting) + may_time_pass, IDLE)

    def let_one_through(self) -> bool:
        """Begin one more, as nothing else can happen: one that has begun waits for it.

        Returns:
            Whether there was one.
        """
        if not self._waiting:
            return False
        return self._choose(len(self._waiting), IDLE)


def _operating(kind: type) -> type:
    """A subclass whose public async methods are operations."""
    methods: dict[str, Any] = {"__slots__": (), "__module__": kind.__module__, _MARK: True}
    for name in names_of_operations(kind):
        methods[name] = _wrapped(name, getattr(kind, name))
    made = type(kind.__name__, (kind,), methods)
    made.__qualname__ = kind.__qualname__
    return made


def names_of_operations(kind: type) -> Sequence[str]:
    """The names of the public async methods of a class."""
    return [
        name
        for name in dir(kind)
        if not name.startswith("_")
        and inspect.iscoroutinefunction(inspect.getattr_static(kind, name))
    ]


def _wrapped(name: str, method: Any) -> Any:
    @functools.wraps(method)
    async def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        operations: Operations | None = _operations_of(self)
        bound = functools.partial(method, self)
        if operations is None or _is_inside.get():
            return await bound(*arguments, **keywords)
        return await operations.run(name, bound, arguments, keywords)

    return call


def _operations_of(thing: Any) -> Operations | None:
    """The operations of the running loop, if the thing is one of theirs."""
    operations: Operations | None = getattr(asyncio.get_running_loop(), "operations", None)
    if operations is None or not any(each is thing for each in operations.things):
        return None
    return operations


def observe(thing: Any) -> None:
    """Have the async methods of an object be operations.

    Raises:
        TypeError: its class can't be replaced by one of its own.
    """
    kind = type(thing)
    if not hasattr(kind, _MARK):
        # A class for each object, as one that is kept would keep the class that a run has defined.
        thing.__class__ = _operating(kind)


# The attribute of the classes that are made here.
_MARK = "_aldente_observes"
