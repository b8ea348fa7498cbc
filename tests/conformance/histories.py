"""Small random histories, and the plain way to judge them: by trying all orders.

Each is a small program that some tasks may have run, with some results changed; a third are correct
by the way they are made.
"""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aldente import History, Operation, Transaction, models

Call = tuple[str, tuple[Any, ...]]

_MAKERS: dict[str, tuple[Callable[[], Any], Callable[[random.Random], Call]]] = {
    "register": (
        models.Register,
        lambda chance: chance.choice(
            [
                ("read", ()),
                ("read", ()),
                ("write", (chance.randrange(3),)),
                ("compare_and_set", (chance.randrange(3), chance.randrange(3))),
            ]
        ),
    ),
    "key-value": (
        models.KeyValue,
        lambda chance: chance.choice(
            [
                ("get", (chance.choice("ab"),)),
                ("set", (chance.choice("ab"), chance.randrange(3))),
                ("pop", (chance.choice("ab"),)),
                ("contains", (chance.choice("ab"),)),
            ]
        ),
    ),
    "queue": (
        lambda: models.Queue(2),
        lambda chance: chance.choice(
            [("put", (chance.randrange(3),)), ("get", ()), ("poll", ()), ("size", ())]
        ),
    ),
    "lock": (
        models.Lock,
        lambda chance: chance.choice(
            [("acquire", ("A",)), ("try_acquire", ("B",)), ("release", (chance.choice("AB"),))]
        ),
    ),
    "set": (
        models.Set,
        lambda chance: chance.choice(
            [
                ("add", (chance.choice("ab"),)),
                ("discard", (chance.choice("ab"),)),
                ("contains", (chance.choice("ab"),)),
                ("size", ()),
            ]
        ),
    ),
    "counter": (
        models.Counter,
        lambda chance: chance.choice([("add", (1,)), ("increment", (2,)), ("read", ())]),
    ),
}
KINDS = sorted(_MAKERS)


class Spans:
    """Operations or transactions of a few tasks, begun and ended in a random order.

    Args:
        chance: the source of randomness.
        count: how many.
        open_one: begins the next one, and returns the function that ends it.
    """

    def __init__(
        self, chance: random.Random, count: int, begin: Callable[[], Callable[[], None]]
    ) -> None:
        ending: list[Callable[[], None]] = []
        left = count
        while left or ending:
            if left and (not ending or (len(ending) < 4 and chance.random() < 0.55)):
                ending.append(begin())
                left -= 1
            else:
                ending.pop(chance.randrange(len(ending)))()


def random_operations(seed: int, most: int = 6) -> tuple[History, Any]:
    """A history of at most so many operations, and its model."""
    chance = random.Random(seed)
    make, call = _MAKERS[KINDS[seed % len(KINDS)]]
    model, history = make(), History()
    is_right = chance.random() < 0.3

    def begin() -> Callable[[], None]:
        name, arguments = call(chance)
        operation = history.operation(name, *arguments)
        operation.__enter__()
        results = []
        if chance.random() < 0.5:
            results.append(_result(model, name, arguments))

        def end() -> None:
            result = results[0] if results else _result(model, name, arguments)
            if result is _REFUSED:
                # It has had no effect; that may be known or not.
                if chance.random() < 0.5:
                    operation.failed()
                operation.__exit__(KeyError, KeyError(), None)
                return
            if not is_right and chance.random() < 0.3:
                result = chance.choice([None, True, False, 0, 1, 2])
            if chance.random() < 0.9:
                operation.returns(result)
            is_lost = chance.random() < 0.15
            operation.__exit__(KeyError if is_lost else None, None, None)

        return end

    Spans(chance, chance.randint(1, most), begin)
    return history, make()


_REFUSED = object()


def _result(model: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    try:
        return getattr(model, name)(*arguments)
    except AssertionError:
        return _REFUSED


def some_order_explains(history: History, model: Any) -> bool:
    """Whether the model does what was recorded in some order: Wing and Gong's search, and no more."""
    operations = [one for one in history.operations if one.outcome != "failed"]
    return some_order_explains_operations(operations, model)


def some_order_explains_operations(left: Sequence[Operation], model: Any) -> bool:
    """Whether some order explains operations, from a state of the model on."""
    returned = [one for one in left if one.outcome == "returned"]
    if not returned:
        return True
    first_end = min(one.ended for one in returned)
    for one in left:
        if one.began > first_end:
            continue
        after = copy.deepcopy(model)
        result = _result(after, one.name, one.arguments)
        if result is _REFUSED:
            continue
        is_said = repr(one.result) != "(not recorded)"
        if one.outcome == "returned" and is_said and result != one.result:
            continue
        rest = [other for other in left if other is not one]
        if some_order_explains_operations(rest, after):
            return True
    return False


def random_transactions(seed: int, most: int = 5) -> History:
    """A history of at most so many transactions on registers, on lists, or on both."""
    chance = random.Random(seed)
    history = History()
    numbers = itertools.count(1)
    keys = ["x", "y", "l", "m"][: (2, 3, 4)[seed % 3]] if seed % 4 else ["l", "m"]
    now: dict[str, Any] = {}
    ever: dict[str, list[Any]] = {}
    wildness = chance.choice([0, 0.1, 0.3, 0.6])

    def state(key: str) -> Any:
        initial: Any = [] if key in "lm" else None
        return now.get(key, initial)

    def seen(key: str) -> Any:
        if chance.random() >= wildness:
            return state(key)
        past = [*ever.get(key, []), [] if key in "lm" else None]
        return chance.choice(past)

    def begin() -> Callable[[], None]:
        transaction = history.transaction()
        transaction.__enter__()
        outcome = chance.choice(["returned"] * 6 + ["unknown", "failed"])
        for _ in range(chance.randint(1, 3)):
            key = chance.choice(keys)
            if chance.random() < 0.5:
                transaction.reads(key, seen(key))
                continue
            value = next(numbers)
            changed: Any = value
            if key in "lm":
                transaction.appends(key, value)
                changed = [*state(key), value]
            else:
                transaction.writes(key, value)
            ever.setdefault(key, []).append(changed)
            if outcome == "returned" or chance.random() < 0.3:
                now[key] = changed

        def end() -> None:
            if outcome == "failed":
                transaction.failed()
            transaction.__exit__(None if outcome == "returned" else KeyError, None, None)

        return end

    Spans(chance, chance.randint(2, most), begin)
    return history


def wired_transactions(seed: int, most: int = 6) -> History:
    """Transactions whose reads get the last value of any other one, or the initial one, at random.

    So no read is wrong by itself; what is wrong are cycles.
    """
    chance = random.Random(seed)
    numbers = itertools.count(1)
    keys = ["x", "y", "z"][: chance.randint(1, 3)]
    plans: list[list[tuple[str, str, int]]] = []
    for _ in range(chance.randint(2, most)):
        written = [key for key in keys if chance.random() < 0.5]
        read = [key for key in keys if chance.random() < 0.5]
        plans.append([("reads", key, 0) for key in read])
        plans[-1] += [("writes", key, next(numbers)) for key in written]
    history = History()
    for plan in plans:
        with history.transaction() as transaction:
            for kind, key, value in plan:
                if kind == "writes":
                    transaction.writes(key, value)
                    continue
                others = [one for one in plans if one is not plan]
                values = [one[2] for other in others for one in other if one[:2] == ("writes", key)]
                transaction.reads(key, chance.choice([None, *values]))
    return history


INITIAL: dict[str, Any] = {"x": None, "y": None, "z": None, "l": [], "m": []}


def some_serial_order_explains(history: History, initial: Mapping[str, Any] = INITIAL) -> bool:
    """Whether all reads are right in some order of the transactions, with any of unknown outcome."""
    real = [one for one in history.transactions if one.outcome == "returned"]
    unknown = [one for one in history.transactions if one.outcome == "unknown"]
    return any(
        _serial(order, initial)
        for count in range(len(unknown) + 1)
        for some in itertools.combinations(unknown, count)
        for order in itertools.permutations([*real, *some])
    )


def _serial(order: Sequence[Transaction], initial: Mapping[str, Any]) -> bool:
    now = dict(initial)
    for one in order:
        for access in one.accesses:
            if access.kind == "reads":
                if now[access.key] != access.value:
                    return False
            elif access.kind == "writes":
                now[access.key] = access.value
            else:
                now[access.key] = [*now[access.key], access.value]
    return True


def is_of_lists(history: History) -> bool:
    """Whether its transactions do nothing but append to lists and read them."""
    kinds = {access.kind for one in history.transactions for access in one.accesses}
    keys = {access.key for one in history.transactions for access in one.accesses}
    return "writes" not in kinds and keys <= {"l", "m"}
