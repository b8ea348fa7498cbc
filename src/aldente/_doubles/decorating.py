"""Generator functions within which something is patched, as fixtures are."""

from __future__ import annotations

import contextlib
import functools
from typing import Any


def patched_generator(patch: Any, decorated: Any) -> Any:
    """A generator function within which something is patched."""

    @functools.wraps(decorated)
    def patched(*args: Any, **kwargs: Any) -> Any:
        with patch.decoration_helper(patched, args, kwargs) as (given, named):
            return (yield from decorated(*given, **named))

    return patched


def patched_async_generator(patch: Any, decorated: Any) -> Any:
    """An asynchronous generator function within which something is patched."""

    @functools.wraps(decorated)
    async def patched(*args: Any, **kwargs: Any) -> Any:
        with patch.decoration_helper(patched, args, kwargs) as (given, named):
            async with contextlib.aclosing(decorated(*given, **named)) as items:
                async for item in items:
                    yield item

    return patched
