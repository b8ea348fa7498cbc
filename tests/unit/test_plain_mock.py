"""The rule ``plain-mock`` says of a TypeError which mock it comes of, and what to use instead."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import re
import traceback
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, NonCallableMock, create_autospec, patch

import pytest

from aldente._records import SourcePlace
from aldente._rules import plain_mock
from aldente._source import source_line

AsyncFunction = Callable[[], Coroutine[Any, Any, Any]]
CLIENT = MagicMock(name="client")


def error_of(function: AsyncFunction) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        asyncio.run(function())
    return caught.value


def explain(function: AsyncFunction) -> tuple[str, str]:
    """What is said of the error of a function, without its place, and the source line there."""
    text = plain_mock.explain(error_of(function))
    assert text is not None
    match = re.search(rf" \(({re.escape(__file__)}):(\d+)\)", text)
    assert match is not None, text
    return text.replace(match.group(), ""), source_line(SourcePlace(match[1], int(match[2])))


WHY = "Calling a Mock returns its return value directly; async code needs an awaitable.\n"


def use_async_mock(name: str) -> str:
    return (
        f"Fix: Make {name} an AsyncMock, or build the whole mock with unittest.mock.create_autospec(), "
        "which makes the async methods of its spec awaitable."
    )


def test_awaiting_a_call_names_the_mock() -> None:
    """The awaited call of a mock is named as the user writes it, with its place and the fix."""
    client = Mock()

    async def main() -> None:
        await client.session.fetch("url", timeout=3)

    text, line = explain(main)
    assert line == 'await client.session.fetch("url", timeout=3)'
    assert text == (
        "plain-mock: 'client.session.fetch' is a Mock, so 'client.session.fetch('url', timeout=3)' gave a Mock, "
        f"which can't be awaited.\n{WHY}" + use_async_mock("'client.session.fetch'")
    )


def test_a_name_that_says_more_is_shown() -> None:
    """A mock that was given a name is shown with it where the expression does not say it."""
    holder = SimpleNamespace(client=CLIENT)

    async def main() -> None:
        assert await holder.client.fetch() == 1

    text, line = explain(main)
    assert line == "assert await holder.client.fetch() == 1"
    assert text.splitlines()[0] == (
        "plain-mock: 'holder.client.fetch' is a MagicMock named 'client.fetch', so 'holder.client.fetch()' gave "
        "a MagicMock, which can't be awaited."
    )


def test_a_return_value_is_explained() -> None:
    """What a mock was told to return can't be awaited either, and the mock is named for it."""
    fetch = Mock(return_value={"id": 1})

    async def main() -> None:
        await fetch()

    text, _ = explain(main)
    assert text.splitlines()[0] == (
        "plain-mock: 'fetch' is a Mock, so 'fetch()' gave a dict, which can't be awaited."
    )


def test_awaiting_a_mock_itself_is_explained() -> None:
    """A mock that is awaited without a call, or later, is named by its own name too."""
    client = MagicMock()

    async def attribute() -> None:
        await client.ready

    async def later() -> None:
        result = client.fetch()
        await result

    text, _ = explain(attribute)
    assert text.splitlines()[0] == (
        "plain-mock: 'client.ready' is a MagicMock named 'mock.ready', which can't be awaited."
    )
    assert text.endswith(use_async_mock("'client.ready'"))
    text, line = explain(later)
    assert line == "await result"
    assert text.splitlines()[0] == (
        "plain-mock: 'result' is a MagicMock named 'mock.fetch()', which can't be awaited."
    )
    assert text.endswith(use_async_mock("the mock that returned it"))


@pytest.mark.parametrize("session", [Mock(), NonCallableMock()])
def test_async_with_is_explained(session: Any) -> None:
    """``async with`` on a plain `Mock` is told to use one that supports it."""

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack, session as opened:
            print(stack, opened)

    text, line = explain(main)
    assert line == "async with contextlib.AsyncExitStack() as stack, session as opened:"
    assert text == (
        f"plain-mock: 'session' is a {type(session).__name__}, which can't be used with 'async with'.\n{WHY}"
        "Fix: Make 'session' a MagicMock with its default return value, which supports 'async with'; "
        "set its result by __aenter__.return_value."
    )


def test_entering_through_an_exit_stack_is_explained() -> None:
    """``enter_async_context`` says the same in other words, and names the call handed to it."""
    client = Mock()

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(client.session())

    text, _ = explain(main)
    assert text.splitlines()[0] == (
        "plain-mock: 'client.session' is a Mock, so 'client.session()' gave a Mock, which can't be used with "
        "'async with'."
    )


def test_async_for_is_explained() -> None:
    """``async for`` over a plain `Mock`, also in a comprehension, is told to use one that supports it."""
    client = Mock()

    async def loop() -> None:
        async for row in client.rows():
            print(row)

    async def comprehension() -> None:
        print([row async for row in client.rows()])

    expected = (
        "plain-mock: 'client.rows' is a Mock, so 'client.rows()' gave a Mock, which can't be used with "
        f"'async for'.\n{WHY}"
        "Fix: Make 'client.rows' a MagicMock with its default return value, which supports 'async for'; "
        "set its result by __aiter__.return_value."
    )
    assert explain(loop) == (expected, "async for row in client.rows():")
    assert explain(comprehension) == (expected, "print([row async for row in client.rows()])")


def test_what_is_handed_to_asyncio_is_explained() -> None:
    """A result that `gather`, `wait_for` or `create_task` refuses is named at the user's call."""
    client = Mock(spec=["fetch"])

    async def gather() -> None:
        await asyncio.gather(asyncio.sleep(0), client.fetch())

    async def wait_for() -> None:
        await asyncio.wait_for(client.fetch(), timeout=1)

    async def create_task() -> None:
        asyncio.create_task(client.fetch())  # noqa: RUF006 - it fails

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(client.fetch())

    for function in (gather, wait_for, create_task, group):
        text, line = explain(function)
        assert "client.fetch()" in line
        assert text.startswith("plain-mock: 'client.fetch' is a Mock, so 'client.fetch()' gave a")
        assert text.endswith(use_async_mock("'client.fetch'"))


def test_what_is_handed_to_asyncio_from_a_list_is_explained() -> None:
    """Of results that a list keeps, the first that asyncio refuses is named by its index."""
    client = Mock(spec=["fetch"])

    async def gather() -> None:
        jobs = [asyncio.sleep(0), client.fetch()]
        await asyncio.gather(*jobs)

    text, line = explain(gather)
    assert line == "await asyncio.gather(*jobs)"
    assert text.splitlines()[0] == (
        "plain-mock: 'jobs[1]' is a Mock named 'mock.fetch()', which can't be awaited."
    )


@pytest.mark.parametrize("client", [Mock(), Mock(return_value={"a": 1})], ids=["mock", "dict"])
def test_what_is_run_is_explained(client: Mock) -> None:
    """A result that `asyncio.run()` or a method of a loop or runner refuses is named."""

    def run() -> None:
        asyncio.run(client())

    def in_a_loop() -> None:
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(client())

    def in_a_runner() -> None:
        with asyncio.Runner() as runner:
            runner.run(client())

    for function in (run, in_a_loop, in_a_runner):
        with pytest.raises((TypeError, ValueError)) as caught:
            function()
        text = plain_mock.explain(caught.value)
        assert text is not None, function
        assert text.startswith("plain-mock: 'client' is a Mock, so 'client()' gave a")


async def as_completed(client: Mock) -> None:
    for earliest in asyncio.as_completed([client()]):
        await earliest


async def wait(client: Mock) -> None:
    async with asyncio.timeout(0):
        await asyncio.wait({client()})


async def wait_unhashable(client: Mock) -> None:
    await asyncio.wait([client()])


async def wait_for_list(client: Mock) -> None:
    jobs = [client()]
    await asyncio.wait_for(asyncio.wait(jobs), timeout=0.01)


@pytest.mark.parametrize(
    ("use", "client", "named"),
    [
        (as_completed, Mock(), "'client' is a Mock, so 'client()' gave a Mock,"),
        (wait, Mock(), "'client' is a Mock, so 'client()' gave a Mock,"),
        (wait, Mock(return_value="x"), "'client' is a Mock, so 'client()' gave a str,"),
        (wait_unhashable, Mock(return_value={}), "'client' is a Mock, so 'client()' gave a dict,"),
        (wait_for_list, MagicMock(), "'jobs[0]' is a MagicMock named 'mock()',"),
    ],
)
def test_what_asyncio_waits_for_is_explained(
    use: Callable[[Mock], Coroutine[Any, Any, None]], client: Mock, named: str
) -> None:
    """A mock that `asyncio.wait()` takes and waits for is named when a time-out ends the wait."""
    text = plain_mock.explain(error_of(lambda: use(client)))
    assert text is not None
    assert text.startswith(f"plain-mock: {named} which can't be awaited.")


class Service:
    """Code under test that awaits what it was given."""

    __slots__ = ("client",)

    def __init__(self, client: Any) -> None:
        self.client = client

    async def fetch(self) -> object:
        return await self.client.get()


def test_causes_and_groups_are_looked_into() -> None:
    """The error is found behind what was raised from it, while it was handled, and in groups."""
    service = Service(Mock())

    async def cause() -> None:
        try:
            await service.fetch()
        except TypeError as error:
            raise ValueError("no answer") from error

    async def context() -> None:
        try:
            await service.fetch()
        finally:
            raise ValueError("no answer")

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(cause())

    for function in (cause, context, group):
        text, line = explain(function)
        assert line == "return await self.client.get()"
        assert text.startswith(
            "plain-mock: 'self.client.get' is a Mock, so 'self.client.get()' gave"
        )


def test_code_of_a_library_is_explained_at_the_users_line() -> None:
    """A mock that an installed package awaits is named by itself, with the place of the user's call."""
    names: dict[str, Any] = {}
    library = f"{inspect.getsourcefile(pytest)}.py"
    exec(compile("async def get(client):\n    await client.get()\n", library, "exec"), names)
    get, client = names["get"], Mock()

    async def main() -> None:
        await get(client)

    text, line = explain(main)
    assert line == "await get(client)"
    assert text == (
        f"plain-mock: a Mock can't be awaited.\n{WHY}{use_async_mock('the mock that it comes from')}"
    )


def test_an_autospecced_function_is_named() -> None:
    """`create_autospec` makes a function of a function, behind which is the mock."""

    def fetch() -> None: ...

    stand_in = create_autospec(fetch)

    async def main() -> None:
        await stand_in()

    assert explain(main)[0].startswith(
        "plain-mock: 'stand_in' is a MagicMock, so 'stand_in()' gave a MagicMock"
    )


def test_the_result_of_an_async_mock_is_named() -> None:
    """What an `AsyncMock` gave once it was awaited may be a plain mock."""
    connect = AsyncMock(return_value=MagicMock())

    async def main() -> None:
        await (await connect()).query()

    assert explain(main)[0].startswith("plain-mock: '(await connect()).query' is a MagicMock")


def test_nothing_of_the_users_runs() -> None:
    """Looking for the mock's name reads no property and counts no call."""
    read = []

    class Holder:
        @property
        def client(self) -> Any:
            read.append("client")
            return client

    client, holder = MagicMock(), Holder()

    async def main() -> None:
        await holder.client.fetch(print)

    error = error_of(main)
    read.clear()
    calls = list(client.mock_calls)
    text = plain_mock.explain(error)
    assert text is not None
    assert text.startswith("plain-mock: a MagicMock can't be awaited.")
    assert (read, client.mock_calls) == ([], calls)


def test_the_note_is_added_once() -> None:
    """The explanation becomes a note of the error, however often it is asked for."""
    error = error_of(Service(Mock()).fetch)
    plain_mock.note(error)
    plain_mock.note(error)
    assert error.__notes__ == [plain_mock.explain(error)]
    other = ValueError()
    plain_mock.note(other)
    assert not hasattr(other, "__notes__")


@pytest.mark.parametrize(
    "message",
    ["object MagicMock can't be used in 'await' expression", "'MagicMock' object can't be awaited"],
)
def test_every_version_of_the_message_is_known(message: str) -> None:
    """CPython 3.14 says it in other words; without a traceback the fix is given all the same."""
    assert plain_mock.explain(TypeError(message)) == (
        f"plain-mock: a MagicMock can't be awaited.\n{WHY}{use_async_mock('the mock that it comes from')}"
    )


async def await_number() -> None:
    number: Any = 42
    await number


async def await_function_of_mocks() -> None:
    def fetch(client: Mock) -> Any:
        return len(str(client))

    await fetch(Mock())


async def hand_number_to_asyncio() -> None:
    number: Any = 42
    client = Mock()
    await asyncio.gather(number, return_exceptions=bool(client))


async def enter_coroutine() -> None:
    session: Any = AsyncMock()
    async with session.get() as response:
        print(response)


async def call_wrongly() -> None:
    create_autospec(lambda: None)(1)


async def wait_for_real_and_specced_futures() -> None:
    real: Any = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(0.001):
        await asyncio.wait([real, Mock(spec=asyncio.Future)])


async def wait_and_clear_frames() -> None:
    try:
        async with asyncio.timeout(0.001):
            await asyncio.wait([Mock()])
    except TimeoutError as error:
        traceback.clear_frames(getattr(error.__cause__, "__traceback__", None))
        raise


async def miss_attribute() -> None:
    Mock(spec=["fetch"]).add_done_callback(print)


async def raise_from_mock() -> None:
    await Mock(side_effect=KeyError("no such key"))()


async def raise_type_error() -> None:
    await AsyncMock(side_effect=TypeError("unsupported operand"))()


@pytest.mark.parametrize(
    "function",
    [
        await_number,
        await_function_of_mocks,
        hand_number_to_asyncio,
        enter_coroutine,
        call_wrongly,
        wait_for_real_and_specced_futures,
        wait_and_clear_frames,
        miss_attribute,
        raise_from_mock,
        raise_type_error,
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine")
def test_other_errors_are_not_explained(function: AsyncFunction) -> None:
    """Errors that no plain mock has caused are left alone, also where one is near."""
    assert plain_mock.explain(error_of(function)) is None


def test_good_mocks_are_not_explained() -> None:
    """Mocks that can be awaited, and a plain one that returns something awaitable, just work."""

    async def answer() -> int:
        return 42

    async def main() -> None:
        assert await AsyncMock(return_value=42)() == 42
        assert await Mock(side_effect=answer)() == 42
        assert await create_autospec(answer, return_value=42)() == 42
        client = MagicMock()
        async with client.session():
            assert [row async for row in client.rows()] == []

    asyncio.run(main())


# Smallest forms of common uses.


async def fetch() -> Any:
    """Something that tests stand in for."""


async def use_fetch() -> Any:
    return await fetch()


class Keeper:
    """Keeps its client in itself."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.clients = {"main": client}


CONTENT = Mock(return_value={"a": 1})
KEEPER = Keeper(CONTENT)


async def in_wait_for() -> None:
    await asyncio.wait_for(CONTENT(), 1)


async def in_gather() -> None:
    await asyncio.gather(fetch(), CONTENT())


async def in_gather_of_a_list() -> None:
    await asyncio.gather(*[CONTENT() for _ in range(2)])


async def in_gather_of_a_map() -> None:
    await asyncio.gather(*map(CONTENT, range(2)))


async def in_gather_of_wait_for() -> None:
    await asyncio.gather(asyncio.shield(CONTENT()))


async def in_create_task() -> None:
    await asyncio.create_task(CONTENT())


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(CONTENT())


async def in_two_steps() -> None:
    response = CONTENT()
    await response


async def in_two_steps_with_a_walrus() -> None:
    if (response := CONTENT()) is not None:
        await response


async def by_one_branch() -> None:
    await (CONTENT() if KEEPER.clients else fetch())


async def in_an_attribute() -> None:
    await KEEPER.client()


async def in_a_dictionary() -> None:
    await KEEPER.clients["main"]()


async def raised_from() -> None:
    try:
        await CONTENT()
    except TypeError as error:
        raise RuntimeError("could not load") from error


async def raised_while_handling() -> None:
    try:
        await CONTENT()
    except TypeError:
        raise LookupError("not there")  # noqa: B904 - as code under test does


async def in_a_comprehension() -> None:
    print([await CONTENT() for _ in range(2)])


async def by_anext() -> None:
    await anext(CONTENT())


USES: list[AsyncFunction] = [
    *(in_wait_for, in_gather, in_gather_of_a_list, in_gather_of_a_map, in_gather_of_wait_for),
    *(in_create_task, in_a_group, in_two_steps, in_two_steps_with_a_walrus, by_one_branch),
    *(in_an_attribute, in_a_dictionary, raised_from, raised_while_handling, in_a_comprehension),
]


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
@pytest.mark.filterwarnings("ignore:coroutine")
def test_a_common_use_names_the_mock_and_what_it_gave(use: AsyncFunction) -> None:
    """However the result of a mock comes to be awaited, the mock is named, and what it gave."""
    text = plain_mock.explain(error_of(use))
    assert text is not None
    assert re.search(r"is a Mock, so '.*' gave a dict, which can't be awaited", text), text


def test_async_iteration_of_a_result_is_explained() -> None:
    """``anext`` of what a mock gave is explained too."""
    text = plain_mock.explain(error_of(by_anext))
    assert text is not None
    assert (
        "'CONTENT' is a Mock, so 'CONTENT()' gave a dict, which can't be used with 'async for'"
        in text
    )


def test_an_unhashable_key_is_no_mistake_of_a_mock() -> None:
    """A dictionary as a key is explained only where asyncio would await it."""

    async def main() -> None:
        print({CONTENT(): 1})

    assert plain_mock.explain(error_of(main)) is None


def test_what_was_patched_is_looked_into_before_the_patch_ends() -> None:
    """The stand-in that ``unittest.mock.patch`` puts in place is named, while it is there."""
    target = f"{__name__}.fetch"

    async def in_a_block() -> None:
        with patch(target, new=Mock(return_value={"a": 1})):
            await use_fetch()

    @patch(target, new_callable=MagicMock)
    async def by_decorator(stand_in: MagicMock) -> None:
        stand_in.return_value = {"a": 1}
        await use_fetch()

    for function in (in_a_block, by_decorator):
        with plain_mock.watch():
            text = plain_mock.explain(error_of(function))
        assert text is not None
        assert re.search(r"'fetch' is a (Magic)?Mock, so 'fetch\(\)' gave a dict", text), text


def test_what_stood_in_for_an_async_function_is_told() -> None:
    """Where what was replaced is back when it is looked at, it is said that something stood in."""

    async def main() -> None:
        original = globals()["fetch"]
        globals()["fetch"] = Mock(return_value={"a": 1})
        try:
            await use_fetch()
        finally:
            globals()["fetch"] = original

    text = plain_mock.explain(error_of(main))
    assert text is not None
    assert (
        "'fetch' is an async function, but 'fetch()' gave a dict, which can't be awaited: "
        "it was replaced then, for example by unittest.mock.patch."
    ) in text
    assert "Fix: Make the mock for 'fetch' an AsyncMock" in text


def test_watching_is_undone() -> None:
    """``patch`` has its own method again, and works as before meanwhile."""
    before = vars(type(patch("os.sep", "x")))["__exit__"]
    with plain_mock.watch():
        with patch("os.sep", "x"):
            assert os.sep == "x"
        assert os.sep != "x"
    assert vars(type(patch("os.sep", "x")))["__exit__"] is before


def test_a_mock_that_gives_something_else_is_not_blamed() -> None:
    """A plain mock beside what failed is not named when its result has another type."""

    async def main() -> None:
        number: Any = 42
        seconds = Mock(return_value=1.0)
        await asyncio.wait_for(number, seconds())

    text = plain_mock.explain(error_of(main))
    # Python 3.11 does not say which type failed.
    assert text is None or "is required" in str(error_of(main))


def test_other_errors_are_left_as_they_are() -> None:
    """An error that comes from no mock gets no attribute, however it is looked into."""
    error = error_of(raise_type_error)
    plain_mock.find(error)
    assert vars(error) == {}
