"""Hosts of the simulated network: names, addresses, tasks, clocks, and what a crash does."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

import aldente
from tests.unit.hosted import (
    PORT,
    ask,
    connect,
    echo,
    in_stock_order,
    outcomes_of,
    result_of,
    serve,
)

# Names and addresses.


def test_a_name_resolves_to_its_host() -> None:
    """A client finds the server of a host by its name, and both see each other's addresses."""

    async def main() -> tuple[Any, ...]:
        net = aldente.network()
        db, web = net.host("db"), net.host("web")
        db.run(serve())

        async def client() -> tuple[Any, ...]:
            reader, writer = await connect("db")
            answer = await ask(reader, writer)
            ends = [writer.get_extra_info(name)[0] for name in ("sockname", "peername")]
            writer.close()
            return answer, ends

        answer, ends = await web.run(client())
        return answer, ends == [web.address, db.address], db.address

    assert result_of(main) == (b"hello\n", True, "192.0.2.2")


def test_names_of_hosts_are_looked_up() -> None:
    """`getaddrinfo` and `getnameinfo` know hosts, in both families, and the test's own."""

    async def main() -> list[Any]:
        aldente.network().host("db")
        loop = asyncio.get_running_loop()
        found = []
        for name, family in (("db", 0), ("DB.", socket.AF_INET6), ("test", 0), ("localhost", 0)):
            infos = await loop.getaddrinfo(name, 80, family=family, type=socket.SOCK_STREAM)
            found.append(infos[0][4][0])
        found.append((await loop.getnameinfo(("192.0.2.2", 80)))[0])
        return found

    assert result_of(main) == ["192.0.2.2", "2001:db8::2", "192.0.2.1", "127.0.0.1", "db"]


def test_there_are_addresses_for_many_hosts() -> None:
    """Each has one of its own; where there are no more, that is said."""

    async def main() -> set[str]:
        net = aldente.network()
        found = {net.host(f"host-{number}").address for number in range(253)}
        with pytest.raises(aldente.InvalidSetting, match="at most 254 hosts"):
            net.host("one-more")
        return found

    assert len(result_of(main)) == 253


def test_an_unknown_name_is_outside() -> None:
    """A name that no host has is refused, as without hosts."""

    async def main() -> None:
        aldente.network().host("db")
        await asyncio.open_connection("cache", PORT)

    with pytest.raises(aldente.OutsideSimulation, match="name service"):
        result_of(main)


def test_each_host_has_ports_of_its_own() -> None:
    """Two hosts listen on one port, and 127.0.0.1 is a host's own."""

    async def main() -> list[bytes]:
        net = aldente.network()

        async def say(word: bytes, address: str) -> None:
            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(word)
                writer.close()

            async with await asyncio.start_server(handle, address, PORT) as server:
                await server.serve_forever()

        for name in ("one", "two"):
            net.host(name).run(say(f"{name}\n".encode(), "0.0.0.0"))
        net.host("three").run(say(b"local\n", "127.0.0.1"))
        await asyncio.sleep(1)

        async def read(host: str) -> bytes:
            reader, writer = await asyncio.open_connection(host, PORT)
            line = await reader.readline()
            writer.close()
            return line

        answers = [await read(host) for host in ("one", "two")]
        answers.append(await net.host("three").run(read("127.0.0.1")))
        with pytest.raises(ConnectionRefusedError):
            await read("three")
        with (
            net.host("one"),
            pytest.raises(OSError, match=r"assign requested address|could not bind"),
        ):
            await asyncio.start_server(echo, net.host("two").address, 1)
        return answers

    assert result_of(main) == [b"one\n", b"two\n", b"local\n"]


def test_without_hosts_their_addresses_are_outside() -> None:
    """An address of documents is no host of a program that has none."""

    async def main() -> None:
        await asyncio.open_connection("192.0.2.1", PORT)

    with pytest.raises(aldente.OutsideSimulation):
        result_of(main)


def test_a_refused_address_of_a_host_is_no_real_one() -> None:
    """Where a host does not listen, a connection is refused, and nothing is said of real ones."""

    async def main() -> None:
        aldente.network().host("db")
        await asyncio.open_connection("db", PORT)

    with pytest.raises(ConnectionRefusedError):
        result_of(main)


# What runs where.


def test_a_block_and_its_tasks_run_on_a_host() -> None:
    """``with host:`` holds for what is started inside, nests, and ends with the block."""

    async def main() -> list[str]:
        net = aldente.network()
        one, two = net.host("one"), net.host("two")
        found = [net.here.name]

        async def note() -> None:
            await asyncio.sleep(1)
            found.append(net.here.name)

        with one:
            found.append(net.here.name)
            with two:
                found.append(net.here.name)
                task = asyncio.create_task(note())
            found.append(net.here.name)
        found.append(net.here.name)
        await task
        return found

    assert result_of(main) == ["test", "one", "two", "one", "test", "two"]


@pytest.mark.parametrize("others", [[], ["db"]], ids=["alone", "with another host"])
def test_the_host_of_the_test_is_one_as_well(others: list[str]) -> None:
    """It runs tasks, can be entered, and knows its name; but it does not crash."""

    async def name() -> str:
        return aldente.network().here.name

    async def main() -> list[str]:
        network = aldente.network()
        for other in others:
            network.host(other)
        test = network.host("test")
        with network.here:
            inside = await asyncio.create_task(name())
        for crash in (test.crash, test.may_crash):
            with pytest.raises(aldente.InvalidSetting, match="The test itself runs on this host"):
                crash()
        return [inside, await test.run(name())]

    assert result_of(main) == ["test", "test"]


def test_hosts_are_cancelled_at_the_end() -> None:
    """What runs on hosts is cancelled when the program has ended, with its clean-up."""
    ended: list[str] = []

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    async def main() -> None:
        aldente.network().host("db").run(run())
        await asyncio.sleep(1)

    result_of(main)
    assert ended == ["cleaned up"]


def test_a_host_that_fails_fails_the_run() -> None:
    """An exception of what a host runs is the failure of the run, unless the test awaits it."""

    async def fail() -> None:
        raise ValueError("no disk")

    async def main() -> None:
        aldente.network().host("db").run(fail())
        await asyncio.sleep(1)

    with pytest.raises(ValueError, match="no disk"):
        result_of(main)


def test_a_failure_names_the_host_that_had_failed_before() -> None:
    """When the program fails otherwise, its error has a note about the host."""

    async def fail() -> None:
        raise ValueError("no disk")

    async def main() -> None:
        aldente.network().host("db").run(fail())
        await asyncio.sleep(1)
        await asyncio.open_connection("db", PORT)

    error = in_stock_order(main).error
    assert isinstance(error, ConnectionRefusedError)
    assert "Before that, 'db' had failed: ValueError('no disk')" in error.__notes__


def test_tasks_are_named_after_their_hosts() -> None:
    """A story can tell the tasks with which hosts were started."""

    async def main() -> list[str]:
        db = aldente.network().host("db")
        coroutines = (asyncio.sleep(0), asyncio.sleep(0))
        tasks = [db.run(coroutine) for coroutine in coroutines]
        tasks.append(db.run(asyncio.sleep(0), name="writer"))
        return [task.get_name() for task in tasks]

    assert result_of(main) == ["db", "db-2", "writer"]


# Crashes.


@contextlib.asynccontextmanager
async def noted(notes: list[str]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        notes.append("left a block")


def test_no_code_of_a_crashed_host_runs() -> None:
    """No ``finally``, ``except`` or ``with`` block of its tasks ends, nor a callback of it."""
    notes: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(10)
        except BaseException:
            notes.append("except")
            raise
        finally:
            notes.append("finally")

    async def run() -> None:
        asyncio.get_running_loop().call_later(2, notes.append, "timer")
        async with noted(notes), asyncio.TaskGroup() as group:
            group.create_task(child())
            await asyncio.sleep(10)

    async def main() -> bool:
        db = aldente.network().host("db")
        task = db.run(run())
        await asyncio.sleep(1)
        db.crash(silent=False)
        with pytest.raises(aldente.HostCrashed, match="'db' has crashed") as raised:
            await task
        assert "host.restart(main)" in str(raised.value)
        await asyncio.sleep(100)
        return db.is_up

    assert result_of(main) is False
    assert notes == []


def test_no_code_of_an_async_generator_of_a_crashed_host_runs() -> None:
    """Nor when nothing but an object of the host knows it, and the loop ends those that are left."""
    notes: list[str] = []

    async def numbers(name: str) -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            notes.append(name)

    async def run() -> None:
        kept = [numbers("in a list")]
        await anext(kept[0])
        await asyncio.sleep(10)

    async def main() -> None:
        db = aldente.network().host("db")
        db.run(run())
        own = numbers("of the test")
        await anext(own)
        await asyncio.sleep(1)
        db.crash()
        await asyncio.sleep(1)
        await own.aclose()  # type: ignore[attr-defined]

    result_of(main)
    gc.collect()
    assert notes == ["of the test"]


def test_a_job_of_a_crashed_host_that_has_not_begun_never_does() -> None:
    """So nothing waits for it at the end of the run."""
    notes: list[str] = []

    async def run() -> None:
        await asyncio.get_running_loop().run_in_executor(None, notes.append, "did the job")

    async def main() -> None:
        db = aldente.network().host("db")
        db.run(run())
        await asyncio.sleep(0)
        db.crash()

    result_of(main)
    assert notes == []


def test_a_host_may_crash_before_its_tasks_begin() -> None:
    """They never begin, and no warning says that a coroutine was never awaited."""
    notes: list[str] = []

    async def run() -> None:
        notes.append("began")

    async def main() -> None:
        db = aldente.network().host("db")
        db.run(run())
        db.crash()
        await asyncio.sleep(1)

    result_of(main)
    gc.collect()
    assert notes == []


def test_peers_of_a_crashed_host_see_a_reset() -> None:
    """Its connections are reset, and new ones are refused."""

    async def main() -> None:
        db = aldente.network().host("db")
        db.run(serve())
        reader, writer = await connect("db")
        await ask(reader, writer)
        db.crash(silent=False)
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("db", PORT)
        writer.close()

    result_of(main)


def test_peers_of_a_silent_host_hear_nothing() -> None:
    """Reads wait, connecting takes 127 s, and what is sent is given up after 924.6 s, as on Linux."""

    async def main() -> list[float]:
        db = aldente.network().host("db")
        db.run(serve())
        reader, writer = await connect("db")
        await ask(reader, writer)
        db.crash(silent=True)
        clock = asyncio.get_running_loop().time
        begin = clock()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await reader.readline()
        with pytest.raises(TimeoutError) as raised:
            await asyncio.open_connection("db", PORT)
        assert "[Errno 110]" in str(raised.value)
        connected = clock() - begin
        writer.write(b"hello\n")
        with pytest.raises(TimeoutError):
            await reader.readline()
        return [connected, round(clock() - begin - connected, 1)]

    assert result_of(main, slack=0) == [187.0, 924.6]


def test_a_silent_host_resets_old_connections_when_it_is_back() -> None:
    """What was sent meanwhile finds no connection; new ones work."""

    async def main() -> None:
        db = aldente.network().host("db")
        db.run(serve())
        reader, writer = await connect("db")
        await ask(reader, writer)
        db.crash(silent=True)
        writer.write(b"hello\n")
        await asyncio.sleep(5)
        db.restart(serve)
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        other_reader, other_writer = await connect("db")
        assert await ask(other_reader, other_writer) == b"hello\n"
        other_writer.close()

    result_of(main)


def test_connections_that_were_not_accepted_are_reset() -> None:
    """A listening socket of a crashed host takes its queue with it."""

    async def listen() -> None:
        with socket.create_server(("0.0.0.0", PORT)):
            await asyncio.Event().wait()

    async def main() -> None:
        db = aldente.network().host("db")
        db.run(listen())
        reader, _ = await connect("db")
        db.crash(silent=False)
        with pytest.raises(ConnectionResetError):
            await reader.read()

    result_of(main)


def test_the_servers_of_a_block_crash_with_its_host() -> None:
    """What the test function has started on a host is gone; the test itself goes on."""

    async def main() -> str:
        db = aldente.network().host("db")
        with db:
            server = await asyncio.start_server(echo, "0.0.0.0", PORT)
        reader, writer = await asyncio.open_connection("db", PORT)
        await ask(reader, writer)
        db.crash(silent=False)
        server.close()
        await server.wait_closed()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        return "went on"

    assert result_of(main) == "went on"


@pytest.mark.parametrize("name", ["silent", "reset"])
def test_the_schedule_chooses_how_a_host_crashes(name: str) -> None:
    """Without an argument, some runs have a silent crash, and others one with resets."""

    async def main() -> str:
        db = aldente.network().host("db")
        db.run(serve())
        reader, writer = await connect("db")
        await ask(reader, writer)
        db.crash()
        try:
            async with asyncio.timeout(60):
                await reader.readline()
        except TimeoutError:
            return "silent"
        except ConnectionResetError:
            return "reset"
        finally:
            writer.close()
        return "neither"

    assert outcomes_of(main, runs=50) == {"silent", "reset"}


def test_a_host_can_crash_again_and_again() -> None:
    """Each restart begins anew, with the main function that it is given."""
    starts: list[int] = []

    async def main() -> list[bool]:
        db = aldente.network().host("db")

        async def run() -> None:
            starts.append(len(starts))
            await serve()

        db.run(run())
        states = []
        for _ in range(3):
            reader, writer = await connect("db")
            assert await ask(reader, writer) == b"hello\n"
            db.crash(silent=False)
            states.append(db.is_up)
            db.restart(run)
            states.append(db.is_up)
            writer.close()
        await asyncio.sleep(1)
        return states

    assert result_of(main) == [False, True] * 3
    assert starts == [0, 1, 2, 3]


def test_a_block_on_a_host_that_has_crashed_makes_no_sockets() -> None:
    """Also after a restart, as it began in the life before; a new block does."""

    async def main() -> None:
        db = aldente.network().host("db")
        with db:
            db.crash(silent=False)
            with pytest.raises(aldente.HostCrashed):
                socket.socket()
            db.restart(serve)
            with pytest.raises(aldente.HostCrashed):
                socket.socket()
        with db, socket.socket() as made:
            assert made.fileno() >= 0

    result_of(main)


def test_a_refused_connection_to_a_host_says_so() -> None:
    """The error of the run has a note with the host, the port and the line."""

    async def main() -> None:
        aldente.network().host("db").run(serve())
        await asyncio.open_connection("db", PORT)

    error = in_stock_order(main).error
    assert isinstance(error, ConnectionRefusedError)
    (note,) = error.__notes__
    assert note.startswith("Nothing listened at db:4000 when ")
    assert "test_hosts.py:" in note


def test_another_host_goes_on() -> None:
    """Tasks, timers and connections of other hosts are left alone."""

    async def main() -> bytes:
        net = aldente.network()
        one, two = net.host("one"), net.host("two")
        one.run(serve())
        two.run(serve())

        async def client() -> bytes:
            reader, writer = await connect("two")
            await asyncio.sleep(2)
            answer = await ask(reader, writer)
            writer.close()
            return answer

        task = net.host("three").run(client())
        await asyncio.sleep(1)
        one.crash()
        return await task

    assert result_of(main) == b"hello\n"


def test_what_a_crashed_task_has_waited_for_is_no_news() -> None:
    """An error that has woken a task is not reported as unseen when the task has crashed."""

    async def main() -> None:
        net = aldente.network()
        db = net.host("db")

        async def client() -> None:
            with contextlib.suppress(ConnectionError):
                reader, writer = await connect("db")
                await ask(reader, writer)
                await reader.readline()
                writer.close()

        db.run(serve())
        web = net.host("web")
        web.run(client())
        net.may_break(times=1)
        web.may_crash()
        db.may_crash()
        await asyncio.sleep(10)

    messages: list[dict[str, Any]] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: messages.append(context))
        with contextlib.suppress(ConnectionError):
            await main()

    assert aldente.search(watched, runs=100, seed=1).runs == 100
    assert not [each["message"] for each in messages if "never" in each["message"]]


def test_an_error_of_a_job_of_a_crashed_host_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is left who could look at it."""

    def fail() -> None:
        raise ValueError

    async def main() -> None:
        db = aldente.network().host("db")
        db.run(asyncio.to_thread(fail))
        await asyncio.sleep(0)
        db.crash()
        await asyncio.sleep(1)

    result_of(main)
    gc.collect()
    assert not caplog.records


# Clocks.


def test_a_skewed_clock_is_the_host_s_alone() -> None:
    """`time.time()`, `time.time_ns()` and `datetime` are ahead for code of the host only."""

    async def main() -> list[float]:
        db = aldente.network().host("db")
        db.clock_skew = -30

        async def readings() -> list[float]:
            await asyncio.sleep(1)
            now = datetime.datetime.now(datetime.UTC)
            return [time.time(), time.time_ns() / 1e9, now.timestamp()]

        theirs, ours = await asyncio.gather(db.run(readings()), readings())
        with db:
            inside = time.time()
        return [*(theirs - own for theirs, own in zip(theirs, ours, strict=True)), inside - ours[0]]

    pytest.importorskip("time_machine")
    exploration = aldente.search(_returning(main, [-30, -30, -30, -30]), runs=3, wall=True)
    assert exploration.failure is None, exploration.failure.report()


def _returning(main: Any, wanted: object) -> Any:
    async def check() -> None:
        assert await main() == wanted

    return check


# Errors.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.host(""), "letters, digits"),
        (lambda net: net.host("DB"), "lower-case letters"),
        (lambda net: net.host("localhost"), "letters, digits"),
        (lambda net: net.host(3), "letters, digits"),
        (lambda net: net.host("192.0.2.7"), "letters, digits"),
        (lambda net: net.link("db", "nobody"), r"Known hosts: test, db\. Make it first"),
        (lambda net: net.link("db", "db"), "two different hosts"),
        (lambda net: net.link("db", "test", latency=-1), "latency"),
        (lambda net: net.link("db", "test", loss=1), r"use partition\(\)"),
        (lambda net: net.link("db", "test", loss="much"), "probability"),
        (lambda net: net.link("db", "test", bandwidth=0), "bytes per second"),
        (lambda net: net.link("db", "test", bandwidth=-1), "bytes per second"),
        (lambda net: net.link("db", "test", bandwidth="all"), "bytes per second"),
        (lambda net: net.partition(3), "Known hosts"),
        (lambda net: net.partition("db", []), "One side has no host"),
        (lambda net: net.partition(["db", "test"]), "One side has no host"),
        (lambda net: net.may_partition([], "db"), "One side has no host"),
        (lambda net: net.partition(["db"], "db"), "two different hosts"),
        (lambda net: net.may_break(times=0), "times"),
        (lambda net: net.may_partition("db", seconds=-1), "seconds"),
        (lambda net: net.host("db").may_crash(times="2"), "times"),
        (lambda net: net.host("db").may_crash(restart=asyncio.sleep(0)), "coroutine function"),
        (lambda net: net.host("db").run(asyncio.sleep), r"run\(main\(\)\)"),
        (lambda net: net.host("db").restart(serve), "Only a host that has crashed"),
        (lambda net: net.host("db").crash(silent="yes"), "silent"),
        (lambda net: setattr(net.host("db"), "clock_skew", 1), r"explore\(wall=True\)"),
        (lambda net: setattr(net.host("db"), "clock_skew", "1"), "number of seconds"),
        (lambda net: setattr(net.host("db"), "clock_skew", float("nan")), "number of seconds"),
        (lambda net: net.connection(asyncio), "writer of a stream"),
    ],
)
def test_a_wrong_argument_is_refused(call: Any, message: str) -> None:
    """The message says what is allowed."""

    async def main() -> None:
        net = aldente.network()
        net.host("db")
        call(net)

    with pytest.raises(aldente.InvalidSetting, match=message):
        result_of(main)


def test_a_crashed_host_runs_nothing_and_does_not_crash_again() -> None:
    """Both are refused until it is restarted."""

    async def main() -> None:
        db = aldente.network().host("db")
        db.crash()
        with pytest.raises(aldente.InvalidSetting, match="restart it first"):
            db.run(serve())
        with pytest.raises(aldente.InvalidSetting, match="restart it first"), db:
            pass
        assert db == aldente.network().host("db")
        assert {db} == {aldente.network().host("db")}
        with pytest.raises(aldente.InvalidSetting, match="crashed already"):
            db.crash()

    result_of(main)


def test_a_host_does_not_start_with_what_is_no_coroutine() -> None:
    """It stays down."""

    async def main() -> bool:
        db = aldente.network().host("db")
        db.crash()
        with pytest.raises(aldente.InvalidSetting, match="coroutine function without arguments"):
            db.restart(lambda: None)  # type: ignore[arg-type, return-value]
        return db.is_up

    assert result_of(main) is False


def test_a_host_does_not_crash_itself() -> None:
    """A step of one of its own tasks could not go on, so it is refused, and says who can."""

    async def main() -> None:
        db = aldente.network().host("db")

        async def run() -> None:
            db.crash()

        await db.run(run())

    with pytest.raises(aldente.InvalidSetting, match=r"by may_crash\(\)"):
        result_of(main)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda net: net.host("db"), r"network\(\)\.host"),
        (lambda net: net.link("a", "b"), r"network\(\)\.link"),
        (lambda net: net.here, r"network\(\)\.here"),
        (lambda net: net.heal(), r"network\(\)\.heal"),
        (lambda net: net.may_break(), r"network\(\)\.may_break"),
    ],
)
def test_outside_of_a_run_there_is_no_network(call: Any, name: str) -> None:
    """Each call says so, by its name."""
    with pytest.raises(aldente.NotSimulated, match=rf"aldente\.{name}\(\) was called outside"):
        call(aldente.Network())


_PROGRAM = """
import asyncio, zlib, aldente
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.random import Random
from tests.unit.hosted import ask, connect, serve
async def main():
    net = aldente.network()
    db = net.host("db")
    net.link("db", "test", latency=0.01, loss=0.2, bandwidth=10_000)
    db.run(serve())
    net.may_break(times=2)
    net.may_partition("db", seconds=3)
    db.may_crash(restart=serve)
    answers = []
    for number in range(6):
        try:
            async with asyncio.timeout(5):
                reader, writer = await connect("db")
                answers.append(await ask(reader, writer))
                writer.close()
        except OSError as error:
            answers.append(repr(error))
            await asyncio.sleep(1)
    return answers
strategy = Random(1)
for number in range(30):
    strategy.start()
    run = simulate(main, strategy, RunSettings())
    assert run.error is None, run.error
    print(zlib.crc32(repr((run.choices, run.counts, run.result, run.faults)).encode()))
"""


def test_runs_with_faults_depend_on_nothing_but_their_seeds() -> None:
    """Two processes with other hash seeds take the same choices, and see the same."""
    outputs = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    (output,) = outputs
    assert len(set(output.splitlines())) > 20
