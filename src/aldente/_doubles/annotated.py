"""What an annotation says about the value of an attribute or a result.

``Callable[..., Awaitable[X]]`` is a function whose result is awaited, a ``Future`` is awaited
itself, an ``AsyncIterator`` is iterated. An annotation may be a string that can't be resolved, as
it names what is imported for type checkers only; then this module parses the string.
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

# Type forms that only qualify their first argument.
_WRAPPERS = ("Annotated", "ClassVar", "Final", "Optional", "Required", "NotRequired", "ReadOnly")

# The classes that stand for these types, by name. A coroutine counts as an awaitable: asyncio would
# step a double that passes for a coroutine for ever.
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
    """The description of a value.

    Attributes:
        value: a function with the signature of the value, or the class of which it is an instance.
        result: the class of what awaiting, entering or iterating it gives; None if unknown.
        gives_items: whether ``async for`` may go over what awaiting it gives.
    """

    value: Any
    result: type | None = None
    gives_items: bool = True


class _Parts(NamedTuple):
    """An annotation, taken apart.

    Attributes:
        head: the part before the brackets: a type, or its name where it can't be resolved.
        arguments: the arguments in the brackets.
    """

    head: Any
    arguments: Sequence[Any] = ()


def describe(annotation: Any, name: str) -> Described | None:
    """The description of a value by its annotation; None if that says nothing of interest.

    Args:
        annotation: the annotation; a string when it can't be resolved.
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
        # The last of Coroutine[Any, Any, X], the first of AsyncGenerator[X, None].
        position = 0 if known is collections.abc.AsyncGenerator else -1
        if not parts.arguments:
            return Described(known)
        result = parts.arguments[position]
        return Described(known, as_class(result), may_be_iterated(result))
    known_class = as_class(hint)
    return None if known_class is None else Described(known_class)


def described_coroutine(result: Any) -> Described:
    """The description of an async property: an awaitable.

    Args:
        result: the annotation of what awaiting it gives.
    """
    gives_items = result is None or may_be_iterated(result)
    return Described(collections.abc.Awaitable, as_class(result), gives_items)


def may_be_iterated(annotation: Any) -> bool:
    """Whether ``async for`` may iterate over a value, by its annotation."""
    hint = _bare(annotation)
    if hint is None or hint is type(None):
        return False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(may_be_iterated(argument) for argument in typing.get_args(hint))
    head = _parts_of(hint).head
    if not isinstance(head, type) or head in (object, Any):
        # A type variable, or an unknown name.
        return True
    return hasattr(head, "__aiter__")


def _bare(annotation: Any) -> Any:
    """An annotation without qualifiers, and without None in a union."""
    while True:
        # Since Python 3.14 an annotation that can't be resolved is an object with its source.
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
    """The source of an argument, or those of a callable's parameters as a list."""
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
    """A function with the signature of a ``Callable``; it only serves as a spec.

    Args:
        name: its name.
        parameters: the annotations of its parameters; no list if it takes any arguments.
        result: the annotation of its result.
    """

    def function(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    function.__name__ = function.__qualname__ = name
    function.__annotations__ = {"return": result}
    if isinstance(parameters, list):
        # Positional only, as their names are not known.
        function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(f"argument_{number}", inspect.Parameter.POSITIONAL_ONLY)
                for number in range(1, len(parameters) + 1)
            ]
        )
    return function
