"""`Dfs` takes steps about different objects for independent, and about the same one for dependent."""

from __future__ import annotations

import asyncio
import sys
import types
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aldente import _own_errors
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.dfs import Dfs
from tests.conformance.racing_objects import (
    STEPS,
    program_of_objects,
    racing_objects,
    source_of_objects,
    source_of_pair_of_objects,
)

Main = Callable[[], Coroutine[Any, Any, object]]

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="Python 3.11 has no sys.monitoring, so nothing is left out"
)

# What two tasks do to the same objects: names of `racing_objects.STEPS`, or code. The class of the
# first object follows if it is not Node; and whether the second task has them the other way round.
DEPENDENT = [
    ("set", "read"),
    ("set", "by_name"),
    ("own", "vars"),
    ("own", "mine = x.__dict__.get('own')", "Same"),
    ("late", "late"),
    ("closure", "set"),
    # What looks like one attribute is another one, or one of another object.
    ("level", "read_level"),
    ("level", "own_level", "Node", True),
    ("own_level", "read_level"),
    ("set_extra", "read_extra", "Missing"),
    ("x.peer = y", "mine = x.extra", "Missing"),
    ("set", "read", "Property"),
    ("append", "read", "Property"),
    ("set", "count", "Property"),
    ("w.a = Kind(1)\nw.a.value = 4", "w.b = Kind(7)\nmine = w.b.value", "Same"),
    ("w.c.value = 9", "read", "Same"),
    ("w.c.own = 4", "w.c.own = 5"),
    (
        "x.peer = y\nawait asyncio.sleep(0)\nif x.items:\n    mine = 3",
        "await asyncio.sleep(0)\ny.line.append(1)",
        "Masked",
    ),
    ("w.unmade.__init__(5)", "w.unmade.__init__(7)"),
    ("mine = sum(each for each in w.source)", "mine = next(w.source, 7)"),
    ("mine = any(each > 3 for each in w.source)", "mine = next(w.source, 7)"),
    ("single", "single", "Single"),
    ("x.__init__(4)", "read"),
    ("set", "set", "Slotted"),
    ("set", "read", "Data"),
    ("append", "count", "Child"),
    ("append", "count", "Abstract"),
    # Elements, by whatever way to them.
    ("append", "empty"),
    ("append", "some"),
    ("append", "has"),
    ("append", "sum"),
    ("append", "loop"),
    ("append", "tuple"),
    ("append", "next_of"),
    ("append", "first"),
    ("extend_by", "append", "Node", True),
    ("append", "held"),
    ("held_add", "count"),
    ("question", "x.items += [1, 2]"),
    ("key", "get"),
    ("double_key", "double_key"),
    ("key", "pairs"),
    ("push", "pull"),
    ("union", "names"),
    ("late_sum", "append"),
    ("w.source = iter(x.items)\nmine = next(w.source, 7)", "append"),
    # Containers that have several owners, and other ones.
    ("share\nappend", "y.items.append(9)"),
    ("y.items = x.items\nif y.items:\n    mine = 1", "append"),
    ("share\nmine = count(y.items)", "append"),
    ("share\nadd_to(y.items, 4)", "append"),
    ("share\nmine = sum(each for each in y.items)", "append"),
    ("share\nfor each in y.items:\n    mine = mine * 3 + each", "append"),
    ("swap", "append"),
    ("share", "append", "Node", True),
    ("fresh_both\nx.items.append(1)", "y.items.append(5)"),
    ("x.items = [1]\nx.items = [2, 2]\ny.items = x.items\ny.items.append(3)", "append"),
    ("kept = x.items\nawait asyncio.sleep(0)\nkept.append({n})", "count"),
    ("kept = x.items\nawait asyncio.sleep(0)\nmine = not kept", "append"),
    ("kept = x.items\nawait asyncio.sleep(0)\ny.items = kept\ny.items.append(1)", "count"),
    ("w.lists.append(x.items)\nw.lists[0].append(1)", "count"),
    ("copy", "count"),
    ("keep_copy\nw.b.items.append(3)", "count"),
    ("w.add = x.items.append\nw.add(3)", "count"),
    # What other code changes before a line goes on.
    ("relinked", "append", "Node", True),
    ("relinked_truth", "append", "Node", True),
    ("linked", "y.peer = x"),
    ("x.peer = y\nmine = x.link(y) + 1", "x.peer = y\nif y.peer:\n    mine = 1", "Node", True),
    ("x.peer = y\nx.peer.value = 7", "mine = y.value"),
    ("x.peer = y\nx.peer.items.append(1)", "mine = len(y.items)"),
    ("world", "a_value"),
    ("worlds", "a_items"),
    # Objects that come and go.
    ("new_world", "a_value"),
    ("made", "b_read"),
    ("deleted", "read_deleted"),
    # Primitives of asyncio.
    ("lock", "lock"),
    ("acquire", "set"),
    ("fail_in_lock", "set"),
    ("event", "is_set"),
    ("put", "size"),
    ("future", "done"),
    ("context", "set"),
    ("fail_in_context", "set"),
]


def outcomes(main: Main, **options: Any) -> set[str]:
    """What a search by `Dfs` finds that a program may end with."""
    strategy, found = Dfs(**options), set()
    while strategy.start():
        run = simulate(main, strategy, RunSettings())
        if strategy.was_needed:
            found.add(f"{run.result} {run.error!r}")
    assert strategy.is_exhaustive
    return found


def code_of(step: str) -> str:
    """The source code of what a task does, for the number that stands in it."""
    return "\n".join(STEPS.get(line, line) for line in step.split("\n"))


@pytest.mark.parametrize("pair", DEPENDENT, ids=lambda pair: "-".join(map(str, pair)))
def test_no_order_of_steps_about_one_object_is_left_out(pair: tuple[Any, ...]) -> None:
    """What two tasks may end with when both use one object, under whatever name, they end with."""
    one, other, *more = pair
    kind = more[0] if more else "Node"
    is_other = len(more) > 1 and more[1]
    source = source_of_pair_of_objects(code_of(one), code_of(other), kind, is_other=is_other)
    main = program_of_objects(source)
    everything = outcomes(main, skips_equivalent=False)
    assert len(everything) > 1
    assert outcomes(main) == everything, source


# benchmarks/simulation_proofs.py tries 3,000.
@pytest.mark.parametrize("seed", range(6))
def test_the_same_outcomes_are_reached(seed: int) -> None:
    """Whatever a random program with several objects may end with, it ends with in some run."""
    main = racing_objects(seed)
    assert outcomes(main) == outcomes(main, skips_equivalent=False), source_of_objects(seed)


class Account:
    """Something of which there are several."""

    def __init__(self) -> None:
        self.balance = 0
        self.history: list[int] = []
        self.lock = asyncio.Lock()


def runs(main: Main) -> tuple[int, int]:
    """How many runs there are in all, and without equivalent ones."""
    counts = []
    for skips in (False, True):
        strategy = Dfs(skips_equivalent=skips)
        count = 0
        while strategy.start():
            run = simulate(main, strategy, RunSettings())
            assert run.error is None
            count += 1
        assert strategy.is_exhaustive
        counts.append(count)
    return counts[0], counts[1]


def each_with_its_own(work: Callable[[Account], Coroutine[Any, Any, object]], count: int) -> Main:
    """A program of so many tasks, each with an account."""

    async def main() -> None:
        accounts = [Account() for _ in range(count)]
        await asyncio.gather(*map(work, accounts))

    return main


async def transfer(account: Account) -> None:
    """Read and write one attribute."""
    await asyncio.sleep(0)
    balance = account.balance
    await asyncio.sleep(0)
    account.balance = balance + 1


async def note(account: Account) -> None:
    """Read and change one container."""
    await asyncio.sleep(0)
    account.history.append(1)
    await asyncio.sleep(0)
    if account.history:
        account.history.append(2)


async def locked(account: Account) -> None:
    """Do something under a lock that nobody else wants."""
    await asyncio.sleep(0)
    async with account.lock:
        balance = account.balance
        await asyncio.sleep(0)
        account.balance = balance + 1


@pytest.mark.parametrize("work", [transfer, note, locked])
def test_tasks_with_an_object_each_take_few_runs(
    work: Callable[[Account], Coroutine[Any, Any, object]],
) -> None:
    """Tasks of which each has its own object, container or lock are not tried in every order.

    As few as there are of tasks that share nothing at all, on any Python.
    """
    assert runs(each_with_its_own(work, 3)) == (90, 13)


def test_an_object_of_two_tasks_is_tried_in_every_order() -> None:
    """Two tasks that share an object race, and a third one with another object does not."""

    async def main() -> None:
        one, other = Account(), Account()
        await asyncio.gather(transfer(one), transfer(one), transfer(other))

    assert runs(main) == (90, 18)


def test_a_lock_that_two_tasks_want_takes_fewer_runs() -> None:
    """Waiting for a lock is independent of a task with another lock."""

    async def main() -> None:
        one, other = Account(), Account()
        await asyncio.gather(locked(one), locked(one), locked(other))

    assert runs(main) == (72, 19)


def test_objects_die_when_they_did_before() -> None:
    """Looking at the objects of a program keeps none of them alive."""
    dead: list[bool] = []

    async def main() -> None:
        async def work(account: Account) -> None:
            await asyncio.sleep(0)
            account.history.append(1)
            mine = Account()
            mine.balance = account.balance
            reference = weakref.ref(mine)
            for each in mine.history:
                mine.balance += each
            del mine
            dead.append(reference() is None)
            await asyncio.sleep(0)

        await asyncio.gather(work(Account()), work(Account()))

    runs(main)
    assert dead
    assert all(dead)


def test_what_a_program_keeps_of_its_variables_stays() -> None:
    """Looking at a function's variables leaves the dictionary alone that it has got itself."""

    async def main() -> object:
        async def work(account: Account) -> object:
            kept = locals()
            await asyncio.sleep(0)
            account.balance += 1
            return kept["account"] is account

        return await asyncio.gather(work(Account()), work(Account()))

    assert outcomes(main) == {"[True, True] None"}


def test_calls_of_anything_are_seen() -> None:
    """What is called may be any object, such as a class that has the attributes of a function."""

    async def main() -> object:
        async def work(account: Account) -> object:
            await asyncio.sleep(0)
            made = types.FunctionType((lambda: 3).__code__, {})
            bound = types.MethodType(len, account.history)
            return made(), bound()

        return await asyncio.gather(work(Account()), work(Account()))

    assert outcomes(main) == {"[(3, 0), (3, 0)] None"}


def test_a_fault_in_recording_changes_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as an error of aldente's; the program goes on, and no schedule is left out for it."""

    async def main() -> object:
        account = Account()

        async def work(number: int) -> None:
            account.history.append(number)
            await asyncio.sleep(0)
            account.history.append(number)

        await asyncio.gather(work(1), work(2))
        return account.history

    def fail(function: object, first: object) -> None:
        raise LookupError(function)

    everything = outcomes(main, skips_equivalent=False)
    told: list[_own_errors.OwnError] = []
    monkeypatch.setattr(_own_errors, "listeners", [told.append])
    monkeypatch.setattr("aldente._strategies.recorder.effects_of_call", fail)
    assert outcomes(main) == everything
    assert {error.doing for error in told} == {"recording what a step reads and writes"}
    assert "LookupError" in told[0].summary
