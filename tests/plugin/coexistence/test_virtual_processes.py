"""Child processes, threads and servers elsewhere on virtual time: what runs outside of the loop."""

from __future__ import annotations

from tests.plugin.coexistence.conftest import CheckSilent


def test_child_processes(check_virtual: CheckSilent) -> None:
    """While a child process of asyncio runs, loop time follows real time: it is waited for, and ended by a time-out if it hangs."""
    check_virtual(
        test_it="""
        import asyncio
        import sys
        import time
        from asyncio.subprocess import PIPE
        import pytest

        async def test_waited_for(clock):
            began = time.perf_counter()
            process = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
            asyncio.get_running_loop().call_later(0.2, process.stdin.close)
            async with asyncio.timeout(5):
                assert await process.wait() == 0
            assert 0.2 <= clock.elapsed < 5
            assert time.perf_counter() - began >= 0.2

        async def test_shell(clock):
            began = time.perf_counter()
            process = await asyncio.create_subprocess_shell(
                "cat >/dev/null; echo done", stdin=PIPE, stdout=PIPE
            )
            asyncio.get_running_loop().call_later(0.2, process.stdin.close)
            async with asyncio.timeout(5):
                assert await process.stdout.read() == b"done\\n"
                await process.wait()
            assert 0.2 <= clock.elapsed < 5
            assert time.perf_counter() - began >= 0.2

        async def test_hung(clock):
            process = await asyncio.create_subprocess_exec("sleep", "60")
            began = time.perf_counter()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await process.wait()
            assert 0.1 <= time.perf_counter() - began < 30
            assert clock.elapsed >= 0.1
            process.kill()
            await process.wait()

        async def test_big_pipes(clock):
            code = "import sys; sys.stdout.write(sys.stdin.read().upper())"
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, stdin=PIPE, stdout=PIPE
            )
            async with asyncio.timeout(10):
                output, _ = await process.communicate(b"x" * 5_000_000)
            assert output == b"X" * 5_000_000
            assert clock.elapsed < 5

        async def test_lines(clock):
            code = "import time; [(print(n, flush=True), time.sleep(0.02)) for n in range(10)]"
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, stdout=PIPE
            )
            for number in range(10):
                async with asyncio.timeout(5):
                    assert int(await process.stdout.readline()) == number
            await process.wait()
            assert clock.elapsed < 5

        async def test_real_time_ends_with_the_child(clock):
            process = await asyncio.create_subprocess_exec("true")
            await process.wait()
            began = time.perf_counter()
            elapsed = clock.elapsed
            await asyncio.sleep(3600)
            assert clock.elapsed == pytest.approx(elapsed + 3600)
            assert time.perf_counter() - began < 30
        """,
        passed=6,
    )


def test_executors(check_virtual: CheckSilent) -> None:
    """While a job of an executor runs, loop time follows real time: it is waited for, and given up by a time-out if it hangs."""
    check_virtual(
        test_it="""
        import asyncio
        import threading
        import time
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        import pytest

        async def test_waited_for(clock):
            began = time.perf_counter()
            release = threading.Event()
            asyncio.get_running_loop().call_later(0.2, release.set)
            async with asyncio.timeout(5):
                await asyncio.to_thread(release.wait, 60)
            assert 0.2 <= clock.elapsed < 5
            assert time.perf_counter() - began >= 0.2

        async def test_beside_timers(clock):
            ticks = []

            async def tick():
                while True:
                    await asyncio.sleep(0.05)
                    ticks.append(clock.elapsed)

            async with asyncio.TaskGroup() as tasks:
                ticking = tasks.create_task(tick())
                await asyncio.to_thread(time.sleep, 0.2)
                ticking.cancel()
            assert 1 <= len(ticks) <= clock.elapsed / 0.05 + 1

        async def test_hung(clock):
            release = threading.Event()
            began = time.perf_counter()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.to_thread(release.wait, 60)
            assert 0.2 <= time.perf_counter() - began < 30
            assert clock.elapsed >= 0.2
            release.set()

        async def test_jobs_at_once(clock):
            loop, release = asyncio.get_running_loop(), threading.Event()
            began = time.perf_counter()
            with ThreadPoolExecutor(8) as pool:
                async with asyncio.timeout(5):
                    loop.call_later(0.2, release.set)
                    jobs = (loop.run_in_executor(pool, release.wait, 60) for _ in range(8))
                    await asyncio.gather(*jobs)
            assert 0.2 <= clock.elapsed < 5
            assert time.perf_counter() - began >= 0.2

        async def test_processes(clock):
            loop = asyncio.get_running_loop()
            with ProcessPoolExecutor(1) as pool:
                async with asyncio.timeout(10):
                    assert await loop.run_in_executor(pool, divmod, 7, 2) == (3, 1)
            assert clock.elapsed < 10

        async def test_a_pool_that_is_idle(clock):
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(8) as pool:
                await asyncio.gather(*(loop.run_in_executor(pool, int) for _ in range(8)))
                began = time.perf_counter()
                elapsed = clock.elapsed
                for _ in range(100):
                    await asyncio.sleep(3600)
                assert clock.elapsed == pytest.approx(elapsed + 360_000)
                assert time.perf_counter() - began < 30

        async def test_names(clock):
            # asyncio asks for the address in a thread, in real time.
            async with asyncio.timeout(5):
                await asyncio.get_running_loop().getaddrinfo("localhost", 80)
            assert clock.elapsed < 5
        """,
        passed=7,
    )


# A fixture that serves in another process: it says nothing, answers at once, or after a while.
_ELSEWHERE = """
import subprocess
import sys
import pytest

SERVER = '''
import socketserver
import sys
import time

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if line == b"silence\\\\n":
                continue
            time.sleep(float(line))
            self.wfile.write(b"answer\\\\n")

class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
'''

@pytest.fixture
def port():
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE) as process:
        yield int(process.stdout.readline())
        process.terminate()
"""


def test_a_server_in_another_process(check_virtual: CheckSilent) -> None:
    """The answers of another process come before timers if they come within the patience; its silence takes the patience and no more."""
    check_virtual(
        conftest=_ELSEWHERE,
        test_it="""
        import asyncio
        import time
        import pytest
        import aldente

        @pytest.fixture
        async def ask(port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)

            async def ask(question):
                writer.write(b"%s\\n" % str(question).encode())
                return await reader.readline()

            yield ask
            writer.close()
            await writer.wait_closed()

        async def test_silent(ask, clock):
            began = time.perf_counter()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await ask("silence")
            assert clock.elapsed == 5
            assert 0.05 <= time.perf_counter() - began < 4.5

        async def test_at_once(ask, clock):
            began = time.perf_counter()
            for _ in range(100):
                async with asyncio.timeout(1):
                    assert await ask(0) == b"answer\\n"
            assert clock.elapsed == 0
            assert time.perf_counter() - began < 4.5

        async def test_within_the_patience(ask, clock):
            async with asyncio.timeout(1):
                assert await ask(0.01) == b"answer\\n"
            assert clock.elapsed == 0

        async def test_later_than_the_patience(ask, clock):
            began = time.perf_counter()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(60):
                    await ask(3)
            assert clock.elapsed == 60
            assert time.perf_counter() - began < 3

        @aldente.virtual_time(patience=2)
        async def test_more_patience(ask, clock):
            async with asyncio.timeout(1):
                assert await ask(0.3) == b"answer\\n"
            assert clock.elapsed == 0

        async def test_sleeps_beside_a_connection(ask, clock):
            began = time.perf_counter()
            await asyncio.gather(*(asyncio.sleep(hours * 3600) for hours in range(1, 11)))
            assert clock.elapsed == 36_000
            assert 10 * 0.05 <= time.perf_counter() - began < 30

        async def test_no_connection_any_more(port, clock):
            # What is closed again holds no jump back; nor does the other's listening socket.
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            began = time.perf_counter()
            for _ in range(1000):
                await asyncio.sleep(3600)
            assert clock.elapsed == 3_600_000
            assert time.perf_counter() - began < 30
        """,
        passed=7,
    )


def test_a_client_in_another_process(check_virtual: CheckSilent) -> None:
    """A server of the test is called by another process, though nothing else can happen meanwhile."""
    check_virtual(
        conftest="""
        import subprocess
        import sys
        import pytest

        CLIENT = '''
        import socket
        import sys
        import time

        time.sleep(0.3)
        address = "127.0.0.1", int(sys.argv[1])
        socket.create_connection(address).sendall(b"hello")
        '''

        @pytest.fixture
        def call():
            processes = []

            def call(port):
                code = CLIENT.replace("\\n        ", "\\n")
                processes.append(subprocess.Popen([sys.executable, "-c", code, str(port)]))

            yield call
            for process in processes:
                assert process.wait() == 0
        """,
        test_it="""
        import asyncio

        async def test_called(call, clock):
            heard = asyncio.Queue()

            async def handle(reader, writer):
                heard.put_nowait(await reader.read())
                writer.close()
                await writer.wait_closed()

            async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
                call(server.sockets[0].getsockname()[1])
                assert await heard.get() == b"hello"
                assert clock.elapsed == 0
        """,
        passed=1,
    )
