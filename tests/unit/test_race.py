"""Lost updates and what is never put back, in programs that pass; tests/known_bugs/test_races.py has more."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import pytest

import aldente
from aldente._records import Level
from tests.known_bugs import races

Main = Callable[[], Coroutine[Any, Any, None]]

ERROR: Mapping[str, Level] = {"race": "error"}
OFF: Mapping[str, Level] = {"race": "off"}


class Counter:
    """A counter that is kept in a store."""

    def __init__(self) -> None:
        self.value = 0

    async def add(self, amount: int) -> None:
        """Read it, wait and set it."""
        before = self.value
        await asyncio.sleep(0.01)
        self.value = before + amount


async def count() -> None:
    """Two tasks count at once."""
    counter = Counter()
    await asyncio.gather(counter.add(1), counter.add(2))


def lines_of(main: Main) -> list[str]:
    """The lines of the only finding of a search, without the paths."""
    (finding,) = aldente.search(main).findings
    return [line.replace(__file__, "here") for line in finding.splitlines()]


def test_a_lost_update_is_told() -> None:
    """What, where, the three uses with their values, what it ought to be, and the token."""
    first = Counter.add.__code__.co_firstlineno
    lines = lines_of(count)
    assert lines[0] == (
        "race: an update of counter.value is lost: Task-3 sets it from a "
        "value that it read before Task-2 changed it."
    )
    assert lines[1].endswith(f"test_race.py:{first + 4}")
    assert lines[2] == "    self.value = before + amount"
    told = [line.partition(" at ")[0] for line in lines[3:6]]
    assert told == [
        "  Task-3 reads counter.value = 0",
        "  Task-2 changes counter.value to 1",
        "  Task-3 changes counter.value to 2",
    ]
    assert (
        lines[6]
        == "  If the tasks run one after the other, in either order, counter.value ends as 3."
    )
    assert lines[7].startswith("  Run it again: aldente.replay(main, '3")
    assert lines[7].endswith('\', rules={"race": "error"})')
    assert any(
        line.startswith("Fix: Hold an asyncio.Lock from the line that reads") for line in lines
    )


def test_two_values_are_told() -> None:
    """Where both orders give different values, both are told."""

    class Title:
        text = "a"

        async def edit(self, more: str) -> None:
            before = self.text
            await asyncio.sleep(0)
            self.text = before + more

    async def main() -> None:
        title = Title()
        await asyncio.gather(title.edit("b"), title.edit("c"))

    assert "  If the tasks run one after the other, title.text ends as 'acb' or 'abc'." in lines_of(
        main
    )


def test_a_check_is_told() -> None:
    """What one of them would not do after the other."""

    class Shop:
        seats = 1

        async def buy(self) -> None:
            if self.seats:
                await asyncio.sleep(0)
                self.seats -= 1

    async def main() -> None:
        shop = Shop()
        await asyncio.gather(shop.buy(), shop.buy())

    lines = lines_of(main)
    assert lines[0] == (
        "race: Task-3 acts on an outdated check of shop.seats: Task-2 has changed it since."
    )
    assert "  If the tasks run one after the other, Task-3 does not do that after Task-2." in lines


def test_what_is_never_put_back_is_told() -> None:
    """Who has taken it where, how that task ended, and where others put it back."""

    (finding,) = aldente.search(partial(races.connection_kept_by_cancelled, False)).findings
    first, *_ = finding.splitlines()
    assert first == "race: Task-2 takes from pool.free, is cancelled, and never puts it back."
    assert "Task-2 changes pool.free by -1 at " in finding
    assert "A task that returns normally undoes that at " in finding
    assert "Fix: Put it back in a 'finally' block" in finding


def test_levels() -> None:
    """By default it is a warning; as an error it fails the search, with its story and token."""
    warned = aldente.search(count)
    assert warned.failure is None
    assert len(warned.findings) == 1
    assert aldente.search(count, rules=OFF).findings == ()
    failure = aldente.search(count, rules=ERROR).failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.FoundInRun)
    assert "What raced: counter.value." in failure.report()
    assert "rules={" not in str(failure.exception).partition("Allow:")[0]
    assert failure.run > warned.runs


def test_a_token_shows_it_again() -> None:
    """The schedule passes, but for the rule."""
    failure = aldente.search(count, rules=ERROR).failure
    assert failure is not None
    aldente.replay(count, failure.token)
    aldente.replay(count, failure.token, rules=OFF)
    with pytest.raises(aldente.FoundInRun, match="an update of counter"):
        aldente.replay(count, failure.token, rules=ERROR)


@pytest.mark.parametrize(("runs", "expected"), [(4, 0), (5, 0), (25, 1)])
def test_it_keeps_to_a_fifth_of_the_runs(runs: int, expected: int) -> None:
    """A short search has no run for it, or too few to be sure."""
    began = 0

    async def main() -> None:
        nonlocal began
        began += 1
        await count()

    found = aldente.search(main, runs=runs, strategy="random")
    assert len(found.findings) == expected
    # One more run tells whether the program depends on more than its schedule.
    assert began <= runs + 1 + runs // 5


def test_the_order_of_asyncio_alone_is_not_left() -> None:
    """Who asks for that order gets no other run."""
    assert aldente.search(count, strategy="fifo").findings == ()


def test_a_run_that_is_led_into_a_race_may_fail() -> None:
    """It fails the search as any other run does, and its token replays it."""

    async def main() -> None:
        seats = 1

        async def buy(turns: int) -> None:
            nonlocal seats
            for _ in range(turns):
                await asyncio.sleep(0)
            if seats:
                await asyncio.sleep(0)
                seats -= 1
                assert seats >= 0

        await asyncio.gather(buy(0), buy(6))

    # So few runs by chance that none of them goes wrong.
    assert aldente.search(main, runs=10, strategy="random", seed=4, rules=OFF).failure is None
    failure = aldente.search(main, runs=10, strategy="random", seed=4).failure
    assert failure is not None
    assert failure.run > 10
    with pytest.raises(AssertionError):
        aldente.replay(main, failure.token)


def test_the_program_runs_as_often_as_told_without_anything_shared() -> None:
    """One run is followed; where tasks share nothing there is no other."""
    began = 0

    async def main() -> None:
        nonlocal began
        began += 1
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

    with_rule = aldente.search(main), began
    began = 0
    without = aldente.search(main, rules=OFF), began
    assert with_rule[0].runs == without[0].runs
    assert with_rule[1] == without[1] + 1


class Strange:
    """An object with which nothing can be done but by `type`."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


class StrangeList(list[Any]):
    """A list whose own methods raise."""

    def __len__(self) -> int:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError


def nested() -> list[Any]:
    """A list in a list, and so on."""
    found: list[Any] = []
    for _ in range(400):
        found = [found]
    return found


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "make", [Strange, StrangeList, nested, lambda: 10**5_000, lambda: [10**5_000]]
)
def test_strange_values(make: Callable[[], Any]) -> None:
    """What can't be read, counted or shown is followed without an error of the rule itself."""

    async def main() -> None:
        value: Any = None
        kept: dict[str, Any] = {}

        async def load() -> None:
            nonlocal value
            if value is None:
                await asyncio.sleep(0)
                value = make()
            if "a" not in kept:
                await asyncio.sleep(0)
                kept["a"] = make()

        await asyncio.gather(load(), load())

    assert aldente.search(main, runs=20).findings == ()


def test_another_tracer_is_left_alone() -> None:
    """Where a debugger traces, nothing is followed and nothing found."""
    before = sys.gettrace()
    sys.settrace(lambda frame, event, argument: None)
    try:
        assert aldente.search(count).findings == ()
    finally:
        sys.settrace(before)


def test_a_finally_that_puts_back_is_seen() -> None:
    """A line that ends as an exception goes on behind it has done what it does."""

    async def main() -> None:
        free = [1, 2]

        async def use() -> None:
            item = free.pop()
            try:
                await asyncio.sleep(0.01)
            finally:
                free.append(item)

        task = aldente.may_be_cancelled(asyncio.create_task(use()))
        await asyncio.wait([task])
        await use()

    assert aldente.search(main).findings == ()


def test_a_skipped_line_is_not_taken_for_run() -> None:
    """Some Pythons show the last line of a block that is skipped, on the way behind it."""

    async def main() -> None:
        value: int | None = None
        lock = asyncio.Lock()

        async def fill(number: int) -> None:
            nonlocal value
            async with lock:
                if value is None:
                    await asyncio.sleep(0)
                    value = number

        await asyncio.gather(fill(1), fill(2), fill(3))

    assert aldente.search(main).findings == ()


def test_tasks_that_get_their_names_late() -> None:
    """Before Python 3.13 a TaskGroup names a task after it was made."""

    async def main() -> None:
        counter = Counter()
        async with asyncio.TaskGroup() as group:
            group.create_task(counter.add(1), name="one")
            group.create_task(counter.add(2), name="two")

    assert lines_of(main)[0] == (
        "race: an update of counter.value is lost: two sets it from a value "
        "that it read before one changed it."
    )


def test_the_end_of_the_time_is_no_failure() -> None:
    """A run that is led into a race, and cut off as the time for all runs is over, fails nothing."""
    followed = 0

    def work() -> None:
        # Only runs whose lines are followed take long.
        if sys.gettrace() is not None:
            time.sleep(0.05)

    async def main() -> None:
        nonlocal followed
        followed += sys.gettrace() is not None
        flag = False

        async def raise_flag(turns: int) -> None:
            nonlocal flag
            for _ in range(turns):
                await asyncio.sleep(0)
            if not flag:
                for _ in range(6):
                    work()
                    await asyncio.sleep(0)
                flag = True

        await asyncio.gather(raise_flag(0), raise_flag(20))

    found = aldente.search(main, runs=30, strategy="random", max_seconds=0.6)
    assert found.failure is None, found.failure.report()
    if followed < 2:
        pytest.skip("this machine was too busy to come as far as that")


def test_a_task_that_waits_for_one_that_is_held_back() -> None:
    """One after the other they can't run, as one looks again and again for what the other does."""

    async def main() -> None:
        value = begun = 0

        async def add() -> None:
            nonlocal value, begun
            before = value
            begun += 1
            while begun < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            value = before + 1

        await asyncio.gather(add(), add())

    assert aldente.search(main).findings == ()


def test_a_replay_runs_once_where_a_race_would_be_no_error() -> None:
    """A warning has no effect on a replay, so nothing is looked for."""
    began = 0

    async def main() -> None:
        nonlocal began
        began += 1
        await count()

    failure = aldente.search(main, rules=ERROR).failure
    assert failure is not None
    began = 0
    aldente.replay(main, failure.token)
    assert began == 1
