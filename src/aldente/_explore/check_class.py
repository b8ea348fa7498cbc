"""`check_class`: small concurrent programs of the operations of a class, each explored."""

from __future__ import annotations

import asyncio
import collections
import functools
import itertools
import math
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from aldente._explore.api import search
from aldente._explore.result import Failure
from aldente._explore.runs import RunSettings
from aldente._explore.serial_orders import Orders
from aldente._explore.simulate import simulate
from aldente._simulation.api import begin_plain
from aldente._simulation.determinism import kept_randomness
from aldente._validation import parse_count, parse_seed
from aldente.errors import (
    AldenteError,
    DeadlockError,
    EndlessTimeError,
    InvalidSetting,
    LivelockError,
    NotJudged,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

# How many tasks a program has, and how many operations each of them calls, at most.
_MOST_TASKS, _MOST_CALLS = 3, 3

# How many schedules of each program are tried.
_SCHEDULES = 20

# How many serial runs of a program there may be, and how many steps each of them may take.
_MOST_RUNS, _MOST_STEPS = 1_000, 5_000

# In how many orders the operations of a program can be called at most.
_MOST_ORDERS = 150

# How many operations are drawn from a strategy of Hypothesis.
_DRAWN = 100

_ALLOWED = (
    "It must be a list of functions that each call an async method of the object, or a Hypothesis "
    "strategy for such functions."
)


def check_class(
    make: Callable[[], T],
    operations: Sequence[Callable[[T], Awaitable[object]]]
    | SearchStrategy[Callable[[T], Awaitable[object]]],
    *,
    runs: int = 1_000,
    state: Callable[[T], object] | None = None,
    linearizable: bool = False,
    seed: int = 0,
) -> None:
    """Check that concurrent operations of a class have the outcome of some serial order of them.

    It makes small programs of two or three tasks, each of which calls one to three operations of a
    new object, and explores them, with the object `serializable`: first all pairs of operations,
    then larger programs, by chance. Programs whose operations may wait for one another for ever are
    left out.

    Args:
        make: makes an object, such as the class itself.
        operations: functions that call a method of an object that they are given, such as
            ``lambda cache: cache.get("a")``; or a strategy of Hypothesis that draws such functions.
            Errors that they raise are results.
        runs: how many runs there are in all, about.
        state: returns what is compared at the end, of an object; by default its attributes.
        linearizable: whether operations that did not overlap must keep their order.
        seed: the seed of the programs and of their schedules.

    Raises:
        NotAtomic: the outcome of a program matches no serial order of its operations. Its notes
            have the story.
        DeadlockError: the operations of a program wait for one another, though one at a time they
            never do.
        NotJudged: not one run could be judged.
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
    aldente.errors.NotAtomic: The outcome of 2 operations of Counter matches no serial ...
    """
    if not callable(make):
        raise InvalidSetting("make", make, "It must be a function that makes an object.")
    if state is not None and not callable(state):
        raise InvalidSetting("state", state, "It must be a function that takes the object.")
    parsed_seed = parse_seed("seed", seed)
    left = parse_count("runs", runs)
    unjudged: collections.Counter[str] = collections.Counter()
    judged = 0
    for number, program in enumerate(_programs(operations, parsed_seed)):
        if left <= 0:
            break
        main = _main(make, program, state, linearizable=linearizable)
        is_waiting, count = _may_wait_for_ever(main)
        left -= count
        if is_waiting:
            unjudged["operations may wait for one another for ever"] += 1
            continue
        found = search(main, runs=_SCHEDULES, seed=parsed_seed + number)
        left -= found.runs
        if found.failure is not None:
            raise _described(found.failure)
        unjudged.update(found.unjudged)
        judged += found.runs - sum(found.unjudged.values())
    if not judged:
        reasons = "; ".join(reason for reason, _ in unjudged.most_common())
        name = getattr(make, "__qualname__", repr(make))
        raise NotJudged("serializable", f"The reason: {reasons}.", _FIX, name)


_FIX = "pass a `state` that compares less, or leave out the operations that the reason is about."

_Operation = Callable[[Any], Awaitable[object]]
_Program = Sequence[Sequence[_Operation]]


def _programs(operations: Any, seed: int) -> Iterator[_Program]:
    """All pairs of operations, and then larger programs without end.

    Raises:
        InvalidSetting: these are no operations.
    """
    strategies = sys.modules.get("hypothesis.strategies")
    if strategies is not None and isinstance(operations, strategies.SearchStrategy):
        operations = _drawn(operations, seed)
    else:
        _check(operations)
        pairs = itertools.combinations_with_replacement(operations, 2)
        yield from ([[one], [other]] for one, other in pairs)
    choose = random.Random(seed)
    while True:
        tasks = choose.randint(2, _MOST_TASKS)
        lengths = [choose.randint(1, _MOST_CALLS) for _ in range(tasks)]
        if _orders(lengths) <= _MOST_ORDERS:
            yield [choose.choices(operations, k=length) for length in lengths]


def _check(operations: Any) -> None:
    is_list = isinstance(operations, Sequence) and not isinstance(operations, str)
    if not is_list or not operations or not all(map(callable, operations)):
        raise InvalidSetting("operations", operations, _ALLOWED)


def _drawn(strategy: Any, seed: int) -> Sequence[_Operation]:
    """Operations that a strategy of Hypothesis draws; the same for the same seed."""
    import hypothesis

    drawn: list[_Operation] = []
    checks: Any = hypothesis.HealthCheck

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=_DRAWN,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(checks),
    )
    @hypothesis.given(strategy)
    def draw(operation: _Operation) -> None:
        drawn.append(operation)

    draw()
    _check(drawn)
    return drawn


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
        end = None if state is None else functools.partial(state, thing)
        begin_plain(thing, end, linearizable=linearizable)
        await asyncio.gather(*(call(thing, calls) for calls in program))

    return main


def _may_wait_for_ever(main: Callable[[], Any]) -> tuple[bool, int]:
    """Whether a program's operations may wait for ever one at a time, as for an empty queue.

    Returns:
        That, and how many runs it took to find out.
    """
    strategy = Orders()
    rules = RunSettings(is_serial=True, max_steps=_MOST_STEPS)
    runs = 0
    with kept_randomness():
        while strategy.start():
            run = simulate(main, strategy, rules)
            runs += 1
            if runs > _MOST_RUNS or isinstance(run.error, _WAITING):
                return True, runs
            if isinstance(run.error, AldenteError):
                raise run.error
    return False, runs


# The errors of a run that does not end.
_WAITING = (DeadlockError, EndlessTimeError, LivelockError)


def _described(failure: Failure) -> BaseException:
    """The exception of a failure, with what happened."""
    error = failure.exception
    for text in failure.story():
        error.add_note(text)
    return error
