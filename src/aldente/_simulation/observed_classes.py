"""`observe`: makes the async methods of an object operations, by a subclass of its class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

# Runs a call of a method: the object, the name of the method, the method of the object, and its
# arguments.
Run = Callable[[Any, str, Any, Any, Any], Coroutine[Any, Any, Any]]

# The attribute of the classes that are made here, with the class of which each is one.
_MARK = "_aldente_observes"

# As an assignment to `__class__`, also for objects that refuse assignments to their attributes.
_CLASS: Any = vars(object)["__class__"]


def names_of_operations(kind: type) -> Sequence[str]:
    """The names of the public async methods of a class."""
    return [
        name
        for name in dir(kind)
        if not name.startswith("_")
        and inspect.iscoroutinefunction(inspect.getattr_static(kind, name))
    ]


def observe(thing: Any, run: Run, on_use: Callable[[], object] | None = None) -> Callable[[], None]:
    """Make the async methods of an object operations.

    Args:
        thing: the object.
        run: called instead of its public async methods.
        on_use: called before an attribute is set and before another public method is called.

    Returns:
        Undoes it.

    Raises:
        TypeError: its class can't be replaced by one of its own.
    """
    kind = type(thing)
    if hasattr(kind, _MARK):
        return lambda: None
    # A class for each object, as one that is kept would keep the class that a run has defined.
    _CLASS.__set__(thing, _operating(kind, run, on_use))

    def undo() -> None:
        if hasattr(type(thing), _MARK):
            _CLASS.__set__(thing, kind)

    return undo


def _operating(kind: type, run: Run, on_use: Callable[[], object] | None) -> type:
    """A subclass whose public async methods are operations; all else is as in the class."""

    reduce: Any = kind.__reduce_ex__

    def reduced(self: Any, protocol: Any) -> Any:
        found = reduce(self, protocol)
        if not isinstance(found, tuple):
            return found
        function, arguments, *others = found
        plain = tuple(kind if each is made else each for each in arguments)
        return (kind if function is made else function, plain, *others)

    members: dict[str, Any] = {
        "__slots__": (),
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        # Such as the `==` of a dataclass, and a pickle, compare it.
        "__class__": property(lambda _: kind),
        "__reduce_ex__": reduced,
        _MARK: kind,
    }
    for name in names_of_operations(kind):
        members[name] = _operation(name, getattr(kind, name), run)
    if on_use is not None:
        members["__setattr__"] = _noted(kind.__setattr__, on_use)
        for name in _names_of_functions(kind):
            members[name] = _noted(getattr(kind, name), on_use)
    made: type = type(kind)(kind.__name__, (kind,), members)
    made.__qualname__ = kind.__qualname__
    return made


def _operation(name: str, method: Any, run: Run) -> Any:
    @functools.wraps(method)
    async def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return await run(self, name, functools.partial(method, self), arguments, keywords)

    return call


def _names_of_functions(kind: type) -> Sequence[str]:
    """The names of the public methods of a class that are not async."""
    found = {name: inspect.getattr_static(kind, name) for name in dir(kind)}
    return [
        name
        for name, value in found.items()
        if not name.startswith("_")
        and inspect.isfunction(value)
        and not inspect.iscoroutinefunction(value)
    ]


def _noted(function: Any, on_use: Callable[[], object]) -> Any:
    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        on_use()
        return function(*arguments, **keywords)

    return call
