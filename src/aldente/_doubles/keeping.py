"""Refuses answers that a double can't give, where the test sets them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable
from typing import Any, NoReturn

from aldente._doubles import mock_compat
from aldente._doubles.annotated import may_be_iterated
from aldente._doubles.answers import Each, Streams
from aldente._doubles.delivery import is_awaited_itself
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.spec import ResultKind, annotation_of_result, is_function
from aldente._doubles.state import name_of, state_of
from aldente._validation import is_exception
from aldente.errors import InvalidSetting


def check_answer(double: Any, side_effect: Any, value: Any) -> None:
    """Refuse an answer that no use of a double can produce.

    Args:
        double: the double.
        side_effect: the side effect, as that of a mock.
        value: the answer without a side effect.

    Raises:
        InvalidSetting: the double is never called, or code uses its result in another way.
    """
    is_stream = isinstance(side_effect, Streams)
    if is_stream and is_iterated_itself(double):
        return
    given = side_effect.items if isinstance(side_effect, Streams) else _given(side_effect, value)
    check_is_asked(double, given)
    if is_stream:
        _check_stream(double, given)
    elif state_of(double).kind is ResultKind.STREAM:
        _check_items(double, side_effect, value)


def _given(side_effect: Any, value: Any) -> Any:
    return value if side_effect is None else side_effect


def check_is_asked(double: Any, given: Any) -> None:
    """Refuse an answer of a double that is neither called nor awaited.

    Args:
        double: the double.
        given: the answer.

    Raises:
        InvalidSetting: the double is neither.
    """
    if state_of(double).is_called or is_awaited_itself(double):
        return
    refuse_uncalled(double, given)


def refuse_uncalled(double: Any, given: Any) -> NoReturn:
    """Raise because a double is not callable.

    Raises:
        InvalidSetting: always.
    """
    raise InvalidSetting("answer", given, why_not_called(double))


def why_not_called(double: Any) -> str:
    """Why a double gives no answers, and what the test can do instead."""
    name = name_of(double)
    ways = []
    if is_iterated_itself(double):
        ways.append(f"use {name}.streams(...) for 'async for'")
    if hasattr(double, "__aenter__"):
        ways.append(f"use {name}.__aenter__.returns(...) for 'async with'")
    ways += ["set its attributes", "patch it with another value"]
    return f"{name} is not called, so it answers nothing; {', or '.join(ways)}."


def is_iterated_itself(double: Any) -> bool:
    """Whether ``async for`` can iterate over a double itself."""
    return mock_compat.is_awaited(double) and hasattr(double, "__aiter__")


def _check_stream(double: Any, items: Any) -> None:
    state = state_of(double)
    name = name_of(double)
    if not state.is_called and not state.gives_items:
        raise InvalidSetting(
            "streams",
            items,
            f"{name} can't stream items: it is awaited, and according to its annotation returns "
            f"something that 'async for' can't iterate over. Use {name}.returns(...).",
        )
    if state.kind is ResultKind.STREAM or state.spec is None:
        return
    annotation = annotation_of_result(state.spec) if is_function(state.spec) else None
    if state.kind is ResultKind.COROUTINE and annotation is None and is_function(state.spec):
        what = (
            "returns an awaitable, and no annotation says that 'async for' can iterate over its "
            "result"
        )
    elif annotation is None or may_be_iterated(annotation):
        return
    else:
        shown = inspect.formatannotation(annotation)
        what = f"is annotated to return {shown}, which 'async for' can't iterate over"
    raise InvalidSetting(
        "streams",
        items,
        f"{name} can't stream items: the real object {what}. Use {name}.returns(...), or annotate "
        "the real object as returning AsyncIterator[...] if it does.",
    )


def _check_items(double: Any, side_effect: Any, value: Any) -> None:
    """Refuse answers of an async generator function that are not iterable."""
    values = side_effect.values if isinstance(side_effect, Each) else (value,)
    if side_effect is not None and not isinstance(side_effect, Each):
        return
    for one in values:
        if one is DEFAULT or is_exception(one) or mock_compat.is_mock(one):
            continue
        if not isinstance(one, AsyncIterable | Iterable):
            name = name_of(double)
            raise InvalidSetting(
                "answer",
                one,
                f"It must be iterable, because 'async for' iterates over the result of {name}: "
                f"{name}.streams({one!r}), or {name}.returns([{one!r}]).",
            )


def why_not_awaited(double: Any, method: str) -> str:
    """Why a called double has no method for awaited ones.

    Args:
        double: the double.
        method: the name of the method.
    """
    name = name_of(double)
    has_spec = state_of(double).spec is not None
    own = (
        ""
        if has_spec
        else f" If the real object has a {method!r}, give the double a spec that has it."
    )
    return (
        f"{name} has no {method!r}: it is called, not awaited, so it answers at once, with one "
        f"value. Use {name}.returns(...); or, if its result is awaited or iterated, annotate the "
        f"real object as returning Awaitable[...] or AsyncIterator[...].{own}"
    )
