"""`choose`, `invariant` and `note`: what a program says to whoever explores it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any, assert_type

import pytest

import aldente
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.auto import Auto
from aldente._strategies.dfs import Dfs
from aldente._strategies.fifo import Fifo
from aldente._strategies.pct import Pct
from aldente._strategies.pos import Pos
from aldente._strategies.random import Random
from aldente.errors import InvalidSetting, InvariantBroken, NotSimulated
from tests.unit.test_cancelling_anywhere import outcomes_of

Main = Callable[[], Coroutine[Any, Any, Any]]


def failure_of(main: Main, **arguments: Any) -> Any:
    failure = aldente.search(main, **arguments).failure
    assert failure is not None
    assert not failure.inexact
    with pytest.raises(type(failure.exception)):
        aldente.replay(main, failure.token)
    return failure


def story_of(main: Main, **arguments: Any) -> str:
    report: str = failure_of(main, **arguments).report()
    return re.sub(r"\S*test_inside_programs\.py:\d+", "FILE", report)


# choose.


async def two_choices() -> tuple[str, int]:
    text = aldente.choose(["a", "b"])
    await asyncio.sleep(0)
    return text, aldente.choose((1, 2, 3))


def test_all_values_are_chosen() -> None:
    """Each value is given in some schedule, and all of them together are exhausted."""
    assert outcomes_of(two_choices) == {(text, number) for text in "ab" for number in (1, 2, 3)}
    found = aldente.search(two_choices)
    assert (found.runs, found.exhausted) == (6, True)


@pytest.mark.parametrize("strategy", [Random, Pct, Pos, Auto], ids=lambda one: one.__name__)
def test_strategies_draw_values(strategy: Callable[[int], Any]) -> None:
    """Strategies that draw give each value in some run, also when a task asks again and again."""

    async def main() -> tuple[int, ...]:
        return tuple(aldente.choose([0, 1]) for _ in range(3))

    made, found = strategy(1), set()
    for _ in range(100):
        if made.start():
            found.add(simulate(main, made, RunSettings()).result)
    assert len(found) == 8


def test_the_first_value_is_that_of_stock_order() -> None:
    """In stock order, and on any other loop, the first value is given; without a loop as well."""
    assert simulate(two_choices, Fifo(), RunSettings()).result == ("a", 1)
    assert asyncio.run(two_choices()) == ("a", 1)
    assert_type(aldente.choose([1, 2]), int)
    assert aldente.choose("xy") == "x"


def test_a_single_value_is_no_choice() -> None:
    """Where there is nothing to choose, the schedule has no choice."""

    async def main() -> int:
        return aldente.choose([1])

    result = simulate(main, Fifo(), RunSettings())
    assert (result.result, result.choices) == (1, [])


@pytest.mark.parametrize("wrong", [[], (), "", {1, 2}, iter([1]), 3, None])
def test_what_has_no_first_value_is_refused(wrong: Any) -> None:
    """What is empty, or no sequence, is a mistake on any loop."""
    with pytest.raises(InvalidSetting) as caught:
        aldente.choose(wrong)
    assert str(caught.value) == (
        f"{wrong!r} is not a valid options. It must be a sequence, such as a list, with at least "
        f"one value.\nIt was given as options={wrong!r} ({type(wrong).__name__})."
    )


def test_a_thread_is_given_values() -> None:
    """A job of an executor is given values as a task is."""

    async def main() -> str:
        return await asyncio.to_thread(aldente.choose, ["a", "b"])

    assert outcomes_of(main) == {"a", "b"}


def test_a_value_is_told_of() -> None:
    """The story tells which value was given, and to whom; the usual one is no switch."""

    async def main() -> None:
        aldente.choose(["usual", "other"])
        assert aldente.choose(["usual", "other"]) == "usual"

    assert """\
What happened, in 1 of 1 steps; > marks where the schedule left stock order:
    Task-1  FILE  async def main() -> None:
            begins
    Task-1  aldente.choose gives option 0 of 0 to 1
            FILE  aldente.choose(["usual", "other"])
  > Task-1  aldente.choose gives option 1 of 0 to 1
            FILE  assert aldente.choose(["usual", "other"]) ==""" in story_of(main)


# note.


async def noting() -> None:
    async def work() -> None:
        aldente.note("in a task")
        await asyncio.to_thread(aldente.note, "in a thread")

    await asyncio.create_task(work(), name="worker")
    asyncio.get_running_loop().call_soon(aldente.note, "in a callback")
    await asyncio.sleep(0)
    raise ValueError


def test_a_note_is_told_at_its_moment() -> None:
    """A story has notes where they were made, with task and line as far as they have some."""
    story = story_of(noting)
    places = [story.find(text) for text in ("note: in a task", "note: in a thread", "callback")]
    assert -1 < places[0] < places[1] < places[2]
    assert re.search(r"worker +note: in a task\n +FILE  aldente\.note\(.in a task.\)$", story, re.M)
    assert re.search(r"^ +note +note: in a thread$", story, re.M)
    assert re.search(r"\(loop\) +note: in a callback$", story, re.M)


def test_notes_are_no_steps() -> None:
    """Two runs that differ in the text of a note only are the same run."""
    count = 0

    async def main() -> None:
        nonlocal count
        count += 1
        aldente.note(f"run {count}")
        raise ValueError

    assert "in 1 of 1 steps" in story_of(main)


def test_elsewhere_a_note_is_nothing() -> None:
    """A note is taken on any loop, and without one; what is no text is refused everywhere."""

    async def main() -> None:
        aldente.note("on asyncio's loop")

    asyncio.run(main())
    aldente.note("without a loop")
    with pytest.raises(InvalidSetting, match=r"takes a string, .*\nIt was given as text=3 \(int\)"):
        aldente.note(3)  # type: ignore[arg-type]


# invariant.


class Account:
    """Goes below zero if two payments overlap."""

    def __init__(self) -> None:
        self.balance = 10

    def is_covered(self) -> bool:
        return self.balance >= 0

    def is_said_to_be_covered(self) -> None:
        balance = self.balance
        assert balance >= 0

    async def pay(self, amount: int) -> None:
        if self.balance >= amount:
            await asyncio.sleep(0)
            self.balance -= amount

    async def pay_twice(self) -> None:
        first = asyncio.create_task(self.pay(10), name="first")
        second = asyncio.create_task(self.pay(10), name="second")
        await asyncio.gather(first, second)


async def overdrawn() -> None:
    account = Account()
    aldente.invariant(account.is_covered)
    await account.pay_twice()
    account.balance = 10
    await asyncio.sleep(100)


def test_an_invariant_ends_the_run_at_once() -> None:
    """The run ends after the very step after which the check returns False, with what to fix."""
    failure = failure_of(overdrawn)
    error = failure.exception
    assert isinstance(error, InvariantBroken)
    assert error.after == "the task 'second'"
    line = Account.is_covered.__code__.co_firstlineno
    assert str(error) == (
        f"The invariant 'Account.is_covered' ({__file__}:{line}) does not hold any more: it "
        "returned False after a step of the task 'second'.\n"
        "The next task that runs sees that state, and in production any task may see it.\n"
        "Fix: change the state without an await in between, or under a lock that the invariant "
        "checks too; 'assert' inside the check shows which part of it is broken."
    )
    assert failure.steps[-2].task == "second"
    assert failure.steps[-2].time == 0


def test_the_story_ends_with_the_step_that_broke_it() -> None:
    """The last that a report tells is the step, and the invariant that it has broken."""
    story = story_of(overdrawn)
    assert (
        """\
    second  FILE  await asyncio.sleep(0)
            goes on after sleep
            changes account.balance to -10  FILE  self.balance -= amount
    (loop)  the invariant 'Account.is_covered' is broken

Run 1 failed"""
        in story
    )


def test_an_exception_of_the_check_is_the_runs() -> None:
    """What a check raises is raised as it is, with its own traceback."""

    async def main() -> None:
        account = Account()
        aldente.invariant(account.is_said_to_be_covered)
        await account.pay_twice()

    failure = failure_of(main)
    assert type(failure.exception) is AssertionError
    assert "-10 >= 0" in str(failure.exception)
    assert failure.report().splitlines()[1].endswith("in is_said_to_be_covered")


def test_a_callback_may_break_it() -> None:
    """Steps that are no task's are looked at too."""

    async def main() -> None:
        seen: list[int] = []
        aldente.invariant(lambda: not seen)
        asyncio.get_running_loop().call_soon(seen.append, 1)
        await asyncio.sleep(100)

    assert failure_of(main).exception.after == "the callback list.append"


def test_it_is_found_although_the_program_ends_well() -> None:
    """A state that is broken only for a moment, in some schedules, is found, shrunk and replayed."""

    async def main() -> None:
        used = 0
        aldente.invariant(lambda: used < 3)

        async def use() -> None:
            nonlocal used
            await asyncio.sleep(0)
            used += 1
            await asyncio.sleep(0)
            used -= 1

        async def later() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            await use()

        await asyncio.gather(use(), use(), later())

    failure = failure_of(main)
    assert isinstance(failure.exception, InvariantBroken)
    assert failure.run > 1
    assert failure.shrinking.outcome == "least"


def test_a_block_ends_it() -> None:
    """As a context manager it is checked until the block is left, after each step inside."""
    checked: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with aldente.invariant(lambda: checked.append(loop.time())):
            await asyncio.sleep(1)
            await asyncio.sleep(1)
        await asyncio.sleep(1)

    assert aldente.search(main, runs=1).failure is None
    assert set(checked) == {100_000.0, 100_001.0}


def test_it_is_over_when_the_program_is() -> None:
    """What happens while what is left is cancelled breaks no invariant."""

    async def main() -> None:
        is_open = True
        aldente.invariant(lambda: is_open)

        async def leave() -> None:
            nonlocal is_open
            try:
                await asyncio.sleep(100)
            finally:
                is_open = False

        task = asyncio.create_task(leave())
        await asyncio.sleep(0)
        assert not task.done()

    assert aldente.search(main).failure is None


def test_a_thread_may_set_it_up() -> None:
    """A job of an executor may ask for a check; steps in which a thread runs are looked at."""

    async def main() -> None:
        seen: list[int] = []

        def job() -> None:
            aldente.invariant(lambda: not seen)
            seen.append(1)

        await asyncio.to_thread(job)

    assert isinstance(failure_of(main).exception, InvariantBroken)


async def check_later() -> bool:
    return True


class Asynchronous:
    async def __call__(self) -> bool:
        return True


@pytest.mark.parametrize("wrong", [check_later, 3, None], ids=["async", "number", "None"])
def test_an_async_check_is_refused(wrong: Any) -> None:
    """A check that is no plain function is refused at once, on any loop."""
    with pytest.raises(InvalidSetting, match="It must be a function without arguments that is not"):
        aldente.invariant(wrong)


@pytest.mark.parametrize("check", [Asynchronous(), lambda: check_later()], ids=["object", "lambda"])
def test_a_check_that_gives_an_awaitable_is_refused(check: Callable[[], object]) -> None:
    """One of which it shows only when it is called ends the run with what is wrong."""

    async def main() -> None:
        aldente.invariant(check)
        await asyncio.sleep(0)

    failure = aldente.search(main, shrink=False).failure
    assert failure is not None
    assert isinstance(failure.exception, InvalidSetting)
    assert "no step may run between its beginning and its end" in str(failure.exception)


def test_elsewhere_an_invariant_is_refused() -> None:
    """Where nobody sees the steps, it says so, and where they are seen."""

    async def main() -> None:
        aldente.invariant(lambda: True)

    for call in (lambda: asyncio.run(main()), lambda: aldente.invariant(lambda: True)):
        with pytest.raises(NotSimulated) as caught:
            call()
        assert str(caught.value) == (
            "aldente.invariant() was called outside of a simulated run. aldente checks the "
            "invariant after every step, and only a simulated loop shows its steps.\n"
            "Fix: call it in an explored test, or in a program that aldente.search(main) or "
            "aldente.run(main, seed=1) runs; elsewhere, assert where it matters."
        )


def test_all_schedules_keep_an_invariant_that_holds() -> None:
    """A check that always holds changes nothing: as many schedules, and all of them pass."""

    async def main() -> None:
        lock, account = asyncio.Lock(), Account()
        aldente.invariant(account.is_covered)

        async def pay() -> None:
            async with lock:
                await account.pay(10)

        await asyncio.gather(pay(), pay())

    strategy = Dfs()
    found = aldente.search(main, strategy=strategy)
    assert (found.failure, found.exhausted) == (None, True)
