"""Functions by which a program communicates with the explorer; on other loops they do almost
nothing.

`serializable` says of which objects the async methods have to act one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from aldente._simulation.choices import Values
from aldente._simulation.executors import loop_of_this_thread
from aldente._simulation.explored import Invariant, check_is_sync
from aldente._simulation.injection import cancel_task, end_time
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.observed_classes import names_of_operations
from aldente._simulation.values import attributes_of
from aldente.errors import InvalidSetting, NotSimulated

T = TypeVar("T")
AnyTask = TypeVar("AnyTask", bound="asyncio.Task[Any]")


def choose(options: Sequence[T]) -> T:
    """One of several values: in a simulated run the one that the schedule chooses, else the first.

    Use it for what the outside world decides: an answer, an error, how many bytes arrive at once.

    Args:
        options: the values, the usual one first.

    Raises:
        InvalidSetting: the options are empty or no sequence.

    >>> choose(["answer", "no answer"])
    'answer'
    """
    given: object = options
    if not isinstance(given, Sequence) or not given:
        allowed = "It must be a sequence, such as a list, with at least one value."
        raise InvalidSetting("options", options, allowed)
    loop = loop_here()
    count = len(options)
    if loop is None or count == 1:
        return options[0]
    index = loop.pick(Values(count, f"the choice of {loop.who_runs() or 'the program'}"))
    loop.note(f"aldente.choose gives option {index} of 0 to {count - 1}", is_choice=index != 0)
    return options[index]


async def maybe_timeout(awaitable: Awaitable[T]) -> T:
    """Await something that, in a simulated run, may time out at any await inside.

    It acts like ``async with asyncio.timeout(...)`` with an unknown time: the explorer cancels the
    code inside where it waits, and this raises a TimeoutError. On any other loop it only awaits.

    Args:
        awaitable: the awaitable.

    Raises:
        TimeoutError: the explorer has let it time out.

    >>> asyncio.run(maybe_timeout(asyncio.sleep(0, "done")))
    'done'
    """
    loop = loop_here()
    task = asyncio.current_task() if loop is not None else None
    if loop is None or task is None:
        return await awaitable
    async with asyncio.timeout(None) as scope:
        words = f"lets {task.get_name()!r} time out"
        cancellation = loop.cancelling.allow(task, words, lambda: end_time(loop, scope))
        try:
            return await awaitable
        finally:
            loop.cancelling.forbid(cancellation)


def may_be_cancelled(task: AnyTask) -> AnyTask:
    """Let the explorer cancel a task at any of its awaits, once; on any other loop do nothing.

    Args:
        task: the task.

    Returns:
        The task.

    Raises:
        InvalidSetting: the argument is not a task.

    >>> async def main():
    ...     return await may_be_cancelled(asyncio.create_task(asyncio.sleep(0, "done")))
    >>> asyncio.run(main())
    'done'
    """
    if not isinstance(task, asyncio.Task):
        allowed = "It must be a task, as asyncio.create_task() gives it."
        raise InvalidSetting("task", task, allowed)
    loop = task.get_loop()
    if isinstance(loop, SimulatedLoop) and not task.done():
        words = f"cancels {task.get_name()!r}"
        loop.cancelling.allow(task, words, lambda: cancel_task(loop, task))
    return task


def invariant(check: Callable[[], object]) -> Invariant:
    """Check a condition after every step of a simulated run, until the program ends.

    The run ends at once when the check raises, or returns False. As a context manager it checks
    until the block ends: ``with aldente.invariant(check): ...``.

    Args:
        check: a function without arguments, not async.

    Raises:
        NotSimulated: the caller is not in a simulated run.
        InvalidSetting: the check is no such function.

    >>> invariant(lambda: True)
    Traceback (most recent call last):
        ...
    aldente.errors.NotSimulated: aldente.invariant() was called outside of a simulated run. ...
    """
    check_is_sync(check)
    loop = loop_here()
    if loop is None:
        needs = (
            "aldente checks the invariant after every step, and only a simulated loop shows its "
            "steps."
        )
        raise NotSimulated("invariant", needs)
    return loop.check(check)


def note(text: str) -> None:
    """Add a line to the story of a failed run at this moment; elsewhere do nothing.

    Args:
        text: the text; the story adds the task and the line of the call.

    Raises:
        InvalidSetting: it is not a string.

    >>> note("the cache is empty")
    """
    if not isinstance(text, str):
        allowed = "aldente.note() takes a string, as in note(f'{x=}')."
        raise InvalidSetting("text", text, allowed)
    loop = loop_here()
    if loop is not None:
        loop.note(f"note: {text}")


def loop_here() -> SimulatedLoop | None:
    """The simulated loop on which the caller runs, or for which its thread does a job."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _if_simulated(loop_of_this_thread())
    return _if_simulated(loop)


def _if_simulated(loop: object) -> SimulatedLoop | None:
    return loop if isinstance(loop, SimulatedLoop) else None


def serializable(
    thing: T,
    *others: object,
    state: Callable[[], object] | None = None,
    linearizable: bool = False,
) -> T:
    """Make a simulated run fail if the outcome of an object's methods matches no serial order of
    them.

    Each call of a public async method is an operation, unless another operation calls it. The
    outcome is their results and errors, and the state of the object when the program ends. The same
    program is also run with its operations one at a time, in all orders; if not all of these could
    be tried, nothing is judged. On any other loop it does nothing.

    Args:
        thing: the object.
        others: others whose methods are operations of the same whole, such as the object's cache.
        state: returns what is compared at the end; by default the attributes of the objects, as far
            as they are values: numbers, strings, lists, dicts and objects that consist of these.
        linearizable: whether operations that did not overlap must keep their order.

    Returns:
        The object.

    Raises:
        InvalidSetting: an object has no public async method, or can't be observed.

    Source: Burckhardt, Dern, Musuvathi and Tan: Line-Up. PLDI 2010.

    >>> import aldente, asyncio
    >>> class Shop:
    ...     stock = 1
    ...     async def buy(self):
    ...         if not self.stock:
    ...             return False
    ...         await asyncio.sleep(0)
    ...         self.stock -= 1
    ...         return True
    >>> async def main():
    ...     shop = aldente.serializable(Shop())
    ...     await asyncio.gather(shop.buy(), shop.buy())
    >>> print(aldente.search(main).failure.exception)
    The outcome of 2 operations of Shop matches no serial order of them.
    ...
    """
    _begin((thing, *others), state, linearizable=linearizable)
    return thing


def begin_plain(thing: object, state: Callable[[], object] | None, *, linearizable: bool) -> None:
    """As `serializable`, in a program that does nothing else than to call the operations.

    Args:
        thing, state, linearizable: as for `serializable`.
    """
    _begin((thing,), state, linearizable=linearizable, is_plain=True)


def _begin(
    things: Sequence[object],
    state: Callable[[], object] | None,
    *,
    linearizable: bool,
    is_plain: bool = False,
) -> None:
    if state is not None and not callable(state):
        raise InvalidSetting("state", state, "It must be a function without arguments.")
    for each in things:
        if not names_of_operations(type(each)):
            raise InvalidSetting("thing", each, "It has no public async method.")
    loop = loop_here()
    if loop is None:
        return
    operations = loop.begin_operations()
    for each in things:
        try:
            operations.add(each)
        except TypeError as error:
            allowed = f"Its class can't be replaced by a subclass: {error}."
            raise InvalidSetting("thing", each, allowed) from None
        if state is None:
            operations.states.append(partial(attributes_of, each))
    if state is not None:
        operations.states.append(state)
    operations.is_ordered = operations.is_ordered or linearizable
    operations.is_plain = is_plain
    if is_plain and len(asyncio.all_tasks()) > 1:
        operations.have_left_work = True
