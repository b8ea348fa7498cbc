"""`check_class`: small concurrent programs of the operations of a class, each explored."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from aldente._explore.api import search
from aldente._explore.result import Failure
from aldente._explore.serial_orders import Orders
from aldente._explore.simulate import RunSettings, simulate
from aldente._simulation.operations_api import begin_plain
from aldente._validation import parse_count, parse_seed
from aldente.errors import DeadlockError, InvalidSetting

T = TypeVar("T")

# How many tasks a program has, and how many operations each of them calls, at most.
_MOST_TASKS, _MOST_CALLS = 3, 3

# How many schedules of each program are tried.
_SCHEDULES = 20


def check_class(
    make: Callable[[], T],
    operations: Sequence[Callable[[T], Awaitable[object]]],
    *,
    runs: int = 1_000,
    state: Callable[[T], object] | None = None,
    linearizable: bool = False,
    seed: int = 0,
) -> None:
    """Check that the operations of a class give together what they give one at a time.

    It makes small programs of two or three tasks, each of which calls one to three operations of a
    new object, and explores them, with the object `serializable`: first all pairs of operations,
    then larger programs, by chance.

    Args:
        make: makes an object, such as the class itself.
        operations: functions that call a method of an object that they are given, such as
            ``lambda cache: cache.get("a")``. Errors that they raise are results.
        runs: how many runs there are in all, about.
        state: returns what is compared at the end, of an object; by default its attributes.
        linearizable: whether operations that did not overlap must keep their order.
        seed: the seed of the programs and of their schedules.

    Raises:
        NotAtomic: a program gave what no order of its operations gives. Its notes have the story.
        DeadlockError: the operations of a program wait for one another, though one at a time they
            never do.
        InvalidSetting: an argument has a wrong value.

    >>> class Counter:
    ...     value = 0
    ...     async def add(self):
    ...         before = self.value
    ...         await asyncio.sleep(0)
    ...         self.value = before + 1
    >>> check_class(Counter, [lambda counter: counter.add()])
    Traceback (most recent call last):
        ...
    aldente.errors.NotAtomic: What 2 operations of Counter gave, no order of them gives one at a ...
    """
    if not callable(make):
        raise InvalidSetting("make", make, "It is a function that makes an object.")
    given: object = operations
    if not isinstance(given, Sequence) or not given or not all(map(callable, given)):
        raise InvalidSetting("operations", operations, _ALLOWED)
    left = parse_count("runs", runs)
    for number, program in enumerate(_programs(operations, parse_seed("seed", seed))):
        if left <= 0:
            return
        main = _main(make, program, state, linearizable=linearizable)
        is_waiting, count = _may_wait_for_ever(main)
        left -= count
        if is_waiting or left <= 0:
            continue
        found = search(main, runs=min(_SCHEDULES, left), seed=seed + number)
        left -= found.runs
        if found.failure is not None:
            raise _told(found.failure)


# How many serial runs of a program there may be: more than orders if time may pass between.
_MOST_RUNS = 1_000

# In how many orders the operations of a program can be called at most.
_MOST_ORDERS = 150

_ALLOWED = "It is a list of functions that call an async method of an object."

_Program = Sequence[Sequence[Callable[[Any], Awaitable[object]]]]


def _programs(
    operations: Sequence[Callable[[Any], Awaitable[object]]], seed: int
) -> Iterator[_Program]:
    """All pairs of operations, and then larger programs without end."""
    yield from (
        [[one], [other]] for one, other in itertools.combinations_with_replacement(operations, 2)
    )
    choose = random.Random(seed)
    while True:
        tasks = choose.randint(2, _MOST_TASKS)
        lengths = [choose.randint(1, _MOST_CALLS) for _ in range(tasks)]
        if _orders(lengths) <= _MOST_ORDERS:
            yield [choose.choices(operations, k=length) for length in lengths]


def _orders(lengths: Sequence[int]) -> int:
    """In how many orders operations can be called one at a time.

    >>> _orders([1, 2])
    3
    """
    return math.factorial(sum(lengths)) // math.prod(map(math.factorial, lengths))


def _main(
    make: Callable[[], T],
    program: _Program,
    state: Callable[[T], object] | None,
    *,
    linearizable: bool,
) -> Callable[[], Any]:
    async def call(thing: T, calls: Sequence[Callable[[Any], Awaitable[object]]]) -> None:
        for operation in calls:
            try:
                await operation(thing)
            except Exception:
                # A result of the operation, which is compared.
                continue

    async def main() -> None:
        thing = make()
        end = None if state is None else lambda: state(thing)
        begin_plain(thing, end, linearizable=linearizable)
        await asyncio.gather(*(call(thing, calls) for calls in program))

    return main


def _may_wait_for_ever(main: Callable[[], Any]) -> tuple[bool, int]:
    """Whether a program's operations may wait for ever one at a time, as for an empty queue.

    Returns:
        That, and how many runs it took to find out.
    """
    strategy = Orders()
    rules = RunSettings(is_serial=True)
    runs = 0
    while strategy.start():
        run = simulate(main, strategy, rules)
        runs += 1
        if isinstance(run.error, DeadlockError) or runs > _MOST_RUNS:
            return True, runs
    return False, runs


def _told(failure: Failure) -> BaseException:
    """The exception of a failure, with what happened."""
    error = failure.exception
    for text in failure.story():
        error.add_note(text)
    return error
