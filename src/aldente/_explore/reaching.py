"""Whether some tasks could ever do anything to others: whether they can get hold of them.

What a task waits for can be completed, and the task itself cancelled, only by code that has a
reference to it. References are followed as the garbage collector follows them, so through closures,
containers, modules and objects of all kinds; not through the loop or through other tasks, of which
programs see only what they keep themselves.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable
from types import FrameType, ModuleType
from typing import Any

from aldente import _asyncio_compat

# How many objects are looked at before it is taken for possible.
_MOST = 1_000_000

# What is not followed: tasks; and frames of what runs now, as this search is among them. The
# frames of suspended coroutines are parts of these.
_NOT_FOLLOWED = (asyncio.Task, FrameType)


def can_reach(
    loop: asyncio.AbstractEventLoop,
    actors: Iterable[asyncio.Task[Any]],
    stuck: Iterable[asyncio.Task[Any]],
) -> bool:
    """Whether what some tasks run has a way to others, or to what those wait for.

    Args:
        loop: the loop of the tasks, which is not followed.
        actors: the tasks that go on.
        stuck: the tasks that may be reached.

    >>> async def main():
    ...     hidden, known = asyncio.Event(), asyncio.Event()
    ...     async def know():
    ...         await asyncio.sleep(1)
    ...         known.set()
    ...     tasks = [asyncio.create_task(each) for each in (know(), known.wait(), hidden.wait())]
    ...     await asyncio.sleep(0)
    ...     loop = asyncio.get_running_loop()
    ...     found = [can_reach(loop, tasks[:1], [task]) for task in tasks[1:]]
    ...     for task in tasks:
    ...         task.cancel()
    ...     return found
    >>> asyncio.run(main())
    [True, False]
    """
    targets = {id(task) for task in stuck} | {
        id(future) for task in stuck if (future := _asyncio_compat.waited_future(task)) is not None
    }
    # Never gone through in its order.
    seen = {id(loop), id(asyncio.current_task(loop))}
    left: list[Any] = [task.get_coro() for task in actors]
    seen.update((id(left), id(seen), id(targets)))
    while left:
        thing = left.pop()
        if id(thing) in targets:
            return True
        # What the collector does not track leads to nothing, such as numbers and texts.
        if id(thing) in seen or not gc.is_tracked(thing):
            continue
        seen.add(id(thing))
        if len(seen) > _MOST:
            return True
        if isinstance(thing, ModuleType):
            # What extension modules keep beside their names may not be fit to be followed.
            left.append(vars(thing))
        elif not isinstance(thing, _NOT_FOLLOWED):
            left += gc.get_referents(thing)
    return False
