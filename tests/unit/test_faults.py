"""Faults of the network at chosen moments: by the test, or by the explorer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest

import aldente
from tests.unit.hosted import (
    PORT,
    Main,
    Reader,
    Writer,
    ask,
    connect,
    echo,
    in_stock_order,
    outcomes_of,
    result_of,
    serve,
)

# By the test.


def test_a_connection_that_is_reset() -> None:
    """Both ends see a reset, and what is on its way is lost."""

    async def main() -> list[str]:
        seen: list[str] = []

        async def handle(reader: Reader, writer: Writer) -> None:
            try:
                await reader.read(100)
                await reader.read(100)
            except ConnectionResetError:
                seen.append("server")
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", PORT)
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        writer.write(b"one")
        await asyncio.sleep(0.1)
        (connection,) = aldente.network().connections()
        assert repr(connection) == "<connection from 127.0.0.1:32768 to 127.0.0.1:4000>"
        connection.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        assert aldente.network().connections() == []
        await asyncio.sleep(1)
        server.close()
        return seen

    run = in_stock_order(main)
    assert (run.error, run.result, run.faults) == (None, ["server"], {"reset": 1})


def test_the_connection_of_a_writer() -> None:
    """A connection is found by a writer, transport or socket; resetting it twice changes nothing."""

    async def main() -> None:
        net = aldente.network()
        server = await asyncio.start_server(echo, "127.0.0.1", PORT)
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        for given in (writer, writer.transport, writer.get_extra_info("socket")):
            assert net.connection(given).server == "127.0.0.1:4000"
        connection = net.connection(writer)
        connection.reset()
        connection.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        server.close()

    assert in_stock_order(main).faults == {"reset": 1}
    result_of(main)


def test_connections_of_hosts() -> None:
    """Connections are listed by one host, or by two."""

    async def main() -> list[int]:
        net = aldente.network()
        one, two = net.host("one"), net.host("two")
        one.run(serve())
        two.run(serve())
        streams = [await connect("one"), await connect("two")]
        with one:
            streams.append(await connect("two"))
        counts = [
            len(net.connections(*hosts))
            for hosts in ((), ("one",), (two,), ("one", "two"), ("test",))
        ]
        for _, writer in streams:
            writer.close()
        return counts

    assert result_of(main) == [3, 2, 2, 1, 2]


# By the explorer.


async def attempt(times: int = 3) -> str:
    """Ask the host, and say what came of it."""
    try:
        async with asyncio.timeout(4):
            reader, writer = await asyncio.open_connection("db", PORT)
            try:
                for _ in range(times):
                    if await ask(reader, writer) != b"hello\n":
                        return "cut"
            finally:
                writer.close()
    except TimeoutError:
        return "silence"
    except ConnectionRefusedError:
        return "refused"
    except ConnectionError:
        return "reset"
    return "answers"


def test_a_connection_may_break_at_any_message() -> None:
    """Some runs have no reset, others one, before or after an answer; stock order has none."""

    async def main() -> str:
        net = aldente.network()
        net.host("db").run(serve())
        await asyncio.sleep(1)
        with net.may_break():
            return await attempt()

    assert result_of(main) == "answers"
    assert outcomes_of(main) == {"answers", "reset"}


def test_a_connection_of_the_test_s_own_host_may_break() -> None:
    """It needs no host of its own."""

    async def main() -> bool:
        server = await asyncio.start_server(echo, "127.0.0.1", PORT)
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        with aldente.network().may_break():
            try:
                return await ask(reader, writer) == b"hello\n"
            except ConnectionError:
                return False
            finally:
                writer.close()
                server.close()

    assert outcomes_of(main, runs=50) == {True, False}


def test_only_what_was_allowed_breaks() -> None:
    """Neither connections of other hosts, nor after the block, nor more often than allowed."""

    async def main() -> tuple[str, ...]:
        net = aldente.network()
        for name in ("db", "other"):
            net.host(name).run(serve())
        await asyncio.sleep(1)
        with net.may_break("other"):
            first = await attempt()
        with net.may_break("db"):
            second = [await attempt(1) for _ in range(3)]
        third = await attempt()
        return first, str(second.count("reset")), third

    assert outcomes_of(main) == {("answers", "0", "answers"), ("answers", "1", "answers")}


def test_several_resets_may_come() -> None:
    """As many as it is told."""

    async def main() -> int:
        net = aldente.network()
        net.host("db").run(serve())
        await asyncio.sleep(1)
        net.may_break(times=2)
        return [await attempt(1) for _ in range(3)].count("reset")

    assert outcomes_of(main, runs=80) == {0, 1, 2}


def test_a_partition_may_begin_at_any_message() -> None:
    """It ends by itself after the time it is given."""

    async def main() -> tuple[str, str]:
        net = aldente.network()
        net.host("db").run(serve())
        await asyncio.sleep(1)
        net.may_partition("db", "test", seconds=10)
        first = await attempt()
        await asyncio.sleep(20)
        return first, await attempt()

    found = outcomes_of(main)
    assert found == {("answers", "answers"), ("silence", "answers"), ("answers", "silence")}


def test_a_partition_of_the_program_is_healed_by_the_program() -> None:
    """The end of one that the explorer had begun before is not that of another one."""

    async def main() -> tuple[bytes, ...]:
        got: list[bytes] = []
        net = aldente.network()
        db = net.host("db")
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            db.run(receive(got))
            await asyncio.sleep(1)
            sender.connect(("db", PORT))
            with net.may_partition(db, "test", seconds=10):
                sender.send(b"one")
            net.heal()
            net.partition(db)
            await asyncio.sleep(50)
            sender.send(b"two")
            await asyncio.sleep(1)
        return tuple(got)

    async def receive(got: list[bytes]) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as receiver:
            receiver.setblocking(False)
            receiver.bind(("0.0.0.0", PORT))
            while True:
                got.append(await asyncio.get_running_loop().sock_recv(receiver, 10))

    assert outcomes_of(main, runs=60) == {(b"one",), ()}


def test_a_partition_may_last() -> None:
    """Without a time it ends when the program heals it."""

    async def main() -> tuple[str, str]:
        net = aldente.network()
        net.host("db").run(serve())
        await asyncio.sleep(1)
        with net.may_partition("db"):
            first = await attempt()
        await asyncio.sleep(1000)
        if first == "silence":
            assert await attempt() == "silence"
        net.heal()
        return first, await attempt()

    assert outcomes_of(main) == {("answers", "answers"), ("silence", "answers")}


def test_a_host_may_crash_at_any_wait() -> None:
    """Before it listens, in the middle, or not at all; and it is started again in its time."""

    async def main() -> tuple[str, str]:
        net = aldente.network()
        db = net.host("db")
        db.run(serve())
        db.may_crash(restart=serve, after=10)
        await asyncio.sleep(1)
        first = await attempt()
        await asyncio.sleep(40)
        return first, await attempt()

    found = outcomes_of(main, runs=120)
    assert {first for first, _ in found} == {"answers", "silence", "reset", "refused"}
    assert {second for first, second in found if first != "answers"} == {"answers"}


def test_a_host_that_the_program_restarts_does_not_start_twice() -> None:
    """What would start it later finds it up, and leaves it alone."""

    async def wait() -> None:
        await asyncio.sleep(1_000)

    async def main() -> bool:
        db = aldente.network().host("db")
        db.run(wait())
        db.may_crash(restart=wait, after=5)
        for _ in range(10):
            await asyncio.sleep(1)
            if not db.is_up:
                db.restart(wait)
                await asyncio.sleep(20)
                return True
        return False

    assert outcomes_of(main, runs=60) == {True, False}


def test_a_host_may_stay_down() -> None:
    """Without a restart it does not come back."""

    async def main() -> bool:
        db = aldente.network().host("db")
        db.run(serve())
        with db.may_crash():
            await asyncio.sleep(1)
        await asyncio.sleep(100)
        return db.is_up

    assert outcomes_of(main, runs=50) == {True, False}


@pytest.mark.parametrize("strategy", ["auto", "random", "pct", "pos", "dfs"])
def test_each_strategy_tries_faults(strategy: str) -> None:
    """A bug that needs a reset is found with each of them."""

    async def main() -> None:
        net = aldente.network()
        net.host("db").run(serve())
        await asyncio.sleep(1)
        net.may_break()
        assert await attempt() == "answers"

    assert aldente.search(main, runs=300, strategy=strategy).failure is not None


def test_a_pending_crash_does_not_hide_the_network() -> None:
    """While a crash or cancellation may come, what is sent is still faster than time passes."""

    async def main() -> str:
        net = aldente.network()
        db = net.host("db")
        db.run(serve())
        await asyncio.sleep(1)

        async def idle() -> None:
            await asyncio.sleep(1000)

        aldente.may_be_cancelled(asyncio.create_task(idle()))
        return await attempt()

    for strategy in ("pct", "random", "auto"):
        assert outcomes_of(main, runs=40, strategy=strategy) == {"answers"}


# Counting, telling and shrinking.


def failure_of(main: Main, **arguments: Any) -> aldente.Failure:
    found = aldente.search(main, runs=300, **arguments).failure
    assert found is not None
    return found


def test_faults_are_counted() -> None:
    """Those that have happened, and those that may and have not."""

    async def main() -> None:
        net = aldente.network()
        db = net.host("db")
        db.run(serve())
        net.link("db", "test", loss=0.1)
        net.may_break()
        net.may_partition("db", seconds=1)
        with db.may_crash():
            pass
        await asyncio.sleep(1)
        await attempt()

    exploration = aldente.search(main, runs=100, seed=1)
    counts = dict(exploration.faults)
    assert counts.pop("crash") == 0
    assert sorted(counts) == ["loss", "partition", "reset"]
    assert all(counts.values())


def test_a_fault_stands_in_the_story() -> None:
    """With its moment, as a choice of the schedule."""

    async def main() -> None:
        net = aldente.network()
        net.host("db").run(serve())
        await asyncio.sleep(1)
        net.may_break()
        assert await attempt() == "answers"

    (story,) = failure_of(main).story()
    lines = [line for line in story.splitlines() if "(network)" in line]
    assert any(
        line.startswith("  >") and "the connection between" in line and "is reset" in line
        for line in lines
    ), story


def test_a_fault_that_is_not_needed_shrinks_away() -> None:
    """A failure that a good network shows as well is told without one."""

    async def main() -> None:
        net = aldente.network()
        net.host("db").run(serve())
        await asyncio.sleep(1)
        net.may_break(times=3)
        net.may_partition("db", seconds=1, times=3)
        await attempt(1)
        order = []

        async def note(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        await asyncio.gather(note(1), note(2))
        assert order == [1, 2]

    text = "\n".join(failure_of(main).story())
    assert "is reset" not in text
    assert "nothing passes" not in text


def test_what_the_test_does_is_told_at_its_line() -> None:
    """A reset, partition or crash by the program has the line of the call."""

    async def main() -> None:
        net = aldente.network()
        db = net.host("db")
        db.run(serve())
        reader, writer = await connect("db")
        net.partition("db")
        net.heal()
        net.connection(writer).reset()
        db.crash(silent=True)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        raise AssertionError

    story = " ".join("\n".join(failure_of(main).story(is_whole=True)).split())
    for text in (
        "nothing passes between db and test",
        "data passes again between db and test",
        "the connection between test:32769 and db:4000 is reset",
        "the host 'db' crashes, and its peers are not notified",
    ):
        assert text in story
