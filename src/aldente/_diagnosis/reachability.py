"""Whether code that goes on could ever do anything to a task that waits.

What a task waits for can be completed, and the task itself cancelled, only by code that has a
reference to it. References are followed as the garbage collector follows them, so through closures,
containers, modules and objects of all kinds; not through the loop or through other tasks, of which
programs see only what they keep themselves.

A scheduler that looks every 30 seconds whether there is something to do keeps a loop going for
ever, also when the test waits for what never comes: nothing that goes on (timers, tasks,
connections) can get hold of what the test waits for. On a real loop references are followed
further: to what a weak reference refers; from a connection of this process to what hears what is
written to it; and from a task that may go on to what waits for its end. Not followed are the loop,
and the modules of the standard library, of pytest and of aldente, which know all that there
is: a program that looks for tasks there, to end those of others, is not reckoned with.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import FrameType, FunctionType, MethodType, ModuleType
from typing import Any

from aldente import _asyncio_compat
from aldente._diagnosis.await_graph import snapshot
from aldente._diagnosis.deadlock import stuck_tasks
from aldente._diagnosis.waits import Kind
from aldente._runner import peers
from aldente._runner.threads import parts_of
from aldente._stacks import variables_of, with_callers

# How many objects are looked at before it is taken for possible.
_MOST_OF_A_PROGRAM = 1_000_000

# What is not followed: tasks; and frames of what runs now, as this search is among them. The
# frames of suspended coroutines are parts of these.
_NOT_FOLLOWED = (asyncio.Task, FrameType)


def can_reach(
    loop: asyncio.AbstractEventLoop,
    actors: Iterable[asyncio.Task[Any]],
    stuck: Iterable[asyncio.Task[Any]],
) -> bool:
    """Whether what some tasks run has a way to others, or to what those wait for.

    Args:
        loop: the loop of the tasks, which is not followed.
        actors: the tasks that go on.
        stuck: the tasks that may be reached.

    >>> async def main():
    ...     hidden, known = asyncio.Event(), asyncio.Event()
    ...     async def know():
    ...         await asyncio.sleep(1)
    ...         known.set()
    ...     tasks = [asyncio.create_task(each) for each in (know(), known.wait(), hidden.wait())]
    ...     await asyncio.sleep(0)
    ...     loop = asyncio.get_running_loop()
    ...     found = [can_reach(loop, tasks[:1], [task]) for task in tasks[1:]]
    ...     for task in tasks:
    ...         task.cancel()
    ...     return found
    >>> asyncio.run(main())
    [True, False]
    """
    targets = {id(task) for task in stuck} | {
        id(future) for task in stuck if (future := _asyncio_compat.waited_future(task)) is not None
    }
    # Never gone through in its order.
    seen = {id(loop), id(asyncio.current_task(loop))}
    left: list[Any] = [task.get_coro() for task in actors]
    seen.update((id(left), id(seen), id(targets)))
    while left:
        thing = left.pop()
        if id(thing) in targets:
            return True
        # What the collector does not track leads to nothing, such as numbers and texts.
        if id(thing) in seen or not gc.is_tracked(thing):
            continue
        seen.add(id(thing))
        if len(seen) > _MOST_OF_A_PROGRAM:
            return True
        if isinstance(thing, ModuleType):
            # What extension modules keep beside their names may not be fit to be followed.
            left.append(vars(thing))
        elif not isinstance(thing, _NOT_FOLLOWED):
            left += gc.get_referents(thing)
    return False


AnyTask = asyncio.Task[Any]

# How many objects are looked at before it is taken for possible: the loop stands still meanwhile.
_MOST_WHILE_IT_RUNS = 200_000

# What goes on by itself when nothing comes from outside, and no thread is at work.
_GOING_ON = frozenset({Kind.RUNNING, Kind.READY, Kind.NOT_STARTED, Kind.TIMER})

# Modules of others that are followed although they belong to the standard library: programs leave
# things there that are called later.
_FOLLOWED = frozenset({"logging", "__main__"})
_TOOLS = ("pytest", "_pytest", "pluggy", "aldente")
# Of aldente's own objects those are followed that programs have.
_OWN = ("aldente._rules", "aldente._runner", "aldente._plugin", "aldente._explore")


def is_out_of_reach(
    loop: asyncio.AbstractEventLoop,
    main: AnyTask,
    tasks: Collection[AnyTask],
    *,
    fixtures: Iterable[AnyTask] = (),
    threads: Iterable[FrameType] = (),
) -> bool:
    """Whether nothing that goes on in this process can ever have a task go on.

    Nothing comes from other processes, and all other threads wait for somebody. Call it on the
    loop.

    Args:
        loop: the loop.
        main: the task that is asked about.
        tasks: the tasks of the loop that count.
        fixtures: tasks that wait, and whose end would end the main task.
        threads: the frames of the threads that this loop could hand something.
    """
    graph = snapshot(tasks)
    stuck = stuck_tasks(graph, _GOING_ON)
    going = {task.name for index, task in enumerate(graph.tasks) if index not in stuck}
    if main.get_name() in going:
        return False
    # Of tasks with the same name all go on if one does.
    waiting = [task for task in tasks if not task.done() and task.get_name() not in going]
    actors = [task for task in tasks if not task.done() and task.get_name() in going]
    search = _Search(loop, [main, *fixtures], waiting)
    for task in actors:
        search.follow_task(task)
    search.follow(_asyncio_compat.timers_of(loop))
    search.note_threads(threads)
    return not search.finds_any()


class _Search:
    """Follows references until it comes to a certain task or to the end.

    Args:
        loop: the loop, which is not followed.
        wanted: the tasks that are looked for.
        waiting: the tasks that wait until something comes to them.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wanted: Sequence[AnyTask],
        waiting: Sequence[AnyTask],
    ) -> None:
        self._wanted = wanted
        # Those who wait, by the identity of themselves and of what they wait for.
        self._waiting = {id(task): task for task in [*waiting, *wanted]}
        for task in [*waiting, *wanted]:
            future = _asyncio_compat.waited_future(task)
            if future is not None:
                self._waiting[id(future)] = task
        # All that runs can get hold of the loop, and of what the program keeps there.
        self._left: list[Any] = _asyncio_compat.attributes_of_program(loop)
        # Never gone through in its order.
        self._seen = {id(loop), id(self), id(vars(self)), id(sys.modules)}
        self._seen.update(id(value) for value in vars(self).values())
        self._seen.update(_unfollowed_namespaces())
        watched = _asyncio_compat.watched_by(loop)
        ends = peers.other_ends(watched)
        # What hears of what is written to a connection, by the descriptor at the other end.
        self._hearing: Mapping[int, list[object]] = {
            descriptor: [callback for end in heard for callback in watched[end]]
            for descriptor, heard in ends.items()
        }
        matched = {end for heard in ends.values() for end in heard}
        # Servers, to which whatever goes on may connect; pipes and the like.
        for end, callbacks in watched.items():
            if end not in matched:
                self._left += _used_by(callbacks)
        # Threads, by what they may wait for.
        self._threads: dict[int, FrameType] = {}

    def follow(self, things: Iterable[Any]) -> None:
        """Things may be used by what goes on."""
        self._left.extend(things)

    def follow_task(self, task: AnyTask) -> None:
        """A task may go on, and end: what it has, and whoever is called at its end."""
        if id(task) not in self._seen:
            self._seen.add(id(task))
            self._left += gc.get_referents(task)

    def note_threads(self, frames: Iterable[FrameType]) -> None:
        """Threads wait, each until something that goes on comes to what it waits for."""
        for innermost in frames:
            for frame in with_callers(innermost):
                for thing in parts_of(variables_of(frame).values(), 2):
                    if type(thing).__module__ in _OF_THREADS:
                        self._threads[id(thing)] = innermost

    def finds_any(self) -> bool:
        """Whether it comes to a task that is looked for, or to what that waits for."""
        left, seen, waiting = self._left, self._seen, self._waiting
        while left:
            thing = left.pop()
            number = id(thing)
            if number in seen:
                continue
            if number in waiting:
                task = waiting[number]
                if task in self._wanted:
                    return True
                self.follow_task(task)
            if number in self._threads:
                for frame in with_callers(self._threads[number]):
                    left += variables_of(frame).values()
            if issubclass(type(thing), weakref.ref):
                left.append(thing())
                continue
            # What the collector does not track leads to nothing, such as numbers and texts.
            if not gc.is_tracked(thing):
                continue
            seen.add(number)
            if len(seen) > _MOST_WHILE_IT_RUNS:
                return True
            left += self._following(thing)
        return False

    def _following(self, thing: Any) -> Iterable[Any]:
        # By their true types: what stands in for something else may run code when it is asked.
        kind = type(thing)
        if issubclass(kind, ModuleType):
            # What extension modules keep beside their names may not be fit to be followed.
            return [vars(thing)]
        if issubclass(kind, (asyncio.Task, FrameType)) or _is_own(thing):
            return ()
        found = gc.get_referents(thing)
        if issubclass(kind, socket.socket):
            found += self._hearing.get(thing.fileno(), ())
        return found


# Where the classes are by which threads wait for one another.
_OF_THREADS = frozenset({"_thread", "threading", "queue", "_queue"})


def _used_by(callbacks: Iterable[object]) -> Iterator[object]:
    """What a loop's callbacks use; of a server's, nothing but what it does with new connections.

    Those that it has accepted are known to it by weak references, for whoever closes it.
    """
    for callback in callbacks:
        args = _asyncio_compat.arguments_of(callback)
        if any(isinstance(argument, asyncio.Server) for argument in args):
            yield from (argument for argument in args if not isinstance(argument, asyncio.Server))
        else:
            yield callback


def _is_own(thing: Any) -> bool:
    """Whether something belongs to what runs and watches tests."""
    if type(thing) is FunctionType:
        module = thing.__globals__.get("__name__")
    elif type(thing) is MethodType:
        module = type(thing.__self__).__module__
    else:
        kind: Any = type(thing)
        module = (thing if issubclass(kind, type) else kind).__module__
    # Somebody's own class may have anything there.
    return str(module).startswith(_OWN)


def _unfollowed_namespaces() -> set[int]:
    """The names of modules that lead to everything, by their identities."""
    unfollowed = (sys.stdlib_module_names | set(_TOOLS)) - _FOLLOWED
    return {
        id(getattr(module, "__dict__", None))
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in unfollowed
    }
