"""`Operations`: the calls of a thing's async methods in a run, and how they are run one at a time.

The idea is that of Line-Up: what operations give together is right if they can give it one at a
time (Sebastian Burckhardt, Chris Dern, Madanlal Musuvathi, Roy Tan: Line-Up: A Complete and
Automatic Linearizability Checker. PLDI 2010).
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, NamedTuple, Protocol

from aldente._asyncio_compat.stepping import frame_at
from aldente._simulation.choices import OptionKind, Values
from aldente._simulation.observed_classes import observe

# The tasks that the running operation has made; None outside of operations. What an operation calls
# is no operation of its own.
_inside: ContextVar[list[asyncio.Task[Any]] | None] = ContextVar("inside", default=None)


_AT_ONCE = "whether to begin at once"


class OperatingLoop(Protocol):
    """What operations need of the loop."""

    is_serial: bool
    is_watched: bool
    task_listeners: list[Callable[[asyncio.Task[Any], Context | None], object]]
    jumps: int

    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio's."""
        ...

    def add_intruder(self, callback: Any) -> None:
        """Have a callback run now or at any later time."""
        ...

    def remove_intruder(self, callback: Any) -> None:
        """Undo `add_intruder`, if its callback has not run."""
        ...

    def intruder_came(self) -> None:
        """Note that such a callback runs."""
        ...

    def pick(self, options: Values) -> int:
        """Let the strategy decide."""
        ...

    @property
    def has_callbacks(self) -> bool:
        """Whether a callback is ready that no choice can hold back."""
        ...

    @property
    def has_ready(self) -> bool:
        """Whether a callback is ready."""
        ...


class OperationCall(NamedTuple):
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

    call: OperationCall
    result: Any
    error: BaseException | None
    began: int
    ended: int


class OperationTurn:
    """An operation of a serial run that waits for its turn.

    Args:
        operations: those that it is one of.
        who: what it is called as an option of a choice.
        future: done when it may begin.
    """

    kind = OptionKind.PICK

    def __init__(self, operations: Operations, who: str, future: asyncio.Future[None]) -> None:
        self.who = who
        self.future = future
        self._operations = operations

    def go(self) -> None:
        """Let it begin: the schedule chose it."""
        self._operations.let_in(self)


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
        begun: how many have begun.
        running: how many of them run now.
        have_left_work: whether work goes on that some of them have begun and not awaited; or that
            others do beside them, in a plain program.
        have_read_time: whether some of them have read the clock of the loop.
        have_set_alarms: whether some of them have set a timer, other than to sleep or for a
            time-out.
        are_interfered_with: whether the program has set an attribute, or called a method that is
            not async, while several of them ran; if that is watched.
    """

    def __init__(self, loop: OperatingLoop) -> None:
        self.things: list[Any] = []
        self.states: list[Callable[[], Any]] = []
        self.ended: list[Ended] = []
        self.is_ordered = self.is_plain = False
        self.begun = self.running = 0
        self.have_left_work = self.have_read_time = self.have_set_alarms = False
        self.are_interfered_with = False
        self._loop = loop
        self._jumps = loop.jumps
        self._moments = 0
        self._calls: dict[tuple[int, ...], int] = {}
        self._origins: weakref.WeakKeyDictionary[asyncio.Task[Any], tuple[int, ...]] = (
            weakref.WeakKeyDictionary()
        )
        self._children: dict[tuple[int, ...], int] = {}
        task = self._current_task()
        if task is not None:
            self._origins[task] = ()
        self._waiting: list[OperationTurn] = []
        self._undo: list[Callable[[], None]] = []
        loop.task_listeners.append(self._note_task)
        self._watch_clock(loop)

    def _watch_clock(self, loop: Any) -> None:
        """Note when an operation reads the clock or sets a timer itself, not by asyncio."""
        members, time, call_at = vars(loop), loop.time, loop.call_at

        def noting_time() -> float:
            if _inside.get() is not None and not _is_of_asyncio(frame_at(1)):
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
        on_use = self._note_use if self._loop.is_watched else None
        self._undo.append(observe(thing, call_operation, on_use))
        self.things.append(thing)

    def _current_task(self) -> asyncio.Task[Any] | None:
        loop: Any = self._loop
        return asyncio.current_task(loop)

    def _note_use(self) -> None:
        if self.running > 1 and _inside.get() is None:
            self.are_interfered_with = True

    def stop(self) -> None:
        """Have the methods of the objects be as before: the run is over."""
        while self._undo:
            self._undo.pop()()

    def _note_task(self, task: asyncio.Task[Any], context: Context | None) -> None:
        made = _inside.get() if context is None else context.get(_inside)
        if made is not None:
            made.append(task)
        parent = self._current_task()
        origin = None if parent is None else self._origins.get(parent)
        if origin is not None:
            number = self._children[origin] = self._children.get(origin, 0) + 1
            self._origins[task] = (*origin, number)

    @property
    def are_over(self) -> bool:
        """Whether all that have begun have ended."""
        return self.begun == len(self.ended)

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
        task = self._current_task()
        who = None if task is None else self._origins.get(task)
        place = 0
        if who is not None:
            place = self._calls[who] = self._calls.get(who, 0) + 1
        title = "" if task is None else task.get_name()
        call = OperationCall(who, title, place, name, arguments, keywords)
        self.begun += 1
        try:
            await self._enter(call)
        except BaseException:
            # Nothing of it has happened.
            self.begun -= 1
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

    async def _enter(self, call: OperationCall) -> None:
        """Wait for the turn of an operation, which may come at any time if none runs."""
        if not self._loop.is_serial:
            self.running += 1
            return
        if not self.running and self._loop.has_callbacks and self._loop.pick(Values(2, _AT_ONCE)):
            # Else they would come before it.
            self._begin()
            return
        who = f"{call.name} of {call.task} ({call.place}), number {self.begun}"
        turn = OperationTurn(self, who, self._loop.create_future())
        self._waiting.append(turn)
        if not self.running:
            self._loop.add_intruder(turn.go)
        try:
            await turn.future
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
                self._loop.remove_intruder(turn.go)
            else:
                self._leave([])
            raise

    def let_in(self, turn: OperationTurn) -> None:
        """Let an operation begin, and the others wait on.

        Args:
            turn: the operation.
        """
        self._loop.intruder_came()
        self._waiting.remove(turn)
        self._begin()
        if not turn.future.done():
            turn.future.set_result(None)

    def _begin(self) -> None:
        """Count an operation that begins, and have the others wait on."""
        for turn in self._waiting:
            self._loop.remove_intruder(turn.go)
        self.running += 1

    def _leave(self, made: list[asyncio.Task[Any]]) -> None:
        """Let the next one begin, as one has ended.

        Args:
            made: the tasks that it has made.
        """
        self.running -= 1
        if any(not task.done() for task in made):
            self.have_left_work = True
        if not self.running and self._loop.is_serial:
            # In a plain program, all others wait for their turn.
            is_left = self.is_plain and self._loop.has_ready
            self.have_left_work = self.have_left_work or is_left
            self.let_through()

    def let_through(self) -> bool:
        """Let any of those begin that wait: none runs, or those that do wait for one of them.

        Returns:
            Whether there is one.
        """
        for turn in self._waiting:
            self._loop.add_intruder(turn.go)
        return bool(self._waiting)


async def call_operation(thing: Any, name: str, method: Any, arguments: Any, keywords: Any) -> Any:
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
