"""Whether code that goes on could ever wake a waiting task.

Only code with a reference to the awaited object can complete it, and only code with a reference to
the task can cancel it. The search follows references as the garbage collector does: through
closures, containers, modules and objects of all kinds, and from functions to the modules that they
import when they are called; not through the loop or other tasks, of which programs see only what
they keep themselves.

A scheduler that polls every 30 seconds keeps a loop going for ever, even if the test waits for an
event that never comes; but nothing that goes on (timers, tasks, connections) has a reference to
what the test waits for. On a real loop the search goes further: through weak references; from a
connection of this process to the reader of its other end; and from a task that may go on to those
that wait for its end. It does not follow the loop, nor the modules of the standard library, of
pytest and of aldente, which lead to everything: it ignores that a program could look there for
tasks of others and end them.

No search follows pytest's loader of test modules, which each of them has as ``__loader__``, nor the
log handlers of pytest: both lead to pytest's configuration, and from there to all of the process.
"""

from __future__ import annotations

import asyncio
import dis
import gc
import itertools
import logging
import socket
import sys
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

from aldente import _asyncio_compat, _imports, _python_compat
from aldente._diagnosis.await_graph import snapshot
from aldente._diagnosis.deadlock import stuck_tasks
from aldente._diagnosis.waits import WaitKind
from aldente._runner import peers
from aldente._runner.threads import parts_of
from aldente._source import is_programs
from aldente._stacks import variables_of, with_callers

# After how many objects the search gives up and takes it to be possible.
_MOST_OF_A_PROGRAM = 1_000_000

# Types that the search does not follow: tasks; and frames of running code, as its own is among
# them. Frames of suspended coroutines are parts of the coroutines.
_NOT_FOLLOWED = (asyncio.Task, FrameType)


def can_reach(
    loop: asyncio.AbstractEventLoop,
    actors: Iterable[asyncio.Task[Any]],
    stuck: Iterable[asyncio.Task[Any]],
    threads: Iterable[FrameType] = (),
) -> bool:
    """Whether the code of some tasks can reach others, or what those wait for.

    Args:
        loop: the loop of the tasks, which is not followed.
        actors: the tasks that go on.
        stuck: the tasks to reach.
        threads: the frames of other threads, which the actors may have go on.

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
    # Never iterated over, so its order does not matter.
    seen = {id(loop), id(asyncio.current_task(loop))}
    left: list[Any] = [task.get_coro() for task in actors]
    for frame in itertools.chain.from_iterable(map(with_callers, threads)):
        if is_programs(frame.f_code.co_filename):
            left += variables_of(frame).values()
    seen.update((id(left), id(seen), id(targets)))
    while left:
        thing = left.pop()
        if id(thing) in targets:
            return True
        # Objects that the collector does not track, such as numbers and strings, lead nowhere.
        if id(thing) in seen or not gc.is_tracked(thing):
            continue
        seen.add(id(thing))
        if len(seen) > _MOST_OF_A_PROGRAM:
            return True
        if issubclass(type(thing), ModuleType):
            # Only the namespace: other referents of an extension module may not be safe to follow.
            left.append(vars(thing))
        elif not isinstance(thing, _NOT_FOLLOWED) and not _leads_to_pytest(type(thing)):
            left += gc.get_referents(thing)
            left += _imported_through(thing)
    return False


def _imported_through(thing: object) -> Iterable[object]:
    """The modules that a function imports when it is called, or a lazy name when it is used."""
    if type(thing) is FunctionType:
        return _imported_by(thing.__code__, thing.__globals__)
    path = _imports.path_of(thing)
    return () if path is None else _of_path(path)


def _imported_by(code: CodeType, namespace: Mapping[str, Any]) -> Iterator[object]:
    """The modules that a function imports when it is called, of those that are imported already.

    What is imported for the first time may import all of its package.

    Args:
        code: its code; functions inside of it have their own.
        namespace: its global variables.
    """
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _imported_by(inner, namespace)
    if _IMPORT_NAME not in code.co_code[::2]:
        return
    parents = [""]
    package = namespace.get("__package__")
    while isinstance(package, str) and package:
        # Of a relative import, whose level is not looked at.
        parents.append(f"{package}.")
        package = package.rpartition(".")[0]
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            names = [f"{parent}{instruction.argval}".rstrip(".") for parent in parents]
            found = [sys.modules[name] for name in names if name in sys.modules]
            yield from found or _of_packages({name.partition(".")[0] for name in names})


def _of_path(path: str) -> list[object]:
    """The imported module on a path such as ``"package.module.name"``, or else its package's."""
    for name in (path, path.rpartition(".")[0]):
        if name in sys.modules:
            return [sys.modules[name]]
    return _of_packages({path.partition(".")[0]})


def _of_packages(names: Collection[str]) -> list[object]:
    """All imported modules of some packages."""
    return [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in names]


_IMPORT_NAME = dis.opmap["IMPORT_NAME"]


def _leads_to_pytest(kind: type) -> bool:
    """Whether objects of a type lead to pytest's configuration, and a program does not use them."""
    # A custom class may have any object as its module.
    module: object = kind.__module__
    if not isinstance(module, str):
        return False
    return module == _LOADERS or (module == _HANDLERS and issubclass(kind, logging.Handler))


_LOADERS, _HANDLERS = "_pytest.assertion.rewrite", "_pytest.logging"

AnyTask = asyncio.Task[Any]

# The same limit while the loop stands still meanwhile.
_MOST_WHILE_IT_RUNS = 200_000

# Waits that end by themselves, without input from outside or from threads.
_GOING_ON = frozenset({WaitKind.RUNNING, WaitKind.READY, WaitKind.NOT_STARTED, WaitKind.TIMER})

# Modules that the search follows although they belong to the standard library: programs leave
# callbacks there.
_FOLLOWED = frozenset({"logging", "__main__"})
_TOOLS = ("pytest", "_pytest", "pluggy", "aldente")
# Prefixes of aldente's own modules, whose objects the search does not follow.
_OWN = ("aldente._rules", "aldente._runner", "aldente._plugin", "aldente._explore")


def is_out_of_reach(
    loop: asyncio.AbstractEventLoop,
    main: AnyTask,
    tasks: Collection[AnyTask],
    *,
    fixtures: Iterable[AnyTask] = (),
    threads: Iterable[FrameType] = (),
) -> bool:
    """Whether nothing that goes on in this process can ever wake a task.

    Assumes that nothing arrives from other processes, and that all other threads wait. Call it on
    the loop.

    Args:
        loop: the loop.
        main: the task in question.
        tasks: the tasks of the loop to consider.
        fixtures: waiting tasks whose end would end the main task.
        threads: the frames of the threads that this loop could pass something to.
    """
    graph = snapshot(tasks)
    stuck = stuck_tasks(graph, _GOING_ON)
    going = {task.name for index, task in enumerate(graph.tasks) if index not in stuck}
    if main.get_name() in going:
        return False
    # If one of several tasks with the same name goes on, all count as going on.
    waiting = [task for task in tasks if not task.done() and task.get_name() not in going]
    actors = [task for task in tasks if not task.done() and task.get_name() in going]
    search = _ReferenceSearch(loop, [main, *fixtures], waiting)
    for task in actors:
        search.follow_task(task)
    search.follow(_asyncio_compat.timers_of(loop))
    search.note_threads(threads)
    return not search.finds_any()


class _ReferenceSearch:
    """Follows references until it reaches a wanted task or the end.

    Args:
        loop: the loop, which is not followed.
        wanted: the tasks that it looks for.
        waiting: the tasks that wait until something reaches them.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wanted: Sequence[AnyTask],
        waiting: Sequence[AnyTask],
    ) -> None:
        self._wanted = wanted
        # The waiting tasks, by the identities of themselves and of what they wait for.
        self._waiting = {id(task): task for task in [*waiting, *wanted]}
        for task in [*waiting, *wanted]:
            future = _asyncio_compat.waited_future(task)
            if future is not None:
                self._waiting[id(future)] = task
        # All running code can get the loop, and what the program keeps on it.
        self._left: list[Any] = _asyncio_compat.attributes_of_program(loop)
        # Never iterated over, so its order does not matter.
        self._seen = {id(loop), id(self), id(vars(self)), id(sys.modules)}
        self._seen.update(id(value) for value in vars(self).values())
        self._seen.update(_unfollowed_namespaces())
        watched = _asyncio_compat.watched_by(loop)
        ends = peers.other_ends(watched)
        # The callbacks that read what is written to a connection, by the other end's descriptor.
        self._hearing: Mapping[int, list[object]] = {
            descriptor: [callback for end in heard for callback in watched[end]]
            for descriptor, heard in ends.items()
        }
        matched = {end for heard in ends.values() for end in heard}
        # Servers, to which any running code may connect; pipes and the like.
        for end, callbacks in watched.items():
            if end not in matched:
                self._left += _used_by(callbacks)
        # Threads, by the identity of what they may wait for.
        self._threads: dict[int, FrameType] = {}

    def follow(self, things: Iterable[Any]) -> None:
        """Add objects that running code may use."""
        self._left.extend(things)

    def follow_task(self, task: AnyTask) -> None:
        """Add a task that may go on and end: its references, and the callbacks of its end."""
        if id(task) not in self._seen:
            self._seen.add(id(task))
            self._left += gc.get_referents(task)

    def note_threads(self, frames: Iterable[FrameType]) -> None:
        """Add waiting threads; each goes on once the search reaches what it waits for."""
        for innermost in frames:
            for frame in with_callers(innermost):
                for thing in parts_of(variables_of(frame).values(), 2):
                    if type(thing).__module__ in _OF_THREADS:
                        self._threads[id(thing)] = innermost

    def finds_any(self) -> bool:
        """Whether the search reaches a wanted task, or what that waits for."""
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
            # Objects that the collector does not track, such as numbers and strings, lead nowhere.
            if not gc.is_tracked(thing):
                continue
            seen.add(number)
            if len(seen) > _MOST_WHILE_IT_RUNS:
                return True
            left += self._following(thing)
        return False

    def _following(self, thing: Any) -> Iterable[Any]:
        # By the real type: a proxy may run code when asked for its class.
        kind = type(thing)
        if issubclass(kind, ModuleType):
            # Only the namespace: other referents of an extension module may not be safe to follow.
            return [vars(thing)]
        if (
            issubclass(kind, (asyncio.Task, FrameType))
            or kind is _python_compat.CLASSES_OF_ABSTRACT_CLASS
            or _is_own(thing)
            or _leads_to_pytest(kind)
        ):
            return ()
        found = gc.get_referents(thing)
        found += _imported_through(thing)
        if issubclass(kind, socket.socket):
            found += self._hearing.get(thing.fileno(), ())
        found += _finalizers_of(thing)
        return found


# The modules of the classes with which threads wait for one another.
_OF_THREADS = frozenset({"_thread", "threading", "queue", "_queue"})


def _finalizers_of(thing: object) -> Iterator[object]:
    """What `weakref.finalize` calls when an object is freed, and its arguments."""
    for reference in weakref.getweakrefs(thing):
        # A proxy would ask the object for it.
        callback: Any = reference.__callback__ if type(reference) is weakref.ref else None
        if type(callback) is weakref.finalize:
            yield from (callback.peek() or ())[1:]


def _used_by(callbacks: Iterable[object]) -> Iterator[object]:
    """What a loop's callbacks use; of a server's, only its handling of new connections.

    A server has weak references to its accepted connections, used when it is closed.
    """
    for callback in callbacks:
        args = _asyncio_compat.arguments_of(callback)
        if any(isinstance(argument, asyncio.Server) for argument in args):
            yield from (argument for argument in args if not isinstance(argument, asyncio.Server))
        else:
            yield callback


def _is_own(thing: Any) -> bool:
    """Whether an object belongs to aldente's machinery that runs and watches tests."""
    if type(thing) is FunctionType:
        module = thing.__globals__.get("__name__")
    elif type(thing) is MethodType:
        module = type(thing.__self__).__module__
    else:
        kind: Any = type(thing)
        module = (thing if issubclass(kind, type) else kind).__module__
    # A custom class may have any object as its module.
    return str(module).startswith(_OWN)


def _unfollowed_namespaces() -> set[int]:
    """The identities of the namespaces of modules that lead to everything."""
    unfollowed = (sys.stdlib_module_names | set(_TOOLS)) - _FOLLOWED
    return {
        id(getattr(module, "__dict__", None))
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in unfollowed
    }
