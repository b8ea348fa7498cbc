"""The attributes and methods of a spec, found without running any of its code."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from aldente._doubles.annotated import Described, describe, described_coroutine
from aldente._doubles.spec import (
    Kind,
    annotation_of_attribute,
    annotation_of_result,
    kind_of,
    return_annotation,
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
    kind: Kind = Kind.PLAIN
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
    return Member(value, kind_of(value) if callable(value) else Kind.PLAIN)


def has_async_members(owner: type) -> bool:
    """Whether instances of a class, or results of its methods, are awaited, iterated or entered."""
    if any(hasattr(owner, name) for name in ("__await__", *_ASYNC_METHODS)):
        return True
    members = (
        member_of(owner, name)
        for name in dir(owner)
        if name == "__call__" or not name.startswith("__")
    )
    return any(member is not None and member.kind is not Kind.PLAIN for member in members)
