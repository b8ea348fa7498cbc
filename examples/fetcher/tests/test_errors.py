"""What each thing that goes wrong looks like: a typed error with facts, and a clear sentence."""

import asyncio
import pickle

import pytest

from fetcher import (
    BadJSON,
    BadStatus,
    FetchError,
    InvalidArgument,
    InvalidSource,
    MissingDriver,
    NotConnected,
    QueryFailed,
    SourceCancelled,
    SourceTimeout,
    SourceUnreachable,
    fetch_all_data,
    fetch_data,
)
from loopback import LoopbackServer


async def test_an_unreachable_source(unreachable_url: str) -> None:
    """An address nobody serves is named, with what the network said."""
    with pytest.raises(SourceUnreachable) as caught:
        await fetch_data(unreachable_url)

    assert caught.value.source == unreachable_url
    assert str(caught.value) == f"{unreachable_url} could not be reached: {caught.value.reason}"
    assert caught.value.reason


async def test_an_answer_that_breaks_off(server: LoopbackServer) -> None:
    """A server that hangs up in the middle of its answer is as good as unreachable."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1, 2")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as rude:
        host, port = rude.sockets[0].getsockname()
        with pytest.raises(SourceUnreachable, match="complete message"):
            await fetch_data(f"http://{host}:{port}/")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("<html>Welcome</html>", "Expecting value: line 1 column 1 (char 0)"),
        ('{"name": "Ada"', "Expecting ',' delimiter: line 1 column 15 (char 14)"),
        ("[NaN]", "NaN is not a JSON value"),
    ],
)
async def test_bad_json(server: LoopbackServer, body: str, problem: str) -> None:
    """An answer that is not JSON is shown where it begins, with what is wrong with it."""
    route = server.route("/broken", body)

    with pytest.raises(BadJSON) as caught:
        await fetch_data(route.url)

    assert (caught.value.problem, caught.value.excerpt) == (problem, body)
    assert str(caught.value) == (
        f"{route.url} did not answer with JSON: {problem}; the answer begins {body!r}"
    )


async def test_json_too_deep_to_read(server: LoopbackServer) -> None:
    """An answer nested beyond what Python can read is bad JSON, not a crash of the batch."""
    route = server.route("/deep", "[" * 200_000)

    with pytest.raises(BadJSON) as caught:
        await fetch_data(route.url)

    assert caught.value.excerpt == "[" * 40


@pytest.mark.parametrize(("status", "phrase"), [(404, "Not Found"), (500, "Internal Server Error")])
async def test_an_error_status(server: LoopbackServer, status: int, phrase: str) -> None:
    """An API that refuses is quoted, even when its answer would be good JSON."""
    route = server.route("/refused", "{}", status=status)

    with pytest.raises(BadStatus) as caught:
        await fetch_data(route.url)

    assert (caught.value.status, caught.value.phrase) == (status, phrase)
    assert str(caught.value) == f"{route.url} answered {status} {phrase}"


async def test_a_timeout(server: LoopbackServer) -> None:
    """A source that never answers is given up after its time, and its connection is closed."""
    route = server.json_route("/slow", "never")
    route.hold()

    with pytest.raises(SourceTimeout) as caught:
        await fetch_data(route.url, timeout=0.05)

    assert caught.value.seconds == 0.05
    assert str(caught.value) == f"{route.url} took longer than 0.05 s"
    await route.wait_dropped(route.arrived)


async def test_timeouts_in_a_batch(server: LoopbackServer) -> None:
    """Every source of a batch has a time of its own, and each late one is reported."""
    route = server.json_route("/slow", "never")
    route.hold()

    results = await fetch_all_data([route.url] * 3, limit=2, timeout=0.05)

    assert [result.get("kind") for result in results] == ["SourceTimeout"] * 3


async def test_a_malformed_url() -> None:
    """A URL no request can be sent to is an invalid source."""
    with pytest.raises(InvalidSource, match="port"):
        await fetch_data("http://127.0.0.1:eighty/")


async def test_too_many_redirects(server: LoopbackServer) -> None:
    """An API that redirects in circles is given up."""
    route = server.route("/circle", "", status=302, headers={"Location": "/circle"})

    with pytest.raises(SourceUnreachable, match="redirects"):
        await fetch_data(route.url)


ERRORS = [
    InvalidSource("ftp://a", "it must begin with http://"),
    SourceUnreachable("http://a", "refused"),
    SourceTimeout("http://a", 2.5),
    SourceCancelled("http://a"),
    BadStatus("http://a", 404, "Not Found"),
    BadJSON("http://a", "Expecting value", "<html>"),
    NotConnected("sqlite:///a"),
    QueryFailed("sqlite:///a", "SELECT", "incomplete input"),
    MissingDriver("postgresql://a", "asyncpg", "postgres"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_name_their_source_and_survive_pickling(error: FetchError) -> None:
    """Every error says which source it is about, and is the same after a trip between processes."""
    copy = pickle.loads(pickle.dumps(error))

    assert error.source in str(error)
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_a_wrong_argument_keeps_its_facts() -> None:
    """The error for a wrong argument has its name, its value and what is allowed."""
    error = InvalidArgument("limit", 0, "at least 1")

    assert (error.name, error.value, error.allowed) == ("limit", 0, "at least 1")
    assert str(error) == "limit=0 (int): must be at least 1"


def test_messages_do_not_show_passwords() -> None:
    """A password in a source does not reach a message, which may end in a log."""
    error = SourceUnreachable("postgresql://ada:s3cret@host/people", "refused")

    assert str(error) == "postgresql://ada:***@host/people could not be reached: refused"
