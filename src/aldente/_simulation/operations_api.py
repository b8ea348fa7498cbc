"""`serializable`: says of which objects the async methods have to act one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from aldente._simulation.api import loop_here
from aldente._simulation.observed_classes import names_of_operations
from aldente._simulation.values import attributes_of
from aldente.errors import InvalidSetting

T = TypeVar("T")


def serializable(
    thing: T,
    *others: object,
    state: Callable[[], object] | None = None,
    linearizable: bool = False,
) -> T:
    """Have a simulated run fail if methods of an object give what they never give one at a time.

    Each call of a public async method is an operation, unless another operation calls it. What they
    give is their results and errors, and the state of the object when the program ends. The same
    program is also run with its operations one at a time, in all orders; where these could not be
    tried to the end, nothing is judged. On any other loop it does nothing.

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
    What 2 operations of Shop gave, no order of them gives one at a time.
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
        raise InvalidSetting("state", state, "It is a function without arguments.")
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
