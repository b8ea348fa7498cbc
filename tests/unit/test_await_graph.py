"""An await graph says for every kind of waiting where a task waits, for what, and for whom."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aldente._diagnosis.await_graph import snapshot
from aldente._diagnosis.inspection import exits_among
from aldente._diagnosis.waits import AwaitGraph, WaitingTask, WaitKind

Program = Callable[[], Coroutine[Any, Any, Any]]


def look_at(program: Program, turns: int = 20) -> AwaitGraph:
    """Let a program block, take a snapshot of its tasks and cancel them."""

    async def watch() -> AwaitGraph:
        main = asyncio.create_task(program(), name="main")
        for _ in range(turns):
            await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        graph = snapshot(others)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=10)
        assert main.done()
        return graph

    return asyncio.run(watch())


def named(graph: AwaitGraph, name: str = "main") -> WaitingTask:
    """The task of that name."""
    (found,) = (task for task in graph.tasks if task.name == name)
    return found


def awaited(graph: AwaitGraph, name: str = "main") -> list[str]:
    """The names of the tasks that a task waits for."""
    return [graph.tasks[index].name for index in named(graph, name).wait.tasks]


def held(graph: AwaitGraph, name: str = "main") -> list[tuple[str, str | None]]:
    """Who holds what a task waits for, with what the holder calls it."""
    holders = named(graph, name).wait.holders
    return [(graph.tasks[holder.task].name, holder.expression) for holder in holders]


def known(graph: AwaitGraph, name: str = "main") -> list[tuple[str, str | None]]:
    """Who else has what a task waits for, with what it is called there."""
    links = named(graph, name).wait.known_to
    return [(graph.tasks[link.task].name, link.expression) for link in links]


def waits_at(graph: AwaitGraph, name: str = "main") -> str:
    """The source line where a task waits; it must be in this file."""
    frame = named(graph, name).frame
    assert frame is not None
    assert frame.place.path == __file__
    line = Path(__file__).read_text().splitlines()[frame.place.line - 1].strip()
    assert frame.source == line
    return line


def spawn(coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    """A task that is kept alive by the loop's timer rather than by a variable of the program."""
    task = asyncio.create_task(coroutine, name=name)
    asyncio.get_running_loop().call_later(3600, task.cancel)
    return task


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


# Things that one task waits for.


def test_event() -> None:
    """A task that waits for an event is shown with the event's name and line."""

    async def main() -> None:
        ready = asyncio.Event()
        await ready.wait()

    graph = look_at(main)
    wait = named(graph).wait
    assert (wait.kind, wait.type_name, wait.expression) == (WaitKind.EVENT, "Event", "ready")
    assert wait.known_to == ()
    assert waits_at(graph) == "await ready.wait()"


def test_queues() -> None:
    """A task that gets, puts or joins is told from the others, also for a subclass of Queue."""

    async def get(jobs: asyncio.Queue[int]) -> None:
        await jobs.get()

    async def put(full: asyncio.Queue[int]) -> None:
        full.put_nowait(1)
        await full.put(2)

    async def join(jobs: asyncio.Queue[int]) -> None:
        jobs.put_nowait(1)
        jobs.put_nowait(2)
        await jobs.get()
        await jobs.join()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(get(asyncio.PriorityQueue()), name="getter")
            group.create_task(put(asyncio.Queue(1)), name="putter")
            group.create_task(join(asyncio.Queue()), name="joiner")

    graph = look_at(main)
    waits = [named(graph, name).wait for name in ("getter", "putter", "joiner")]
    assert [wait.kind for wait in waits] == [
        WaitKind.QUEUE_GET,
        WaitKind.QUEUE_PUT,
        WaitKind.QUEUE_JOIN,
    ]
    assert [wait.expression for wait in waits] == ["jobs", "full", "jobs"]
    assert waits[0].type_name == "PriorityQueue"
    assert waits[1].detail == "maxsize=1"
    assert waits[2].detail == "2 task_done() missing, 1 still in the queue"
    assert waits_at(graph, "joiner") == "await jobs.join()"


def test_condition() -> None:
    """A task waits for a notification, with or without a predicate, and holds no lock meanwhile."""

    async def wait(changed: asyncio.Condition) -> None:
        async with changed:
            await changed.wait()

    async def wait_for(changed: asyncio.Condition) -> None:
        async with changed:
            await changed.wait_for(lambda: False)

    async def main() -> None:
        changed = asyncio.Condition()
        spawn(wait(changed), "one")
        spawn(wait_for(changed), "two")
        await asyncio.sleep(0)
        await changed.acquire()
        try:
            await changed.acquire()
        finally:
            changed.release()  # a condition's waiters get it even when they are cancelled

    graph = look_at(main)
    for name in ("one", "two"):
        assert named(graph, name).wait.kind is WaitKind.CONDITION
        assert named(graph, name).wait.expression == "changed"
        assert known(graph, name) == [("main", "changed")]
    assert named(graph).wait.kind is WaitKind.LOCK
    assert named(graph).wait.expression == "changed"
    assert held(graph) == []


def test_condition_that_is_notified_waits_for_its_lock() -> None:
    """A task that was notified waits for the lock, and for the task that holds it."""

    async def wait(changed: asyncio.Condition) -> None:
        async with changed:
            await changed.wait()

    async def notify(changed: asyncio.Condition) -> None:
        async with changed:
            changed.notify_all()
            await forever()

    async def main() -> None:
        changed = asyncio.Condition()
        await asyncio.gather(spawn(wait(changed), "waiter"), spawn(notify(changed), "notifier"))

    graph = look_at(main)
    assert named(graph, "waiter").wait.kind is WaitKind.LOCK
    assert held(graph, "waiter") == [("notifier", "changed")]
    assert waits_at(graph, "waiter") == "await changed.wait()"


def test_barrier() -> None:
    """A task at a barrier is shown with how many have come."""

    async def main() -> None:
        start = asyncio.Barrier(3)
        await start.wait()

    graph = look_at(main)
    wait = named(graph).wait
    assert (wait.kind, wait.expression) == (WaitKind.BARRIER, "start")
    assert wait.detail == "1 of 3 have arrived"


def test_bare_future() -> None:
    """A bare future is shown by its name, and who else has it."""

    async def other(answer: asyncio.Future[int]) -> None:
        await forever()

    async def main() -> None:
        reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        spawn(other(reply), "other")
        await reply

    graph = look_at(main)
    assert named(graph).wait.kind is WaitKind.FUTURE
    assert named(graph).wait.expression == "reply"
    assert known(graph) == [("other", "answer")]
    assert waits_at(graph, "other") == "await asyncio.get_running_loop().create_future()"


def test_sleep() -> None:
    """A sleeping task goes on by itself."""

    async def main() -> None:
        await asyncio.sleep(3600)

    wait = named(look_at(main)).wait
    assert (wait.kind, wait.detail) == (WaitKind.TIMER, "asyncio.sleep(3600)")


def test_executor_jobs() -> None:
    """A job in a thread is told from a bare future, and by its name where asyncio knows it."""
    go_on = threading.Event()

    def fetch() -> None:
        go_on.wait()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        spawn(asyncio.to_thread(fetch), "to_thread")
        loop.call_later(0.1, go_on.set)
        await loop.run_in_executor(None, fetch)

    try:
        graph = look_at(main)
    finally:
        go_on.set()
    assert named(graph).wait.kind is WaitKind.EXECUTOR
    assert named(graph, "to_thread").wait.kind is WaitKind.EXECUTOR
    assert named(graph, "to_thread").wait.detail.endswith("fetch")


def test_input_and_output() -> None:
    """Reading from a socket is waiting for the world outside."""

    async def main() -> None:
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            await asyncio.get_running_loop().sock_recv(here, 1)

    wait = named(look_at(main)).wait
    assert wait.kind is WaitKind.INPUT_OUTPUT
    assert wait.detail.endswith("sock_recv")


def test_streams() -> None:
    """Reading from a stream is waiting for the world outside."""

    async def main() -> None:
        await asyncio.StreamReader().readline()

    wait = named(look_at(main)).wait
    assert (wait.kind, wait.detail) == (WaitKind.INPUT_OUTPUT, "StreamReader.readline")


def test_tasks_that_do_not_wait() -> None:
    """The running task, one about to go on and one not started are told apart."""

    async def main() -> AwaitGraph:
        spun = asyncio.create_task(asyncio.sleep(0), name="ready")
        await asyncio.sleep(0)
        new = asyncio.create_task(forever(), name="new")

        def take() -> AwaitGraph:
            return snapshot(asyncio.all_tasks())

        graph = take()
        await asyncio.wait([spun])
        new.cancel()
        asyncio.current_task().set_name("main")  # type: ignore[union-attr]
        return graph

    async def rename() -> AwaitGraph:
        asyncio.current_task().set_name("main")  # type: ignore[union-attr]
        return await main()

    graph = asyncio.run(rename())
    kinds = {task.name: task.wait.kind for task in graph.tasks}
    assert kinds == {"main": WaitKind.RUNNING, "new": WaitKind.NOT_STARTED, "ready": WaitKind.READY}
    assert waits_at(graph) == "return snapshot(asyncio.all_tasks())"
    assert [frame.function.split(".")[-1] for frame in named(graph).own_frames][:3] == [
        "rename",
        "main",
        "take",
    ]


# Tasks that wait for tasks.


@pytest.fixture(params=["task", "gather", "nested gather", "wait", "as_completed", "shield"])
def through(request: pytest.FixtureRequest) -> str:
    """A way to wait for tasks."""
    way: str = request.param
    return way


def test_waiting_for_tasks(through: str) -> None:
    """Whatever a task waits by, the tasks that it waits for are known."""

    async def main() -> None:
        one, two = spawn(forever(), "one"), spawn(forever(), "two")
        if through == "task":
            await one
        elif through == "gather":
            await asyncio.gather(one, two)
        elif through == "nested gather":
            await asyncio.gather(asyncio.shield(one), asyncio.gather(two))
        elif through == "wait":
            await asyncio.wait([two, one], return_when=asyncio.FIRST_COMPLETED)
        elif through == "as_completed":
            for earliest in asyncio.as_completed([two, one]):
                await earliest
        else:
            await asyncio.shield(one)

    graph = look_at(main)
    wait = named(graph).wait
    assert wait.kind is WaitKind.TASKS
    names = {"task": ["one"], "shield": ["one"]}.get(through, ["one", "two"])
    assert wait.through == {
        "task": "",
        "nested gather": "asyncio.gather",
    }.get(through, f"asyncio.{through}")
    assert wait.is_any is (through in ("wait", "as_completed"))
    assert awaited(graph) == names


def test_task_group() -> None:
    """A task at the end of a task group waits for the tasks of the group that are not done."""

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(forever(), name="child")
            group.create_task(asyncio.sleep(0), name="done")

    graph = look_at(main)
    assert awaited(graph) == ["child"]
    assert named(graph).wait.through == "asyncio.TaskGroup"
    assert waits_at(graph).startswith("async with asyncio.TaskGroup()")


def test_wait_for_is_looked_through() -> None:
    """A task that waits for a queue by ``wait_for`` is seen to do so, on every Python, with limit."""

    async def main() -> None:
        jobs: asyncio.Queue[int] = asyncio.Queue()
        await asyncio.wait_for(jobs.get(), timeout=3600)

    graph = look_at(main)
    assert named(graph).wait.limited_by == "asyncio.wait_for(timeout=3600)"
    assert waits_at(graph) == "await asyncio.wait_for(jobs.get(), timeout=3600)"
    inner = named(graph).wait
    if inner.kind is WaitKind.TASKS:  # up to Python 3.11 it makes a task
        inner = graph.tasks[inner.tasks[0]].wait
    assert inner.kind is WaitKind.QUEUE_GET


def test_wait_for_a_task() -> None:
    """``wait_for`` of a task waits for that task."""

    async def main() -> None:
        await asyncio.wait_for(spawn(forever(), "child"), timeout=None)

    graph = look_at(main)
    assert awaited(graph) == ["child"]
    assert named(graph).wait.limited_by is None


def test_time_outs() -> None:
    """A wait inside ``asyncio.timeout`` is limited, unless the time-out has no end."""

    async def unlimited() -> None:
        async with asyncio.timeout(None):
            await forever()

    async def main() -> None:
        spawn(unlimited(), "unlimited")
        async with asyncio.timeout(3600):
            await forever()

    graph = look_at(main)
    assert named(graph).wait.limited_by == "asyncio.timeout"
    assert named(graph, "unlimited").wait.limited_by is None


def test_tasks_that_are_only_waited_for_are_added() -> None:
    """The tasks that a given one waits for are in the graph though nobody gave them."""

    async def main() -> AwaitGraph:
        child = spawn(forever(), "child")
        parent = asyncio.create_task(asyncio.wait([child]), name="parent")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        graph = snapshot([parent])
        parent.cancel()
        child.cancel()
        return graph

    assert [task.name for task in asyncio.run(main()).tasks] == ["child", "parent"]


# Who holds a lock.


async def hold(lock: Any) -> None:
    async with lock:
        await forever()


async def hold_by_generator(lock: Any) -> None:
    async def items() -> AsyncIterator[int]:
        async with lock:
            yield 1

    async for _ in items():
        await forever()


async def hold_inside_generator(lock: Any) -> None:
    async def items() -> AsyncIterator[int]:
        async with lock:
            await forever()
            yield 1

    async for _ in items():
        pass


async def hold_by_context_manager(lock: Any) -> None:
    @contextlib.asynccontextmanager
    async def locked() -> AsyncIterator[None]:
        async with lock:
            yield

    async with locked():
        await forever()


async def hold_by_exit_stack(lock: Any) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(lock)
        await forever()


async def hold_deep_down(lock: Any) -> None:
    async def inner() -> None:
        await hold(lock)

    await asyncio.wait_for(inner(), timeout=None)


WAYS_TO_HOLD = [
    hold,
    hold_by_generator,
    hold_inside_generator,
    hold_by_context_manager,
    hold_by_exit_stack,
    hold_deep_down,
]


@pytest.mark.parametrize("way", WAYS_TO_HOLD)
@pytest.mark.parametrize(
    "make", [asyncio.Lock, asyncio.Semaphore, asyncio.BoundedSemaphore, asyncio.Condition]
)
def test_holder(make: Callable[[], Any], way: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """The holder is found however it came to hold the lock by ``async with``."""

    async def main() -> None:
        mine = make()
        spawn(way(mine), "holder")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with mine:
            pass

    graph = look_at(main)
    assert held(graph) == [("holder", "lock")]
    assert named(graph).wait.expression == "mine"
    assert waits_at(graph) == "async with mine:"


def test_no_holder_is_made_up() -> None:
    """Those that wait at the start of an ``async with`` hold nothing, nor those that have ended."""

    async def main() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        spawn(hold(lock), "one")
        spawn(hold(lock), "two")
        await forever()

    graph = look_at(main)
    assert held(graph, "one") == held(graph, "two") == []
    assert known(graph, "one") == [("main", "lock")]


def test_lock_that_a_task_holds_itself() -> None:
    """A task that acquires its own lock again is its holder."""

    async def main() -> None:
        lock = asyncio.Lock()
        async with lock, lock:
            pass

    assert held(look_at(main)) == [("main", "lock")]


def test_what_a_function_is_inside_of_is_found_on_python_3_14() -> None:
    """The function ``__aexit__`` counts with the manager after it, and only with its own."""
    lock = asyncio.Lock()
    function = asyncio.Lock.__aexit__
    assert exits_among([hold, lock, function, lock, None]) == [lock]
    assert exits_among([hold, lock, function, "no manager"]) == []
    assert exits_among([hold, lock, function]) == []
    assert exits_among([hold, lock]) == []


# What things are called.


class Service:
    """Has things in attributes, slots and containers."""

    __slots__ = ("__dict__", "slot")

    def __init__(self) -> None:
        self.slot = asyncio.Event()
        self.ready = asyncio.Event()
        self.parts: dict[Any, Any] = {"a": asyncio.Event(), 1: [asyncio.Event()]}
        self.inner = SimpleNamespace(ready=asyncio.Event())

    async def wait(self, event: str) -> None:
        await getattr(self, event).wait()

    async def wait_for_part(self) -> None:
        await self.parts["a"].wait()

    async def wait_for_inner(self) -> None:
        await self.inner.ready.wait()


service_event: asyncio.Event


async def wait_for_global() -> None:
    await service_event.wait()


def test_names() -> None:
    """A thing is called what the innermost function of the user's calls it."""
    global service_event

    async def main() -> None:
        global service_event
        service_event = asyncio.Event()
        service = Service()
        spawn(service.wait("slot"), "slot")
        spawn(service.wait("ready"), "ready")
        spawn(service.wait_for_part(), "part")
        spawn(service.wait_for_inner(), "inner")
        spawn(wait_for_global(), "global")
        await asyncio.Event().wait()

    graph = look_at(main)
    assert {task.name: task.wait.expression for task in graph.tasks} == {
        "main": None,
        "slot": "self.slot",
        "ready": "self.ready",
        "part": "self.parts['a']",
        "inner": "self.inner.ready",
        "global": "service_event",
    }
    assert known(graph, "slot")[-2:] == [("part", "self.slot"), ("ready", "self.slot")]
    del service_event


# Odd things.


class Passing:
    """An awaitable whose iterator passes on to that of a coroutine, with no frame of its own."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._iterator = coroutine.__await__()

    def __await__(self) -> Iterator[Any]:
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._iterator)


class Generating:
    """An awaitable whose ``__await__`` is a generator."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        return (yield from self._coroutine.__await__())


async def wait_for_event(event: asyncio.Event) -> None:
    await event.wait()


async def generate(event: asyncio.Event) -> AsyncIterator[int]:
    await event.wait()
    yield 1


@pytest.mark.parametrize(
    "step",
    [
        lambda event: Generating(wait_for_event(event)),
        lambda event: Passing(wait_for_event(event)),
        lambda event: generate(event).__anext__(),
        lambda event: generate(event).asend(None),  # type: ignore[attr-defined]
        lambda event: anext(generate(event), 0),
    ],
    ids=["generator", "iterator", "anext", "asend", "anext with default"],
)
def test_awaitables_are_followed(step: Callable[[asyncio.Event], Any]) -> None:
    """What is awaited through generators, iterators and async generators is found."""

    async def main() -> None:
        await step(asyncio.Event())

    graph = look_at(main)
    assert named(graph).wait.kind is WaitKind.EVENT
    assert named(graph).wait.expression == "event"
    assert waits_at(graph) == "await event.wait()"


class Hostile:
    """Fails whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")


class BrokenBarrier(asyncio.Barrier):
    """Can't say how many have come."""

    @property
    def n_waiting(self) -> int:
        raise RuntimeError("n_waiting")


def test_odd_values_do_no_harm() -> None:
    """Values that fail in every way, and circles of data, leave the report as it is."""

    async def main() -> None:
        hostile = Hostile()
        circle: list[Any] = [hostile, (hostile,), {(1, 2): hostile}]
        circle.append(circle)
        ready = asyncio.Event()
        await ready.wait()

    assert named(look_at(main)).wait.expression == "ready"


def test_a_task_that_cannot_be_looked_into_says_so() -> None:
    """A failure inside one task's barrier is named, and the other tasks are seen all the same."""

    async def come() -> None:
        await BrokenBarrier(2).wait()

    async def main() -> None:
        spawn(come(), "comer")
        await forever()

    graph = look_at(main)
    assert named(graph, "comer").wait.kind is WaitKind.UNKNOWN
    assert named(graph, "comer").wait.detail == "its state can't be read: RuntimeError"
    assert waits_at(graph, "comer") == "await BrokenBarrier(2).wait()"
    assert named(graph).wait.kind is WaitKind.FUTURE


def test_nothing_is_kept_alive() -> None:
    """Neither the graph nor the frames that were looked into keep a value of the program."""

    class Value:
        pass

    references: list[weakref.ref[Any]] = []
    graphs: list[AwaitGraph] = []

    async def user(go_on: asyncio.Event) -> None:
        value = Value()
        references.append(weakref.ref(value))
        await go_on.wait()
        del value
        assert references[-1]() is None
        await forever()

    async def main() -> None:
        go_on = asyncio.Event()
        task = spawn(user(go_on), "user")
        references.append(weakref.ref(task))
        await asyncio.sleep(0)
        graphs.append(snapshot([task]))
        go_on.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    gc.collect()
    assert [reference() for reference in references] == [None, None]
    assert [task.name for task in graphs[0].tasks] == ["user"]


def test_order() -> None:
    """Tasks come in the natural order of their names."""

    async def main() -> None:
        for number in (10, 9, 100):
            spawn(forever(), f"Task-{number}")
        await forever()

    assert [task.name for task in look_at(main).tasks] == ["Task-9", "Task-10", "Task-100", "main"]
