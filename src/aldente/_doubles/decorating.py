"""Generator functions within which something is patched, as fixtures are."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

# Patches, given the decorated function and its arguments; gives the arguments it is called with.
Enter = Callable[
    [Any, tuple[Any, ...], dict[str, Any]],
    AbstractContextManager[tuple[tuple[Any, ...], dict[str, Any]]],
]


def is_generator_function(decorated: object) -> bool:
    """Whether a function is a generator function, asynchronous or not."""
    return inspect.isgeneratorfunction(decorated) or inspect.isasyncgenfunction(decorated)


def generator_within(enter: Enter, decorated: Any) -> Any:
    """A generator function within which something is patched, until it ends.

    Args:
        enter: patches.
        decorated: the generator function, asynchronous or not.
    """
    if inspect.isgeneratorfunction(decorated):

        @functools.wraps(decorated)
        def patched(*args: Any, **kwargs: Any) -> Any:
            with enter(patched, args, kwargs) as (given, named):
                return (yield from decorated(*given, **named))

        return patched

    @functools.wraps(decorated)
    async def patched_async(*args: Any, **kwargs: Any) -> Any:
        with enter(patched_async, args, kwargs) as (given, named):
            async with contextlib.aclosing(decorated(*given, **named)) as items:
                following = items.asend(None)
                while True:
                    try:
                        item = await following
                    except StopAsyncIteration:
                        return
                    try:
                        following = items.asend((yield item))
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        # It was thrown in for the decorated one, which may go on.
                        following = items.athrow(error)

    return patched_async
