"""What doubles tell of how they were awaited."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

import aldente
from aldente import Double, assert_order, assert_overlap

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return aldente.run(main, clock="virtual")


async def fetch(url: str, *, timeout: float = 1) -> int:
    raise AssertionError("the real thing")


def test_concurrency() -> None:
    """The peak is how many calls were awaited at once, whatever became of them."""
    double = Double().takes(10)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(double())
            await asyncio.sleep(5)
            assert double.pending == 3
            await asyncio.sleep(6)
            group.create_task(double())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(double(), 1)

    run(main)
    assert (double.peak_concurrency, double.pending, double.cancelled_count) == (3, 0, 1)


def test_the_timeline() -> None:
    """Each call is told with its times, task, outcome and place."""
    double = Double(fetch).takes(2).returns_each(1, OSError("down"))

    async def main() -> None:
        task = asyncio.create_task(double("a", timeout=3), name="reader")
        assert await task == 1
        with pytest.raises(OSError, match="down"):
            await double("b")
        double.never_returns()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(double("c"), 5)
        double("d").close()

    run(main)
    first, second, third, last = double.timeline
    assert (first.args, first.kwargs, first.task) == (("a",), {"timeout": 3}, "reader")
    assert (first.end or 0) - (first.start or 0) == 2
    assert (first.outcome, first.result) == ("returned", 1)
    assert (second.outcome, repr(second.exception)) == ("raised", "OSError('down')")
    assert third.outcome == "cancelled"
    assert (last.outcome, last.start) == ("never awaited", None)
    assert first.place is not None
    assert first.place.path == __file__
    rows = [re.split("  +", line) for line in str(double.timeline).splitlines()]
    assert rows[0] == ["#", "call", "start", "end", "outcome", "task", "called at"]
    assert [row[1:5] for row in rows[1:]] == [
        ["fetch('a', timeout=3)", "0.000 s", "2.000 s", "returned 1"],
        ["fetch('b')", "2.000 s", "4.000 s", "raised OSError('down')"],
        ["fetch('c')", "4.000 s", "9.000 s", "cancelled"],
        ["fetch('d')", "never awaited", rows[4][3]],
    ]
    assert rows[1][5] == "reader"


def test_a_call_compares_with_a_mocks_call() -> None:
    """The arguments of a call are there as `unittest.mock.call` has them."""
    from unittest.mock import call

    double = Double().returns(1)

    async def main() -> None:
        await double(1, a=2)

    run(main)
    assert double.timeline[0].call == call(1, a=2)


def test_reset() -> None:
    """reset_mock() empties the account, and keeps the answers."""
    double = Double().returns(1)
    double.when("a").returns(2)

    async def main() -> None:
        await double()
        double.reset_mock()
        assert (double.timeline, double.peak_concurrency, double.await_count) == ((), 0, 0)
        assert [await double("a"), await double()] == [2, 1]

    run(main)


def test_a_failed_assertion_is_a_table() -> None:
    """What was expected stands above what was asked, call by call."""
    double = Double(fetch).returns(1)

    async def main() -> None:
        await double("a")
        await double("b", timeout=2)

    run(main)
    with pytest.raises(AssertionError) as caught:
        double.assert_awaited_with("b", timeout=3)
    lines = [line.split("  called at")[0].rstrip() for line in str(caught.value).splitlines()]
    assert lines[0] == "expected await not found."
    assert [line.split("0.000 s")[0].rstrip() for line in lines[2:]] == [
        "          #  call                   start    end      outcome     task",
        "expected     fetch('b', timeout=3)",
        "actual    1  fetch('a')",
        "actual    2  fetch('b', timeout=2)",
    ]


@pytest.mark.parametrize(
    ("assertion", "arguments", "reason"),
    [
        ("assert_awaited", (), "Expected mock to have been awaited."),
        ("assert_awaited_once", (), "Expected mock to have been awaited once. Awaited 0 times."),
        (
            "assert_awaited_once_with",
            (1,),
            "Expected mock to have been awaited once. Awaited 0 times.",
        ),
        ("assert_any_await", (1,), "mock(1) await not found"),
        ("assert_called_once_with", (1,), "Expected 'mock' to be called once. Called 0 times."),
        ("assert_has_awaits", ([(("x",), {})],), "Awaits not found."),
    ],
)
def test_assertions_without_calls(assertion: str, arguments: Any, reason: str) -> None:
    """Each assertion says what is wrong as a mock does, and that there were no calls."""
    with pytest.raises(AssertionError) as caught:
        getattr(Double(), assertion)(*arguments)
    assert str(caught.value).splitlines()[0] == reason
    assert str(caught.value).splitlines()[-1].split() == ["actual", "(no", "calls)"]


def make_two() -> tuple[Any, Any]:
    return Double(name="left").takes(10), Double(name="right").takes(10)


def test_order() -> None:
    """One after the other is in order; the other way round, at once, or not at all is not."""
    left, right = make_two()

    async def one_by_one() -> None:
        await left()
        await right()

    run(one_by_one)
    assert_order(left, right)
    assert_order(left.timeline[0], right.timeline[0])
    with pytest.raises(AssertionError) as caught:
        assert_order(right, left)
    assert str(caught.value).splitlines()[0] == (
        "Expected right, then left; but right() began after left()."
    )
    with pytest.raises(
        AssertionError, match=r"Expected left, then idle; but idle was never awaited"
    ):
        assert_order(left, Double(name="idle"))


def test_order_of_calls_at_once() -> None:
    """A call must have ended when the next begins, though both are at one moment of time."""
    left, right = Double(name="left"), Double(name="right")

    async def main() -> None:
        await asyncio.gather(left("a"), right("b"))
        gate = left.hold()
        task = asyncio.create_task(left("c"))
        await gate.arrived()
        await right("d")
        with pytest.raises(AssertionError) as caught:
            assert_order(left.timeline[1], right.timeline[1])
        assert str(caught.value).splitlines()[0] == (
            "Expected left('c'), then right('d'); but left('c') had not ended when right('d') began."
        )
        gate.release()
        await task

    run(main)
    assert_order(left.timeline[0], right.timeline[0], right.timeline[1])


def test_overlap() -> None:
    """Doubles overlap when a moment lies within a call of each."""
    left, right = make_two()
    third = Double(name="third").takes(1)

    async def main() -> None:
        await asyncio.gather(left(), right())
        await third()

    run(main)
    assert_overlap(left, right)
    with pytest.raises(AssertionError) as caught:
        assert_overlap(left, right, third)
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "Expected left and right and third to be awaited at the same time; but there was no such moment."
    )
    assert [line.split()[1] for line in lines[3:]] == ["left", "right", "third"]


def test_overlap_of_one_double() -> None:
    """Alone, a double's own calls must overlap."""
    double = Double(name="one").takes(1)

    async def main() -> None:
        await double()
        await double()
        with pytest.raises(AssertionError, match="but no two of its calls were"):
            assert_overlap(double)
        await asyncio.gather(double(), double())

    run(main)
    assert_overlap(double)


def test_only_doubles_are_asked_about() -> None:
    """Anything else is refused, with what is allowed."""
    with pytest.raises(aldente.InvalidSetting, match=r"It must be an aldente\.Double, or a call"):
        assert_order(Double(), 3)
    with pytest.raises(aldente.InvalidSetting):
        assert_overlap("x")


def test_long_tables_are_shortened() -> None:
    """A table shows the first and the last calls when there are very many, and short cells."""
    double = Double().returns("x" * 500)

    async def main() -> None:
        for number in range(100):
            await double(number)

    run(main)
    text = str(double.timeline)
    assert "... 70 more ..." in text
    assert len(text.splitlines()) == 32
    assert max(map(len, text.splitlines())) < 250
    assert "mock(99)" in text
    assert str(Double().timeline) == "(no calls)"


def test_a_name_that_is_no_string() -> None:
    """It is refused where the double is made, not where a message would use it."""
    with pytest.raises(aldente.InvalidSetting) as caught:
        Double(name=3)
    assert str(caught.value) == (
        "3 is not a valid name. It must be a string.\nIt was given as name=3 (int)."
    )
    assert repr(Double(name="three")).startswith("<Double name='three'")
