"""Attributes, properties and results are what their annotations say."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aldente
from aldente import Double, patch
from tests.unit.doubles.test_annotations import WAYS, module_of

SOURCE = """
import asyncio
import functools
from collections.abc import (
    AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Optional, Protocol

class Connection:
    async def send(self, data: bytes) -> int: ...

Handler = Callable[[str], Awaitable[Connection]]

class Caller(Protocol):
    async def __call__(self, name: str) -> Connection: ...

@dataclass
class Service:
    fetch: Callable[[str], Awaitable[Connection]]
    ask: Callable[[str], Coroutine[Any, Any, Connection]]
    alias: Handler
    maybe: Optional[Callable[[str], Awaitable[Connection]]]
    either: Callable[[str], Awaitable[Connection]] | None
    noted: Annotated[Callable[[str], Awaitable[Connection]], "note"]
    caller: Caller
    later: Callable[[str], asyncio.Future[Connection]]
    default: Callable[[str], Awaitable[Connection]] = None
    shared: ClassVar[Callable[[str], Awaitable[Connection]]] = None
    any: Callable[..., Awaitable[Connection]] = None
    lines: Callable[[int], AsyncIterator[str]] = None
    made: Callable[[int], AsyncGenerator[str, None]] = None
    session: Callable[[], AbstractAsyncContextManager[Connection]] = None
    now: Callable[[str], Connection] = None
    future: asyncio.Future[Connection] = None
    task: asyncio.Task[Connection] | None = None
    awaitable: Awaitable[Connection] = None
    coroutine: Coroutine[Any, Any, Connection] = None
    events: AsyncIterator[str] = None
    feed: AsyncIterable[str] = None
    entered: AbstractAsyncContextManager[Connection] = None

class Properties:
    @property
    async def value(self) -> Connection: ...
    @functools.cached_property
    async def cached(self) -> Connection: ...
    @property
    def future(self) -> asyncio.Future[Connection]: ...
    @property
    def awaitable(self) -> Awaitable[Connection]: ...
    @property
    async def words(self) -> AsyncIterator[str]:
        yield "a"
    @property
    def events(self) -> AsyncIterator[str]: ...
    @property
    def handler(self) -> Callable[[str], Awaitable[Connection]]: ...
    @property
    def lines(self) -> Callable[[int], AsyncIterator[str]]: ...
    @property
    def entered(self) -> AbstractAsyncContextManager[Connection]: ...
    def handler_of(self, name) -> Callable[[str], Awaitable[Connection]]: ...
    async def open_handler(self) -> Callable[[str], Awaitable[Connection]]: ...
"""

_AWAITED_WHEN_CALLED = [
    *("fetch", "ask", "alias", "maybe", "either", "noted", "caller", "later", "default", "shared"),
    "any",
]


@pytest.fixture(params=WAYS)
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module above, with annotations that are kept in one way or another."""
    return module_of(WAYS[request.param] + SOURCE, monkeypatch)


@pytest.fixture
def service(module: Any) -> Any:
    """A double of an instance of the dataclass."""
    return Double(module.Service)


@pytest.fixture
def properties(module: Any) -> Any:
    """A double of an instance of the class that has properties."""
    return Double(module.Properties)


@pytest.mark.parametrize("name", _AWAITED_WHEN_CALLED)
def test_callables_that_give_something_to_await(module: Any, service: Any, name: str) -> None:
    """They are awaited; what they give when nothing was said is what the annotation says."""
    attribute = getattr(service, name)
    assert isinstance(attribute, Double)
    assert inspect.iscoroutinefunction(attribute)
    given = asyncio.run(attribute("a"))
    assert isinstance(given, module.Connection)
    assert asyncio.run(given.send(b"") or asyncio.sleep(0)) is not None
    assert asyncio.run(attribute.returns(3)("a")) == 3
    attribute.assert_awaited_with("a")


@pytest.mark.parametrize("name", ["fetch", "alias", "either", "default"])
def test_callables_take_as_many_arguments(service: Any, name: str) -> None:
    """A wrong number of arguments is refused, and names of them, which a Callable does not have."""
    for arguments, named in [((), {}), (("a", "b"), {}), ((), {"name": "a"})]:
        with pytest.raises(TypeError, match=f"it is called as {name}.argument_1, /."):
            getattr(service, name)(*arguments, **named)
    service.any("a", 2, c=3).close()


def test_callables_that_give_other_things(module: Any, service: Any) -> None:
    """Such that give async iterators, async context managers and plain values."""
    service.lines.streams("a", "b")
    service.made.streams("c")

    async def main() -> list[str]:
        async with service.session() as connection:
            assert isinstance(connection, module.Connection)
        lines = [line async for line in service.lines(1)]
        return lines + [line async for line in service.made(2)]

    assert asyncio.run(main()) == ["a", "b", "c"]
    assert isinstance(service.now("a"), module.Connection)
    assert not isinstance(service.now, Double)


@pytest.mark.parametrize("name", ["future", "task", "awaitable", "coroutine"])
def test_attributes_that_are_awaited(module: Any, service: Any, name: str) -> None:
    """They are awaited themselves, again and again, and not called."""
    attribute: Any = getattr(service, name)
    is_awaitable = inspect.isawaitable(attribute)

    async def main() -> list[Any]:
        assert is_awaitable
        assert isinstance(await attribute, module.Connection)
        attribute.returns(3)
        async with asyncio.timeout(60):
            return [
                await attribute,
                await asyncio.wait_for(attribute, 5),
                *await asyncio.gather(attribute),
            ]

    assert asyncio.run(main()) == [3, 3, 3]
    assert attribute.await_count == 4
    with pytest.raises(TypeError, match="object is not callable"):
        attribute()
    if name in ("future", "task"):
        assert issubclass(attribute.__class__, asyncio.Future)
        assert not inspect.isawaitable(attribute.done())
        attribute.cancel.assert_not_called()
        with pytest.raises(AttributeError):
            _ = attribute.finish


@pytest.mark.parametrize("name", ["value", "cached", "future", "awaitable"])
def test_properties_that_are_awaited(module: Any, properties: Any, name: str) -> None:
    """So are async properties, and those that give a future or an awaitable."""
    value = getattr(properties, name)

    async def main() -> Any:
        assert isinstance(await getattr(properties, name), module.Connection)
        value.raises(KeyError("jam"))
        with pytest.raises(KeyError):
            await getattr(properties, name)
        value.returns_each(1, 2)
        return await getattr(properties, name), await getattr(properties, name)

    assert asyncio.run(main()) == (1, 2)
    assert value.await_count == 4


def test_awaited_attributes_take_their_time(service: Any) -> None:
    """What is awaited itself can be held, and takes its time, on the clock of the loop."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        service.future.returns("done").takes(30)
        assert await service.future == "done"
        gate = service.task.hold()
        waiting = asyncio.ensure_future(service.task)
        await gate.arrived(1)
        assert not waiting.done()
        gate.release()
        await waiting
        service.awaitable.never_returns()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.awaitable, 12)
        return loop.time() - began

    assert aldente.run(main, clock="virtual") == 42


@pytest.mark.parametrize("name", ["events", "feed"])
def test_attributes_that_are_iterated(service: Any, name: str) -> None:
    """An attribute that is an async iterator gives its items."""
    attribute = getattr(service, name).streams("a", "b")

    async def main() -> list[str]:
        return [item async for item in attribute]

    assert asyncio.run(main()) == ["a", "b"]


def test_iterators_give_their_next_item(service: Any, properties: Any) -> None:
    """anext() asks for one item after the other, and there is an end."""
    properties.words.streams("hi")

    async def main() -> list[Any]:
        service.events.streams("a", "b")
        items = [await anext(service.events), await anext(service.events)]
        items.append(await anext(service.events, None))
        return items + [word async for word in properties.words]

    assert asyncio.run(main()) == ["a", "b", None, "hi"]


def test_attributes_that_are_entered(module: Any, service: Any, properties: Any) -> None:
    """An async context manager gives what its annotation says."""

    async def main() -> None:
        for entered in (service.entered, properties.entered):
            async with entered as connection:
                assert isinstance(connection, module.Connection)
                entered.__aenter__.returns(3)
            async with entered as connection:
                assert connection == 3

    asyncio.run(main())


def test_callables_that_properties_and_methods_give(module: Any, properties: Any) -> None:
    """A Callable is doubled as one where a property or a method gives it."""
    properties.lines.streams("a")

    async def main() -> list[Any]:
        opened = await properties.open_handler()
        handlers = [properties.handler, properties.handler_of("a"), opened]
        given = [await handler("a") for handler in handlers]
        assert all(isinstance(one, module.Connection) for one in given)
        return [line async for line in properties.lines(1)]

    assert asyncio.run(main()) == ["a"]


def test_real_futures(module: Any) -> None:
    """The double of a future that an object has is awaited, and so is one that is patched in."""

    async def main() -> list[Any]:
        instance = module.Service(*[None] * 8)
        instance.future = asyncio.get_running_loop().create_future()
        double: Any = Double(instance)
        double.future.returns(1)
        with patch.object(instance, "future") as future:
            future.returns(2)
            return [await double.future, await instance.future]

    assert asyncio.run(main()) == [1, 2]


def test_doubles_of_what_is_awaited() -> None:
    """The double of a class whose instances are awaited is awaited too, until it gets another spec."""
    future: Any = Double(asyncio.Future)

    async def main() -> Any:
        return await future.returns(7)

    assert asyncio.run(main()) == 7
    future.mock_add_spec(["a"])
    assert not inspect.isawaitable(future)


HIDDEN = """
from __future__ import annotations
import asyncio

class Hidden:
    fetch: Callable[[Name], Awaitable[Connection]]
    maybe: "Optional[collections.abc.Callable[[Name, Other], Awaitable[Connection]]]"
    either: None | Callable[..., AsyncIterator[Connection]]
    noted: Annotated[Callable[[], AbstractAsyncContextManager[Connection]], "it's"]
    future: asyncio.Future[Connection]
    awaitable: Awaitable[Connection] | None
    events: typing.AsyncIterator[Connection]
    strange: Callable[
    bare: Callable
    union: Callable[[], Awaitable[A]] | Callable[[], Awaitable[B]]
    @property
    async def value(self) -> Connection: ...
    @property
    def handler(self) -> Callable[[Name], Awaitable[Connection]]: ...
""".replace("    strange: Callable[\n", "    strange: 'Callable['\n")


def test_annotations_that_nobody_can_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is imported for type checkers only is told apart by its text."""
    hidden: Any = Double(module_of(HIDDEN, monkeypatch).Hidden)
    hidden.either.streams("a")
    hidden.events.streams("b")

    async def main() -> list[Any]:
        answers = []
        for awaited in (hidden.fetch, hidden.handler):
            answers.append(await awaited.returns(1)("name"))
        answers.append(await hidden.maybe.returns(1)("name", "other"))
        for awaitable in (hidden.future, hidden.awaitable, hidden.value):
            answers.append(await awaitable.returns(2))
        async with hidden.noted.returns(3)() as entered:
            answers.append(entered)
        answers += [item async for item in hidden.either("x", y=1)]
        return answers + [item async for item in hidden.events]

    assert asyncio.run(main()) == [1, 1, 1, 2, 2, 2, 3, "a", "b"]
    with pytest.raises(TypeError, match=r"maybe\(argument_1, argument_2, /\)"):
        hidden.maybe("name")
    for unknown in (hidden.strange, hidden.bare, hidden.union):
        assert unknown() is not None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no such statement")
def test_type_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """``type X = ...`` stands for what it says."""
    module = module_of(
        "from collections.abc import *\n"
        "type Handler = Callable[[str], Awaitable[int]]\ntype Wrong = Unknown[int]\n"
        "class Service:\n    handler: Handler\n    wrong: Wrong\n",
        monkeypatch,
    )
    service: Any = Double(module.Service)
    assert asyncio.run(service.handler.returns(1)("a")) == 1
    assert service.wrong is not None


def test_a_real_service_gets_its_handlers() -> None:
    """Code that is handed a double of its collaborators awaits them as it does the real ones."""

    class Deps:
        load: Callable[[str], Awaitable[int]]

    async def total(deps: Deps, names: list[str]) -> int:
        return sum([await deps.load(name) for name in names])

    deps: Any = Double(Deps)
    deps.load.when("a").returns(1)
    deps.load.when("b").returns(2)
    assert asyncio.run(total(deps, ["a", "b"])) == 3
