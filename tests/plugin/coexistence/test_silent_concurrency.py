"""Concurrent code that ends what it begins, by asyncio and anyio: no rule has anything to say of it."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.coexistence.conftest import CheckSilent


def test_tasks(check_silent: CheckSilent) -> None:
    """asyncio's task groups, gather, wait, as_completed, shield and time-outs, with cancellation."""
    check_silent(
        test_it="""
        import asyncio
        import contextlib
        import pytest

        async def number(value, delay=0):
            await asyncio.sleep(delay)
            return value

        async def fail(delay=0):
            await asyncio.sleep(delay)
            raise ValueError("failed")

        async def test_group():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(number(n)) for n in range(5)]
            assert [task.result() for task in tasks] == [0, 1, 2, 3, 4]

        async def test_group_fails():
            with pytest.raises(ExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    group.create_task(number(1, 60))
                    group.create_task(fail())

        async def test_group_cancelled_from_outside():
            async def work():
                async with asyncio.TaskGroup() as group:
                    group.create_task(number(1, 60))

            task = asyncio.create_task(work())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        async def test_gather():
            assert await asyncio.gather(number(1), number(2)) == [1, 2]
            results = await asyncio.gather(number(1), fail(), return_exceptions=True)
            assert isinstance(results[1], ValueError)

        async def test_gather_cancelled():
            together = asyncio.gather(number(1, 60), number(2, 60))
            await asyncio.sleep(0)
            together.cancel()
            with pytest.raises(asyncio.CancelledError):
                await together

        async def test_gather_fails_and_the_rest_is_awaited():
            rest = asyncio.create_task(number(1, 0.001))
            with pytest.raises(ValueError):
                await asyncio.gather(rest, fail())
            assert await rest == 1

        async def test_gather_whose_rest_ends_by_itself():
            with pytest.raises(ValueError):
                await asyncio.gather(fail(), number(1), number(2))

        async def test_gather_with_two_failures():
            with pytest.raises(ValueError):
                await asyncio.gather(fail(), fail())

        async def test_wait():
            tasks = {asyncio.create_task(number(n, 60 * n)) for n in range(2)}
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert len(done) == len(pending) == 1
            for task in pending:
                task.cancel()
            await asyncio.wait(pending)

        async def test_cancelled_and_not_awaited():
            task = asyncio.create_task(number(1, 60))
            await asyncio.sleep(0)
            task.cancel()

        async def test_cancelled_before_it_began():
            asyncio.create_task(number(1)).cancel()

        async def test_about_to_end():
            asyncio.get_running_loop().call_soon(int)
            asyncio.create_task(number(1))

        async def test_as_completed():
            slow, fast = number("slow", 0.002), number("fast")
            results = [await done for done in asyncio.as_completed([slow, fast])]
            assert results == ["fast", "slow"]

        async def test_as_completed_in_time():
            task = asyncio.create_task(number(1, 60))
            with pytest.raises(TimeoutError):
                for done in asyncio.as_completed([task], timeout=0.001):
                    await done
            task.cancel()

        async def test_shield():
            inner = asyncio.create_task(number(1, 0.001))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await asyncio.shield(inner)
            assert await inner == 1

        async def test_timeouts():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(number(1, 60), 0.001)
            assert await asyncio.wait_for(number(1), 60) == 1
            async with asyncio.timeout(60) as limit:
                limit.reschedule(None)

        async def test_task_exception_is_retrieved():
            task = asyncio.create_task(fail())
            await asyncio.wait([task])
            assert isinstance(task.exception(), ValueError)

        async def test_a_coroutine_closed_on_purpose():
            number(1).close()

        async def test_own_exception_handler():
            caught = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: caught.append(context))
            loop.call_soon(int, "no number")
            await asyncio.sleep(0)
            assert len(caught) == 1

        async def test_locks():
            lock, event, barrier = asyncio.Lock(), asyncio.Event(), asyncio.Barrier(2)
            condition = asyncio.Condition()

            async def other():
                await event.wait()
                async with lock:
                    await barrier.wait()
                async with condition:
                    condition.notify_all()

            async with asyncio.TaskGroup() as group:
                group.create_task(other())
                async with condition:
                    event.set()
                    await barrier.wait()
                    await condition.wait()

        async def test_contexts():
            @contextlib.asynccontextmanager
            async def resource(name):
                await asyncio.sleep(0)
                yield name
                await asyncio.sleep(0)

            async with contextlib.AsyncExitStack() as stack:
                names = [await stack.enter_async_context(resource(name)) for name in "abc"]
                stack.push_async_callback(asyncio.sleep, 0)
                assert names == ["a", "b", "c"]

        async def test_generators():
            async def numbers():
                try:
                    for number in range(10):
                        yield number
                finally:
                    await asyncio.sleep(0)

            async with contextlib.aclosing(numbers()) as opened:
                async for number in opened:
                    break
            assert [number async for number in numbers()] == list(range(10))
            async for number in numbers():
                break
            await asyncio.sleep(0)

        async def test_long_sleep_within_a_limit():
            await asyncio.sleep(1.2)
        """,
        passed=23,
    )


def test_workers_of_fixtures(check_silent: CheckSilent) -> None:
    """Tasks, queues and watchers that fixtures of every scope keep running, cancel and await."""
    check_silent(
        conftest="""
        import asyncio
        import contextlib
        import pytest

        class Workers:
            def __init__(self):
                self.queue = asyncio.Queue()
                self.done = []

            async def work(self):
                while True:
                    item = await self.queue.get()
                    await asyncio.sleep(0)
                    self.done.append(item)
                    self.queue.task_done()

        async def run_workers():
            workers = Workers()
            tasks = [asyncio.create_task(workers.work()) for _ in range(3)]
            yield workers
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        @pytest.fixture
        async def workers():
            async for workers in run_workers():
                yield workers

        @pytest.fixture(scope="class")
        async def class_workers():
            async for workers in run_workers():
                yield workers

        @pytest.fixture(scope="session")
        async def session_workers():
            async for workers in run_workers():
                yield workers

        @pytest.fixture(scope="module")
        async def group():
            async with asyncio.TaskGroup() as group:
                ticker = group.create_task(tick())
                yield group
                ticker.cancel()

        async def tick():
            while True:
                await asyncio.sleep(0.005)

        @pytest.fixture(autouse=True)
        async def heartbeat():
            task = asyncio.create_task(tick())
            yield
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        """,
        test_it="""
        import asyncio
        import pytest

        async def check(workers):
            for item in range(10):
                workers.queue.put_nowait(item)
            await workers.queue.join()
            assert sorted(workers.done[-10:]) == list(range(10))

        async def test_function(workers):
            await check(workers)

        class TestClass:
            @pytest.mark.parametrize("number", range(3))
            async def test_class(self, class_workers, number):
                await check(class_workers)

            async def test_all(self, class_workers, workers, session_workers, group):
                await asyncio.gather(check(workers), check(session_workers))

        @pytest.mark.parametrize("number", range(3))
        async def test_session(session_workers, number):
            await check(session_workers)

        async def test_group(group):
            await group.create_task(asyncio.sleep(0))

        async def test_idle(session_workers, group):
            await asyncio.sleep(0.02)

        def test_sync(session_workers, group):
            assert session_workers.queue.empty()

        @pytest.mark.parametrize("number", range(20))
        async def test_trivial(number):
            pass
        """,
        passed=31,
    )


def test_threads_and_executors(check_silent: CheckSilent) -> None:
    """to_thread, executors of threads and processes, threads that call back, and blocking in them."""
    check_silent(
        test_it="""
        import asyncio
        import concurrent.futures
        import logging
        import queue
        import sqlite3
        import subprocess
        import sys
        import threading
        import time
        import pytest

        def block():
            time.sleep(0.01)
            subprocess.run([sys.executable, "-c", ""], check=True)
            sqlite3.connect(":memory:").close()
            return threading.current_thread().name

        @pytest.fixture(scope="module")
        def pool():
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                yield pool

        async def test_to_thread():
            assert await asyncio.to_thread(block) != "MainThread"

        async def test_executor(pool):
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, block) for _ in range(3)))

        async def test_executor_inside():
            loop = asyncio.get_running_loop()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                await loop.run_in_executor(pool, block)

        async def test_processes():
            loop = asyncio.get_running_loop()
            with concurrent.futures.ProcessPoolExecutor(1) as pool:
                assert await loop.run_in_executor(pool, abs, -1) == 1

        async def test_wrapped_future(pool):
            assert await asyncio.wrap_future(pool.submit(int, "1")) == 1

        async def test_thread_calls_back():
            loop, heard = asyncio.get_running_loop(), asyncio.Event()
            thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(heard.set))
            thread.start()
            await heard.wait()
            await asyncio.to_thread(thread.join)

        async def test_coroutine_from_a_thread():
            async def answer():
                await asyncio.sleep(0)
                return 42

            def ask(loop):
                return asyncio.run_coroutine_threadsafe(answer(), loop).result()

            assert await asyncio.to_thread(ask, asyncio.get_running_loop()) == 42

        async def test_loop_of_a_thread():
            async def answer():
                await asyncio.sleep(0)
                return 42

            def run():
                return asyncio.run(answer())

            assert await asyncio.to_thread(run) == 42

        async def test_slow_thread():
            # Longer than a step may take, and than a loop may be without anything to do.
            await asyncio.to_thread(time.sleep, 1.2)

        async def test_no_wait():
            ready, waiting = threading.Event(), queue.Queue()
            ready.set()
            assert ready.wait()
            waiting.put(1)
            assert waiting.get_nowait() == 1
            with threading.Lock():
                time.sleep(0)

        async def test_logging(caplog, tmp_path):
            handler = logging.FileHandler(tmp_path / "log")
            logger = logging.getLogger("test")
            logger.addHandler(handler)
            try:
                logger.warning("written")
            finally:
                logger.removeHandler(handler)
                handler.close()
            assert (tmp_path / "log").read_text() == "written\\n"

        async def test_files(tmp_path):
            path = tmp_path / "file"
            path.write_bytes(b"x" * 100_000)
            assert len(path.read_bytes()) == 100_000

        async def test_lazy_import():
            import xml.dom.minidom

        def test_blocking_in_a_sync_test():
            block()

        def test_own_loop_in_a_sync_test():
            assert asyncio.run(asyncio.sleep(0, 1)) == 1
            with asyncio.Runner() as runner:
                assert runner.run(asyncio.sleep(0, 1)) == 1
        """,
        passed=15,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the projects start programs of Unix")
def test_subprocesses(check_silent: CheckSilent) -> None:
    """asyncio's subprocesses: awaited, spoken to, ended by a signal, and killed after a time-out."""
    check_silent(
        test_it="""
        import asyncio
        import asyncio.subprocess
        import sys
        import pytest

        PIPES = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}

        @pytest.fixture(scope="module")
        async def cat():
            process = await asyncio.create_subprocess_exec("cat", **PIPES)
            yield process
            process.stdin.close()
            assert await process.wait() == 0

        async def test_exec():
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
            assert await process.wait() == 0

        async def test_communicate():
            process = await asyncio.create_subprocess_exec("cat", **PIPES)
            assert await process.communicate(b"hello") == (b"hello", None)

        async def test_shell():
            process = await asyncio.create_subprocess_shell("exit 3")
            assert await process.wait() == 3

        @pytest.mark.parametrize("line", [b"one\\n", b"two\\n"])
        async def test_of_a_module(cat, line):
            cat.stdin.write(line)
            assert await cat.stdout.readline() == line

        async def test_terminated():
            process = await asyncio.create_subprocess_exec("sleep", "60")
            process.terminate()
            assert await process.wait() < 0

        async def test_killed_after_a_timeout():
            process = await asyncio.create_subprocess_exec("sleep", "60", **PIPES)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(process.communicate(), 0.01)
            process.kill()
            await process.communicate()

        async def test_longer_than_a_second():
            process = await asyncio.create_subprocess_exec("sleep", "1.2")
            await process.wait()

        async def test_several():
            async def echo(word):
                process = await asyncio.create_subprocess_exec("echo", word, **PIPES)
                return (await process.communicate())[0]

            assert await asyncio.gather(echo("a"), echo("b")) == [b"a\\n", b"b\\n"]
        """,
        passed=9,
    )


def test_streams(check_silent: CheckSilent) -> None:
    """asyncio's streams over TCP, Unix sockets, raw sockets and datagrams, closed by either end."""
    check_silent(
        test_it="""
        import asyncio
        import contextlib
        import socket
        import pytest

        async def echo(reader, writer):
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
            writer.close()
            await writer.wait_closed()

        @contextlib.asynccontextmanager
        async def serving(handler):
            async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
                yield server.sockets[0].getsockname()

        @pytest.fixture
        async def address():
            async with serving(echo) as address:
                yield address

        @pytest.fixture(scope="session")
        async def shared():
            async with serving(echo) as address:
                yield address

        @pytest.fixture(scope="session")
        async def connection(shared):
            reader, writer = await asyncio.open_connection(*shared)
            yield reader, writer
            writer.close()
            await writer.wait_closed()

        async def ask(reader, writer):
            writer.write(b"hello\\n")
            await writer.drain()
            assert await reader.readline() == b"hello\\n"

        async def test_own_server(address):
            reader, writer = await asyncio.open_connection(*address)
            await ask(reader, writer)
            writer.close()
            await writer.wait_closed()

        async def test_closed_without_waiting(address):
            reader, writer = await asyncio.open_connection(*address)
            await ask(reader, writer)
            writer.close()

        @pytest.mark.parametrize("number", range(5))
        async def test_shared_server(shared, number):
            reader, writer = await asyncio.open_connection(*shared)
            await ask(reader, writer)
            writer.close()
            await writer.wait_closed()

        @pytest.mark.parametrize("number", range(5))
        async def test_shared_connection(connection, number):
            await ask(*connection)

        async def test_aborted(address):
            reader, writer = await asyncio.open_connection(*address)
            await ask(reader, writer)
            writer.transport.abort()

        async def test_refused(shared):
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                with pytest.raises(OSError):
                    await asyncio.open_connection(*taken.getsockname())

        async def test_unix(tmp_path, monkeypatch):
            monkeypatch.chdir(tmp_path)
            async with await asyncio.start_unix_server(echo, "socket"):
                reader, writer = await asyncio.open_unix_connection("socket")
                await ask(reader, writer)
                writer.close()
                await writer.wait_closed()

        async def test_raw_sockets():
            loop = asyncio.get_running_loop()
            left, right = socket.socketpair()
            with left, right:
                left.setblocking(False)
                right.setblocking(False)
                await loop.sock_sendall(left, b"hello")
                assert await loop.sock_recv(right, 10) == b"hello"

        async def test_datagrams():
            class Collect(asyncio.DatagramProtocol):
                def __init__(self):
                    self.received = asyncio.get_running_loop().create_future()

                def datagram_received(self, data, address):
                    self.received.set_result(data)

            loop = asyncio.get_running_loop()
            there, protocol = await loop.create_datagram_endpoint(
                Collect, local_addr=("127.0.0.1", 0)
            )
            here, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=there.get_extra_info("sockname")
            )
            here.sendto(b"hello")
            assert await protocol.received == b"hello"
            here.close()
            there.close()

        async def test_reader_callback():
            loop, heard = asyncio.get_running_loop(), asyncio.Event()
            left, right = socket.socketpair()
            with left, right:
                left.setblocking(False)
                loop.add_reader(right, heard.set)
                left.send(b"x")
                await heard.wait()
                loop.remove_reader(right)

        async def test_names():
            loop = asyncio.get_running_loop()
            assert await loop.getaddrinfo("localhost", 80)
            assert socket.getaddrinfo("127.0.0.1", 80)
        """,
        passed=19,
    )


def test_anyio(check_silent: CheckSilent) -> None:
    """anyio's task groups, cancel scopes, threads, portals, streams, sockets and processes."""
    pytest.importorskip("anyio")
    check_silent(
        test_it="""
        import time
        import anyio
        import anyio.from_thread
        import anyio.to_process
        import anyio.to_thread
        import pytest

        @pytest.fixture
        async def group():
            async with anyio.create_task_group() as group:
                yield group
                group.cancel_scope.cancel()

        @pytest.fixture(scope="module")
        async def pipe():
            send, receive = anyio.create_memory_object_stream(10)
            async with send, receive:
                yield send, receive

        @pytest.fixture(scope="session")
        def portal():
            with anyio.from_thread.start_blocking_portal() as portal:
                yield portal

        async def test_group(group):
            group.start_soon(anyio.sleep_forever)
            await anyio.lowlevel.checkpoint()

        async def test_start():
            async def serve(*, task_status):
                async with anyio.create_task_group():
                    task_status.started("ready")
                    await anyio.sleep_forever()

            async with anyio.create_task_group() as group:
                assert await group.start(serve) == "ready"
                group.cancel_scope.cancel()

        async def test_failure():
            async def fail():
                raise ValueError

            with pytest.raises(ExceptionGroup):
                async with anyio.create_task_group() as group:
                    group.start_soon(fail)
                    group.start_soon(anyio.sleep, 60)

        async def test_scopes():
            with anyio.move_on_after(0.001) as scope:
                await anyio.sleep(60)
            assert scope.cancelled_caught
            with pytest.raises(TimeoutError):
                with anyio.fail_after(0.001):
                    await anyio.sleep(60)
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)

        async def test_threads():
            await anyio.to_thread.run_sync(time.sleep, 0.01)

            def call_back():
                anyio.from_thread.run(anyio.sleep, 0)
                return anyio.from_thread.run_sync(len, "abc")

            assert await anyio.to_thread.run_sync(call_back) == 3

        async def test_processes():
            assert await anyio.to_process.run_sync(abs, -1) == 1

        def test_portal(portal):
            assert portal.call(anyio.sleep, 0) is None

        async def test_portal_beside_the_loop(portal):
            # Whatever a portal does waits for its own loop, so it is for other threads to call.
            await anyio.to_thread.run_sync(portal.call, anyio.sleep, 0)

        @pytest.mark.parametrize("item", [1, 2])
        async def test_memory_streams(pipe, item):
            send, receive = pipe
            await send.send(item)
            assert await receive.receive() == item

        async def test_streams_between_tasks():
            async def produce(send):
                async with send:
                    for item in range(3):
                        await send.send(item)

            send, receive = anyio.create_memory_object_stream(0)
            async with anyio.create_task_group() as group, receive:
                group.start_soon(produce, send)
                assert [item async for item in receive] == [0, 1, 2]

        async def test_run_process():
            result = await anyio.run_process(["echo", "hello"])
            assert result.stdout == b"hello\\n"

        async def test_open_process():
            async with await anyio.open_process(["cat"]) as process:
                await process.stdin.send(b"hello")
                assert await process.stdout.receive() == b"hello"
                await process.stdin.aclose()

        async def test_sockets():
            async def echo(stream):
                async with stream:
                    await stream.send(await stream.receive())

            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with listener, anyio.create_task_group() as group:
                group.start_soon(listener.serve, echo)
                async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                    await stream.send(b"hello")
                    assert await stream.receive() == b"hello"
                group.cancel_scope.cancel()

        async def test_files(tmp_path):
            async with await anyio.open_file(tmp_path / "file", "w") as file:
                await file.write("hello")
            assert await anyio.Path(tmp_path / "file").read_text() == "hello"

        async def test_primitives():
            lock, event, limiter = anyio.Lock(), anyio.Event(), anyio.CapacityLimiter(1)

            async def other():
                async with lock, limiter:
                    event.set()

            async with anyio.create_task_group() as group:
                group.start_soon(other)
                await event.wait()
        """,
        passed=16,
    )


def test_anyios_own_tests(check_silent: CheckSilent) -> None:
    """Tests that anyio runs, on asyncio and trio, beside those that aldente runs."""
    pytest.importorskip("anyio")
    pytest.importorskip("trio")
    check_silent(
        plugins=["anyio"],
        test_it="""
        import anyio
        import pytest

        @pytest.fixture
        async def stream():
            send, receive = anyio.create_memory_object_stream(1)
            async with send, receive:
                yield send, receive

        @pytest.mark.anyio
        async def test_theirs(stream):
            async with anyio.create_task_group() as group:
                group.start_soon(stream[0].send, 1)
                assert await stream[1].receive() == 1
            await anyio.to_thread.run_sync(int)

        async def test_ours(stream):
            await stream[0].send(1)
            assert await stream[1].receive() == 1
        """,
        passed=3,
    )


def test_hypothesis(check_silent: CheckSilent) -> None:
    """Hypothesis's @given on async tests, with async fixtures, as many examples as it likes."""
    pytest.importorskip("hypothesis")
    check_silent(
        plugins=["hypothesispytest"],
        test_it="""
        import asyncio
        import pytest
        from hypothesis import given, settings, strategies

        @pytest.fixture(scope="module")
        async def queue():
            return asyncio.Queue()

        @given(number=strategies.integers())
        @settings(database=None, deadline=None, max_examples=50)
        async def test_given(queue, number):
            async with asyncio.TaskGroup() as group:
                group.create_task(queue.put(number))
                assert await queue.get() == number

        @given(data=strategies.data())
        @settings(database=None, deadline=None, max_examples=20)
        async def test_data(data):
            items = data.draw(strategies.lists(strategies.integers()))
            assert await asyncio.gather(*(asyncio.sleep(0, item) for item in items)) == items
        """,
        passed=2,
    )


def test_mocks(check_silent: CheckSilent) -> None:
    """AsyncMock, autospec and pytest-mock, awaited, in sync and async tests."""
    pytest.importorskip("pytest_mock")
    check_silent(
        plugins=["pytest_mock"],
        test_it="""
        import asyncio
        from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec, patch

        class Client:
            async def get(self, url):
                return url

            def close(self):
                pass

        async def test_async_mock():
            mock = AsyncMock(return_value=1)
            assert await mock() == 1
            mock.assert_awaited_once()

        async def test_autospec():
            client = create_autospec(Client, instance=True)
            client.get.return_value = "page"
            assert await client.get("url") == "page"
            client.close()

        async def test_patched():
            with patch.object(Client, "get", return_value="page"):
                assert await Client().get("url") == "page"

        async def test_contexts():
            mock = MagicMock()
            mock.__aiter__.return_value = [1, 2]
            async with mock:
                assert [item async for item in mock] == [1, 2]

        async def test_mocker(mocker):
            spy = mocker.spy(Client, "get")
            assert await Client().get("url") == "url"
            assert spy.await_count == 1

        def test_sync():
            mock = Mock(get=AsyncMock())
            asyncio.run(mock.get())
            mock.get.assert_awaited_once()
        """,
        passed=6,
    )


def test_uvloop(check_silent: CheckSilent) -> None:
    """On uvloop's loops too: tasks, threads, streams, subprocesses and waits of more than a second."""
    pytest.importorskip("uvloop")
    check_silent(
        test_it="""
        import asyncio
        import time
        import pytest
        import aldente

        pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

        @pytest.fixture(scope="module")
        async def address():
            async def echo(reader, writer):
                while line := await reader.readline():
                    writer.write(line)
                writer.close()

            async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
                yield server.sockets[0].getsockname()

        async def test_loop():
            assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")

        async def test_group():
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))

        @pytest.mark.parametrize("number", range(3))
        async def test_stream(address, number):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"hello\\n")
            assert await reader.readline() == b"hello\\n"
            writer.close()
            await writer.wait_closed()

        async def test_thread():
            await asyncio.to_thread(time.sleep, 1.2)

        async def test_subprocess():
            process = await asyncio.create_subprocess_exec("true")
            assert await process.wait() == 0

        async def test_generator():
            async def numbers():
                yield 1
                yield 2

            assert [number async for number in numbers()] == [1, 2]
        """,
        passed=8,
    )


def test_unittests_async_cases(check_silent: CheckSilent) -> None:
    """unittest.IsolatedAsyncioTestCase with set-up, clean-ups and contexts."""
    check_silent(
        test_it="""
        import asyncio
        import contextlib
        import unittest

        class TestCase(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.queue = asyncio.Queue()
                self.task = asyncio.create_task(self.queue.get())
                self.addAsyncCleanup(asyncio.sleep, 0)

            async def asyncTearDown(self):
                self.task.cancel()

            async def test_queue(self):
                await self.queue.put(1)
                self.assertEqual(await self.task, 1)

            async def test_context(self):
                await self.enterAsyncContext(contextlib.AsyncExitStack())
        """,
        passed=2,
    )
