"""Gives a double the shape of the real thing, and finds the shapes of its attributes.

The attributes and methods of a spec are found without running any of its code.
"""

from __future__ import annotations

import dis
import functools
import inspect
import itertools
import types
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from aldente._doubles import mock_compat
from aldente._doubles.annotated import Described, describe, described_coroutine
from aldente._doubles.delivery import be_awaited
from aldente._doubles.spec import (
    ResultKind,
    annotated_names,
    annotation_of_attribute,
    annotation_of_result,
    annotations_of,
    check_of,
    is_function,
    kind_of,
    refuse_calls,
    return_annotation,
    signature_of,
)
from aldente._doubles.state import state_of

_MISSING = object()

_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


_ASYNC_METHODS = ("__aenter__", "__aiter__", "__anext__")


class Member(NamedTuple):
    """An attribute of a spec.

    Attributes:
        value: the function, class or object; None if unknown.
        kind: the kind of its result.
        signature: its signature; None if unknown, or if it is not callable.
        is_instance: whether ``value`` is a class of which the attribute is an instance.
        is_bound: whether calls leave out the first parameter of ``value``.
        result: the class of what awaiting, entering or iterating the attribute itself gives; None
            if unknown.
        gives_items: whether ``async for`` may go over what awaiting the attribute itself gives.
    """

    value: Any
    kind: ResultKind = ResultKind.PLAIN
    signature: inspect.Signature | None = None
    is_instance: bool = False
    is_bound: bool = False
    result: type | None = None
    gives_items: bool = True


def described(annotation: Any, name: str) -> Member | None:
    """The member for an annotation; None if that says nothing of interest.

    Args:
        annotation: the annotation; a string when it can't be resolved, None if there is none.
        name: the name of the value.
    """
    description = None if annotation is None else describe(annotation, name)
    return None if description is None else _of_description(description)


def _of_description(description: Described) -> Member:
    value, result, gives_items = description
    if isinstance(value, type):
        return Member(value, is_instance=True, result=result, gives_items=gives_items)
    return _of_function(value, is_bound=False)


def _of_property(function: Any, name: str) -> Member:
    """The value of a property."""
    if function is None:
        return Member(None)
    annotation = annotation_of_result(function)
    if inspect.iscoroutinefunction(function):
        return _of_description(described_coroutine(annotation))
    if inspect.isasyncgenfunction(function):
        return Member(AsyncGenerator, is_instance=True)
    return described(return_annotation(function), name) or Member(None)


def member_of(spec: Any, name: str) -> Member | None:
    """An attribute of a spec; None when it has none of this name."""
    static = inspect.getattr_static(spec, name, _MISSING)
    owner = spec if isinstance(spec, type) else type(spec)
    if static is _MISSING:
        return described(annotation_of_attribute(owner, name), name)
    if isinstance(static, property):
        return _of_property(static.fget, name)
    if isinstance(static, functools.cached_property):
        return _of_property(static.func, name)
    if isinstance(static, functools.partialmethod):
        return Member(None, kind_of(static.func))
    if isinstance(static, staticmethod):
        return _of_function(static.__func__, is_bound=False)
    if isinstance(static, classmethod):
        return _of_function(static.__func__, is_bound=True)
    if isinstance(static, _FUNCTIONS):
        # True for a class itself too: no code calls its double with an instance.
        is_of_class = isinstance(spec, type) or name not in getattr(spec, "__dict__", ())
        return _of_function(static, is_bound=is_of_class and hasattr(static, "__get__"))
    if isinstance(static, type):
        return Member(static)
    wrapped = inspect.getattr_static(static, "__wrapped__", None)
    if hasattr(type(static), "__get__") and isinstance(wrapped, types.FunctionType):
        # A wrapper around a method, such as a cache.
        return _of_function(wrapped, is_bound=True)
    return _of_object(owner, name, static)


def _of_function(function: Any, *, is_bound: bool) -> Member:
    return Member(
        function,
        kind_of(function),
        signature_of(function, skip_first=is_bound and not inspect.ismethod(function)),
        is_bound=is_bound,
    )


def _of_object(owner: type, name: str, value: Any) -> Member:
    if value is None or hasattr(type(value), "__get__"):
        # None until it is set, or computed by code that must not run.
        return described(annotation_of_attribute(owner, name), name) or Member(None)
    return Member(value, kind_of(value) if callable(value) else ResultKind.PLAIN)


def has_async_members(owner: type) -> bool:
    """Whether instances of a class, or results of its methods, are awaited, iterated or entered."""
    if any(hasattr(owner, name) for name in ("__await__", *_ASYNC_METHODS)):
        return True
    members = (
        member_of(owner, name)
        for name in dir(owner)
        if name == "__call__" or not name.startswith("__")
    )
    return any(member is not None and member.kind is not ResultKind.PLAIN for member in members)


class Child(NamedTuple):
    """How to make the double for an attribute or a result of another one.

    Attributes:
        is_awaited: whether it is a `Double`.
        arguments: the arguments for making it.
        is_same: whether its answer is the double whose attribute it is.
        is_called: whether it is callable.
        result: the class of what awaiting, entering or iterating it itself gives; None if unknown.
        gives_items: whether ``async for`` may go over what awaiting it itself gives.
    """

    is_awaited: bool
    arguments: dict[str, Any]
    is_same: bool = False
    is_called: bool = True
    result: type | None = None
    gives_items: bool = True


class SpecsOwn:
    """An attribute of the real thing that replaces a double's attribute of the same name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, double: Any, owner: type) -> Any:
        if double is None:
            return self
        if self._name in double.__dict__:
            return double.__dict__[self._name]
        return double.__getattr__(self._name)

    def __set__(self, double: Any, value: Any) -> None:
        double.__dict__[self._name] = value

    def __delete__(self, double: Any) -> None:
        double.__dict__.pop(self._name, None)


def take_spec(double: Any, spec: Any, *, is_bound: bool, own_names: frozenset[str]) -> None:
    """Give a double the signature and the attributes of the real thing.

    Args:
        double: the double.
        spec: the real thing: a function, a class or any other object.
        is_bound: whether calls leave out the first parameter of a function.
        own_names: the attributes of doubles that mocks do not have.
    """
    state = state_of(double)
    state.spec = spec
    state.hint = _hint_of(spec)
    if is_function(spec):
        kind = kind_of(spec)
        if kind is not ResultKind.PLAIN:
            state.kind = kind
        # A bound method, or an object that does not bind, has no first parameter to leave out.
        skips = is_bound and not inspect.ismethod(spec) and hasattr(spec, "__get__")
        _take_signature(double, signature_of(spec, skip_first=skips))
        if kind is ResultKind.PLAIN and isinstance(getattr(spec, "__code__", None), types.CodeType):
            # Else `inspect` would get a mock as its code, which has every flag.
            double.__dict__["__code__"] = spec.__code__
        return
    owner = spec if isinstance(spec, type) else type(spec)
    is_for_class = isinstance(spec, type) and not state.stands_for_instance
    mock_compat.add_members(double, annotated_names(owner, of_class=is_for_class))
    for name in own_names.intersection(mock_compat.members_of(double) or ()):
        # The tested code uses it; tests can still call ``Double.hold(double)``.
        setattr(type(double), name, SpecsOwn(name))
    if is_for_class:
        _take_signature(double, signature_of(spec))
        return
    if mock_compat.is_awaited(double) and hasattr(owner, "__await__"):
        be_awaited(double)
    call = _call_of(owner)
    if call is not None:
        state.kind = kind_of(call)
        _take_signature(double, signature_of(call, skip_first=True))
        return
    mock_compat.set_signature(double, None)
    if state.is_made_here and mock_compat.is_awaited(double):
        state.is_called = False
        mock_compat.set_check(double, refuse_calls(owner.__name__))


def _hint_of(spec: Any) -> str:
    """The name of the real thing; for an object without one the name of its class."""
    is_plain = is_function(spec) or isinstance(spec, type) or inspect.ismodule(spec)
    # Not for other objects, which may compute their attributes.
    name = getattr(spec, "__name__", None) if is_plain else None
    return name if isinstance(name, str) else type(spec).__name__


def _call_of(owner: type) -> Any:
    """The ``__call__`` of a class's instances; None when they are not callable."""
    # getattr_static would find the metaclass's too.
    return next(
        (vars(base)["__call__"] for base in owner.__mro__ if "__call__" in vars(base)), None
    )


def _take_signature(double: Any, signature: inspect.Signature | None) -> None:
    mock_compat.set_signature(double, signature)
    if signature is not None:
        check = check_of(state_of(double).hint or "", signature)
        mock_compat.set_check(double, check, signature)


def child_of(double: Any, arguments: dict[str, Any]) -> Child:
    """The shape of an attribute of a double, or of the result of its call.

    Args:
        double: the double.
        arguments: the arguments that a mock passes to the mocks it makes.
    """
    name = arguments.get("_new_name")
    if name == "()":
        return _result_of(double, arguments)
    state = state_of(double)
    if mock_compat.is_async_magic(name):
        is_entered = name == "__aenter__"
        if is_entered and state.result is not None:
            return Child(True, arguments, result=state.result)
        return Child(True, arguments, is_entered and _enters_itself(state.spec))
    if state.spec is None or mock_compat.is_sync_magic(name):
        return _unknown(double, name, arguments)
    member = member_of(state.spec, name or "")
    return _unknown(double, name, arguments) if member is None else _of_member(member, arguments)


def _unknown(double: Any, name: str | None, arguments: dict[str, Any]) -> Child:
    """As for mocks: attributes of an `AsyncMock` are awaited, unless its spec has others."""
    is_plain = mock_compat.is_sync_magic(name) or name in (mock_compat.members_of(double) or ())
    return Child(mock_compat.is_awaited(double) and not is_plain, arguments)


def _result_of(double: Any, arguments: dict[str, Any]) -> Child:
    """The shape of a call's result when the test sets none."""
    state = state_of(double)
    spec = state.spec
    if isinstance(spec, type) and not state.stands_for_instance:
        return _instance_of(spec, arguments)
    if state.result is not None:
        return _instance_of(state.result, arguments)
    function = spec
    if spec is not None and not is_function(spec):
        function = _call_of(spec if isinstance(spec, type) else type(spec))
    if function is not None and state.kind is not ResultKind.STREAM:
        known = described(annotation_of_result(function), f"result of {state.hint}")
        if known is not None:
            return _of_member(known, arguments)
    return _unknown(double, None, arguments)


def shape_in(owner: Any, name: str, value: Any, arguments: dict[str, Any]) -> Child:
    """The shape of the replacement of an attribute.

    Args:
        owner: the module, class or object whose attribute it is.
        name: its name.
        value: its value.
        arguments: the arguments of the double.
    """
    if mock_compat.is_mock(value):
        return Child(mock_compat.is_awaited(value), arguments)
    member = member_of(owner, name)
    # A module may compute its attributes.
    return shape_like(value, arguments) if member is None else _of_member(member, arguments)


def shape_like(value: Any, arguments: dict[str, Any]) -> Child:
    """The shape of a value that is not an attribute.

    Args:
        value: the value.
        arguments: the arguments of the double.
    """
    kind = kind_of(value) if callable(value) else ResultKind.PLAIN
    return _of_member(Member(value, kind), arguments)


def _of_member(member: Member, arguments: dict[str, Any]) -> Child:
    value = member.value
    if value is None:
        return Child(member.kind is not ResultKind.PLAIN, arguments)
    if member.is_instance:
        instance = _instance_of(value, arguments)
        return instance._replace(result=member.result, gives_items=member.gives_items)
    if mock_compat.is_mock(value):
        return Child(mock_compat.is_awaited(value), arguments)
    if isinstance(value, type):
        return Child(False, {**arguments, "spec": value})
    if is_function(value) or member.signature is not None:
        is_awaited = member.kind is not ResultKind.PLAIN
        return Child(is_awaited, {**arguments, "spec": value, "_eat_self": member.is_bound})
    if isinstance(value, list | tuple):
        # As the spec, it would count as a list of names.
        return _instance_of(type(value), arguments)
    is_awaited = not inspect.ismodule(value) and has_async_members(type(value))
    shape = {"spec": value, "_eat_self": False}
    return Child(is_awaited, {**arguments, **shape}, is_called=callable(value))


def _instance_of(owner: type, arguments: dict[str, Any]) -> Child:
    shape = {"spec": owner, "_spec_as_instance": True, "_eat_self": False}
    is_called = _call_of(owner) is not None
    return Child(has_async_members(owner), {**arguments, **shape}, is_called=is_called)


def _enters_itself(spec: Any) -> bool:
    """Whether ``async with`` on the real thing returns itself, by its annotation or its code."""
    if spec is None or is_function(spec):
        return False
    owner = spec if isinstance(spec, type) else type(spec)
    function = inspect.getattr_static(owner, "__aenter__", None)
    if _returns_first(getattr(function, "__code__", None)):
        return True
    annotations = annotations_of(function) if callable(function) else {}
    annotation = annotations.get("return")
    if annotation is None:
        return False
    if annotation in [value for name, value in annotations.items() if name != "return"]:
        # ``async def __aenter__(self: T) -> T``
        return True
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name.rpartition(".")[2] in ("Self", *(base.__name__ for base in owner.__mro__[:-1]))


def _returns_first(code: types.CodeType | None) -> bool:
    """Whether code returns its first argument."""
    if code is None or not code.co_argcount:
        return False
    steps = list(dis.get_instructions(code))
    return any(
        step.opname.startswith("LOAD_FAST")
        and step.argval == code.co_varnames[0]
        and following.opname == "RETURN_VALUE"
        for step, following in itertools.pairwise(steps)
    )


def take_looks(double: Any) -> None:
    """Make `inspect` see a double as it sees the real thing."""
    state = state_of(double)
    if state.hint is not None and is_function(state.spec):
        double.__dict__["__name__"] = state.hint
    if state.kind is not ResultKind.COROUTINE:
        mock_compat.be_no_coroutine_function(double, is_generator=state.kind is ResultKind.STREAM)
