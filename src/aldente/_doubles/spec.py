"""The signature of the real thing, and the kind of its result."""

from __future__ import annotations

import contextlib
import enum
import functools
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, InitVar
from typing import Any, ClassVar


class ResultKind(enum.Enum):
    """The kind of a call's result."""

    COROUTINE = "something to await"
    STREAM = "something to iterate with 'async for'"
    CONTEXT = "something to enter with 'async with'"
    PLAIN = "a value"


# The types that determine the kind, by name: annotations need not be importable.
_KINDS = {
    "Awaitable": ResultKind.COROUTINE,
    "Coroutine": ResultKind.COROUTINE,
    "asyncio.Future": ResultKind.COROUTINE,
    "asyncio.Task": ResultKind.COROUTINE,
    "AsyncIterator": ResultKind.STREAM,
    "AsyncIterable": ResultKind.STREAM,
    "AsyncGenerator": ResultKind.STREAM,
    "AsyncContextManager": ResultKind.CONTEXT,
    "AbstractAsyncContextManager": ResultKind.CONTEXT,
}

# The modules that define these types.
_HOMES = ("typing", "collections.abc", "contextlib", "asyncio", "_asyncio", "asyncio.futures")


def is_function(spec: Any) -> bool:
    """Whether a spec is a function or method, or wraps one."""
    return isinstance(
        spec, types.FunctionType | types.MethodType | types.BuiltinFunctionType | functools.partial
    ) or (not isinstance(spec, type) and _wrapped_by(spec) is not None)


def _wrapped_by(spec: Any) -> Any:
    # Not by getattr(), as some objects have every attribute.
    return inspect.getattr_static(spec, "__wrapped__", None)


def kind_of(spec: Any) -> ResultKind:
    """The kind of a callable's result, by its definition, or else by its return annotation.

    >>> async def fetch(): ...
    >>> kind_of(fetch)
    <ResultKind.COROUTINE: 'something to await'>
    >>> kind_of(len)
    <ResultKind.PLAIN: 'a value'>
    """
    if isinstance(spec, type):
        return ResultKind.PLAIN
    function = _function_of(spec)
    if inspect.iscoroutinefunction(function) or _is_marked(function):
        return ResultKind.COROUTINE
    if inspect.isasyncgenfunction(function):
        return ResultKind.STREAM
    if _is_made_by_asynccontextmanager(function):
        return ResultKind.CONTEXT
    kind = _kind_by_annotation(function)
    wrapped = _wrapped_by(function)
    # A wrapper has the kind of what it wraps, unless its annotation says otherwise.
    return kind_of(wrapped) if kind is ResultKind.PLAIN and wrapped is not None else kind


def _function_of(spec: Any) -> Any:
    """The function that a call runs."""
    while True:
        if isinstance(spec, staticmethod | classmethod | types.MethodType):
            spec = spec.__func__
        elif isinstance(spec, functools.partial):
            spec = spec.func
        elif isinstance(spec, types.FunctionType | types.BuiltinFunctionType | type):
            return spec
        else:
            # Not by hasattr(), as every callable has one.
            run = inspect.getattr_static(type(spec), "__call__", None)
            return run if isinstance(run, types.FunctionType) else spec


def _is_marked(function: Any) -> bool:
    """Whether a function has the mark with which libraries declare a coroutine function."""
    # asyncio.iscoroutinefunction checks it, but is deprecated since Python 3.14.
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


def _kind_by_annotation(function: Any) -> ResultKind:
    result = return_annotation(function)
    if isinstance(result, str):
        name = async_type(result.partition("[")[0].strip())
        return ResultKind.PLAIN if name is None else _KINDS[name]
    kind = typing.get_origin(result) or result
    if not isinstance(kind, type):
        return ResultKind.PLAIN
    name = async_type(kind)
    if name is not None:
        return _KINDS[name]
    if hasattr(kind, "__aenter__") and hasattr(kind, "__await__"):
        # Like the request of an HTTP client: code awaits it or enters it.
        return ResultKind.CONTEXT
    return ResultKind.PLAIN


def async_type(head: Any) -> str | None:
    """The name of a type that determines the kind of a result; None for all others.

    Args:
        head: the type without its arguments, or its source where it can't be resolved.
    """
    if isinstance(head, str):
        # "collections.abc.AsyncIterator" means "AsyncIterator".
        return next((name for name in (head, head.rpartition(".")[2]) if name in _KINDS), None)
    if not isinstance(head, type) or head.__module__ not in _HOMES:
        return None
    names = (head.__name__, f"asyncio.{head.__name__}")
    return next((name for name in names if name in _KINDS), None)


def return_annotation(function: Any) -> Any:
    """The return annotation of a function; a string if unresolvable, None when absent."""
    annotations = annotations_of(function)
    if "return" not in annotations:
        return None
    # The globals of the wrapped function, as a decorator copies its annotations.
    defined = inspect.unwrap(function) if isinstance(function, types.FunctionType) else function
    return _resolved(annotations["return"], getattr(defined, "__globals__", {}))


def _ways(argument: str) -> list[dict[str, Any]]:
    """Arguments for reading annotations, the best way first.

    Since Python 3.14 annotations are computed on access: first with undefined names allowed, and as
    strings if that fails too, as they may be any expressions.
    """
    if sys.version_info < (3, 14):
        return [{}]
    # Imported by name, as older versions do not have it.
    annotationlib: Any = importlib.import_module("annotationlib")
    return [{argument: annotationlib.Format[name]} for name in ("FORWARDREF", "STRING")]


_WAYS = _ways("format")
_WAYS_TO_SIGNATURES = _ways("annotation_format")


def annotations_of(annotated: Any) -> Mapping[str, Any]:
    """The own annotations of a function or class, unresolved."""
    for way in _WAYS:
        # They may be any expressions, and an object may have any ``__annotations__``.
        with contextlib.suppress(Exception):
            annotations: Mapping[str, Any] = inspect.get_annotations(annotated, **way)
            return annotations
    return {}


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """The object of an annotation; the string itself when it can't be resolved.

    One at a time, as others of the same function may name what is imported for type checkers only.
    """
    if not isinstance(annotation, str):
        return annotation
    # A class, as ``ClassVar`` is only allowed there.
    holder = type("Holder", (), {})
    holder.__annotations__ = {"it": annotation}
    try:
        return typing.get_type_hints(holder, globalns=names)["it"]
    except Exception:
        # It may be any expression.
        return annotation


def annotation_of_result(function: Any) -> Any:
    """The annotation of a result, or of what awaiting or entering it gives; None without one.

    >>> async def read() -> bytes: ...
    >>> annotation_of_result(read)
    <class 'bytes'>
    """
    run = _function_of(function)
    result = return_annotation(run)
    is_wrapped = not inspect.iscoroutinefunction(run) and (
        _kind_by_annotation(run) is not ResultKind.PLAIN or _is_made_by_asynccontextmanager(run)
    )
    if is_wrapped:
        # Awaitable[X], AbstractAsyncContextManager[X], AsyncIterator[X] or Coroutine[Any, Any, X].
        arguments = typing.get_args(result)
        if not arguments:
            return None
        name = getattr(typing.get_origin(result), "__name__", "")
        result = arguments[0 if name == "AsyncGenerator" else -1]
    return result


def annotation_of_attribute(owner: type, name: str) -> Any:
    """The annotation of an attribute; a string if unresolvable, None when absent."""
    for base in owner.__mro__:
        annotations = annotations_of(base)
        if name in annotations:
            module = sys.modules.get(base.__module__)
            return _resolved(annotations[name], vars(module) if module else {})
    return None


def as_class(hint: Any) -> type | None:
    """The class of an annotation, if it describes its instances; else None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        others = [argument for argument in typing.get_args(hint) if argument is not type(None)]
        hint = others[0] if len(others) == 1 else None
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    hint = typing.get_origin(hint) or hint
    if isinstance(hint, type) and hint.__module__ not in ("builtins", "typing", "collections.abc"):
        return hint
    return None


def annotated_names(owner: type, *, of_class: bool) -> list[str]:
    """The attributes that a class and its bases only declare by annotations.

    Args:
        owner: the class.
        of_class: whether to return those of the class itself, not of its instances.
    """
    declared = [item for base in owner.__mro__ for item in annotations_of(base).items()]
    if of_class:
        return [name for name, annotation in declared if _is_marked_as(ClassVar, annotation)]
    # Without a dataclass's `InitVar`, which is not an attribute, and the marker `KW_ONLY`.
    return [
        name
        for name, annotation in declared
        if not _is_marked_as(InitVar, annotation) and not _is_marked_as(KW_ONLY, annotation)
    ]


def _is_marked_as(marker: Any, annotation: Any) -> bool:
    """Whether an annotation is a marker such as ``ClassVar``, with or without arguments."""
    if isinstance(annotation, InitVar):
        return marker is InitVar
    # Since Python 3.14 an annotation that can't be resolved is an object with its source.
    text = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(text, str):
        name: str = "KW_ONLY" if marker is KW_ONLY else marker.__name__
        return text.partition("[")[0].rpartition(".")[2].strip() == name
    return annotation is marker or typing.get_origin(annotation) is marker


def signature_of(function: Any, *, skip_first: bool = False) -> inspect.Signature | None:
    """The signature of a callable; None when Python does not know it.

    Args:
        function: the callable.
        skip_first: whether to leave out the first parameter, which is bound to the instance.
    """
    signature = _full_signature(function)
    if signature is None or not skip_first:
        return signature
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].kind in _POSITIONAL:
        return signature.replace(parameters=parameters[1:])
    return signature


def _full_signature(function: Any) -> inspect.Signature | None:
    for way in _WAYS_TO_SIGNATURES:
        # A TypeError or ValueError if it has none; an annotation may raise anything.
        with contextlib.suppress(Exception):
            return inspect.signature(function, **way)
    bare = _without_annotations_at_all(function)
    return None if bare is None else _full_signature(bare)


def _without_annotations_at_all(function: Any) -> Any:
    """A copy of a function without its annotations; None when it has none.

    A last resort, since Python 3.14: ``"Name" | None`` for example can't be computed at all.
    """
    if isinstance(function, types.MethodType):
        bare = _without_annotations_at_all(function.__func__)
        return None if bare is None else types.MethodType(bare, function.__self__)
    if isinstance(function, functools.partial):
        bare = _without_annotations_at_all(function.func)
        given, named = function.args, function.keywords
        return None if bare is None else functools.partial(bare, *given, **named)
    if isinstance(function, type):
        bare = _without_annotations_at_all(inspect.getattr_static(function, "__init__", None))
        return None if bare is None else types.MethodType(bare, function)
    function = inspect.unwrap(function) if callable(function) else None
    if type(function) is not types.FunctionType or not getattr(function, "__annotate__", None):
        return None
    bare = types.FunctionType(
        function.__code__, {}, function.__name__, function.__defaults__, function.__closure__
    )
    bare.__kwdefaults__ = function.__kwdefaults__
    return bare


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def check_of(name: str, signature: inspect.Signature) -> Callable[..., None]:
    """A check for the arguments of calls, to use as a method of a double.

    Args:
        name: the name of the callable, for messages.
        signature: its signature.
    """

    parameters = _source_of(signature)
    accept = _accepting(parameters)

    def check(self: Any, /, *args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        try:
            if accept is not None:
                accept(*args, **kwargs)
                return
        except TypeError:
            pass
        try:
            # Raises the error with the message.
            signature.bind(*args, **kwargs)
        except TypeError as error:
            shown = _without_annotations(signature)
            raise TypeError(f"{name}: {error}; it is called as {name}{shown}") from None

    return check


@functools.lru_cache(maxsize=512)
def _accepting(parameters: str) -> Callable[..., None] | None:
    """A function with certain parameters: calling it checks arguments in a tenth of the time."""
    try:
        accept: Callable[..., None] = eval(f"lambda {parameters}: None")
    except SyntaxError:
        # Functions in C may have parameters whose names are keywords.
        return None
    return accept


def _source_of(signature: inspect.Signature) -> str:
    """Parameters as source code, with dummy default values."""
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
        parameter.replace(
            annotation=parameter.empty,
            # The repr of such a default is long, and has an address.
            default=_Shown() if " at 0x" in repr(parameter.default) else parameter.default,
        )
        for parameter in signature.parameters.values()
    ]
    return inspect.Signature(parameters)


class _Shown:
    """A default value that messages don't show."""

    def __repr__(self) -> str:
        return "..."


def refuse_calls(name: str) -> Callable[..., None]:
    """A check that refuses all calls, to use as a method of a double.

    Args:
        name: the name of the class whose instance the double stands for.
    """

    def check(self: Any, /, *args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        raise TypeError(
            f"{name!r} object is not callable: the double stands for an instance of {name}. "
            "aldente.patch() replaces a class itself."
        )

    return check
