"""What a story says of a task that acts by what it has read, after another has changed it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import aldente
from tests.known_bugs.table import BUGS, Bug
from tests.known_bugs.told import assert_told_in_order
from tests.unit.test_shared_uses import race_in

Main = Callable[[], Coroutine[Any, Any, None]]


class Connection:
    """A connection that fails if it is used after it was closed."""

    def __init__(self) -> None:
        self.is_closed = False
        self.sent: list[str] = []

    def write(self, text: str) -> None:
        """Send at once."""
        if self.is_closed:
            raise ConnectionError
        self.sent.append(text)

    async def send(self, text: str) -> None:
        """Send, unless it is closed."""
        if not self.is_closed:
            await asyncio.sleep(0.1)
            self.write(text)

    async def send_or_return(self, text: str) -> None:
        """Send, unless it is closed."""
        if self.is_closed:
            return
        await asyncio.sleep(0.1)
        self.write(text)

    async def send_checked(self, text: str) -> None:
        """Send, unless it is closed by then; and fail for another reason."""
        if not self.is_closed:
            await asyncio.sleep(0.1)
            if not self.is_closed:
                self.write(text)
            else:
                raise LookupError

    async def close(self) -> None:
        """Close it."""
        await asyncio.sleep(0.15)
        self.is_closed = True


def closing_while(send: Callable[[Connection], Coroutine[Any, Any, None]]) -> Main:
    """A program that closes a connection and uses it."""

    async def main() -> None:
        connection = Connection()
        await asyncio.gather(send(connection), connection.close())

    return main


@pytest.mark.parametrize(
    "send",
    [lambda connection: connection.send("a"), lambda connection: connection.send_or_return("a")],
    ids=["block", "return"],
)
def test_a_condition_that_does_not_hold_any_more_is_told(
    send: Callable[[Connection], Coroutine[Any, Any, None]],
) -> None:
    """Who checked, who changed what was checked, and where the first went on."""
    found = race_in(closing_while(send))
    assert re.sub(r"line \d+", "line N", re.sub(r"send\w*\(", "send(", found)) == (
        """\
What raced: connection.is_closed.
  Task-2, send('a'), read connection.is_closed = False at LINE;
  Task-3 changed connection.is_closed to True at LINE;
  then Task-2 went on at LINE, under the condition in line N, and had not read \
connection.is_closed again."""
    )


def test_what_was_checked_again_is_not_told() -> None:
    """A task that looks again has not acted by an old value, whatever it fails by."""
    assert race_in(closing_while(lambda connection: connection.send_checked("a"))) == ""


class Pool:
    """A pool of one connection, which may be replaced."""

    def __init__(self) -> None:
        self.connection = Connection()

    async def query(self) -> None:
        """Use the connection of before."""
        connection = self.connection
        await asyncio.sleep(0.1)
        connection.write("query")

    async def query_the_new_one(self) -> None:
        """Take the connection anew, and use a closed one."""
        connection = self.connection
        await asyncio.sleep(0.1)
        connection = self.connection
        connection.is_closed = True
        connection.write("query")

    async def renew(self) -> None:
        """Replace the connection."""
        await asyncio.sleep(0.15)
        self.connection.is_closed = True
        self.connection = Connection()


def test_a_variable_that_keeps_an_old_value_is_told() -> None:
    """What it keeps, who changed that, and where the variable was used."""

    async def main() -> None:
        pool = Pool()
        await asyncio.gather(pool.query(), pool.renew())

    assert race_in(main) == (
        """\
What raced: pool.connection.
  Task-2 kept pool.connection as connection at LINE;
  Task-3 changed pool.connection at LINE;
  then Task-2 used connection at LINE, and had not read pool.connection again."""
    )


def test_a_variable_that_was_set_again_is_not_told() -> None:
    """The new value is no old one."""

    async def main() -> None:
        pool = Pool()
        await asyncio.gather(pool.query_the_new_one(), pool.renew())

    assert race_in(main) == ""


def test_nothing_is_told_without_a_change_in_between() -> None:
    """A task that fails for another reason has not acted by an old value."""

    async def main() -> None:
        connection = Connection()

        async def fail() -> None:
            if not connection.is_closed:
                await asyncio.sleep(0.1)
                raise LookupError

        await asyncio.gather(fail(), connection.send("a"))
        connection.is_closed = True

    assert race_in(main) == ""


def test_what_has_nothing_to_do_with_the_failure_is_not_told() -> None:
    """An old value that another task acts by explains no failure elsewhere."""

    async def main() -> None:
        connection = Connection()
        seen: list[bool] = []

        async def look() -> None:
            is_closed = connection.is_closed
            await asyncio.sleep(0.2)
            seen.append(is_closed)

        await asyncio.gather(look(), connection.close())
        raise LookupError

    assert race_in(main) == ""


def test_an_act_that_the_failing_line_sees_is_told() -> None:
    """The line that fails reads what the old value has led to."""

    async def main() -> None:
        connection = Connection()
        seen: list[bool] = []

        async def look() -> None:
            is_closed = connection.is_closed
            await asyncio.sleep(0.2)
            seen.append(is_closed)

        await asyncio.gather(look(), connection.close())
        assert seen == [True]

    assert "used is_closed at LINE, and had not read connection.is_closed again" in race_in(main)


# Known bugs of other kinds are looked at where all of them are looked for.
OF_STATE = [bug for bug in BUGS if bug.program.__module__.endswith((".state", ".durations"))]


@pytest.mark.parametrize("bug", OF_STATE, ids=lambda bug: bug.name)
def test_each_word_on_a_known_bug_is_true(bug: Bug) -> None:
    """What is read, changed and done then are three steps, in this order, of two tasks."""
    failure = aldente.search(bug.main, runs=bug.runs, seed=1, shrink=False).failure
    assert failure is not None
    assert_told_in_order(failure)


def test_a_task_that_is_cancelled_has_not_gone_on() -> None:
    """The line at which a task waits when it is cancelled is none by which it acts."""

    async def main() -> None:
        connection = Connection()
        event = asyncio.Event()

        async def wait() -> None:
            while not connection.is_closed:
                await event.wait()

        first, second = (asyncio.create_task(wait()) for _ in range(2))
        await connection.close()
        first.cancel()
        await asyncio.gather(first, second, return_exceptions=True)

    assert race_in(main) == ""
