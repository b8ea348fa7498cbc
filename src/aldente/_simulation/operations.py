"""`Operations`: the calls of a thing's async methods in a run, and how they are run one at a time.

The idea is that of Line-Up: what operations give together is right if they can give it one at a
time (Sebastian Burckhardt, Chris Dern, Madanlal Musuvathi, Roy Tan: Line-Up: A Complete and
Automatic Linearizability Checker. PLDI 2010).
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, NamedTuple, Protocol

from aldente._simulation.choices import Values
from aldente._simulation.observed_classes import observe

# The tasks that the running operation has made; None outside of operations. What an operation calls
# is no operation of its own.
_inside: ContextVar[list[asyncio.Task[Any]] | None] = ContextVar("inside", default=None)


# What a serial run chooses: whether an operation begins at once, or after others that may come;
# which begins next after one, or whether others may come before; which begins when nothing else can
# happen.
ARRIVAL, DEPARTURE, IDLE = "whether to begin", "after an operation", "the next operation"


class OperatingLoop(Protocol):
    """What operations need of the loop."""

    is_serial: bool
    task_listeners: list[Callable[[asyncio.Task[Any], Context | None], object]]
    jumps: int

    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio's."""
        ...

    def pick(self, options: Values) -> int:
        """Let the strategy decide."""
        ...

    @property
    def has_ready(self) -> bool:
        """Whether a callback is ready."""
        ...


class Call(NamedTuple):
    """An operation: a call of an async method of the thing.

    Attributes:
        who: the task that has called it, by how it came about: the numbers of its ancestors among
            the children of theirs; None if that is not known.
        place: which of the calls of that task it is.
        name: the name of the method.
        arguments, keywords: the arguments.
    """

    who: tuple[int, ...] | None
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
        running: how many of them run now.
        have_left_work: whether work goes on that some of them have begun and not awaited; or that
            others do beside them, in a plain program.
        have_read_time: whether some of them have read the clock of the loop.
        have_set_alarms: whether some of them have set a timer, other than to sleep or for a
            time-out.
    """

    def __init__(self, loop: OperatingLoop) -> None:
        self.things: list[Any] = []
        self.states: list[Callable[[], Any]] = []
        self.ended: list[Ended] = []
        self.is_ordered = self.is_plain = False
        self.running = 0
        self.have_left_work = self.have_read_time = self.have_set_alarms = False
        self._loop = loop
        self._jumps = loop.jumps
        self._moments = 0
        self._begun = 0
        self._calls: dict[tuple[int, ...], int] = {}
        self._origins: weakref.WeakKeyDictionary[asyncio.Task[Any], tuple[int, ...]] = (
            weakref.WeakKeyDictionary()
        )
        self._children: dict[tuple[int, ...], int] = {}
        task = asyncio.current_task()
        if task is not None:
            self._origins[task] = ()
        self._waiting: list[asyncio.Future[None]] = []
        self._undo: list[Callable[[], None]] = []
        loop.task_listeners.append(self._note_task)
        self._watch_clock(loop)

    def _watch_clock(self, loop: Any) -> None:
        """Note when an operation reads the clock or sets a timer itself, not by asyncio."""
        members, time, call_at = vars(loop), loop.time, loop.call_at

        def noting_time() -> float:
            if _inside.get() is not None and not _is_of_asyncio(sys._getframe(1)):
                self.have_read_time = True
            return time()  # type: ignore[no-any-return]

        def noting_alarms(*args: Any, **kwargs: Any) -> Any:
            if _inside.get() is not None:
                before = loop.time_outs_set
                timer = call_at(*args, **kwargs)
                self.have_set_alarms = self.have_set_alarms or loop.time_outs_set == before
                return timer
            return call_at(*args, **kwargs)

        members["time"], members["call_at"] = noting_time, noting_alarms

        def undo() -> None:
            del members["time"], members["call_at"]

        self._undo.append(undo)

    def add(self, thing: Any) -> None:
        """Have the async methods of an object be operations.

        Raises:
            TypeError: its class can't be replaced by one of its own.
        """
        if any(each is thing for each in self.things):
            return
        self._undo.append(observe(thing, call_operation))
        self.things.append(thing)

    def stop(self) -> None:
        """Have the methods of the objects be as before: the run is over."""
        while self._undo:
            self._undo.pop()()

    def _note_task(self, task: asyncio.Task[Any], context: Context | None) -> None:
        made = _inside.get() if context is None else context.get(_inside)
        if made is not None:
            made.append(task)
        parent = asyncio.current_task()
        origin = None if parent is None else self._origins.get(parent)
        if origin is not None:
            number = self._children[origin] = self._children.get(origin, 0) + 1
            self._origins[task] = (*origin, number)

    @property
    def are_over(self) -> bool:
        """Whether all that have begun have ended."""
        return self._begun == len(self.ended)

    @property
    def has_time_passed(self) -> bool:
        """Whether time has passed since they could begin."""
        return self._loop.jumps > self._jumps

    def moment(self) -> int:
        """The number of this moment."""
        self._moments += 1
        return self._moments

    async def run(self, name: str, method: Any, arguments: Any, keywords: Any) -> Any:
        """Run an operation, alone if this is a serial run."""
        task = asyncio.current_task()
        who = None if task is None else self._origins.get(task)
        place = 0
        if who is not None:
            place = self._calls[who] = self._calls.get(who, 0) + 1
        call = Call(who, place, name, arguments, keywords)
        self._begun += 1
        try:
            await self._enter()
        except BaseException:
            # Nothing of it has happened.
            self._begun -= 1
            raise
        began = self.moment()
        result = error = None
        made: list[asyncio.Task[Any]] = []
        token = _inside.set(made)
        try:
            result = await method(*arguments, **keywords)
            return result
        except BaseException as raised:
            error = raised
            raise
        finally:
            if not isinstance(error, GeneratorExit):
                # Else it is thrown away, in another context.
                _inside.reset(token)
            self.ended.append(Ended(call, result, error, began, self.moment()))
            self._leave(made)

    async def _enter(self) -> None:
        if not self._loop.is_serial:
            self.running += 1
        # It may begin now, or after others that are about to come.
        elif self.running or self._waiting or self._loop.pick(Values(2, ARRIVAL)):
            turn = self._loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._leave([])
                raise
        else:
            self.running += 1

    def _leave(self, made: list[asyncio.Task[Any]]) -> None:
        """Let the next one begin, as one has ended.

        Args:
            made: the tasks that it has made.
        """
        self.running -= 1
        if any(not task.done() for task in made):
            self.have_left_work = True
        if not self._loop.is_serial:
            return
        if not self.running and self._loop.has_ready:
            # In a plain program, all others wait for their turn.
            self.have_left_work = self.have_left_work or self.is_plain
        self._forget_cancelled()
        if not self.running and self._waiting:
            # Others may come before the next one begins.
            self._choose(len(self._waiting) + 1, DEPARTURE)

    def _forget_cancelled(self) -> None:
        self._waiting = [turn for turn in self._waiting if not turn.done()]

    def _choose(self, count: int, name: str) -> bool:
        """Let one in that waits, if the strategy chooses one; whether it does.

        Args:
            count: how many options there are; the last one may be to let in none.
            name: what decides.
        """
        index = self._loop.pick(Values(count, name)) if count > 1 else 0
        if index == len(self._waiting):
            return False
        self.running += 1
        self._waiting.pop(index).set_result(None)
        return True

    def on_idle(self, *, may_time_pass: bool) -> bool:
        """Let one in, as nothing else is ready; return whether one was.

        Args:
            may_time_pass: whether there are timers, so that others may come in time.
        """
        self._forget_cancelled()
        if self.running or not self._waiting:
            return False
        return self._choose(len(self._waiting) + may_time_pass, IDLE)

    def let_one_through(self) -> bool:
        """Begin one more, as nothing else can happen: one that has begun waits for it.

        Returns:
            Whether there was one.
        """
        self._forget_cancelled()
        if not self._waiting:
            return False
        return self._choose(len(self._waiting), IDLE)


async def call_operation(
    thing: Any, name: str, method: Any, arguments: Any, keywords: Any
) -> Any:
    """Call a method of an object, as an operation if it is one of the running loop.

    Args:
        thing: the object.
        name: the name of the method.
        method: the method of the object.
        arguments, keywords: its arguments.
    """
    try:
        operations: Operations | None = getattr(asyncio.get_running_loop(), "operations", None)
    except RuntimeError:
        # It is driven by hand.
        operations = None
    is_one = operations is not None and any(each is thing for each in operations.things)
    if operations is None or not is_one or _inside.get() is not None:
        return await method(*arguments, **keywords)
    return await operations.run(name, method, arguments, keywords)


def _is_of_asyncio(frame: Any) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in ("asyncio", "aldente")
