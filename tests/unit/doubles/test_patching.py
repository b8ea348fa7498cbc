"""Doubles in the place of the real thing."""

from __future__ import annotations

import asyncio
import sys
import types
import unittest
from collections.abc import Iterator
from textwrap import dedent
from typing import Any
from unittest import mock

import pytest

import aldente
from aldente import Double, patch
from aldente._records import receivers

CLIENT = """
    import contextlib

    LIMIT = 3

    async def fetch(url, *, timeout=1):
        raise RuntimeError("the real thing")

    def parse(text):
        raise RuntimeError("the real thing")

    async def internal():
        raise RuntimeError("the real thing")

    async def outer():
        return await internal()

    async def lines(path):
        yield path

    @contextlib.asynccontextmanager
    async def inside(name):
        yield name

    class Client:
        def __init__(self, url):
            self.url = url

        async def get(self, path):
            raise RuntimeError("the real thing")

        @staticmethod
        async def ping(host):
            raise RuntimeError("the real thing")

        @classmethod
        async def connect(cls, url):
            raise RuntimeError("the real thing")

        async def __aenter__(self):
            return self

        async def __aexit__(self, *exception):
            pass
"""

SERVICE = """
    import aldente_client
    from aldente_client import fetch, internal as inner, parse

    async def total(*urls):
        return sum([await fetch(url) for url in urls])

    async def page():
        async with aldente_client.Client("http://a") as client:
            return await client.get("/")

    async def deep():
        return await inner()

    class Reader:
        def read(self):
            return parse("text")
"""


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    """Two modules of a program, of which one imports the other's functions by name."""
    for name, source in (("aldente_client", CLIENT), ("aldente_service", SERVICE)):
        (tmp_path / f"{name}.py").write_text(dedent(source), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("aldente_client", "aldente_service"):
        sys.modules.pop(name, None)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without a test runner that takes findings."""
    monkeypatch.setattr("aldente._records.receivers", [])
    monkeypatch.setattr("aldente._doubles.leftovers.receivers", [])


def client() -> Any:
    import aldente_client  # type: ignore[import-not-found]

    return aldente_client


def service() -> Any:
    import aldente_service  # type: ignore[import-not-found]

    return aldente_service


def test_a_function_is_replaced_where_it_is_used() -> None:
    """The double has the shape of the function, and is gone at the end."""
    real = service().fetch
    with patch("aldente_service.fetch") as fetch:
        fetch.returns_each(1, 2)
        assert isinstance(fetch, Double)
        assert asyncio.run(service().total("a", "b")) == 3
        with pytest.raises(TypeError, match="fetch: got an unexpected keyword argument 'tiemout'"):
            service().fetch("a", tiemout=3)
        assert repr(fetch).startswith("<Double name='fetch'")
    assert service().fetch is real


async def test_async_with() -> None:
    """A patch is an async context manager too."""
    async with patch("aldente_service.fetch") as fetch, patch.dict({}, a=1):
        fetch.returns(1)
        assert await service().total("a") == 1


def test_a_class_is_replaced() -> None:
    """The double of a class takes its arguments, and gives doubles of its instances."""
    with patch("aldente_client.Client") as made:
        made.return_value.get.returns("page")
        made.ping.returns(True)
        assert asyncio.run(service().page()) == "page"
        assert asyncio.run(client().Client.ping("host")) is True
        made.assert_called_once_with("http://a")
        with pytest.raises(TypeError, match="Client: missing a required argument: 'url'"):
            client().Client()
        with pytest.raises(TypeError, match="ping: missing a required argument: 'host'"):
            client().Client.ping()


@pytest.mark.parametrize(
    ("name", "arguments"), [("get", ("/",)), ("ping", ("host",)), ("connect", ("url",))]
)
def test_methods_are_replaced(name: str, arguments: Any) -> None:
    """A method is called without its instance or class, of a class and of an object."""
    for target in (client().Client, client().Client("u")):
        with patch.object(target, name) as method:
            method.returns(3)
            instance = target if not isinstance(target, type) else client().Client("u")
            assert asyncio.run(getattr(instance, name)(*arguments)) == 3
            with pytest.raises(TypeError, match=f"{name}: missing"):
                getattr(instance, name)()
    assert "get" in vars(client().Client)


def test_what_is_not_awaited_is_a_plain_mock() -> None:
    """A sync function becomes a MagicMock with its signature, and answers like a double."""
    with patch("aldente_service.parse") as parse:
        assert isinstance(parse, mock.MagicMock)
        assert not isinstance(parse, mock.AsyncMock)
        parse.when("text").returns("parsed")
        assert service().Reader().read() == "parsed"
        assert parse.timeline[0].outcome == "returned"
        with pytest.raises(aldente.NoAnswer):
            parse("other")


def test_streams_and_constants() -> None:
    """Async generator functions become streams; for anything else a replacement can be given."""
    with patch("aldente_client.lines") as lines, patch("aldente_client.LIMIT", 9):
        lines.streams("a")

        async def read() -> list[str]:
            return [line async for line in client().lines("path")]

        assert asyncio.run(read()) == ["a"]
        assert client().LIMIT == 9
    assert client().LIMIT == 3


def test_decorators() -> None:
    """Decorated functions and classes are handed the doubles, the lowest decorator's first."""

    @patch("aldente_service.parse")
    @mock.patch("aldente_client.LIMIT", 4)
    @patch("aldente_service.fetch")
    async def run(fetch: Any = None, parse: Any = None, *, given: int) -> tuple[int, str]:
        fetch.returns(given)
        parse.returns("p")
        return await service().total("a"), service().Reader().read()

    @patch("aldente_service.fetch")
    class Tests(unittest.IsolatedAsyncioTestCase):
        async def test_it(self, fetch: Any) -> None:
            fetch.returns(2)
            assert await service().total("a", "b") == 4

    for _ in range(2):
        assert asyncio.run(run(given=5)) == (5, "p")
    result = unittest.TestResult()
    Tests("test_it").run(result)
    assert result.wasSuccessful(), result.errors + result.failures


def test_stacked_with_mocks_own() -> None:
    """Decorators of `unittest.mock` and of aldente hand over their mocks in their order."""

    @mock.patch("aldente_client.LIMIT")
    @patch("aldente_service.fetch")
    @mock.patch("aldente_service.parse")
    def run(parse: Any, fetch: Any, limit: Any) -> list[bool]:
        return [isinstance(fetch, Double), limit is client().LIMIT, parse is service().parse]

    assert run() == [True, True, True]


def test_start_and_stop() -> None:
    """A patch is begun and ended by hand; stopall() ends what is left."""
    patcher = patch("aldente_service.fetch")
    fetch = patcher.start()
    assert service().fetch is fetch
    patcher.stop()
    assert service().fetch is client().fetch
    patch("aldente_service.fetch").start()
    patch.stopall()
    assert service().fetch is client().fetch


def test_multiple() -> None:
    """Several attributes are patched at once, of an object or by a path."""
    for target in ("aldente_service", service()):
        with patch.multiple(target, fetch=mock.DEFAULT, parse=mock.DEFAULT) as doubles:
            assert isinstance(doubles["fetch"], Double)
            assert service().parse is doubles["parse"]


def test_dict() -> None:
    """Entries of a dictionary are set for a while; the dictionary may be given by its path."""
    settings = {"a": 1}
    with patch.dict(settings, {"b": 2}, clear=True):
        assert settings == {"b": 2}
    assert settings == {"a": 1}
    with patch.dict("os.environ", ALDENTE_X="1"):
        import os

        assert os.environ["ALDENTE_X"] == "1"
    with pytest.raises(aldente.NoSuchTarget, match="the module 'os' has no 'enviorn'"):
        patch.dict("os.enviorn", a="1").start()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "aldente_service.fecth",
            "the module 'aldente_service' has no 'fecth'. Did you mean 'fetch'?",
        ),
        (
            "aldente_client.Client.gte",
            "the class 'Client' has no 'gte'. Did you mean 'get'?",
        ),
        (
            "aldente_client.Cleint.get",
            "the module 'aldente_client' has no 'Cleint'. Did you mean 'Client'?",
        ),
        (
            "aldente_clinet.fetch",
            "there is no module 'aldente_clinet'. Did you mean 'aldente_client'",
        ),
        ("asyncio.tasksx.sleep", "the module 'asyncio' has no 'tasksx'. Did you mean 'tasks'"),
    ],
)
def test_targets_that_do_not_exist(target: str, message: str) -> None:
    """A target that does not exist is refused, with what is named nearly so."""
    client()
    with pytest.raises(aldente.AldenteError) as caught:
        patch(target).start()
    assert str(caught.value).startswith(f"'{target}' can't be patched: {message}")
    is_module = message.startswith("there is no module")
    assert isinstance(caught.value, ModuleNotFoundError if is_module else AttributeError)


def test_an_import_that_fails_is_not_a_missing_target(tmp_path: Any) -> None:
    """A module that exists and can't be imported shows its own error."""
    (tmp_path / "aldente_broken.py").write_text("import aldente_not_there\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="No module named 'aldente_not_there'"):
        patch("aldente_broken.thing").start()


@pytest.mark.parametrize("target", ["fetch", "", ".x", "x.", 3])
def test_targets_that_are_none(target: Any) -> None:
    """A target is a path."""
    with pytest.raises(TypeError, match="Need a valid target to patch"):
        patch(target)
    with pytest.raises(TypeError, match="must be the actual object to be patched, not a str"):
        patch.object("x", "y")
    with pytest.raises(ValueError, match="at least one keyword"):
        patch.multiple("x")


def test_patching_where_it_is_defined() -> None:
    """What others have imported by name can't be patched where it is defined: the places are told."""
    service()
    with pytest.raises(aldente.PatchedElsewhere) as caught:
        patch("aldente_client.fetch").start()
    assert caught.value.used_as == ("aldente_service.fetch",)
    assert 'Fix: aldente.patch("aldente_service.fetch")' in str(caught.value)
    with pytest.raises(aldente.PatchedElsewhere):
        patch.object(client(), "parse").start()
    with patch("aldente_client.fetch", only_here=True) as fetch:
        assert client().fetch is fetch
    # Its own module calls it by this name, so that patching it here does replace something.
    with patch("aldente_client.internal") as internal:
        internal.returns(3)
        assert asyncio.run(client().outer()) == 3


def test_importing_only_to_pass_it_on_is_no_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A module that imports a name without using it, as packages do, keeps nobody from patching."""
    (tmp_path / "aldente_package.py").write_text("from aldente_client import lines\n")
    import aldente_package  # type: ignore[import-not-found]

    try:
        with patch("aldente_client.lines") as lines:
            assert aldente_package.lines is not lines
    finally:
        sys.modules.pop("aldente_package")


def plain(url: str) -> int:
    return 1


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (mock.MagicMock(), "a MagicMock"),
        (mock.Mock(return_value=3), "a Mock"),
        (plain, "the function 'plain'"),
        (lambda url: 1, "the function '<lambda>'"),
    ],
)
def test_sync_doubles_for_async_targets(new: Any, words: str) -> None:
    """What can't be awaited is refused in the place of what is."""
    with pytest.raises(aldente.SyncDouble) as caught:
        patch("aldente_service.fetch", new).start()
    assert str(caught.value).startswith(
        f"'aldente_service.fetch' is a coroutine function, and {words} can't be awaited in its place."
    )


async def fake(url: str) -> int:
    return 1


@pytest.mark.parametrize(
    "new",
    [
        mock.AsyncMock(),
        Double(),
        fake,
        mock.MagicMock(side_effect=fake),
        mock.MagicMock(side_effect=[fake("a")]),
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_replacements_are_taken(new: Any) -> None:
    """What is awaited, or gives something to await, may stand in; so may what is no function."""
    with patch("aldente_service.fetch", new):
        assert service().fetch is new
    if isinstance(new, mock.MagicMock) and not isinstance(new, mock.AsyncMock):
        for left in new.side_effect if not callable(new.side_effect) else ():
            left.close()


def test_the_shape_can_be_chosen() -> None:
    """spec, autospec, spec_set, new_callable and keyword arguments say otherwise than the default."""
    with patch("aldente_service.fetch", spec=client().Client) as double:
        assert isinstance(double, client().Client)
    with patch("aldente_service.fetch", autospec=False) as double:
        assert type(double) is not Double
        assert isinstance(double.anything, mock.AsyncMock)
    with patch("aldente_service.parse", spec_set=True) as double, pytest.raises(AttributeError):
        double.unknown = 1
    with patch("aldente_service.fetch", new_callable=Double) as double:
        double.anything.returns(1)
    configured: dict[str, Any] = {"return_value.get.return_value": 3}
    with patch("aldente_client.Client", **configured) as double:
        assert asyncio.run(service().page()) == 3
    with patch("aldente_service.unknown", create=True) as double:
        assert service().unknown is double
    assert not hasattr(service(), "unknown")


def test_builtins_and_nested_patches() -> None:
    """A module's use of a builtin can be replaced, and a patch within a patch is undone in turn."""
    with patch("aldente_client.print") as printed:
        client().print("x")
        printed.assert_called_once_with("x")
    assert not hasattr(client(), "print")
    with patch("aldente_service.fetch") as outer:
        with patch("aldente_service.fetch") as inner:
            assert service().fetch is inner
        assert service().fetch is outer


@pytest.mark.usefixtures("alone")
def test_streams_never_iterated_are_told_at_the_end() -> None:
    """Without a test runner the end of a patch fails, naming call and line; the fixes differ by kind."""
    with pytest.raises(aldente.DoubleMisused) as caught, patch("aldente_client.lines") as lines:
        lines("a")
    assert str(caught.value).startswith(
        f"never-awaited: the stream of the double lines('a') was never iterated. ({__file__}:"
    )
    assert str(caught.value).endswith("Fix: Iterate it with 'async for'.")
    with pytest.raises(aldente.DoubleMisused) as caught, patch("aldente_client.inside") as inside:
        inside("a")
    assert "the context manager of the double inside('a') was never entered." in str(caught.value)
    assert str(caught.value).endswith("Fix: Enter it with 'async with'.")


@pytest.mark.usefixtures("alone")
def test_unused_answers_are_told_at_the_end() -> None:
    """Answers that no call has had are findings, with the calls that were; strict=False allows them."""

    def use(**options: Any) -> None:
        with patch("aldente_service.fetch", **options) as fetch:
            fetch.returns_each(1, 2, 3)
            fetch.when("z").returns(4)
            asyncio.run(service().total("a"))

    with pytest.raises(aldente.DoubleMisused) as caught:
        use()
    parts = str(caught.value).split("\n\n")
    assert [part.split(" (")[0] for part in parts] == [
        "unused-answer: the last 2 answers of fetch were never used: 2, 3.",
        "unused-answer: the answer to fetch('z') was never used.",
    ]
    assert parts[1].splitlines()[1:] == [
        "The calls were:",
        "  fetch('a')",
        "Fix: Correct its arguments, remove it, or pass strict=False.",
    ]
    use(strict=False)


@pytest.mark.usefixtures("alone")
def test_an_error_takes_findings_along() -> None:
    """An error on its way is not hidden: never-awaited calls become a note, unused answers nothing."""

    def fail() -> None:
        with patch("aldente_service.fetch") as fetch:
            fetch.when("z").returns(4)
            with patch("aldente_client.lines") as lines:
                lines("a")
                raise KeyError("x")

    with pytest.raises(KeyError) as caught:
        fail()
    (note,) = caught.value.__notes__
    assert note.startswith("never-awaited: the stream of the double lines('a')")
    assert "unused-answer" not in note


@pytest.mark.usefixtures("alone")
def test_what_is_no_finding() -> None:
    """Calls that were awaited, may be awaited yet, or are closed are nothing to tell of."""

    async def main() -> None:
        with patch("aldente_service.fetch") as fetch:
            fetch.returns(1)
            closed = fetch("closed")
            closed.close()
            task = asyncio.create_task(fetch("task"))
            late = asyncio.create_task(asyncio.wait_for(fetch("late"), 1))
            kept = fetch("kept")
            await fetch("awaited")
        assert [await task, await late, await kept] == [1, 1, 1]

    asyncio.run(main())


def test_a_receiver_is_told() -> None:
    """A test runner takes findings, and the patch ends in peace."""
    told: list[Any] = []
    receivers.append(told.append)
    try:
        with patch("aldente_client.lines") as lines:
            lines("a")
    finally:
        receivers.remove(told.append)
    assert [(finding.rule, finding.place.path) for finding in told] == [("never-awaited", __file__)]


def test_a_module_that_is_no_module() -> None:
    """Any object can be patched, as long as it takes attributes."""
    namespace = types.SimpleNamespace(fetch=client().fetch)
    with patch.object(namespace, "fetch") as fetch:
        assert isinstance(fetch, Double)
    assert namespace.fetch is client().fetch
