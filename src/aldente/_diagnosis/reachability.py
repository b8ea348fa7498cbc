"""Whether code that goes on could ever wake a waiting task.

Only code with a reference to the awaited object can complete it, and only code with a reference to
the task can cancel it. The search follows references as the garbage collector does: through
closures, containers, modules and objects of all kinds, and from functions to the modules that they
import when they are called; not through the loop or other tasks, of which programs see only what
they keep themselves.

A scheduler that polls every 30 seconds keeps a loop going for ever, even if the test waits for an
event that never comes; but nothing that goes on (timers, tasks, connections) has a reference to
what the test waits for. The search also goes through weak references; from a connection of this
process to the reader of its other end; and from a task that may go on to those that wait for its
end.

It does not follow the loop, nor the modules of the standard library, of pytest and of aldente,
which lead to everything: it ignores that a program could look there for tasks of others and end
them. Of the standard library's modules it follows what other code has put into them, such as a
mock. Nor does it follow pytest's loader of test modules, which each of them has as ``__loader__``,
and the log handlers of pytest: both lead to pytest's configuration, and from there to all of the
process. Nor does it go from one class to others by way of what Python itself notes of classes: what
abstract classes have been asked about, and what generic classes were given.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
import typing
import weakref
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextvars import Context
from types import (
    BuiltinFunctionType,
    CoroutineType,
    FrameType,
    FunctionType,
    MethodType,
    ModuleType,
)
from typing import Any

from aldente import _asyncio_compat, _python_compat
from aldente._asyncio_compat.stepping import WAKE_UP_NAME
from aldente._diagnosis.await_graph import snapshot
from aldente._diagnosis.deadlock import stuck_tasks
from aldente._diagnosis.imported_modules import (
    CACHED,
    TOOLS,
    ImportedModules,
    module_of,
    namespace_of,
    origin_of,
    package_of,
)
from aldente._diagnosis.waits import WaitKind
from aldente._python_compat import identity_of
from aldente._runner import peers
from aldente._runner.threads import awaited_by
from aldente._stacks import variables_of, with_callers

AnyTask = asyncio.Task[Any]

# After how many objects the search gives up and takes it to be possible: the loop stands still
# meanwhile.
_MOST = 200_000

# Waits that end by themselves, without input from outside or from threads.
_GOING_ON = frozenset({WaitKind.RUNNING, WaitKind.READY, WaitKind.NOT_STARTED, WaitKind.TIMER})

# Modules that the search follows although they belong to the standard library: programs leave
# callbacks there.
_FOLLOWED = frozenset({"logging", "__main__"})
# Prefixes of aldente's own modules, whose objects the search does not follow.
_OWN = (
    *("aldente._rules", "aldente._runner", "aldente._plugin", "aldente._explore"),
    *("aldente._strategies", "aldente._simulation.trace"),
)


def is_out_of_reach(
    loop: asyncio.AbstractEventLoop,
    main: AnyTask,
    tasks: Collection[AnyTask],
    *,
    free: Container[WaitKind] = _GOING_ON,
    fixtures: Iterable[AnyTask] = (),
    threads: Iterable[FrameType] = (),
    callbacks: Iterable[object] = (),
    may_end: Callable[[AnyTask], bool] = lambda task: True,
) -> bool:
    """Whether nothing that goes on in this process can ever wake a task.

    Assumes that nothing arrives from other processes, and that all other threads wait. Call it on
    the loop.

    Args:
        loop: the loop.
        main: the task in question.
        tasks: the tasks of the loop to consider.
        free: the kinds of waits that end by themselves.
        fixtures: waiting tasks whose end would end the main task.
        threads: the frames of the threads that this loop could pass something to.
        callbacks: those of servers and the like, which any running code may have called.
        may_end: whether a task that goes on may end, and so have the callbacks of its end called.

    >>> async def main():
    ...     hidden, known = asyncio.Event(), asyncio.Event()
    ...     async def know():
    ...         await asyncio.sleep(1)
    ...         known.set()
    ...     tasks = [asyncio.create_task(each) for each in (know(), known.wait(), hidden.wait())]
    ...     await asyncio.sleep(0)
    ...     loop = asyncio.get_running_loop()
    ...     found = [is_out_of_reach(loop, task, tasks) for task in tasks[1:]]
    ...     for task in tasks:
    ...         task.cancel()
    ...     return found
    >>> asyncio.run(main())
    [False, True]
    """
    wanted = [main, *fixtures]
    return _untraced(
        lambda: _is_out_of_reach(loop, wanted, tasks, free, threads, callbacks, may_end)
    )


def _untraced(search: Callable[[], bool]) -> bool:
    """What a search returns, during which trace and profile functions are not called.

    They would take as long again as the search, which calls very many functions.
    """
    trace, profile = sys.gettrace(), sys.getprofile()
    is_traced = _python_compat.can_be_set_again(trace)
    is_profiled = _python_compat.can_be_set_again(profile)
    # Begun and ended in one frame, so that they see as many calls as returns.
    try:
        if is_traced:
            sys.settrace(None)
        if is_profiled:
            sys.setprofile(None)
        return search()
    finally:
        if is_profiled:
            sys.setprofile(profile)
        if is_traced:
            sys.settrace(trace)


def _is_out_of_reach(
    loop: asyncio.AbstractEventLoop,
    wanted: Sequence[AnyTask],
    tasks: Collection[AnyTask],
    free: Container[WaitKind],
    threads: Iterable[FrameType],
    callbacks: Iterable[object],
    may_end: Callable[[AnyTask], bool],
) -> bool:
    graph = snapshot(tasks)
    stuck = stuck_tasks(graph, free)
    going = {task.name for index, task in enumerate(graph.tasks) if index not in stuck}
    if wanted[0].get_name() in going:
        return False
    # If one of several tasks with the same name goes on, all count as going on.
    waiting = [task for task in tasks if not task.done() and task.get_name() not in going]
    actors = [task for task in tasks if not task.done() and task.get_name() in going]
    search = _ReferenceSearch(loop, wanted, waiting, may_end)
    for task in actors:
        search.follow_task(task)
    search.follow(_asyncio_compat.timers_of(loop))
    search.follow(_used_by(callbacks))
    search.note_threads(threads)
    return not search.finds_any()


class _ReferenceSearch:
    """Follows references until it reaches a wanted task or the end.

    Args:
        loop: the loop, which is not followed.
        wanted: the tasks that it looks for.
        waiting: the tasks that wait until something reaches them.
        may_end: whether a task that goes on may end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wanted: Sequence[AnyTask],
        waiting: Sequence[AnyTask],
        may_end: Callable[[AnyTask], bool],
    ) -> None:
        self._may_end = may_end
        # The tasks that only others can end, by their identities.
        self._endless: dict[int, AnyTask] = {}
        self._imported = ImportedModules()
        self._wanted = wanted
        # The waiting tasks, by the identities of themselves and of what they wait for.
        self._waiting = {identity_of(task): task for task in [*waiting, *wanted]}
        for task in [*waiting, *wanted]:
            future = _asyncio_compat.waited_future(task)
            if future is not None:
                self._waiting[identity_of(future)] = task
        # All running code can get the loop, and what the program keeps on it.
        self._left: list[Any] = _asyncio_compat.attributes_of_program(loop)
        # Never iterated over, so its order does not matter.
        self._seen = {
            identity_of(loop),
            identity_of(self),
            identity_of(vars(self)),
            identity_of(sys.modules),
        }
        self._seen.update(identity_of(value) for value in vars(self).values())
        unfollowed = sys.stdlib_module_names - _FOLLOWED
        self._seen.update(self._imported.namespaces_of(unfollowed | TOOLS))
        self._left += self._imported.put_into(unfollowed)
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
        self._threads: dict[int, list[FrameType]] = {}

    def follow(self, things: Iterable[Any]) -> None:
        """Add objects that running code may use."""
        self._left.extend(things)

    def follow_task(self, task: AnyTask) -> None:
        """Add a task that may go on: its references, and the callbacks of its end if it may end."""
        if identity_of(task) in self._seen:
            return
        self._seen.add(identity_of(task))
        if self._may_end(task):
            self._left += gc.get_referents(task)
        else:
            # Code that gets at the task may cancel it.
            self._endless[identity_of(task)] = task
            used = (CoroutineType, Context, dict)
            self._left += [each for each in gc.get_referents(task) if isinstance(each, used)]

    def note_threads(self, frames: Iterable[FrameType]) -> None:
        """Add waiting threads; each goes on once the search reaches what it waits for.

        One that does not show what it waits for may go on at any time.
        """
        for innermost in frames:
            awaited = awaited_by(innermost)
            if awaited is None or awaited is innermost:
                self._left += _variables_of_all(innermost)
            else:
                self._threads.setdefault(identity_of(awaited), []).append(innermost)

    def finds_any(self) -> bool:
        """Whether the search reaches a wanted task, or what that waits for."""
        left, seen, waiting = self._left, self._seen, self._waiting
        while left:
            thing = left.pop()
            number = identity_of(thing)
            if number in self._endless:
                left += gc.get_referents(self._endless.pop(number))
            if number in seen:
                continue
            if number in waiting:
                task = waiting[number]
                if task in self._wanted:
                    return True
                self.follow_task(task)
            if number in self._threads:
                for innermost in self._threads.pop(number):
                    left += _variables_of_all(innermost)
            if issubclass(type(thing), weakref.ref):
                # Not by a call: a class of the program's may have one of its own.
                left.append(weakref.ref.__call__(thing))
                continue
            if type(thing) in weakref.ProxyTypes:
                try:
                    left.append(thing.__str__.__self__)
                except ReferenceError:
                    continue
                except Exception:
                    # The class of its object does not show the object.
                    return True
                continue
            # Objects that the collector does not track, such as numbers and strings, lead nowhere.
            if not gc.is_tracked(thing):
                continue
            seen.add(number)
            if len(seen) > _MOST:
                return True
            left += self._following(thing)
        return False

    def _following(self, thing: Any) -> Iterable[Any]:
        # By the real type: a proxy may run code when asked for its class.
        kind = type(thing)
        if issubclass(kind, ModuleType):
            # Only the namespace: other referents of an extension module may not be safe to follow.
            return [namespace_of(thing)]
        if (
            issubclass(kind, (asyncio.Task, FrameType))
            or kind is _python_compat.CLASSES_OF_ABSTRACT_CLASS
            or thing is _OVERLOAD
            or (kind is CACHED and _is_of_generics(thing))
            or _is_own(thing)
            or _leads_to_pytest(kind)
            # The callback of what a task awaits has the task go on, and does not give it to code.
            or (kind is BuiltinFunctionType and thing.__name__ == WAKE_UP_NAME)
        ):
            return ()
        found = gc.get_referents(thing)
        if issubclass(kind, asyncio.Future):
            # It knows who awaits it: one task, or a set of several.
            found = [each for each in found if not _awaits(each, thing)]
        found += self._imported.through(thing)
        if issubclass(kind, socket.socket):
            found += self._hearing.get(_descriptor_of(thing), ())
        if issubclass(kind, type) and self._imported.is_programs(thing):
            found += _subclasses_of(thing)
        found += _called_when_freed(thing)
        return found


def _variables_of_all(innermost: FrameType) -> Iterator[object]:
    """The variables of all functions that a thread is in."""
    for frame in with_callers(innermost):
        yield from variables_of(frame).values()


def _awaits(thing: Any, future: asyncio.Future[Any]) -> bool:
    kind = type(thing)
    return kind is set or (
        issubclass(kind, asyncio.Task) and _asyncio_compat.is_awaited_by(future, thing)
    )


def _called_when_freed(thing: object) -> Iterator[object]:
    """What weak references and `weakref.finalize` call when an object is freed."""
    for reference in weakref.getweakrefs(thing):
        # A proxy would ask the object for it.
        is_proxy = type(reference) in weakref.ProxyTypes
        callback: Any = None if is_proxy else _callback_of(reference)
        if type(callback) is weakref.finalize:
            yield from (callback.peek() or ())[1:]
        elif not _python_compat.forgets_class(callback) and (
            package_of(origin_of(callback)) not in _WEAK_CONTAINERS
        ):
            yield callback


# The one function that stands for all overloads. `typing.dataclass_transform` leaves the classes of
# libraries on it as an attribute.
_OVERLOAD = typing.overload(lambda: None)

# Their own callbacks only remove the object, but lead to all others of the container, as those of
# abstract classes do.
_WEAK_CONTAINERS = frozenset({"weakref", "_weakrefset"})

# Without the attributes and methods of a program's classes.
_callback_of = vars(weakref.ref)["__callback__"].__get__
_subclasses_of = type.__subclasses__
_descriptor_of = socket.SocketType.fileno


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
    kind = type(thing)
    if kind is FunctionType:
        module = str(thing.__globals__.get("__name__"))
    elif kind is MethodType:
        module = module_of(type(thing.__self__))
    else:
        module = module_of(thing if issubclass(kind, type) else kind)
    return module.startswith(_OWN)


def _is_of_generics(cached: Any) -> bool:
    """Whether a function with a cache is one by which `typing` gives classes to generic ones.

    Before CPython 3.12 these functions have their cache as a variable. It returns nothing that its
    arguments do not lead to.
    """
    wrapped = vars(cached).get("__wrapped__")
    return type(wrapped) is FunctionType and wrapped.__globals__ is vars(typing)


def _leads_to_pytest(kind: type) -> bool:
    """Whether objects of a type lead to pytest's configuration, and a program does not use them."""
    module = module_of(kind)
    return module == _LOADERS or (module == _HANDLERS and issubclass(kind, logging.Handler))


_LOADERS, _HANDLERS = "_pytest.assertion.rewrite", "_pytest.logging"
