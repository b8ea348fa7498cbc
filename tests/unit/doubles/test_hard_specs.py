"""Specs that are hard to stand in for: proxies, factories, decorators, libraries' own idioms."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import sys
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from unittest import mock

import aiohttp
import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

import aldente
from aldente import Double, patch

if TYPE_CHECKING:
    from somewhere import Unknown  # type: ignore[import-not-found]

T = TypeVar("T", bound="Entering")


class Task:
    """A user's own class, whose name is one of asyncio's too."""

    title: str


class Base:
    async def __aenter__(self) -> Base:
        raise AssertionError("the real thing")

    async def __aexit__(self, *exception: object) -> None: ...


class Entering(Base):
    async def __aenter__(self: T) -> T:
        return self

    async def get(self) -> int:
        return 1


class Inherited(Base):
    async def get(self) -> int:
        return 1


class Request:
    """What some clients give: it is awaited, or entered."""

    def __await__(self) -> Generator[Any, Any, Entering]:
        raise AssertionError("the real thing")

    async def __aenter__(self) -> Entering:
        raise AssertionError("the real thing")

    async def __aexit__(self, *exception: object) -> None: ...


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Repository(Generic[T]):
    def find(self, number: int) -> Task:
        raise AssertionError("the real thing")

    def submit(self) -> concurrent.futures.Future[int]:
        raise AssertionError("the real thing")

    def client(self) -> Entering:
        raise AssertionError("the real thing")

    def request(self) -> Request:
        raise AssertionError("the real thing")

    def partly(self, wanted: Unknown) -> Task:
        raise AssertionError("the real thing")

    @traced
    async def decorated(self, number: int) -> int:
        return number


def test_a_class_is_not_taken_for_another_of_its_name() -> None:
    """A sync method that gives a user's ``Task``, or a thread's future, is not awaited."""
    repository = Double(Repository)
    assert repository.find(1).title is not None
    assert isinstance(repository.submit(), concurrent.futures.Future)
    assert repository.partly(1).title is not None


def test_a_factory_gives_an_instance() -> None:
    """A sync method that gives something to enter gives the double of that, which enters itself."""
    client = Double(Repository).client()
    client.get.returns(3)

    async def main() -> int:
        async with client as entered:
            assert entered is client
            return await entered.get()  # type: ignore[no-any-return]

    assert asyncio.run(main()) == 3


def test_a_request_is_awaited_or_entered() -> None:
    """What can be awaited and entered gives its answer either way."""
    repository = Double(Repository)
    repository.request.returns("answer")

    async def main() -> list[Any]:
        async with repository.request() as entered:
            return [entered, await repository.request()]

    assert asyncio.run(main()) == ["answer", "answer"]


@pytest.mark.parametrize("spec", [Entering, Inherited, httpx.AsyncClient, AsyncSession])
def test_entering_gives_the_double(spec: type) -> None:
    """``async with`` gives the double itself where the real one gives itself, however annotated."""
    double: Any = Double(spec)

    async def main() -> bool:
        async with double as entered:
            return entered is double

    assert asyncio.run(main())


def test_aiohttp() -> None:
    """A request of aiohttp's session is awaited or entered, and gives a response of its shape."""
    session: Any = Double(aiohttp.ClientSession)

    async def main() -> None:
        response = await session.get("http://a")
        async with session.get("http://a") as entered:
            assert entered is response
        assert issubclass(response.__class__, aiohttp.ClientResponse)
        response.json.returns({"a": 1})
        assert await response.json() == {"a": 1}

    asyncio.run(main())


def test_decorated_and_generic() -> None:
    """A decorated method gives what it decorates, and a generic class has the methods of its origin."""
    for spec in (Repository, Repository[Any]):
        repository: Any = Double(spec)
        repository.decorated.returns(2)
        assert asyncio.run(repository.decorated(1)) == 2


class Proxy:
    """Has every attribute."""

    def __getattr__(self, name: str) -> Any:
        return Proxy()

    async def __call__(self, number: int) -> int:
        return number


class Unready:
    """Has none, and says so otherwise than others."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not configured")

    def __call__(self) -> None: ...


def test_proxies() -> None:
    """Objects that compute their attributes are specs, and disturb no patch in their module."""
    double: Any = Double(Proxy())
    double.returns(3)
    assert asyncio.run(double(1)) == 3
    module = sys.modules[__name__]
    with mock.patch.object(module, "Proxy", create=True):
        vars(module).update(proxy=Proxy(), unready=Unready())
        try:
            with patch.object(module, "traced"), patch.object(module, "proxy"):
                pass
        finally:
            del vars(module)["proxy"], vars(module)["unready"]


class Shop:
    @property
    def url(self) -> str:
        return "http://a"

    @functools.cached_property
    def name(self):  # type: ignore[no-untyped-def]
        return "shop"

    def price(self, name: str) -> int:
        return 1


@pytest.mark.parametrize("name", ["url", "name"])
def test_properties_are_replaced(name: str) -> None:
    """The double of a property stands for its value, not for the descriptor."""
    with patch.object(Shop, name) as value:
        assert getattr(Shop(), name) is value
        value.upper()


def test_dictionaries_and_attributes_of_any_name() -> None:
    """A patched dictionary was asked nothing by the patch, and attributes may have any name."""
    import os

    with patch("os.environ") as environment:
        assert environment.mock_calls == []
        environment.get.assert_not_called()
    assert os.environ is not environment
    for name in ("value", "owner", "arguments", "name"):
        given: dict[str, Any] = {name: "5"}
        with patch.object(Shop, "price", **given) as price:
            assert name == "name" or getattr(price, name) == "5"


def test_sync_doubles_answer_too() -> None:
    """What is called answers by function, by argument and one by one, and refuses time."""
    shop: Any = Double(Shop)
    shop.price.calls(len)
    shop.price.when("jam").returns_each(7, 8)
    assert [shop.price("abc"), shop.price("jam"), shop.price("jam")] == [3, 7, 8]
    assert not hasattr(shop.price, "takes")

    class Both:
        def __call__(self) -> int:
            return 1

        async def get(self) -> int:
            return 1

    double: Any = Double(Both())
    for setting in (double.hold, double.never_returns, lambda: double.takes(3)):
        with pytest.raises(aldente.InvalidSetting, match="Both is called, not awaited"):
            setting()
    with patch("sys.path") as path, pytest.raises(aldente.InvalidSetting, match="is not called"):
        path.returns([])


def test_wrapping_streams_and_contexts() -> None:
    """``wraps`` and ``calls`` with the real function give what that gives, entered and left."""
    events: list[str] = []

    async def numbers(to: int) -> AsyncIterator[int]:
        try:
            for number in range(to):
                yield number
        finally:
            events.append("closed")

    @contextlib.asynccontextmanager
    async def inside(name: str) -> AsyncIterator[str]:
        events.append("entered")
        yield name
        events.append("left")

    async def main() -> None:
        for double in (Double(inside, wraps=inside), Double(inside).calls(inside)):
            async with double("x") as entered:
                assert entered == "x"
        assert [number async for number in Double(numbers, wraps=numbers)(2)] == [0, 1]
        stream: Any = Double(numbers).calls(numbers)(9)
        async with contextlib.aclosing(stream) as items:
            async for _ in items:
                break

    asyncio.run(main())
    assert events == ["entered", "left", "entered", "left", "closed", "closed"]


def test_a_stream_of_what_can_not_be_iterated() -> None:
    """A stream that is to give something else says so."""

    async def numbers() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        with pytest.raises(aldente.InvalidSetting, match="It must be iterable"):
            async for _ in Double(numbers).returns(5)():
                pass

    asyncio.run(main())


def test_a_context_is_entered_once() -> None:
    """Entering the same context twice is refused, as the real one refuses it."""

    @contextlib.asynccontextmanager
    async def inside() -> AsyncIterator[int]:
        yield 1

    double = Double(inside)

    async def main() -> None:
        context = double()
        async with context:
            with pytest.raises(RuntimeError, match="was already entered or awaited"):
                await context.__aenter__()
        assert double.pending == 0

    asyncio.run(main())


def test_parameters_named_by_keywords() -> None:
    """A signature that can't be written in Python is checked all the same."""
    import inspect

    def function(*args: Any) -> None: ...

    parameter = inspect.Parameter("from_", inspect.Parameter.POSITIONAL_ONLY)
    parameter._name = "from"  # type: ignore[attr-defined]
    function.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="function: too many positional arguments"):
        _ = Double(function)(1, 2)


class Unprintable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_values_that_can_not_be_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Messages are made whatever a value's text or the current folder does."""
    double: Any = Double().returns_each(1)

    async def main() -> None:
        await double(Unprintable())

    asyncio.run(main())
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(
        AssertionError, match=r"<Unprintable whose repr\(\) raises ZeroDivisionError>"
    ):
        double.assert_not_awaited()


def test_answers_are_given_in_the_order_of_calls() -> None:
    """Which answer of several a call has is known when it begins, not when it is released."""
    double = Double().returns_each("first", "second")

    async def main() -> list[Any]:
        gate = double.hold()
        tasks = [asyncio.create_task(double(number)) for number in range(2)]
        _, second = await gate.arrived(2)
        gate.release(second)
        await tasks[1]
        gate.release()
        return list(await asyncio.gather(*tasks))

    assert asyncio.run(main()) == ["first", "second"]


def test_answers_given_while_a_call_is_held() -> None:
    """What the test says while a call waits holds for it."""
    double = Double()
    double.when("other").returns(0)

    async def main() -> Any:
        gate = double.hold()
        task = asyncio.create_task(double("a"))
        await gate.arrived()
        double.when("a").returns(1)
        gate.release()
        return await task

    assert asyncio.run(main()) == 1


def test_equal_arguments_replace_however_they_are_given() -> None:
    """A later answer for equal arguments replaces the earlier one, by position or by name."""

    async def fetch(url: str) -> int:
        return 1

    with patch.object(sys.modules[__name__], "traced", Double(fetch)) as double:
        double.when("a").returns(1)
        double.when(url="a").returns(2)
        assert asyncio.run(double("a")) == 2


def test_a_call_that_is_cancelled_does_not_use_up_a_release() -> None:
    """A release goes to calls that still wait, though a cancelled one has not had its turn yet."""
    double = Double().returns(1)

    async def main() -> Any:
        gate = double.hold()
        first, second = (asyncio.create_task(double(number)) for number in range(2))
        await gate.arrived(2)
        first.cancel()
        assert [call.args for call in gate.waiting] == [(1,)]
        gate.release(1)
        return await second

    assert asyncio.run(main()) == 1


def test_doubles_in_answers_are_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A double that is given as an answer is looked at with the one that gives it."""
    told: list[Any] = []
    monkeypatch.setattr("aldente._doubles.leftovers.receivers", [told.append])
    inner: Any = Double()
    inner.when("never").returns(1)
    with patch.object(sys.modules[__name__], "traced") as double:
        double.when(len).returns(inner)
        double(len)
    assert [finding.what for finding in told] == ["the answer to mock('never') was never used."]


def test_all_patches_are_stopped_whatever_they_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """stopall() ends every patch, and then tells of all that was left undone."""
    monkeypatch.setattr("aldente._doubles.leftovers.receivers", [])
    module, real = sys.modules[__name__], traced
    patch.object(module, "traced").start().when(1).returns(2)
    patch.object(Shop, "price").start().when("a").returns(1)
    with pytest.raises(aldente.DoubleMisused) as caught:
        patch.stopall()
    assert len(caught.value.findings) == 2
    assert traced is real
    assert isinstance(Shop().price("x"), int)


def test_generator_functions_are_patched_while_they_run() -> None:
    """A decorated generator function of either kind has the double until it ends, as fixtures need."""

    @patch.object(Shop, "price")
    def fixture(price: Any = None) -> Generator[Any]:
        yield price, Shop.price

    @patch.object(Shop, "price")
    async def async_fixture(price: Any = None) -> AsyncIterator[Any]:
        yield price, Shop.price

    real = Shop.price
    generator = fixture()
    made, patched = next(generator)
    assert made is patched is Shop.price
    assert next(generator, None) is None
    assert Shop.price is real

    async def main() -> None:
        async for made, patched in async_fixture():
            assert made is patched is Shop.price
        assert Shop.price is real

    asyncio.run(main())


def test_a_patch_is_entered_once_at_a_time() -> None:
    """Entering a patch that is entered is refused, and the first use is undone in the end."""
    real = Shop.price
    patcher = patch.object(Shop, "price")
    with (
        patcher,
        pytest.raises(RuntimeError, match=r"The patch of 'Shop\.price' is already entered"),
    ):
        patcher.start()
    assert Shop.price is real
    with patcher:
        assert Shop.price is not real


def test_mocks_that_are_made_are_refused_too() -> None:
    """new_callable that makes what can't be awaited is refused as such a mock itself is."""

    class Client:
        async def get(self) -> None: ...

    with pytest.raises(aldente.SyncDouble, match="a MagicMock can't be awaited"):
        patch.object(Client, "get", new_callable=mock.MagicMock).start()


def test_reset_can_take_the_answers_away() -> None:
    """reset_mock(side_effect=True) takes answers by argument, times and gates away as well."""
    double = Double().returns(0).takes(3600)
    double.when("a").returns(1)
    double.hold()
    double.reset_mock(side_effect=True)
    assert asyncio.run(double("a")) == 0


def test_the_same_double_twice_is_no_order() -> None:
    """Each double or call is asked about once."""
    double: Any = Double()
    for ask in (aldente.assert_order, aldente.assert_overlap):
        with pytest.raises(aldente.InvalidSetting, match="Pass each double or call only once"):
            ask(double, double)


def test_names_come_from_the_spec() -> None:
    """Methods of a double are told by the name of the real class."""
    shop: Any = Double(Entering)

    async def main() -> None:
        await shop.get()

    asyncio.run(main())
    assert str(shop.get.timeline[0]) == "Entering.get()"


def test_a_gate_counts_those_that_pass_it_open() -> None:
    """arrived() counts from when the gate was made, also those that need not wait."""
    double = Double().returns(1)

    async def main() -> int:
        gate = double.hold()
        gate.release()
        await double()
        await double()
        return len(await gate.arrived(2))

    assert asyncio.run(main()) == 2


def test_what_did_not_exist_is_a_double_too() -> None:
    """A patch that creates its target gives a double that can be told what it answers."""
    with patch("os.not_there_at_all", create=True) as made:
        made.returns(1)
        import os

        assert os.not_there_at_all() == 1  # type: ignore[attr-defined]


def test_the_end_of_a_stream_is_no_item() -> None:
    """A stream takes the time of its items, and its end none."""
    double = Double().streams(1, 2, 3).takes(10)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async for _ in double():
            pass
        return loop.time() - began

    assert aldente.run(main, clock="virtual") == 30


def test_all_doubles_of_a_test_tell_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error goes on, with what was left undone; a finding is told once, and a lenient double's never."""
    monkeypatch.setattr("aldente._doubles.leftovers.receivers", [])

    def fail() -> None:
        with aldente.Doubles() as doubles:
            stream = doubles.double(Repository.find)
            doubles.patch.object(Shop, "price").when("a").returns(1)
            stream.when(None, 1).returns(1)
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()

    def leave() -> None:
        with aldente.Doubles() as doubles:
            lenient = doubles.double(strict=False)
            lenient.when("b").returns(1)
            giving = doubles.double().returns(lenient)
            giving.when("a").returns(1)

    with pytest.raises(aldente.DoubleMisused) as caught:
        leave()
    assert len(caught.value.findings) == 1


def test_several_patches_at_once_all_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left undone with each of patch.multiple is told."""
    told: list[Any] = []
    monkeypatch.setattr("aldente._doubles.leftovers.receivers", [told.append])
    with patch.multiple(Shop, price=mock.DEFAULT, name=mock.DEFAULT) as doubles:
        doubles["price"].when("a").returns(1)
        doubles["name"].when("b").returns(1)
    assert len(told) == 2


def test_decorated_members() -> None:
    """Partial methods, caches and cached properties have the shape of what they decorate."""

    class Api:
        async def call(self, verb: str, path: str) -> int:
            return 1

        get = functools.partialmethod(call, "GET")

        @functools.lru_cache  # noqa: B019 - it is never called
        def count(self, name: str) -> int:
            return 1

        @functools.cached_property
        def task(self) -> Task:
            return Task()

    api: Any = Double(Api)
    api.get.returns(3)
    assert asyncio.run(api.get("/")) == 3
    with pytest.raises(TypeError, match="count: missing a required argument: 'name'"):
        api.count()
    assert api.task.title is not None


def test_a_new_spec_takes_the_place_of_the_old_one() -> None:
    """mock_add_spec() forgets the signature of the spec before."""
    double: Any = Double(Shop.price)
    double.mock_add_spec(["a"])
    double.returns(1)
    assert asyncio.run(double("x", "y", "z")) == 1


def test_an_iterated_double_is_no_call() -> None:
    """Going over a double itself leaves no call of another's in its awaits."""
    double: Any = Double().streams("a")

    async def main() -> list[str]:
        return [item async for item in double]

    assert asyncio.run(main()) == ["a"]
    assert double.await_args_list == [mock.call()]


def test_streams_by_argument_and_awaited() -> None:
    """A stream can be the answer to some arguments, what an await gives, and a double itself."""
    by_argument: Any = Double().returns(0)
    by_argument.when("a").streams(1, 2)

    async def open_lines() -> AsyncIterator[int]:
        raise AssertionError("the real thing")

    async def numbers() -> AsyncIterator[int]:
        yield 1

    configured: Any = Double(numbers)
    configured.return_value.__aiter__.return_value = [5]

    async def main() -> list[Any]:
        awaited: Any = Double(open_lines).streams(3)  # type: ignore[arg-type]
        doubled: Any = Double(numbers)
        doubled.returns(Double().streams(4))
        return [
            [item async for item in by_argument("a")],
            await by_argument("b"),
            [item async for item in await awaited()],
            [item async for item in doubled()],
            [item async for item in configured()],
            [item async for item in Double(numbers)()],
        ]

    assert asyncio.run(main()) == [[1, 2], 0, [3], [4], [5], []]


class SameText:
    def __repr__(self) -> str:
        return "same"


def test_different_arguments_with_the_same_text() -> None:
    """Answers for arguments that only look the same are kept apart."""
    first, second = SameText(), SameText()
    double = Double()
    double.when(first).returns(1)
    double.when(second).returns(2)

    async def main() -> list[Any]:
        return [await double(first), await double(second)]

    assert asyncio.run(main()) == [1, 2]


def test_decorated_generators_get_what_is_sent_and_thrown() -> None:
    """A patch of an async generator function lets everything through to it, as of a generator."""
    seen: list[Any] = []

    @patch.object(Shop, "price")
    async def fixture(price: Any = None) -> Any:
        seen.append((yield 1))
        try:
            yield 2
        except KeyError as error:
            seen.append(error.args)
            yield 3

    async def main() -> None:
        generator = fixture()
        assert await generator.asend(None) == 1
        assert await generator.asend("sent") == 2
        assert await generator.athrow(KeyError("thrown")) == 3
        assert [item async for item in generator] == []

    asyncio.run(main())
    assert seen == ["sent", ("thrown",)]


def test_dictionaries_are_patched_around_generators() -> None:
    """A generator function decorated with patch.dict has the entries until it ends."""
    settings = {"a": 1}

    @patch.dict(settings, b=2)
    def fixture() -> Generator[Any]:
        yield dict(settings)

    generator = fixture()
    assert next(generator) == {"a": 1, "b": 2}
    assert next(generator, None) is None
    assert settings == {"a": 1}


def test_of_refuses_what_is_not_awaited() -> None:
    """Double.of() is for doubles that are awaited."""
    with pytest.raises(aldente.InvalidSetting):
        Double.of(Double(Shop).price)
