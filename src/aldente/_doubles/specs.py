"""What the real thing says of its stand-in: how it is called, and what a call of it gives."""

from __future__ import annotations

import contextlib
import enum
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any


class Kind(enum.Enum):
    """What a call of something gives."""

    COROUTINE = "something to await"
    STREAM = "something to iterate with 'async for'"
    CONTEXT = "something to enter with 'async with'"
    PLAIN = "a value"


# The names of types, as annotations have them, that tell what a call gives.
_KINDS = {
    "Awaitable": Kind.COROUTINE,
    "Coroutine": Kind.COROUTINE,
    "Future": Kind.COROUTINE,
    "Task": Kind.COROUTINE,
    "AsyncIterator": Kind.STREAM,
    "AsyncIterable": Kind.STREAM,
    "AsyncGenerator": Kind.STREAM,
    "AsyncContextManager": Kind.CONTEXT,
    "AbstractAsyncContextManager": Kind.CONTEXT,
    "_AsyncGeneratorContextManager": Kind.CONTEXT,
}


def is_function(spec: Any) -> bool:
    """Whether a spec is a function or method, or wraps one."""
    return isinstance(
        spec, (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
    ) or (hasattr(spec, "__wrapped__") and not isinstance(spec, type))


def kind_of(spec: Any) -> Kind:
    """What a call of something gives, by how it was defined, or else by its return annotation.

    >>> async def fetch(): ...
    >>> kind_of(fetch)
    <Kind.COROUTINE: 'something to await'>
    >>> kind_of(len)
    <Kind.PLAIN: 'a value'>
    """
    if isinstance(spec, type):
        return Kind.PLAIN
    function = _function_of(spec)
    if inspect.iscoroutinefunction(function) or _is_marked(function):
        return Kind.COROUTINE
    if inspect.isasyncgenfunction(function):
        return Kind.STREAM
    if _is_made_by_asynccontextmanager(function):
        return Kind.CONTEXT
    return _kind_by_annotation(function)


def _function_of(spec: Any) -> Any:
    """The function that is run when something is called."""
    while True:
        if isinstance(spec, staticmethod | classmethod | types.MethodType):
            spec = spec.__func__
        elif isinstance(spec, functools.partial):
            spec = spec.func
        elif isinstance(spec, types.FunctionType | types.BuiltinFunctionType | type):
            return spec
        else:
            # Not by hasattr(), as everything that can be called has one.
            run = inspect.getattr_static(type(spec), "__call__", None)
            return run if isinstance(run, types.FunctionType) else spec


def _is_marked(function: Any) -> bool:
    """Whether a function has the mark with which libraries say that it gives a coroutine."""
    # asyncio.iscoroutinefunction would look at it, and is deprecated since Python 3.14.
    mark = getattr(function, "_is_coroutine", None)
    return mark is not None and mark is _coroutine_mark()


@functools.cache
def _coroutine_mark() -> object:
    from asyncio import coroutines

    return getattr(coroutines, "_is_coroutine", None)


def _is_made_by_asynccontextmanager(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return (
        isinstance(code, types.CodeType)
        and code.co_filename == contextlib.__file__
        and inspect.isasyncgenfunction(inspect.unwrap(function))
    )


def _kind_by_annotation(function: Any) -> Kind:
    result = _return_annotation(function)
    name = (
        result
        if isinstance(result, str)
        else getattr(typing.get_origin(result) or result, "__name__", "")
    )
    # "collections.abc.AsyncIterator[int]" is no other than "AsyncIterator".
    kind = _KINDS.get(name.partition("[")[0].rpartition(".")[2].strip())
    if kind is not None:
        return kind
    if isinstance(result, type) and result.__module__ != "builtins":
        if hasattr(result, "__aenter__"):
            return Kind.CONTEXT
        if hasattr(result, "__await__"):
            return Kind.COROUTINE
    return Kind.PLAIN


def _return_annotation(function: Any) -> Any:
    raw = getattr(function, "__annotations__", None)
    if not isinstance(raw, dict) or "return" not in raw:
        return None
    return _hints_of(function).get("return", raw["return"])


def _hints_of(annotated: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(annotated)
    except Exception:
        # Annotations may hold anything, and name what is imported for type checkers only.
        return {}


def class_of_result(function: Any) -> type | None:
    """The class of which a call gives an instance, or that is awaited; None when nobody says.

    >>> def open_path() -> functools.partial: ...
    >>> class_of_result(open_path)
    <class 'functools.partial'>
    """
    return _as_class(_return_annotation(_function_of(function)))


def class_of_attribute(owner: type, name: str) -> type | None:
    """The class of an attribute by its annotation; None when nobody says."""
    return _as_class(_hints_of(owner).get(name))


def _as_class(hint: Any) -> type | None:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        others = [argument for argument in typing.get_args(hint) if argument is not type(None)]
        hint = others[0] if len(others) == 1 else None
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    hint = typing.get_origin(hint) or hint
    if isinstance(hint, type) and hint.__module__ not in ("builtins", "typing", "collections.abc"):
        return hint
    return None


def annotated_names(owner: type) -> list[str]:
    """The attributes that a class and its bases declare by annotations only."""
    return [name for base in owner.__mro__ for name in _own_annotations(base)]


def _own_annotations(owner: type) -> Iterable[str]:
    try:
        return inspect.get_annotations(owner)
    except Exception:
        # Since Python 3.14 they are computed when asked for, and may hold anything.
        return ()


def signature_of(function: Any, *, skip_first: bool = False) -> inspect.Signature | None:
    """How something is called; None when Python does not know.

    Args:
        function: what is called.
        skip_first: leave out the first parameter, which is bound to the instance.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    if not skip_first:
        return signature
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].kind in _POSITIONAL:
        return signature.replace(parameters=parameters[1:])
    return signature


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def check_of(name: str, signature: inspect.Signature) -> Callable[..., None]:
    """What checks the arguments of calls, in the place of a method of a double.

    Args:
        name: the name of what is called, for messages.
        signature: how it is called.
    """

    parameters = _source_of(signature)
    accept = _accepting(parameters)

    def check(self: Any, /, *args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        try:
            accept(*args, **kwargs)
        except TypeError:
            pass
        else:
            return
        try:
            # For the message.
            signature.bind(*args, **kwargs)
        except TypeError as error:
            shown = _without_annotations(signature)
            raise TypeError(f"{name}: {error}; it is called as {name}{shown}") from None

    return check


@functools.lru_cache(maxsize=512)
def _accepting(parameters: str) -> Callable[..., None]:
    """A function that takes certain arguments: to call it checks them in a tenth of the time."""
    accept: Callable[..., None] = eval(f"lambda {parameters}: None")
    return accept


def _source_of(signature: inspect.Signature) -> str:
    """Parameters as source code; of a default only counts that there is one."""
    parameters = [
        parameter.replace(
            annotation=parameter.empty,
            default=parameter.empty if parameter.default is parameter.empty else None,
        )
        for parameter in signature.parameters.values()
    ]
    return str(inspect.Signature(parameters))[1:-1]


def _without_annotations(signature: inspect.Signature) -> inspect.Signature:
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    return inspect.Signature(parameters)


def refuse_calls(name: str) -> Callable[..., None]:
    """What refuses all calls, in the place of a method of a double.

    Args:
        name: the name of the class of which the double stands for an instance.
    """

    def check(self: Any, /, *args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        raise TypeError(
            f"{name!r} object is not callable: the double stands for an instance of {name}. "
            "aldente.patch() puts a double in the place of a class itself."
        )

    return check
