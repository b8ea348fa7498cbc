"""Shrinking: what becomes of the schedule of a failure, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import aldente
from aldente._explore import explorer, shrink
from aldente._explore.shrink import kind_of
from aldente._simulation.choices import Options
from aldente._strategies.context_switches import SwitchCounter
from aldente._strategies.dfs import Dfs

Main = Callable[[], Coroutine[Any, Any, object]]


class Youngest:
    """Always lets the youngest go on, so that its failures are far from minimal."""

    def start(self) -> bool:
        return True

    def choose(self, count: int, options: object) -> int:
        return count - 1

    def end(self) -> None:
        pass


async def last_is_first() -> None:
    """Fails if the last of six tasks with three steps each ends before the first."""
    ended: list[int] = []

    async def work(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        ended.append(number)

    await asyncio.gather(*map(work, range(6)))
    assert ended.index(5) > ended.index(0)


async def opposite_locks() -> None:
    """Deadlocks if one task is ahead of the other."""
    one, two = asyncio.Lock(), asyncio.Lock()

    async def work(first: asyncio.Lock, second: asyncio.Lock, steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    await asyncio.gather(work(one, two, 0), work(two, one, 9), asyncio.sleep(0))


async def late_answer() -> None:
    """Fails if an answer takes longer than usual."""
    answers: list[int] = []

    async def ask(number: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        answers.append(number)

    await asyncio.gather(ask(1, 1.0), ask(2, 1.8), ask(3, 1.9))
    assert answers[0] == 1


PROGRAMS = [last_is_first, opposite_locks, late_answer]


def failure_of(main: Main, **arguments: Any) -> aldente.Failure:
    failure = aldente.search(main, **arguments).failure
    assert failure is not None
    return failure


@pytest.mark.parametrize("main", PROGRAMS)
@pytest.mark.parametrize("strategy", ["auto", "random", "pct"])
def test_one_switch_is_left_where_one_is_enough(main: Main, strategy: str) -> None:
    """A failure for which one context switch is enough is shrunk to one, whoever has found it."""
    failure = failure_of(main, strategy=strategy, seed=0, runs=2_000)
    assert failure.shrinking is not None
    assert failure.shrinking.after == 1
    assert failure.shrinking.outcome == "least"
    assert len(failure.token) < 40
    with pytest.raises(type(failure.exception)):
        aldente.replay(main, failure.token)


def test_a_schedule_far_from_stock_order_is_shrunk() -> None:
    """Of a schedule that leaves stock order everywhere, what matters is left."""
    whole = failure_of(last_is_first, strategy=Youngest(), shrink=False)
    failure = failure_of(last_is_first, strategy=Youngest())
    assert whole.shrinking is None
    assert sum(map(bool, whole.schedule.choices)) > 10
    assert failure.run == whole.run == 2
    assert failure.shrinking is not None
    assert failure.shrinking.before > failure.shrinking.after == 1
    assert sum(map(bool, failure.schedule.choices)) <= 3
    assert len(failure.token) < len(whole.token)


def test_no_switch_can_be_left_out() -> None:
    """What is called the least is: no schedule with fewer switches fails in that way."""

    async def main() -> None:
        order: list[str] = []

        async def work(name: str) -> None:
            await asyncio.sleep(0)
            order.append(name)

        await asyncio.gather(*map(work, "abcd"))
        assert "".join(order) not in ("dcba", "badc", "dcab")

    failure = failure_of(main, strategy="random", runs=2_000)
    assert failure.shrinking is not None
    assert failure.shrinking.outcome == "least"
    least = failure.shrinking.after
    assert least > 1
    assert aldente.search(main, strategy=Dfs(least - 1), runs=1_000).failure is None
    assert aldente.search(main, strategy=Dfs(least), runs=1_000).failure is not None


async def four_constraints() -> None:
    """Fails if four pairs of steps of four tasks are all in the unusual order."""
    seen: dict[tuple[int, int], int] = {}

    async def work(number: int) -> None:
        for step in range(4):
            await asyncio.sleep(0)
            seen[number, step] = len(seen)

    await asyncio.gather(*map(work, range(4)))
    assert not (
        seen[3, 0] < seen[0, 0]
        and seen[2, 2] < seen[1, 0]
        and seen[0, 3] < seen[2, 3]
        and seen[1, 3] < seen[3, 3]
    )


@pytest.mark.parametrize(
    ("strategy", "seed"), [("pct", 0), ("random", 2), ("random", 4), ("pos", 10)]
)
def test_switches_that_need_each_other_are_left_out_together(
    strategy: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each of four to seven switches is needed by the others, three are found to suffice."""
    monkeypatch.setattr(explorer, "_SECONDS_OF_SHRINKING", 60.0)
    failure = failure_of(four_constraints, strategy=strategy, seed=seed, runs=1_000)
    assert failure.shrinking is not None
    assert failure.shrinking.after == 3
    assert failure.shrinking.outcome == "local"
    assert "none of them can be left out" in failure.report()


def test_leaving_out_several_has_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is over, what is said is still true: no single switch can be left out."""
    monkeypatch.setattr(shrink, "_MOST_RUNS_FOR_MORE", 5)
    failure = failure_of(four_constraints, strategy="pct", seed=0, runs=1_000)
    assert failure.shrinking is not None
    assert failure.shrinking.after == 4
    assert failure.shrinking.outcome == "local"


def test_another_failure_is_not_taken_for_the_same() -> None:
    """A smaller schedule that fails elsewhere, or in another way, is not what was found."""

    async def main() -> None:
        order: list[str] = []

        async def work(name: str) -> None:
            await asyncio.sleep(0)
            order.append(name)

        await asyncio.gather(*map(work, "abc"))
        if order[0] == "c":
            if order[1] == "b":
                raise ValueError("behind two switches")
            raise ValueError("behind one")

    found = failure_of(main, strategy=Youngest())
    assert str(found.exception) == "behind two switches"
    assert found.shrinking is not None
    assert found.shrinking.after == 2


def test_the_text_of_an_exception_does_not_matter() -> None:
    """Failures with addresses or numbers in their text are the same failure."""

    async def main() -> None:
        order: list[int] = []

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        await asyncio.gather(*map(work, range(4)))
        assert order == sorted(order), (order, object())

    failure = failure_of(main, strategy=Youngest())
    assert failure.shrinking is not None
    assert failure.shrinking.after == 1
    assert str(failure.exception) != str(failure_of(main, strategy=Youngest(), shrink=False))


def test_failures_are_told_apart_by_type_and_place() -> None:
    """Another type or another line is another failure; members of groups count as such."""

    def error_of(number: int, kind: type[Exception] = ValueError) -> Exception:
        try:
            if number == 1:
                raise kind("one")
            raise kind("two")
        except Exception as error:
            return error

    assert kind_of(error_of(1)) == kind_of(error_of(1))
    assert kind_of(error_of(1)) != kind_of(error_of(2))
    assert kind_of(error_of(1)) != kind_of(error_of(1, KeyError))

    def group(*numbers: int) -> ExceptionGroup[Exception]:
        return ExceptionGroup(str(numbers), [error_of(number) for number in numbers])

    assert kind_of(group(1, 2)) == kind_of(group(2, 1))
    assert kind_of(group(1)) != kind_of(group(2))


def test_a_failure_in_stock_order_needs_no_schedule() -> None:
    """What fails in stock order has no switches, and its report says so."""

    async def main() -> None:
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        raise ValueError

    failure = failure_of(main)
    assert failure.shrinking == (1, 0, 0, "least")
    assert "It fails in asyncio's default order" in failure.report()


def test_shrinking_has_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """When runs or time are over shrinking ends, and the report says that it was not completed."""
    monkeypatch.setattr(shrink, "_MOST_RUNS", 4)
    failure = failure_of(last_is_first, strategy=Youngest())
    assert failure.shrinking is not None
    assert failure.shrinking.runs == 4
    assert failure.shrinking.outcome == "budget"
    assert "The budget of 4 more runs ended before it was known" in failure.report()
    monkeypatch.undo()
    monkeypatch.setattr(explorer, "_SECONDS_OF_SHRINKING", 0.0)
    failure = failure_of(last_is_first, strategy=Youngest())
    assert failure.shrinking is not None
    assert failure.shrinking.runs <= 1
    with pytest.raises(AssertionError):
        aldente.replay(last_is_first, failure.token)


def test_a_failure_that_does_not_come_again_stays_as_it_is() -> None:
    """A program that fails once and never again is not shrunk, and the report says so."""
    runs = 0

    async def main() -> None:
        nonlocal runs
        runs += 1
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        assert runs != 5

    failure = failure_of(main, strategy=Youngest())
    assert failure.shrinking is not None
    assert failure.shrinking.outcome == "unrepeatable"
    assert "The program did not fail in the same way again" in failure.report()


class Fixed(Options):
    """Options of tasks that stand at places."""

    __slots__ = ("_tasks",)

    def __init__(self, *tasks: str) -> None:
        super().__init__((), bool)
        self._tasks = tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def key(self, index: int) -> str:
        return self._tasks[index][0]

    def place(self, index: int) -> tuple[str, ...]:
        return (self._tasks[index],)


@pytest.mark.parametrize(
    ("choices", "switches"),
    [
        # Stock order; one task ahead, for long; one held, for long; two of them.
        ([(0, "a b c"), (0, "b c a"), (0, "c a b")], 0),
        ([(1, "a b c"), (2, "a c b"), (2, "a c b"), (0, "a c b")], 1),
        ([(1, "a b c"), (1, "a c b"), (1, "a b c"), (0, "a c")], 1),
        ([(2, "a b c"), (1, "a b c"), (0, "a c")], 2),
        ([(1, "a b c"), (0, "a c b"), (1, "c b a")], 2),
        # Who has gone on meanwhile is not held any more.
        ([(1, "a b"), (1, "a1 b")], 1),
        ([(1, "a b"), (0, "a c"), (1, "a c")], 2),
    ],
)
def test_switches_are_counted(choices: list[tuple[int, str]], switches: int) -> None:
    """One long run ahead of others, and one long wait, are one context switch each."""
    counter = SwitchCounter()
    for choice, tasks in choices:
        options = Fixed(*tasks.split())
        is_free = choice in counter.free(options)
        assert counter.note(choice, options) != is_free
    assert counter.total == switches
