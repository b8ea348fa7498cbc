"""Makes a program's run depend on its schedule alone.

A seed determines its random numbers, and the order of its tasks and futures in sets does not depend
on their addresses.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from aldente import _python_compat


@contextlib.contextmanager
def kept_randomness() -> Iterator[None]:
    """Restore the state of `random` on exit, so that code inside may seed it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@contextlib.contextmanager
def seeded_randomness(seed: int) -> Iterator[Callable[[], bool]]:
    """While entered, `random`, `secrets`, `uuid.uuid4` and ``os.urandom`` follow from a seed.

    This is for tests, not for security. Code that has imported ``os.urandom`` by name, or draws
    from other sources, still gets real randomness.

    Args:
        seed: the seed.

    Yields:
        A function that says whether any of them has been drawn from.

    >>> import secrets
    >>> with kept_randomness(), seeded_randomness(1):
    ...     random.random(), secrets.token_hex(4)
    (0.13436424411240122, '5d9a1cd3')
    """
    random.seed(seed)
    source = random.Random(seed ^ _BYTES)
    restore = _python_compat.replace_random_bytes(source.randbytes)

    def is_drawn() -> bool:
        return (
            random.getstate() != random.Random(seed).getstate()
            or source.getstate() != random.Random(seed ^ _BYTES).getstate()
        )

    try:
        yield is_drawn
    finally:
        restore()


# Makes the bytes differ from those of `random`.
_BYTES = 0x62797465


T = TypeVar("T")

_TASK = asyncio.Task
# A number for a task of another loop, whose tasks hash by it.
_new_number = object.__hash__

# Looked up once, as each new task and future calls them.
_new_task: Any = asyncio.Task.__new__
new_future: Any = asyncio.Future.__new__
set_up_future: Any = asyncio.Future.__init__


class _TaskClass(type):
    """The class of `SimulatedTask`, which stands for `asyncio.Task` in a run."""

    def __call__(cls, *args: Any, loop: Any = None, name: Any = None, **kwargs: Any) -> Any:
        """A task that the program makes itself, named by its run."""
        owner = loop or asyncio.get_event_loop()
        # Other loops have no names of their own, and do not use them.
        if name is None:
            name = getattr(owner, "next_name", lambda: None)()
        task = super().__call__(*args, loop=loop, name=name, **kwargs)
        for listener in getattr(owner, "task_listeners", ()):
            listener(task, kwargs.get("context"))
        return task

    def __instancecheck__(cls, instance: object) -> bool:
        return issubclass(type(instance), _TASK)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _TASK)


class SimulatedTask(asyncio.Task[T], metaclass=_TaskClass):
    """A task that hashes by its number in the run, and notifies the loop when it is cancelled.

    Attributes:
        number: its number.
        futures_made: how many futures it has made so far; their numbers follow from it.
    """

    __slots__ = ("futures_made", "number")
    number: int
    futures_made: int

    def __new__(cls, *args: Any, loop: Any = None, **kwargs: Any) -> SimulatedTask[T]:
        """Number a new task by its loop."""
        task: SimulatedTask[T] = _new_task(cls)
        owner: Any = loop or asyncio.get_event_loop()
        next_number = getattr(owner, "next_number", None)
        task.number = _new_number(task) if next_number is None else next_number()
        task.futures_made = 0
        return task

    def __hash__(self) -> int:
        return self.number

    def cancel(self, msg: Any | None = None) -> bool:
        """Like asyncio's; notifies `ExploredLoop.on_cancel` first."""
        # A thread with a loop of another kind may make tasks of this class during a run.
        on_cancel = getattr(self.get_loop(), "on_cancel", None)
        if on_cancel is not None and not self.done():
            on_cancel(self)
        return super().cancel(msg)


# Makes a task that has a name, faster than by its class.
make_task: Any = functools.partial(type.__call__, SimulatedTask)


class TasksInOrder:
    """While entered, ``asyncio.Task`` makes tasks that hash and are named by their run.

    aiohttp and others make tasks without the loop's method, by that name.
    """

    def __enter__(self) -> None:
        asyncio.Task = SimulatedTask  # type: ignore[misc]

    def __exit__(self, *exception: object) -> None:
        asyncio.Task = _TASK  # type: ignore[misc]


class ObjectsInOrder:
    """While entered, what asyncio's classes make in a run hashes by its number, not by its address.

    So sets of connections, queues and the like have one order: a server may keep its clients in
    such a set. What was made before the run keeps its hash, and what is made in it keeps its hash
    after the run, because it may be in a set that outlives the run. So `__hash__` is replaced once
    and stays.

    Protocols, transports and streams get their number when they are first hashed in the run: those
    from before a run have no part in it, and protocols rarely call the ``__init__`` of their base
    class. Objects that take no attributes keep hashing by their address.
    """

    def __init__(self) -> None:
        self._originals: list[tuple[Any, Any]] = []
        self._before = _numbers.next, _numbers.thread

    def __enter__(self) -> None:
        _give_hashes()
        self._before = _numbers.next, _numbers.thread
        _numbers.next, _numbers.thread = itertools.count(1).__next__, threading.get_ident()
        for each in _NUMBERED_WHEN_MADE:
            original = each.__init__
            self._originals.append((each, original))
            each.__init__ = _numbering(original)

    def __exit__(self, *exception: object) -> None:
        while self._originals:
            each, original = self._originals.pop()
            each.__init__ = original
        _numbers.next, _numbers.thread = self._before


class _Numbers:
    """The numbers of the objects of a run, and the thread in which it runs; none without one."""

    def __init__(self) -> None:
        self.next: Callable[[], int] = itertools.count(1).__next__
        self.thread: int | None = None


_numbers = _Numbers()

# Each has an ``__init__`` of its own.
_NUMBERED_WHEN_MADE: tuple[Any, ...] = (
    asyncio.Queue,
    asyncio.Event,
    asyncio.Lock,
    asyncio.Semaphore,
    asyncio.Condition,
)
_NUMBERED_WHEN_HASHED: tuple[Any, ...] = (
    asyncio.BaseProtocol,
    asyncio.BaseTransport,
    asyncio.StreamReader,
    asyncio.StreamWriter,
)


@functools.cache
def _numbering(original: Any) -> Any:
    """An ``__init__`` that also gives a number to what the thread of a run makes."""
    get_ident, numbers, give = threading.get_ident, _numbers, object.__setattr__

    @functools.wraps(original)
    def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        if numbers.thread == get_ident():
            give(self, "_aldente_number", numbers.next())
        original(self, *args, **kwargs)

    return initialize


def _hash_when_made(self: Any) -> int:
    number: int | None = getattr(self, "_aldente_number", None)
    return object.__hash__(self) if number is None else number


def _hash_when_hashed(self: Any) -> int:
    number: int | None = getattr(self, "_aldente_number", None)
    if number is None:
        if _numbers.thread != threading.get_ident():
            return object.__hash__(self)
        number = _numbers.next()
        try:
            object.__setattr__(self, "_aldente_number", number)
        except AttributeError:
            return object.__hash__(self)
    return number


@functools.cache
def _give_hashes() -> None:
    for each in _NUMBERED_WHEN_MADE:
        each.__hash__ = _hash_when_made
    for each in _NUMBERED_WHEN_HASHED:
        each.__hash__ = _hash_when_hashed


class SimulatedFuture(asyncio.Future[T]):
    """A future that hashes by its number in the run.

    Attributes:
        number: its number.
    """

    __slots__ = ("number",)
    number: int

    def __new__(cls, *, loop: Any = None) -> SimulatedFuture[T]:
        """Number a new future by the task that makes it."""
        future: SimulatedFuture[T] = new_future(cls)
        owner: Any = loop or asyncio.get_event_loop()
        future.number = owner.next_future_number()
        return future

    def __hash__(self) -> int:
        return self.number


# Programs and reports show the names Task and Future, as on any loop.
SimulatedTask.__name__ = SimulatedTask.__qualname__ = "Task"
SimulatedTask.cancel.__qualname__ = "Task.cancel"
SimulatedFuture.__name__ = SimulatedFuture.__qualname__ = "Future"
