"""An answer that a double can't give is refused where the test says it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import aldente
from aldente import Double


class Line:
    """Something with async methods, that is not called."""

    async def send(self, data: bytes) -> int:
        raise NotImplementedError


class Feed:
    """Something that is iterated, and not called."""

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> str:
        raise NotImplementedError


class Entered:
    """Something that is entered, and not called."""

    async def __aenter__(self) -> Line:
        raise NotImplementedError

    async def __aexit__(self, *exception: object) -> None:
        raise NotImplementedError


class Call:
    """Something with a method whose name is one of a double's."""

    def hold(self) -> str:
        raise NotImplementedError


class Phone:
    """Something that has one."""

    call: Call


class Client:
    """A service."""

    line: Line
    feed: Feed
    entered: Entered
    number: int
    handler: Callable[[str], int]

    async def get(self, name: str) -> int:
        raise NotImplementedError

    async def open(self) -> AsyncIterator[str]:
        raise NotImplementedError

    async def anything(self) -> Any:
        raise NotImplementedError

    async def unsaid(self):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    async def lines(self) -> AsyncIterator[str]:
        yield ""

    def count(self) -> int:
        raise NotImplementedError

    answered: asyncio.Future[int]
    awaited: Awaitable[list[int]]
    lines_later: asyncio.Future[AsyncIterator[str]]
    unknown: asyncio.Future  # type: ignore[type-arg]

    @property
    async def later(self) -> int:
        raise NotImplementedError


@pytest.fixture
def client() -> Any:
    """A double of an instance."""
    return Double(Client)


def refused(message: str) -> Any:
    """Expects an error that begins so."""
    return pytest.raises(aldente.InvalidSetting, match=re.escape(message))


@pytest.mark.parametrize("name", ["get", "unsaid"])
@pytest.mark.parametrize("by_argument", [False, True])
def test_a_stream_where_something_is_awaited(client: Any, name: str, by_argument: bool) -> None:
    """Items can't be what a coroutine function gives, unless its annotation says so."""
    method = getattr(client, name)
    answer = method.when(*(["a"] if name == "get" else [])) if by_argument else method
    with refused(
        f"('x', 'y') is not a valid streams. Client.{name} can't stream items: the real object "
    ) as caught:
        answer.streams("x", "y")
    assert f"Use Client.{name}.returns(...)" in str(caught.value)
    method.assert_not_called()


def test_a_stream_where_one_is_awaited(client: Any) -> None:
    """They can where the result is an async iterator, or may be anything."""
    client.open.streams("a")
    client.anything.streams("b")

    async def main() -> list[str]:
        lines = [line async for line in await client.open()]
        return lines + [line async for line in await client.anything()]

    assert asyncio.run(main()) == ["a", "b"]


@pytest.mark.parametrize("name", ["answered", "awaited", "later"])
def test_a_stream_of_what_is_awaited_itself(client: Any, name: str) -> None:
    """Items can't be what a future or an async property gives either, unless it is unknown."""
    with refused(
        f"('x', 'y') is not a valid streams. Client.{name} can't stream items: it is "
        "awaited, and according to its annotation returns something that 'async for' can't iterate "
        f"over. Use Client.{name}.returns(...)."
    ):
        getattr(client, name).streams("x", "y")
    client.lines_later.streams("a")
    client.unknown.streams("b")

    async def main() -> list[str]:
        lines = [line async for line in await client.lines_later]
        return lines + [line async for line in await client.unknown]

    assert asyncio.run(main()) == ["a", "b"]


@pytest.mark.parametrize("answers", [(3,), ("a", 3), (None,)])
def test_no_items(client: Any, answers: tuple[Any, ...]) -> None:
    """What an async generator function gives must be something to iterate."""
    say = client.lines.returns if len(answers) == 1 else client.lines.returns_each
    wrong = answers[-1]
    with refused(
        f"{wrong!r} is not a valid answer. It must be iterable, because 'async for' iterates over the result of Client.lines: "
        f"Client.lines.streams({wrong!r}), or Client.lines.returns([{wrong!r}]).\n"
        f"It was given as answer={wrong!r} ({type(wrong).__name__})."
    ):
        say(*answers)
    with refused(f"{wrong!r} is not a valid answer."):
        client.lines.when().returns(wrong)
    client.lines.returns(["a"]).returns_each(["a"], KeyError, Double().streams(1)).returns(feed())


def feed() -> Any:
    """Something to iterate with ``async for``."""
    double: Any = Double(Feed)
    return double.streams("a")


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("line", "set its attributes, or patch it with another value"),
        (
            "feed",
            "use Client.feed.streams(...) for 'async for', or set its attributes, or patch it with another value",
        ),
        (
            "entered",
            "use Client.entered.__aenter__.returns(...) for 'async with', or set its attributes, or patch it with another value",
        ),
    ],
)
def test_what_is_never_called(client: Any, name: str, ways: str) -> None:
    """A stand-in for an object that is not called refuses answers, and says what can be said."""
    double = getattr(client, name)
    message = f"Client.{name} is not called, so it answers nothing; {ways}."
    for method, arguments in [
        ("returns", (3,)),
        ("raises", (KeyError,)),
        ("calls", (len,)),
        ("returns_each", (1, 2)),
        ("never_returns", ()),
    ]:
        with refused("is not a valid answer. ") as caught:
            getattr(double, method)(*arguments)
        assert message in str(caught.value)
    if name != "feed":
        for method, arguments in [("hold", ()), ("takes", (3,)), ("streams", (1,))]:
            with refused("is not a valid answer. ") as caught:
                getattr(double, method)(*arguments)
            assert message in str(caught.value)


def test_what_is_iterated_keeps_its_stream(client: Any) -> None:
    """It gives its items, which take their time."""
    client.feed.streams("a", "b").takes(10)

    async def main() -> tuple[list[str], float]:
        items = [item async for item in client.feed]
        return items, asyncio.get_running_loop().time()

    assert aldente.run(main, clock="virtual") == (["a", "b"], 100_020)


@pytest.mark.parametrize("name", ["count", "number", "handler"])
@pytest.mark.parametrize("method", ["streams", "takes", "never_returns", "hold"])
def test_what_is_called_and_not_awaited(client: Any, name: str, method: str) -> None:
    """What is for awaited answers is an error on a stand-in for what is called, with and without a spec."""
    double = getattr(client, name)
    with pytest.raises(AttributeError) as caught:
        getattr(double, method)
    assert str(caught.value) == (
        f"Client.{name} has no {method!r}: it is called, not awaited, so it answers at once, with "
        f"one value. Use Client.{name}.returns(...); or, if its result is awaited or iterated, "
        "annotate the real object as returning Awaitable[...] or AsyncIterator[...]."
        + (
            ""
            if name != "number"
            else f" If the real object has a {method!r}, give the double a spec that has it."
        )
    )
    assert not hasattr(double, method)


def test_such_names_in_the_real_thing() -> None:
    """Where the real thing has an attribute of such a name, that is what is meant."""

    phone: Any = Double(Phone)
    phone.call.hold.returns("held")
    assert phone.call.hold() == "held"
    phone.call.hold.assert_called_once_with()


def test_doubles_without_a_spec_keep_everything() -> None:
    """Nobody knows what they stand for, and they are awaited, iterated or entered as a test says."""
    double: Any = Double()
    double.returns(1).streams(2).returns(None).takes(1).hold()
    double.child.streams(3)

    async def main() -> list[int]:
        return [item async for item in double.child()]

    assert asyncio.run(main()) == [3]
