"""A double has the shape of the real thing."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import dataclasses
import functools
import inspect
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, Self
from unittest.mock import AsyncMock, MagicMock, seal

import pytest

import aldente
from aldente import Double
from aldente._doubles.spec import ResultKind, kind_of

if TYPE_CHECKING:
    from somewhere import Unknown  # type: ignore[import-not-found]


class Session:
    """What a client holds."""

    async def close(self) -> None: ...


class Response:
    """What a client gives: nothing of it is awaited."""

    status: int

    def json(self, *, strict: bool = False) -> dict[str, Any]:
        return {}


class Client:
    """A collaborator with everything that one can have."""

    timeout: float = 3.0
    session: Session
    pending: int
    optional: Session | None = None

    def __init__(self, url: str) -> None:
        self.url = url

    async def get(self, path: str, *, retries: int = 0) -> Response:
        raise AssertionError("the real thing")

    def build(self, path: str) -> str:
        raise AssertionError("the real thing")

    async def hold(self, seat: int) -> None:
        """Named as what doubles have themselves."""

    async def lines(self, path: str) -> AsyncIterator[str]:
        yield path

    def stream(self, path: str) -> AsyncIterator[str]:
        raise AssertionError("the real thing")

    def later(self) -> Awaitable[int]:
        raise AssertionError("the real thing")

    @contextlib.asynccontextmanager
    async def transaction(self, name: str) -> AsyncIterator[Session]:
        yield Session()

    @property
    def current(self) -> Session:
        raise AssertionError("a property is not read to find out its shape")

    @functools.cached_property
    def computed(self) -> Session:
        raise AssertionError("a property is not read to find out its shape")

    @classmethod
    async def connect(cls, url: str) -> Self:
        raise AssertionError("the real thing")

    @staticmethod
    async def ping(host: str) -> bool:
        raise AssertionError("the real thing")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None: ...

    def __len__(self) -> int:
        return 3


def test_async_methods_are_doubles_and_sync_methods_plain_mocks() -> None:
    """What is awaited is a Double, what is called a MagicMock, each with the real signature."""
    client = Double(Client)
    assert isinstance(client, Client)
    for name in ("get", "later", "connect", "ping", "lines", "stream", "transaction"):
        assert type(getattr(client, name)).__mro__[1] is Double, name
    build = client.build
    assert isinstance(build, MagicMock)
    assert not isinstance(build, AsyncMock)
    for call, name in (
        (lambda: client.get(), "get"),
        (lambda: client.get("/", 3), "get"),
        (lambda: client.build(), "build"),
        (lambda: client.ping(), "ping"),
        (lambda: client.connect(), "connect"),
    ):
        with pytest.raises(TypeError, match=f"^{name}: .*; it is called as {name}"):
            call()  # type: ignore[no-untyped-call]
    with pytest.raises(AttributeError, match="gte"):
        client.gte("/")
    assert len(client) == 0


def test_attributes_have_the_shape_of_their_class() -> None:
    """Annotated attributes and properties are doubles of their class, and no property is read."""
    client: Any = Double(Client)
    for name in ("session", "current", "optional"):
        session: Any = getattr(client, name)
        assert issubclass(session.__class__, Session), name
        assert isinstance(session.close, Double), name
        with pytest.raises(AttributeError):
            _ = session.clsoe
    client.computed  # noqa: B018 - that it is there is the point


async def use(client: Any) -> list[Any]:
    async with client as entered, client.transaction("t") as inside:
        return [
            entered is client,
            inside,
            await client.later(),
            [line async for line in client.lines("a")],
            [line async for line in client.stream("a")],
        ]


def test_each_kind_of_method_gives_what_the_real_one_gives() -> None:
    """Streams are iterated, context managers entered, awaitables awaited; entering gives the client."""
    client = Double(Client)
    client.transaction.returns("inside")
    client.later.returns(7)
    client.lines.streams("x", "y")
    client.stream.streams("z")
    assert asyncio.run(use(client)) == [True, "inside", 7, ["x", "y"], ["z"]]
    client.__aexit__.assert_awaited_once()
    assert client.transaction.timeline[0].outcome == "returned"


def test_results_have_the_shape_of_their_class() -> None:
    """What a method gives when the test says nothing is a double of the annotated class."""

    async def main() -> Any:
        return await Double(Client).get("/")

    response: Any = asyncio.run(main())
    assert issubclass(response.__class__, Response)
    assert not inspect.isawaitable(response.json())
    with pytest.raises(TypeError, match="json: got an unexpected keyword argument 'loose'"):
        response.json(loose=True)
    with pytest.raises(AttributeError):
        _ = response.text


def test_what_the_code_asks_for_wins_over_the_controls() -> None:
    """Names that the real thing has are its own; the double's are there through the class."""
    client: Any = Double(Client)
    client.hold.returns(1)
    assert asyncio.run(client.hold(3)) == 1
    assert isinstance(client.pending, MagicMock)
    client.pending = 4
    assert client.pending == 4
    assert Double.hold(client.get).waiting == ()
    assert Double.returns(client, 3) is client


def test_an_instance_is_a_spec_too() -> None:
    """Attributes that only the instance has are there, with the shape of their value."""
    real = Client("http://a")
    real.session = Session()
    client = Double(real)
    assert isinstance(client.url, str)
    assert isinstance(client.session.close, Double)
    with pytest.raises(TypeError, match="get: missing a required argument: 'path'"):
        client.get()


class Speaker(Protocol):
    """A Protocol with an attribute, and both kinds of methods."""

    name: str

    async def say(self, words: str) -> None: ...

    def words(self) -> AsyncIterator[str]: ...


class Base(abc.ABC):
    """An abstract class."""

    @abc.abstractmethod
    async def run(self, number: int) -> int: ...


def test_protocols_and_abstract_classes() -> None:
    """Their methods need no implementation, and their annotated attributes exist."""
    speaker = Double(Speaker)
    speaker.words.streams("hi")

    async def main() -> list[str]:
        await speaker.say("a")
        return [word async for word in speaker.words()]

    assert asyncio.run(main()) == ["hi"]
    assert speaker.name is not None
    with pytest.raises(TypeError, match="say: missing"):
        speaker.say()
    with pytest.raises(TypeError, match="run: missing"):
        Double(Base).run()


@dataclasses.dataclass
class Point:
    x: int
    inner: Session
    y: int = 0


def test_dataclasses() -> None:
    """Fields without a default exist."""
    point = Double(Point)
    assert isinstance(point.inner.close, Double)
    assert point.x is not None
    with pytest.raises(AttributeError):
        _ = point.z


class Hidden:
    """Annotations that nobody can resolve."""

    async def get(self) -> Unknown: ...

    thing: Unknown


def test_annotations_for_type_checkers_only() -> None:
    """Annotations that can't be resolved disturb nothing."""
    hidden = Double(Hidden)

    async def main() -> Any:
        return await hidden.get()

    assert asyncio.run(main()) is not None
    assert hidden.thing is not None


class AsyncCallable:
    async def __call__(self, number: int) -> int:
        return number


class SyncCallable:
    def __call__(self, number: int) -> int:
        return number

    async def other(self) -> None: ...


def test_objects_that_are_called() -> None:
    """A double of an object with ``__call__`` is called as that is."""
    double: Any = Double(AsyncCallable()).returns(3)
    assert asyncio.run(double(1)) == 3
    with pytest.raises(TypeError, match="AsyncCallable: missing a required argument: 'number'"):
        double()
    sync = Double(SyncCallable()).returns(4)
    assert sync(1) == 4


async def coroutine_function(a: int) -> int:
    return a


def awaitable_function() -> Awaitable[int]: ...  # type: ignore[empty-body]


@contextlib.asynccontextmanager
async def context_function() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (coroutine_function, ResultKind.COROUTINE),
        (functools.partial(coroutine_function, 1), ResultKind.COROUTINE),
        (Client("").get, ResultKind.COROUTINE),
        (AsyncCallable(), ResultKind.COROUTINE),
        (awaitable_function, ResultKind.COROUTINE),
        (Client.lines, ResultKind.STREAM),
        (Client.stream, ResultKind.STREAM),
        (context_function, ResultKind.CONTEXT),
        (Client.transaction, ResultKind.CONTEXT),
        (Client, ResultKind.PLAIN),
        (len, ResultKind.PLAIN),
        (lambda: 1, ResultKind.PLAIN),
    ],
)
def test_kinds(spec: Any, kind: ResultKind) -> None:
    """What a call gives is known by the definition, or by the return annotation."""
    assert kind_of(spec) is kind


def test_inspect_sees_the_real_thing() -> None:
    """Whoever asks `inspect` is told what it would be told of the real function."""
    double = Double(coroutine_function)
    assert inspect.iscoroutinefunction(double)
    assert inspect.signature(double) == inspect.signature(coroutine_function)
    assert double.__name__ == "coroutine_function"
    stream = Double(Client.lines)
    assert not inspect.iscoroutinefunction(stream)
    assert not inspect.iscoroutinefunction(Double(context_function))
    assert not inspect.iscoroutinefunction(Double(Client).build)


def test_seal_and_spec_set() -> None:
    """A sealed double makes nothing more; with ``spec_set`` nothing unknown can be set, at any depth."""
    client = Double(Client)
    client.get.returns(1)
    seal(client)
    with pytest.raises(AttributeError):
        client.build("/")
    strict = Double(spec_set=Client)
    with pytest.raises(AttributeError):
        strict.other = 1
    with pytest.raises(AttributeError):
        strict.session.other = 1


def test_a_list_of_names() -> None:
    """A list of names is a spec as for any mock."""
    double = Double(["a"])
    assert isinstance(double.a, MagicMock)
    with pytest.raises(AttributeError):
        _ = double.b


def test_a_module() -> None:
    """A double of a module has its functions, classes and objects."""
    module = types.ModuleType("shop")
    vars(module).update(fetch=coroutine_function, Client=Client)
    shop = Double(module)
    assert isinstance(shop.fetch, Double)
    with pytest.raises(TypeError, match="Client: missing a required argument: 'url'"):
        shop.Client()
    assert isinstance(shop.Client("u").get, Double)


def test_of_gives_the_double_with_its_types() -> None:
    """Double.of() is the method itself, and refuses what is no double."""
    client = Double(Client)
    assert Double.of(client.get) is client.get
    with pytest.raises(aldente.InvalidSetting, match=r"It must be an aldente\.Double"):
        Double.of(coroutine_function)


def test_the_unspecced_children_are_doubles() -> None:
    """Attributes and results of a double without a spec can be held and questioned too."""
    double = Double()
    child: Callable[..., Any] = double.session.get
    assert isinstance(child, Double)

    async def main() -> Any:
        return await double.session.get()

    result = asyncio.run(main())
    assert isinstance(result, Double)
    assert str(child.timeline[0]) == "mock.session.get()"
