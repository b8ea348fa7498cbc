"""The parts of a schedule: the `Strategy`, and the `Options` that it chooses among."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Hashable, Iterator, Sequence
from types import CoroutineType
from typing import Any, NamedTuple, Protocol

from aldente import _asyncio_compat
from aldente._simulation.determinism import SimulatedTask


class OptionKind(enum.Enum):
    """What an option does."""

    RESUME = "resume"
    BEGIN_JOB = "begin a job"
    GO_ON_WITH_JOB = "go on with a job"
    END_JOB = "end a job"
    TIME = "let time pass"
    TAKE = "take longer"
    PICK = "pick"
    CANCEL = "cancel"
    CRASH = "crash"


class Option(NamedTuple):
    """One of the ways in which a run can go on.

    Attributes:
        kind: what it does.
        who: the name of the task that goes on, or of the function that an executor runs; empty
            without either.
        task: the task that goes on; None for the other kinds.
        woken_by: the future that has woken the task; None when it goes on by itself.
    """

    kind: OptionKind
    who: str = ""
    task: Any = None
    woken_by: Any = None


# A ready resumption: how many plain callbacks were added before it, infinite for an intruder; its
# callback, context and arguments.
Entry = tuple[float, Any, Any, Any]


class Options(Sequence[Option]):
    """The options of a choice, the oldest first; "let time pass" is the last if it is there.

    An option is only described on access.

    Args:
        entries: the ready resumptions.
        may_time_pass: whether time may pass now.
        choices: all choices of the run so far.

    Attributes:
        entries, choices: as the arguments.
        moves: how often options disappeared or moved other than by a choice, while others were
            left.
        is_seldom: whether a random strategy should rarely choose another option than the first, as
            a run has many such choices and should take few of them.
        is_of_values: whether the choice is not about which task goes on, so that all options but
            the first are equally far from stock order.
        is_durations: whether the choice is about how much longer something takes.
        is_delivery: whether the choice is about how something comes that was sent.
        is_fault: whether options other than the first are faults of the network or of a host.
        probability: the probability with which a random strategy chooses another option than the
            first; 0 leaves it to the strategy.
    """

    __slots__ = ("_may_time_pass", "choices", "entries", "moves")

    is_seldom = False
    is_of_values = False
    is_durations = False
    is_delivery = False
    is_fault = False
    probability = 0.0

    def __init__(
        self,
        entries: Sequence[Entry],
        may_time_pass: Callable[[], bool],
        choices: Sequence[int] = (),
    ) -> None:
        self.entries = entries
        self._may_time_pass = may_time_pass
        self.choices = choices
        self.moves = 0

    def __len__(self) -> int:
        return len(self.entries) + self._may_time_pass()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index == len(self.entries):
            return Option(OptionKind.TIME)
        return describe(self.entries[index])

    def __iter__(self) -> Iterator[Option]:
        return (self[index] for index in range(len(self)))

    def key(self, index: int) -> Hashable:
        """A key for the task that goes on with an option: the same for all its steps in a run.

        It is the task's number, or a string for all else. It is much faster than a description of
        the option.
        """
        if index == len(self.entries):
            return TIME_KEY
        owner = self.entries[index][1].__self__
        if type(owner) is SimulatedTask:
            return owner.number
        return hash(owner) if asyncio.isfuture(owner) else f"job {owner.who}"

    def keys(self) -> list[Hashable]:
        """The keys of all options, in their order."""
        return [self.key(index) for index in range(len(self))]

    def place(self, index: int) -> Place:
        """The place where an option goes on: equal whenever a task is at the same place."""
        if index == len(self.entries):
            return ()
        owner = self.entries[index][1].__self__
        if type(owner) is SimulatedTask or asyncio.isfuture(owner):
            return place_of_task(owner)
        return (owner.kind.value,)

    def step(self, index: int) -> tuple[Hashable, Place]:
        """The `key` and the `place` of an option, in one call, for speed."""
        if index < len(self.entries):
            owner = self.entries[index][1].__self__
            if type(owner) is SimulatedTask:
                return owner.number, place_of_task(owner)
        return self.key(index), self.place(index)

    def functions(self, index: int) -> tuple[Hashable, ...]:
        """The functions of a `place`, without the positions there, which take longer to find."""
        if index < len(self.entries):
            owner = self.entries[index][1].__self__
            if type(owner) is SimulatedTask:
                found = functions_of_task(owner)
                if found is not None:
                    return found
        return self.place(index)[::2]

    def callback(self, index: int) -> object:
        """The callback that runs when an option is chosen; None for those that are no steps."""
        return self.entries[index][1] if index < len(self.entries) else None

    def steps_among(self, count: int) -> int:
        """How many of the `count` options do something other than let time pass."""
        return min(count, len(self.entries))

    def goes_on_by_itself(self, index: int) -> bool:
        """Whether an option is a task that goes on after a ``sleep(0)``, without a future."""
        return index < len(self.entries) and not self.entries[index][3]


# Where a task stands: functions from the outermost to the innermost, each with its position.
Place = tuple[Hashable, ...]

TIME_KEY = "time"


class Picks(Options):
    """Options that are no steps.

    Args:
        count: how many there are.
        who: the name of what decides between them.

    Attributes:
        size: how many there are; `len` takes longer.
    """

    __slots__ = ("_who", "size")

    def __init__(self, count: int, who: str) -> None:
        super().__init__((), bool)
        self.size = count
        self._who = who

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < self.size:
            raise IndexError(index)
        return Option(OptionKind.PICK, self._who)

    def key(self, index: int) -> Hashable:
        """A different key for each."""
        return f"pick {self._who} {index}"

    def place(self, index: int) -> Place:
        """Their number: they have no other place."""
        return (self._who, index)

    def goes_on_by_itself(self, index: int) -> bool:
        """False."""
        return False

    def callback(self, index: int) -> object:
        """None: no callback runs."""
        return self


class Values(Picks):
    """Values, of which the program gets one."""

    __slots__ = ()

    is_of_values = True


class Durations(Values):
    """How much longer something from outside takes than it has to: not at all, or until a time.

    Args:
        ends: when it ends with each option, in seconds of loop time; the first is when it is due.
        future: the future that is done then; None if it is not known.
    """

    __slots__ = ("ends", "future")

    is_durations = True

    def __init__(self, ends: Sequence[float], future: asyncio.Future[Any] | None) -> None:
        super().__init__(len(ends), "")
        self.ends = ends
        self.future = future

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        task = self._task
        return Option(OptionKind.TAKE, "" if task is None else task.get_name(), task)

    def key(self, index: int) -> Hashable:
        """A different key for each task and option."""
        task = self._task
        return f"take {index} {'' if task is None else hash(task)}"

    def place(self, index: int) -> Place:
        """Where the task stands that waits for it."""
        task = self._task
        return (index,) if task is None else (index, *place_of_task(task))

    @property
    def _task(self) -> asyncio.Task[Any] | None:
        """The task that waits for it; None if none does."""
        future = self.future
        return None if future is None else _asyncio_compat.task_that_awaits(future)


class Deliveries(Values):
    """How something that is sent comes: as it was sent, together with the next, or in two parts.

    Args:
        count: in how many ways.
        who: the name of the connection.
    """

    __slots__ = ()

    is_delivery = True


class RareEvents(Values):
    """Whether a rare event, such as a cancellation, happens at an await: no, or yes.

    Args:
        who: the name of the event.
        task: the task that awaits.
    """

    __slots__ = ("task",)

    is_seldom = True

    def __init__(self, who: str, task: asyncio.Task[Any]) -> None:
        super().__init__(2, who)
        self.task = task

    def place(self, index: int) -> Place:
        """Where the task stands."""
        return (self._who, index, *place_of_task(self.task))


class Fault(Values):
    """Whether a fault of the network happens at some moment: no, or yes.

    Args:
        who: the name of the fault.
    """

    __slots__ = ()

    is_seldom = True
    is_fault = True

    def __init__(self, who: str) -> None:
        super().__init__(2, who)


class Losses(Values):
    """Whether something that is sent is lost: no, or yes.

    Args:
        who: between which hosts.
        probability: as an attribute.
    """

    __slots__ = ("probability",)

    is_fault = True

    def __init__(self, who: str, probability: float) -> None:
        super().__init__(2, who)
        self.probability = probability


def place_of_task(task: Any) -> Place:
    """The place of a suspended task: equal whenever the task is at the same place.

    Functions are known by their qualified names.
    """
    found: list[Hashable] = []
    add = found.append
    current: Any = task.get_coro()
    while current is not None:
        if type(current) is CoroutineType:
            # By its name, as an audit event for `cr_code` takes as long as all else here.
            name = current.__qualname__
            add(name)
            awaited = current.cr_await
            if name == _SLEEP and type(awaited) is not CoroutineType:
                # Without the place inside, which takes as long to find as the rest.
                add(0)
                break
            frame = current.cr_frame
            if frame is None:
                break
            add(frame.f_lasti)
            current = awaited
        else:
            frame = getattr(current, "cr_frame", None) or getattr(current, "gi_frame", None)
            if frame is not None:
                found += (frame.f_code.co_qualname, frame.f_lasti)
            current = getattr(current, "cr_await", None) or getattr(current, "gi_yieldfrom", None)
    return tuple(found)


def functions_of_task(task: Any) -> tuple[str, ...] | None:
    """The functions of a task's place; None if it awaits other code than coroutine functions."""
    found: list[str] = []
    current: Any = task.get_coro()
    while type(current) is CoroutineType:
        found.append(current.__qualname__)
        current = current.cr_await
    kind = type(current)
    if current is None or kind in _WITHOUT_FRAMES or found[-1:] == [_SLEEP]:
        return tuple(found)
    if not any(hasattr(current, name) for name in _OF_FUNCTIONS):
        _WITHOUT_FRAMES.add(kind)
        return tuple(found)
    return None


# What coroutines await that is not a function, such as the iterators of futures.
_WITHOUT_FRAMES: set[type] = set()
_OF_FUNCTIONS = "cr_frame", "gi_frame", "cr_await", "gi_yieldfrom"


_SLEEP = asyncio.sleep.__qualname__


class Followed:
    """Follows the options of a run from choice to choice.

    Most options stay where they are when one is taken, and new ones come behind them. So a strategy
    that keeps a list of what it knows of each need not look at all of them at each choice.

    Attributes:
        taken: the number that the option had which was taken at the last choice; None if none was,
            or that is not known.
        are_same: whether the other options of that choice are the first ones of this one.
    """

    def __init__(self) -> None:
        self.taken: int | None = None
        self.are_same = False
        # How many options of tasks there were at the last choice, and are at this one.
        self._before = self._size = 0
        self._position = -1
        self._moves = 0

    def start(self) -> None:
        """A run begins."""
        self._size, self._position = 0, -1

    def look(self, count: int, options: Options) -> None:
        """Look at the options; once at each choice about which task goes on."""
        choices, position, moves = options.choices, self._position, options.moves
        before = self._before = self._size
        self._position = length = len(choices)
        if 0 <= position < length:
            taken = choices[position]
            # "Let time pass", the last one, takes none.
            self.taken = taken if taken < before else None
            # Of two options, the one that was left may have been taken without a choice.
            self.are_same = before > 2 and moves == self._moves
        else:
            self.taken, self.are_same = None, False
        self._moves = moves
        self._size = options.steps_among(count)

    def follow(self, count: int, options: Options, known: list[Any]) -> None:
        """As `look`, and then `keep` for one list; in one call, for speed."""
        choices, position, moves = options.choices, self._position, options.moves
        before = self._size
        self._position = length = len(choices)
        steps = len(options.entries)
        self._size = count if count < steps else steps
        if before > 2 and 0 <= position < length and moves == self._moves:
            if len(known) > before:
                del known[before:]
            taken = choices[position]
            if taken < before:
                del known[taken]
        else:
            self._moves = moves
            known.clear()

    def keep(self, *lists: list[Any]) -> None:
        """Keep, in lists with one item for each option of the last choice, the items that still
        hold.
        """
        before, taken = self._before, self.taken
        for known in lists:
            if not self.are_same:
                known.clear()
                continue
            if len(known) > before:
                del known[before:]
            if taken is not None:
                del known[taken]


def describe(entry: Entry) -> Option:
    """The option that stands for a ready resumption."""
    _, callback, _, args = entry
    task = _asyncio_compat.task_of_step(callback)
    if task is not None:
        return Option(OptionKind.RESUME, task.get_name(), task, args[0] if args else None)
    job = callback.__self__
    return Option(job.kind, job.who)


class Strategy(Protocol):
    """Decides the choices of runs, one run after the other."""

    def start(self) -> bool:
        """Prepare the next run; return False if there is none left to try."""
        ...

    def choose(self, count: int, options: Options) -> int:
        """Choose one of the ways in which the run can go on.

        Args:
            count: how many there are; two at least.
            options: their descriptions. Option 0 is what stock asyncio would do. They are only
                valid during the call.

        Returns:
            The number of an option, from 0.
        """
        ...

    def end(self) -> None:
        """Finish the run, which has ended."""
