"""What a spec has: its attributes and methods, found without running any of its code."""

from __future__ import annotations

import functools
import inspect
import types
from typing import Any, NamedTuple

from aldente._doubles.specs import (
    Kind,
    class_of_attribute,
    class_of_result,
    kind_of,
    signature_of,
)

_MISSING = object()

_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


class Member(NamedTuple):
    """What a spec says of one of its attributes.

    Attributes:
        value: the function, class or object; None when nothing is known of it.
        kind: what a call of it gives.
        signature: how it is called; None when nobody knows, or when it is not called.
        is_instance: whether ``value`` is a class of which the attribute is an instance.
        is_bound: whether the first parameter of ``value`` is left out.
    """

    value: Any
    kind: Kind = Kind.PLAIN
    signature: inspect.Signature | None = None
    is_instance: bool = False
    is_bound: bool = False


def member_of(spec: Any, name: str) -> Member | None:
    """What a spec says of an attribute; None when it has none of this name."""
    static = inspect.getattr_static(spec, name, _MISSING)
    owner = spec if isinstance(spec, type) else type(spec)
    if static is _MISSING:
        known = class_of_attribute(owner, name)
        return None if known is None else Member(known, is_instance=True)
    if isinstance(static, property):
        known = class_of_result(static.fget) if static.fget is not None else None
        return Member(known, is_instance=known is not None)
    if isinstance(static, functools.cached_property):
        known = class_of_result(static.func)
        return Member(known, is_instance=known is not None)
    if isinstance(static, functools.partialmethod):
        return Member(None, kind_of(static.func))
    if isinstance(static, staticmethod):
        return _of_function(static.__func__, is_bound=False)
    if isinstance(static, classmethod):
        return _of_function(static.__func__, is_bound=True)
    if isinstance(static, _FUNCTIONS):
        # Also of a class itself, whose double nobody calls with an instance.
        is_of_class = isinstance(spec, type) or name not in getattr(spec, "__dict__", ())
        return _of_function(static, is_bound=is_of_class and hasattr(static, "__get__"))
    if isinstance(static, type):
        return Member(static)
    wrapped = inspect.getattr_static(static, "__wrapped__", None)
    if hasattr(type(static), "__get__") and isinstance(wrapped, types.FunctionType):
        # What decorates a method, such as a cache.
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
    known = class_of_attribute(owner, name)
    if value is None or hasattr(type(value), "__get__"):
        # None until something is set, or computed by code that is not to run.
        return Member(known, is_instance=known is not None)
    return Member(value, kind_of(value) if callable(value) else Kind.PLAIN)


def has_async_members(owner: type) -> bool:
    """Whether any method of a class is awaited, iterated with ``async for`` or entered so."""
    if any(hasattr(owner, name) for name in ("__aenter__", "__aiter__", "__anext__")):
        return True
    members = (
        member_of(owner, name)
        for name in dir(owner)
        if name == "__call__" or not name.startswith("__")
    )
    return any(member is not None and member.kind is not Kind.PLAIN for member in members)
