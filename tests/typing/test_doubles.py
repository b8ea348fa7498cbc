"""The types of doubles: those of the real thing, and those of the controls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, assert_type

import aldente
from aldente import Call, Double, Gate


async def fetch(url: str, *, timeout: float = 1) -> int:
    return 1


async def lines(path: str) -> AsyncIterator[str]:
    yield path


@contextlib.asynccontextmanager
async def transaction(name: str) -> AsyncIterator[bytes]:
    yield b""


class Client:
    async def get(self, path: str) -> bytes:
        return b""


def test_a_function() -> None:
    """The double of a function takes its arguments and gives its result, and so do its controls."""
    double = Double(fetch)
    assert_type(double.pending, int)
    assert_type(double.peak_concurrency, int)
    assert_type(double.cancelled_count, int)
    double.returns(3).takes(0)
    double.returns("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    double.returns(3)

    async def main() -> None:
        assert_type(await double("a", timeout=2), int)
        assert_type(double("a").close(), None)
        coroutine: Coroutine[Any, Any, int] = double("a")
        await coroutine
        gate = double.hold()
        assert_type(gate, Gate)
        gate.release()

    asyncio.run(main())
    try:
        _ = double(3, 4)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    except TypeError:
        pass
    else:
        raise AssertionError("the double takes arguments that the function does not")


def test_streams_and_context_managers() -> None:
    """What is iterated and what is entered has the item's type."""
    stream = Double(lines).streams("a")
    context = Double(transaction).returns(b"x")

    async def main() -> None:
        async for line in stream("path"):
            assert_type(line, str)
        entered = context("name")
        manager: AbstractAsyncContextManager[bytes] = entered
        async with manager as inside:
            assert_type(inside, bytes)

    asyncio.run(main())


async def use(client: Client) -> bytes:
    """Code that wants a client."""
    # As an editor shows it: the method of the spec, with the controls of a double.
    double = Double.of(client.get)
    double.returns(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    double.returns(b"x")
    assert_type(await double("/"), bytes)
    assert_type(double.hold().waiting, tuple[Call, ...])
    double.hold().release()
    assert_type(await client.get("/"), bytes)
    return await client.get("/")


def test_a_class() -> None:
    """The double of a class passes for an instance; Double.of() shows a method with its controls."""
    assert asyncio.run(use(Double(Client))) == b"x"


def test_patches() -> None:
    """A patch gives what can't be known, and a decorated function keeps its own type."""

    @aldente.patch("asyncio.sleep")
    def decorated(number: int, sleep: Any = None) -> str:
        return str(number)

    assert_type(decorated(1), str)
    with aldente.patch("asyncio.sleep") as sleep:
        assert_type(sleep, Any)
