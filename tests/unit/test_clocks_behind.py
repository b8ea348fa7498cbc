"""The clocks behind a failed assertion, by its bytecode."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from datetime import date
from time import monotonic

import pytest

from aldente._virtual_time.clocks_behind import clocks_behind


def direct() -> None:
    assert time.time() < 0


def kept() -> None:
    began = time.monotonic()
    assert began < 0


def kept_twice() -> None:
    began = time.time_ns()
    elapsed = time.time_ns() - began
    seconds = elapsed / 1e9
    assert seconds > 60


def by_their_own_names() -> None:
    assert (monotonic() < 0, date.today())[0]


def by_another_name() -> None:
    clock = time.monotonic
    began = clock()
    assert clock() - began > 60


def in_several_lines() -> None:
    values = [1]
    assert values == [
        datetime.datetime.now(),
    ]


def of_an_inner_function() -> None:
    began = time.time()

    def compare() -> None:
        now = time.time()
        assert now - began > 60

    compare()


def of_something_else() -> None:
    began = time.time()
    count = 3
    assert count == 2, str(began)[:0]


def of_no_clock() -> None:
    time.sleep(0)
    assert time.strftime("%Y") == "1970"


def of_a_helper() -> None:
    assert _elapsed() > 60


def _elapsed() -> float:
    return -time.time()


@pytest.mark.parametrize(
    ("fails", "clocks", "lines"),
    [
        (direct, ["time.time()"], [1]),
        (kept, ["time.monotonic()"], [1]),
        (kept_twice, ["time.time_ns()", "time.time_ns()"], [1, 2]),
        (by_their_own_names, ["time.monotonic()", "date.today()"], [1, 1]),
        (by_another_name, ["time.monotonic()", "time.monotonic()"], [2, 3]),
        (in_several_lines, ["datetime.now()"], [3]),
        (of_an_inner_function, ["time.time()"], [4]),
        (of_no_clock, [], []),
        (of_a_helper, [], []),
    ],
)
def test_clocks(fails: Callable[[], None], clocks: list[str], lines: list[int]) -> None:
    """What the failed statement reads counts, at once or through variables of its function."""
    with pytest.raises(AssertionError) as raised:
        fails()
    found = clocks_behind(raised.value)
    assert sorted(each.clock for each in found) == sorted(clocks)
    begins = fails.__code__.co_firstlineno
    assert sorted(each.place.line - begins for each in found) == lines


def test_what_is_only_in_the_message() -> None:
    """A clock in the message is one that the assertion uses."""
    with pytest.raises(AssertionError) as raised:
        of_something_else()
    assert [each.clock for each in clocks_behind(raised.value)] == ["time.time()"]


def test_an_error_without_a_traceback() -> None:
    """There is no function to look at."""
    assert clocks_behind(AssertionError()) == []
