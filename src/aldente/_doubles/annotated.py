"""What an annotation says of the value of an attribute or of a result.

``Callable[..., Awaitable[X]]`` is a function that is awaited, a ``Future`` is awaited itself, an
``AsyncIterator`` is iterated. An annotation may be a text that nobody can resolve, as it names what
is imported for type checkers only; then its parts are looked at as they are written.
"""

from __future__ import annotations

import ast
import asyncio
import collections.abc
import contextlib
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aldente._doubles.spec import as_class, async_type

# What says something of an annotation's first argument, which is what is meant.
_WRAPPERS = ("Annotated", "ClassVar", "Final", "Optional", "Required", "NotRequired", "ReadOnly")

# The types that are more than a class, by their names. A coroutine is something to await: asyncio
# would run what passes for one step by step, without an end.
_CLASSES: dict[str, type] = {
    "Awaitable": collections.abc.Awaitable,
    "Coroutine": collections.abc.Awaitable,
    "Future": asyncio.Future,
    "Task": asyncio.Task,
    "AsyncIterator": collections.abc.AsyncIterator,
    "AsyncIterable": collections.abc.AsyncIterable,
    "AsyncGenerator": collections.abc.AsyncGenerator,
    "AsyncContextManager": contextlib.AbstractAsyncContextManager,
    "AbstractAsyncContextManager": contextlib.AbstractAsyncContextManager,
}


class Described(NamedTuple):
    """What a value is.

    Attributes:
        value: a function that is called as the value is, or the class of which it is an instance.
        result: the class of what it gives when it is awaited, entered or iterated; None when nobody
            says.
    """

    value: Any
    result: type | None = None


class _Parts(NamedTuple):
    """An annotation, taken apart.

    Attributes:
        head: what stands before the brackets: a type, or its name where it can't be resolved.
        arguments: what stands in them.
    """

    head: Any
    arguments: Sequence[Any] = ()


def describe(annotation: Any, name: str) -> Described | None:
    """What an annotation says of a value; None when that is nothing that matters.

    Args:
        annotation: the annotation; a text when it can't be resolved.
        name: the name of the value, for messages.

    >>> describe(collections.abc.AsyncIterator[int], "lines").value
    <class 'collections.abc.AsyncIterator'>
    """
    hint = _bare(annotation)
    parts = _parts_of(hint)
    if parts.head is collections.abc.Callable or _is_named(parts.head, "Callable"):
        if len(parts.arguments) < 2:
            return None
        *parameters, result = parts.arguments
        return Described(_function(name, parameters[0], result))
    kind = async_type(parts.head)
    if kind is not None:
        known = _CLASSES[kind.rpartition(".")[2]]
        # Of Coroutine[Any, Any, X] the last, of AsyncGenerator[X, None] the first.
        position = 0 if known is collections.abc.AsyncGenerator else -1
        return Described(known, as_class(parts.arguments[position]) if parts.arguments else None)
    known_class = as_class(hint)
    return None if known_class is None else Described(known_class)


def described_coroutine(result: Any) -> Described:
    """What an async property gives: something to await.

    Args:
        result: the annotation of what that gives.
    """
    return Described(collections.abc.Awaitable, as_class(result))


def may_be_iterated(annotation: Any) -> bool:
    """Whether something of which an annotation tells may be iterated with ``async for``."""
    hint = _bare(annotation)
    if hint is None or hint is type(None):
        return False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(may_be_iterated(argument) for argument in typing.get_args(hint))
    head = _parts_of(hint).head
    if not isinstance(head, type) or head in (object, Any):
        # A variable, or a name that nobody knows.
        return True
    return hasattr(head, "__aiter__")


def _bare(annotation: Any) -> Any:
    """An annotation without what is said of it, and without None, if it may be that."""
    while True:
        # Since Python 3.14 what can't be resolved is an object that knows its text.
        hint = getattr(annotation, "__forward_arg__", annotation)
        if isinstance(hint, str):
            return _bare_text(hint)
        arguments = typing.get_args(hint)
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            others = [argument for argument in arguments if argument is not type(None)]
            if len(others) != 1:
                return hint
            annotation = others[0]
        elif origin is typing.Annotated or _is_wrapper(origin):
            annotation = arguments[0]
        elif type(hint).__name__ == "TypeAliasType":
            # ``type Handler = ...``, since Python 3.12; computed when asked for.
            try:
                annotation = hint.__value__
            except Exception:
                return hint
        else:
            return hint


def _bare_text(text: str) -> Any:
    node = _parsed(text)
    while node is not None:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            sides = [side for side in (node.left, node.right) if not _is_none(side)]
            if len(sides) != 1:
                break
            node = sides[0]
        elif isinstance(node, ast.Subscript) and _last_name(node.value) in _WRAPPERS:
            inside = node.slice
            node = inside.elts[0] if isinstance(inside, ast.Tuple) else inside
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = _parsed(node.value)
        else:
            return ast.unparse(node)
    return text


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _parts_of(hint: Any) -> _Parts:
    if not isinstance(hint, str):
        return _Parts(typing.get_origin(hint) or hint, typing.get_args(hint))
    node = _parsed(hint)
    if not isinstance(node, ast.Subscript):
        return _Parts(hint)
    inside = node.slice
    arguments = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    return _Parts(ast.unparse(node.value), [_argument(argument) for argument in arguments])


def _argument(node: ast.expr) -> Any:
    """An argument as its text, or the parameters of a callable as a list of texts."""
    if isinstance(node, ast.List):
        return [ast.unparse(each) for each in node.elts]
    if isinstance(node, ast.Constant) and node.value is Ellipsis:
        return Ellipsis
    return ast.unparse(node)


def _is_named(head: Any, name: str) -> bool:
    return isinstance(head, str) and head.rpartition(".")[2] == name


def _is_wrapper(origin: Any) -> bool:
    return getattr(origin, "__module__", "") == "typing" and any(
        origin is getattr(typing, name, None) for name in _WRAPPERS
    )


def _function(name: str, parameters: Any, result: Any) -> Callable[..., Any]:
    """A function that is called as a ``Callable`` says; nobody calls it.

    Args:
        name: its name.
        parameters: the annotations of its parameters; no list when anything may be given.
        result: the annotation of what it gives.
    """

    def function(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    function.__name__ = function.__qualname__ = name
    function.__annotations__ = {"return": result}
    if isinstance(parameters, list):
        # By position only, as their names are not known.
        function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(f"argument_{number}", inspect.Parameter.POSITIONAL_ONLY)
                for number in range(1, len(parameters) + 1)
            ]
        )
    return function
