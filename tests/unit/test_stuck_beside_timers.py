"""Which programs never go on although timers keep their simulated loop going."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import contextlib
import contextvars
import copy
import copyreg
import cProfile
import functools
import logging
import queue
import random
import signal
import socket
import sys
import threading
import types
import typing
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sized
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TypeVar
from unittest import mock

import pytest

import aldente
from aldente._diagnosis import await_graph, reachability

# The main task has waited for all of the second thousand when the loop looks.
LONG = 2_500

T = TypeVar("T")

Program = Callable[[], Coroutine[Any, Any, object]]


async def after_long(act: Callable[[], object]) -> None:
    """Act after so many sleeps that the loop has looked whether the main task is stuck."""
    for _ in range(LONG):
        await asyncio.sleep(1)
    act()


def deadlock_in(program: Program) -> aldente.DeadlockError | None:
    """The deadlock that a run of a program ends with; None if it ends well."""
    try:
        aldente.run(program, clock="simulated", seed=1)
    except aldente.DeadlockError as error:
        return error
    return None


async def by_connecting() -> None:
    """A server sets the event when another task connects to it."""
    event = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        event.set()
        writer.close()

    async def connect() -> None:
        for _ in range(LONG):
            await asyncio.sleep(1)
        _, writer = await asyncio.open_connection("127.0.0.1", 8000)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 8000)
    async with server, asyncio.TaskGroup() as group:
        group.create_task(connect())
        await event.wait()


async def by_a_datagram() -> None:
    """A protocol sets the event when another task sends to its address."""
    event = asyncio.Event()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            event.set()

    async def send() -> None:
        for _ in range(LONG):
            await asyncio.sleep(1)
        sender, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", 9000)
        )
        sender.sendto(b"x")
        sender.close()

    receiver, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Receiver, local_addr=("127.0.0.1", 9000)
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        await event.wait()
    receiver.close()


async def by_a_late_answer() -> None:
    """The handler of a connection answers late."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await after_long(writer.close)

    async with await asyncio.start_server(serve, "127.0.0.1", 8000):
        reader, writer = await asyncio.open_connection("127.0.0.1", 8000)
        await reader.read()
        writer.close()


async def through_the_loop() -> None:
    """The event is an attribute of the loop."""
    loop: Any = asyncio.get_running_loop()
    loop.event = asyncio.Event()

    def act() -> None:
        there: Any = asyncio.get_running_loop()
        there.event.set()

    task = asyncio.create_task(after_long(act))
    await loop.event.wait()
    await task


_in_context = contextvars.ContextVar[asyncio.Event]("_in_context")


async def through_the_context() -> None:
    """The event is the value of a context variable."""
    event = asyncio.Event()
    _in_context.set(event)
    task = asyncio.create_task(after_long(lambda: _in_context.get().set()))
    await event.wait()
    await task


async def by_the_end_of_a_task() -> None:
    """The main task waits for one that waits for the end of another."""
    last = asyncio.create_task(after_long(lambda: None))
    await asyncio.create_task(asyncio.wait([last]))


async def by_a_callback_at_the_end_of_a_task() -> None:
    """A task's callback sets the event."""
    event = asyncio.Event()
    task = asyncio.create_task(after_long(lambda: None))
    task.add_done_callback(lambda _: event.set())
    await event.wait()


async def through_a_weak_reference() -> None:
    """A task has a weak reference to the event."""
    event = asyncio.Event()
    reference = weakref.ref(event)

    def act() -> None:
        found = reference()
        assert found is not None
        found.set()

    task = asyncio.create_task(after_long(act))
    await event.wait()
    await task


async def through_a_weak_set() -> None:
    """A task has a set of weak references."""
    event = asyncio.Event()
    events = weakref.WeakSet([event])

    def act() -> None:
        for each in events:
            each.set()

    task = asyncio.create_task(after_long(act))
    await event.wait()
    await task


async def by_a_finalizer() -> None:
    """The event is set when an object is freed that a task has."""
    event = asyncio.Event()

    class Thing:
        pass

    async def hold(things: list[Thing]) -> None:
        await after_long(things.clear)

    thing = Thing()
    weakref.finalize(thing, event.set)
    task = asyncio.create_task(hold([thing]))
    del thing
    await event.wait()
    await task


async def by_a_mock() -> None:
    """A mock in the standard library sets the event."""
    event = asyncio.Event()
    with mock.patch("random.random", side_effect=event.set):
        task = asyncio.create_task(after_long(lambda: random.random()))
        await event.wait()
        await task


async def by_a_wrapper() -> None:
    """A function that looks like one of the standard library sets it."""
    event, original = asyncio.Event(), random.random
    wrapper = functools.wraps(original)(lambda: event.set())
    with mock.patch("random.random", wrapper):
        task = asyncio.create_task(after_long(lambda: random.random()))
        await event.wait()
        await task


async def by_a_method_in_the_place_of_a_function() -> None:
    """A method of the event itself is in the standard library."""
    event = asyncio.Event()
    with mock.patch("random.random", event.set):
        task = asyncio.create_task(after_long(lambda: random.random()))
        await event.wait()
        await task


async def by_a_log_handler() -> None:
    """A log handler sets it."""
    event = asyncio.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event.set()

    logger, handler = logging.getLogger(__name__), Handler()
    logger.addHandler(handler)
    try:
        task = asyncio.create_task(after_long(lambda: logger.error("now")))
        await event.wait()
        await task
    finally:
        logger.removeHandler(handler)


async def by_data_that_comes() -> None:
    """A protocol sets the event when the other end of its connection sends something."""
    event = asyncio.Event()

    class Client(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            event.set()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await after_long(lambda: writer.write(b"x"))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 8000):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(Client, "127.0.0.1", 8000)
        await event.wait()
        transport.close()


async def by_cancelling_a_heartbeat() -> None:
    """A task cancels one that never ends by itself, whose callback sets the event."""
    event = asyncio.Event()
    heartbeat = asyncio.create_task(_beat())
    heartbeat.add_done_callback(lambda _: event.set())
    task = asyncio.create_task(after_long(heartbeat.cancel))
    await event.wait()
    await task


async def by_a_heartbeat_that_handles_its_end() -> None:
    """A loop ends by an exception that the task itself handles."""
    event, numbers = asyncio.Event(), iter(range(LONG))

    async def count() -> None:
        while True:
            await asyncio.sleep(1)
            try:
                next(numbers)
            except StopIteration:
                break

    task = asyncio.create_task(count())
    task.add_done_callback(lambda _: event.set())
    await event.wait()


async def by_an_exception_handler() -> None:
    """The loop's handler of exceptions sets the event."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: event.set())

    def act() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "now"})

    task = asyncio.create_task(after_long(act))
    await event.wait()
    await task


async def by_a_method_that_was_replaced() -> None:
    """A method of a class of the standard library sets it."""
    event = asyncio.Event()

    def read_text(path: Path) -> str:
        event.set()
        return ""

    with mock.patch.object(Path, "read_text", read_text):
        task = asyncio.create_task(after_long(Path("a").read_text))
        await event.wait()
        await task


async def by_a_method_in_c() -> None:
    """A method of the future itself is in the standard library."""
    future = asyncio.get_running_loop().create_future()
    with mock.patch("random.random", functools.partial(future.set_result, None)):
        task = asyncio.create_task(after_long(lambda: random.random()))
        await future
        await task
    future = asyncio.get_running_loop().create_future()
    with mock.patch("random.seed", future.set_result):
        task = asyncio.create_task(after_long(lambda: random.seed(None)))
        await future
        await task


async def by_a_registry() -> None:
    """A function in a registry of the standard library sets it."""
    event = asyncio.Event()

    class Thing:
        pass

    def reduce(thing: Thing) -> tuple[type[Thing], tuple[()]]:
        event.set()
        return Thing, ()

    copyreg.pickle(Thing, reduce)
    try:
        task = asyncio.create_task(after_long(lambda: copy.copy(Thing())))
        await event.wait()
        await task
    finally:
        del copyreg.dispatch_table[Thing]


async def through_a_cache() -> None:
    """One of a generic class, which returns the same object each time."""

    class Shelf(Generic[T]):
        """What the cache has one of."""

        def __init__(self) -> None:
            self.event = asyncio.Event()

    shelf = functools.cache(Shelf[int])
    task = asyncio.create_task(after_long(lambda: shelf().event.set()))
    await shelf().event.wait()
    await task


async def through_a_builtin_name() -> None:
    """The event is among the names of Python itself."""
    names: Any = builtins
    names.shared = asyncio.Event()
    try:
        task = asyncio.create_task(after_long(lambda: names.shared.set()))
        await names.shared.wait()
        await task
    finally:
        del names.shared


class Base:
    """Its subclasses are found through it."""


async def through_subclasses() -> None:
    """A subclass has the event."""
    event = asyncio.Event()

    class Sub(Base):
        shared = event

    def act() -> None:
        for each in Base.__subclasses__():
            each.shared.set()  # type: ignore[attr-defined]

    task = asyncio.create_task(after_long(act))
    await event.wait()
    await task
    del Sub


async def through_a_proxy() -> None:
    """A task has a proxy of the event."""
    event = asyncio.Event()
    proxy = weakref.proxy(event)
    task = asyncio.create_task(after_long(lambda: proxy.set()))
    await event.wait()
    await task


async def by_the_callback_of_a_weak_reference() -> None:
    """The callback of a weak reference sets the event."""
    event = asyncio.Event()

    class Thing:
        pass

    things = [Thing()]
    reference = weakref.ref(things[0], lambda _: event.set())
    task = asyncio.create_task(after_long(things.clear))
    await event.wait()
    await task
    del reference


async def by_a_signal() -> None:
    """The handler of a signal sets it."""
    event = asyncio.Event()
    before = signal.signal(signal.SIGUSR1, lambda number, frame: event.set())
    try:
        task = asyncio.create_task(after_long(lambda: signal.raise_signal(signal.SIGUSR1)))
        await event.wait()
        await task
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "program",
    [
        by_data_that_comes,
        by_cancelling_a_heartbeat,
        by_a_heartbeat_that_handles_its_end,
        by_an_exception_handler,
        by_a_method_that_was_replaced,
        by_a_method_in_c,
        by_a_registry,
        through_a_builtin_name,
        through_a_cache,
        through_subclasses,
        through_a_proxy,
        by_the_callback_of_a_weak_reference,
        by_a_signal,
        by_connecting,
        by_a_datagram,
        by_a_late_answer,
        through_the_loop,
        through_the_context,
        by_the_end_of_a_task,
        by_a_callback_at_the_end_of_a_task,
        through_a_weak_reference,
        through_a_weak_set,
        by_a_finalizer,
        by_a_mock,
        by_a_wrapper,
        by_a_method_in_the_place_of_a_function,
        by_a_log_handler,
    ],
)
def test_what_goes_on_late(program: Program) -> None:
    """What a task that sleeps may do in the end is no deadlock, however it gets to it."""
    assert deadlock_in(program) is None


async def beside_a_heartbeat() -> None:
    """Nothing sets the event, beside a heartbeat."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_beat())
        await asyncio.Event().wait()


async def _beat() -> None:
    while True:
        await asyncio.sleep(1)


async def beside_a_class_of_the_same_abstract_class() -> None:
    """An abstract class has weak references to all classes that it has been asked about."""

    class Kettle:
        """What the heartbeat has."""

    class Counter:
        """What the task that waits has, as a class variable."""

        event = asyncio.Event()

    def are_sized() -> bool:
        return isinstance(Kettle(), Sized) or isinstance(Counter(), Sized)

    async def beat(kettle: Kettle) -> None:
        while True:
            await asyncio.sleep(1)

    assert not are_sized()
    task = asyncio.create_task(beat(Kettle()))
    await Counter.event.wait()
    await task


async def beside_a_class_of_a_dataclass_transform() -> None:
    """One function of `typing` stands for all overloads, and such a decorator marks it."""

    class Field:
        """What the task that waits has, as a class variable."""

        event = asyncio.Event()

    class Overloaded:
        """What the heartbeat has."""

        @typing.overload
        def get(self, name: str) -> str: ...
        @typing.overload
        def get(self, name: int) -> int: ...
        def get(self, name: object) -> object:
            """What was asked for."""
            return name

    def overload_of(function: Any) -> Any:
        return typing.dataclass_transform(field_specifiers=(Field,))(typing.overload(function))

    async def beat(has: type) -> None:
        while True:
            await asyncio.sleep(1)

    dummy = overload_of(lambda: None)
    try:
        task = asyncio.create_task(beat(Overloaded))
        await Field.event.wait()
        await task
    finally:
        del dummy.__dataclass_transform__


async def beside_a_generic_class() -> None:
    """The one of `typing` has a cache of all classes that any generic class was given."""

    class Item:
        """What the task that waits has, as a class variable."""

        event = asyncio.Event()

    class Shelf(Generic[T]):
        """What the heartbeat has."""

    async def beat(has: type) -> None:
        while True:
            await asyncio.sleep(1)

    assert Shelf[Item] is Shelf[Item]
    task = asyncio.create_task(beat(Shelf))
    await Item.event.wait()
    await task


async def beside_a_server() -> None:
    """Nothing sets the event, beside a server that somebody else may connect to."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 8000):
        await beside_a_heartbeat()


async def beside_a_task_that_waits() -> None:
    """The one that would set the event waits for another one that is never set."""
    first, second = asyncio.Event(), asyncio.Event()

    async def forward() -> None:
        await first.wait()
        second.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(_beat())
        group.create_task(forward())
        await second.wait()


async def beside_a_thread_that_was_started_in_the_run() -> None:
    """A thread of the run waits for work that nothing gives it."""
    works = queue.SimpleQueue[Callable[[], object] | None]()

    def work_off() -> None:
        while (work := works.get()) is not None:
            work()

    thread = threading.Thread(target=work_off)
    thread.start()
    try:
        await beside_a_heartbeat()
    finally:
        works.put(None)
        thread.join()


async def beside_a_thread_that_has_called_in() -> None:
    """The same thread, after it has called into the loop."""
    works = queue.SimpleQueue[Callable[[], object] | None]()

    def work_off() -> None:
        while (work := works.get()) is not None:
            work()

    thread = threading.Thread(target=work_off)
    thread.start()
    try:
        answer = asyncio.get_running_loop().create_future()
        call = answer.get_loop().call_soon_threadsafe
        works.put(functools.partial(call, answer.set_result, None))
        await answer
        await beside_a_heartbeat()
    finally:
        works.put(None)
        thread.join()


@pytest.mark.parametrize(
    "program",
    [
        beside_a_heartbeat,
        beside_a_class_of_a_dataclass_transform,
        beside_a_generic_class,
        beside_a_class_of_the_same_abstract_class,
        beside_a_server,
        beside_a_task_that_waits,
        beside_a_thread_that_was_started_in_the_run,
        beside_a_thread_that_has_called_in,
    ],
)
def test_what_never_goes_on(program: Program) -> None:
    """What no task, callback or thread has a way to is a deadlock, though a timer goes on."""
    error = deadlock_in(program)
    assert error is not None
    assert error.beside_timers


class Reference(weakref.ref[Any]):
    """Raises as long as there is nothing to refer to."""

    def __call__(self) -> Any:
        raise ReferenceError


class Unnamed(type):
    """Its classes do not show their module."""

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


class Unreadable(types.ModuleType):
    """Does not show its namespace."""

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise RuntimeError


class Closed(socket.socket):
    """Does not show its descriptor."""

    def fileno(self) -> int:
        raise OSError


def test_objects_that_do_not_answer() -> None:
    """What the classes of a program do when an object is looked at does not end the search."""
    with contextlib.closing(Closed()) as closed:
        thing: Any = Unnamed("Thing", (), {})
        things = [Reference(Base()), thing, object.__new__(thing), Unreadable("one"), closed]

        async def hold(things: list[object]) -> None:
            while True:
                await asyncio.sleep(1)

        async def main() -> None:
            task = asyncio.create_task(hold(things))
            await asyncio.Event().wait()
            del task

        error = deadlock_in(main)
    assert error is not None
    assert error.beside_timers


def test_a_search_for_what_never_goes_on() -> None:
    """What aldente itself keeps to explain a failure leads to no task."""
    failure = aldente.search(beside_a_heartbeat, runs=1).failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.DeadlockError)
    assert not failure.inexact
    assert failure.waiting is not None


@pytest.mark.parametrize("is_profile", [False, True])
def test_the_search_is_not_traced(is_profile: bool) -> None:
    """A tracer and a profiler are called for the program, not for the search, and go on after it."""
    seen: list[str] = []
    entered: list[FrameType] = []

    def see(frame: FrameType, event: str, argument: object) -> None:
        seen.append(frame.f_code.co_filename)
        if event == "call":
            entered.append(frame)
        elif event == "return" and entered:
            assert entered.pop() is frame

    async def main() -> bool:
        waiting = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        before = sys.gettrace(), sys.getprofile()
        if is_profile:
            sys.setprofile(see)
        else:
            sys.settrace(see_all)
        try:
            found = reachability.is_out_of_reach(asyncio.get_running_loop(), waiting, [waiting])
            assert see_all == sys.gettrace() or see == sys.getprofile()
        finally:
            sys.settrace(before[0])
            sys.setprofile(before[1])
            waiting.cancel()
        return found

    def see_all(frame: FrameType, event: str, argument: object) -> Any:
        see(frame, event, argument)
        return see_all

    assert asyncio.run(main())
    assert reachability.__file__ in seen
    assert await_graph.__file__ not in seen


def test_a_profiler_in_c_sees_the_search() -> None:
    """One such as cProfile, which Python could not set again, goes on all the time."""
    profile = cProfile.Profile()

    async def main() -> bool:
        waiting = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        profile.enable()
        try:
            return reachability.is_out_of_reach(asyncio.get_running_loop(), waiting, [waiting])
        finally:
            profile.disable()
            waiting.cancel()

    assert asyncio.run(main())
    seen = {entry.code.co_name for entry in profile.getstats() if not isinstance(entry.code, str)}
    assert {"is_out_of_reach", "finds_any"} <= seen


@pytest.fixture
def idle_pool() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    """A pool whose thread waits for work."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool


def test_a_pool_that_is_older_than_the_run(
    idle_pool: concurrent.futures.ThreadPoolExecutor,
) -> None:
    """A pool that waits for work hides no deadlock; a task that gives it work is none."""
    assert deadlock_in(beside_a_heartbeat) is not None

    async def main() -> None:
        event, loop = asyncio.Event(), asyncio.get_running_loop()

        def give() -> None:
            idle_pool.submit(loop.call_soon_threadsafe, event.set)

        task = asyncio.create_task(after_long(give))
        await event.wait()
        await task

    assert deadlock_in(main) is None


def test_a_thread_that_holds_what_is_waited_for() -> None:
    """A task may have a thread go on by setting what the thread waits for."""

    async def main() -> None:
        loop, released = asyncio.get_running_loop(), threading.Event()
        answer = loop.create_future()

        def hold(answer: asyncio.Future[None]) -> None:
            released.wait()
            loop.call_soon_threadsafe(answer.set_result, None)

        thread = threading.Thread(target=hold, args=(answer,))
        thread.start()
        task = asyncio.create_task(after_long(released.set))
        await answer
        await task
        thread.join()

    assert deadlock_in(main) is None
