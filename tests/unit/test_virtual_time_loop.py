"""The virtual-time loop: when its time moves, how far, and when not."""

from __future__ import annotations

import asyncio
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from aldente._runner.bystanders import Bystanders
from aldente._runner.threads import Threads
from aldente._virtual_time.clock import Clock
from aldente._virtual_time.loop import START, VirtualTimeLoop
from aldente.errors import AldenteError, DeadlockError, EndlessTimeError

# Threads of pytest's plugins, and what tests before have left.
TOOLS: list[int] = []


@pytest.fixture(autouse=True)
def note_threads() -> None:
    """Note the threads that are there before a test."""
    TOOLS[:] = [thread.ident for thread in threading.enumerate() if thread.ident is not None]


T = TypeVar("T")
Body = Callable[[Clock], Coroutine[Any, Any, T]]

HOUR = 3600.0


def run(body: Body[T], **options: Any) -> T:
    """Run a body with the clock of a virtual-time loop."""

    async def main() -> T:
        return await body(Clock(asyncio.get_running_loop))

    options["bystanders"] = Bystanders([*TOOLS, *options.get("bystanders", ())])
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(**options)) as runner:
        return runner.run(main())


def timed(body: Body[T], **options: Any) -> tuple[T, float]:
    """What a body returns, and how many real seconds it took."""
    began = time.perf_counter()
    return run(body, **options), time.perf_counter() - began


def timed_after(least: float, body: Body[float]) -> tuple[float, float]:
    """The loop time that a body returns, and real seconds, of a run in which enough time passed.

    On a busy machine the loop may look late: what a thread or a child has slept until then does not
    count. So it tries again.
    """
    for _ in range(5):
        elapsed, seconds = timed(body)
        if elapsed > least:
            return elapsed, seconds
    raise AssertionError(f"{elapsed} s of loop time passed at most, in {seconds} s")


def test_time_starts_at_a_number_that_is_not_zero() -> None:
    """Time starts at 100,000, so that nobody takes it for never."""

    async def body(clock: Clock) -> float:
        return clock.time()

    assert run(body) == START == 100_000


def test_sleep_takes_no_real_time() -> None:
    """Hours of sleeping pass at once, and to the nanosecond."""

    async def body(clock: Clock) -> float:
        for _ in range(100):
            await asyncio.sleep(HOUR)
        return clock.elapsed

    elapsed, seconds = timed(body)
    assert elapsed == 100 * HOUR
    assert seconds < 30


@pytest.mark.parametrize("seconds", [1e-9, 0.1, 1 / 3, 5.0, 86_400 * 365.25 * 9])
def test_deadlines_are_exact(seconds: float) -> None:
    """A timer fires at its time: the clock shows neither a moment more nor less."""

    async def body(clock: Clock) -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        fired: asyncio.Future[float] = loop.create_future()
        when = loop.time() + seconds
        loop.call_at(when, lambda: fired.set_result(loop.time()))
        return when, await fired

    when, fired = run(body)
    assert fired == when


def test_timers_of_the_same_time_keep_their_order() -> None:
    """Of timers that are set for the same time the one that was set first runs first."""

    async def body(clock: Clock) -> list[int]:
        loop, order = asyncio.get_running_loop(), list[int]()
        when = loop.time() + 1
        for number in range(100):
            loop.call_at(when, order.append, number)
        await asyncio.sleep(2)
        return order

    assert run(body) == list(range(100))


def test_a_timer_that_is_set_again_at_exactly_now() -> None:
    """Code that sets its timer again for this very moment is not called for ever while time stands."""

    async def body(clock: Clock) -> list[float]:
        loop, calls = asyncio.get_running_loop(), list[float]()
        deadline = loop.time() + 10

        def check() -> None:
            # As the keep-alive of aiohttp's server does it.
            calls.append(loop.time())
            if loop.time() <= deadline:
                loop.call_at(deadline, check)

        loop.call_at(deadline - 5, check)
        await asyncio.sleep(20)
        return calls

    calls = run(body)
    assert len(calls) < 1010
    assert calls[1] == START + 10
    assert calls[-1] == math.nextafter(START + 10, math.inf)


def test_time_stands_still_while_a_task_can_run() -> None:
    """However many steps other tasks take, a timer does not fire before they wait."""

    async def body(clock: Clock) -> float:
        async def work() -> float:
            for _ in range(1000):
                await asyncio.sleep(0)
            return clock.elapsed

        async with asyncio.timeout(1e-6):
            return await asyncio.create_task(work())

    assert run(body) == 0


def test_a_job_of_the_executor_takes_real_time() -> None:
    """Loop time follows real time while a job runs, so a longer time-out does not fire."""

    async def body(clock: Clock) -> float:
        async with asyncio.timeout(30):
            await asyncio.to_thread(time.sleep, 0.3)
        return clock.elapsed

    elapsed, seconds = timed_after(0.1, body)
    assert elapsed <= seconds


def test_a_job_that_hangs_is_ended_by_a_time_out() -> None:
    """A time-out around a job fires exactly at its time, after as much real time."""
    release = threading.Event()

    async def body(clock: Clock) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.to_thread(release.wait, 60)
        elapsed = clock.elapsed
        # Given up, the job holds time no longer.
        await asyncio.sleep(HOUR)
        release.set()
        return elapsed

    elapsed, seconds = timed(body)
    assert elapsed == 0.1
    assert 0.1 <= seconds < 30


@pytest.mark.skipif(sys.platform == "win32", reason="the loop of Windows has no child processes")
def test_a_child_process_takes_real_time() -> None:
    """Loop time follows real time from the start of a child process to its end, and jumps again then."""

    async def body(clock: Clock) -> float:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import time; time.sleep(0.2); print('done')",
            stdout=subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        elapsed = clock.elapsed
        await asyncio.sleep(HOUR)
        assert output.strip() == b"done"
        return elapsed

    elapsed, seconds = timed_after(0.1, body)
    assert elapsed <= seconds < 60


@pytest.mark.skipif(sys.platform == "win32", reason="the loop of Windows has no child processes")
def test_a_timer_beside_a_child_process() -> None:
    """A timer fires after as much real time, and a child waits for what it does."""

    async def body(clock: Clock) -> float:
        process = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE)
        assert process.stdin is not None
        asyncio.get_running_loop().call_later(0.2, process.stdin.close)
        await process.wait()
        return clock.elapsed

    elapsed, seconds = timed(body)
    assert 0.2 <= elapsed <= seconds < 30


@pytest.mark.skipif(sys.platform == "win32", reason="the loop of Windows has no child processes")
def test_a_shell_takes_real_time() -> None:
    """A child that a shell starts does too, and a time-out ends waiting for one that hangs."""

    async def body(clock: Clock) -> float:
        process = await asyncio.create_subprocess_shell("exec sleep 60")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.1)
        elapsed = clock.elapsed
        process.kill()
        await process.wait()
        return elapsed

    elapsed, seconds = timed(body)
    assert elapsed >= 0.1
    assert seconds < 30


def test_another_thread_that_calls_in() -> None:
    """What a running thread hands to the loop comes before time jumps."""

    async def body(clock: Clock) -> float:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def work() -> None:
            end = time.perf_counter() + 0.1
            while time.perf_counter() < end:
                pass
            loop.call_soon_threadsafe(done.set)

        thread = threading.Thread(target=work)
        thread.start()
        async with asyncio.timeout(HOUR):
            await done.wait()
        thread.join()
        return clock.elapsed

    assert run(body) < 30


def test_a_thread_that_ends_while_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread has handed over counts, although it is gone when it is looked for."""
    release = threading.Event()
    idle = threading.Thread(target=release.wait)
    looks: list[Callable[[], object]] = []
    may_call_in = Threads.may_call_in

    def after_the_end(threads: Threads) -> bool:
        while looks:
            looks.pop()()
        return may_call_in(threads)

    monkeypatch.setattr(Threads, "may_call_in", after_the_end)

    async def body(clock: Clock) -> float:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        last = threading.Thread(target=loop.call_soon_threadsafe, args=(done.set,))
        looks.extend([last.join, last.start])
        async with asyncio.timeout(HOUR):
            await done.wait()
        return clock.elapsed

    idle.start()
    try:
        assert run(body) < HOUR
    finally:
        release.set()
        idle.join()


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's account of threads")
def test_a_thread_that_sleeps_is_listened_to_once() -> None:
    """A thread that waits for work does not make every jump wait for it."""
    jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()

    def work() -> None:
        while (job := jobs.get()) is not None:
            job()

    async def body(clock: Clock) -> float:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            await asyncio.sleep(HOUR)
        done = asyncio.Event()
        jobs.put(lambda: loop.call_soon_threadsafe(done.set))
        async with asyncio.timeout(HOUR):
            await done.wait()
        return clock.elapsed

    thread = threading.Thread(target=work)
    thread.start()
    try:
        elapsed, seconds = timed(body, patience=0.2)
    finally:
        jobs.put(None)
        thread.join()
    assert 100 * HOUR <= elapsed < 100 * HOUR + 30
    # Not a hundred times the patience.
    assert seconds < 10


def test_bystanders_are_not_listened_to() -> None:
    """Threads that are known to have to do with no loop make nothing wait."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(60,))
    thread.start()

    async def body(clock: Clock) -> None:
        await asyncio.sleep(HOUR)

    try:
        _, seconds = timed(body, patience=20, bystanders=[thread.ident])
    finally:
        release.set()
        thread.join()
    assert seconds < 15


def test_connections_within_the_process_hold_nothing_back() -> None:
    """Between two sockets of one process delays take no real time, and time-outs are exact."""

    async def body(clock: Clock) -> tuple[bytes, float, float]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            await asyncio.sleep(60)
            writer.write(b"late\n")
            await writer.drain()
            await reader.read()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"go\n")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await reader.readline()
            timed_out = clock.elapsed
            line = await reader.readline()
            writer.close()
            await asyncio.sleep(0.1)
            return line, timed_out, clock.elapsed

    (line, timed_out, elapsed), seconds = timed(body, patience=20)
    assert (line, timed_out, elapsed) == (b"late\n", 5, 60.1)
    assert seconds < 15


SERVER = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    connection, _ = server.accept()
    with connection:
        while data := connection.recv(100):
            if data != b"silence":
                connection.sendall(data)
"""


def test_a_connection_to_another_process_is_listened_to() -> None:
    """What another process sends at once comes before a time-out; its silence is waited for as long as the patience."""

    async def body(clock: Clock) -> tuple[bytes, float]:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"echo")
        async with asyncio.timeout(0.001):
            answer = await reader.read(100)
        writer.write(b"silence")
        began = time.perf_counter()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await reader.read(100)
        seconds = time.perf_counter() - began
        writer.close()
        assert clock.elapsed == 5
        return answer, seconds

    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE) as process:
        answer, seconds = run(body, patience=0.3)
    assert answer == b"echo"
    assert 0.3 <= seconds < 4


def send_alarm_later() -> int:
    """Start a process that sends SIGALRM to this one, and return its number."""
    return os.posix_spawn(
        "/bin/sh", ["sh", "-c", f"sleep 0.1; kill -ALRM {os.getpid()}"], os.environ
    )


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
def test_a_signal_handler() -> None:
    """A signal that the loop handles is waited for, with an alarm set ahead of timers too."""

    async def body(clock: Clock) -> float:
        loop, rang = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGALRM, rang.set)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            async with asyncio.timeout(60):
                await rang.wait()
            rang.clear()
            child = send_alarm_later()
            # Without a timer it is no deadlock.
            await rang.wait()
        finally:
            loop.remove_signal_handler(signal.SIGALRM)
        elapsed = clock.elapsed
        await asyncio.to_thread(os.waitpid, child, 0)
        return elapsed

    elapsed, _ = timed_after(0.05, body)
    assert elapsed < 60


def test_nothing_can_happen() -> None:
    """Without a timer, and with nothing outside that could help, the loop gives up at once."""

    async def body(clock: Clock) -> None:
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match=r"^Deadlock: nothing could happen any more while"):
        run(body)


def test_connections_of_a_deadlock() -> None:
    """Two ends of a connection that wait for each other are a deadlock; a listening socket is no hope."""

    async def body(clock: Clock) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            finally:
                writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                await reader.read()
            finally:
                writer.close()

    with pytest.raises(DeadlockError):
        run(body)


def test_a_silent_process_is_no_deadlock() -> None:
    """Where another process may still write, the loop waits as any loop would."""
    code = "import sys, time; sys.stdin.read(1); time.sleep(0.2); print('late', flush=True)"

    async def body(clock: Clock) -> bytes:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        try:
            return await reader.readline()
        finally:
            transport.close()

    if sys.platform == "win32":
        pytest.skip("the loop of Windows has no pipes")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert run(body) == b"late\n"


@pytest.mark.parametrize("limit", ["seconds", "jumps"])
def test_time_without_end(limit: str) -> None:
    """A program that sleeps again and again is stopped, with the task and the line that do so."""

    async def body(clock: Clock) -> None:
        async def beat() -> None:
            while True:
                await asyncio.sleep(1)

        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.limits = (60.0, 1000) if limit == "seconds" else (1e9, 100)
        await asyncio.create_task(beat(), name="heart")

    with pytest.raises(EndlessTimeError) as caught:
        run(body)
    told = str(caught.value).splitlines()
    far = "60 s of loop time" if limit == "seconds" else "100 jumps from timer to timer"
    assert told[0].startswith(f"Virtual time advanced by more than {far}, so aldente stopped it:")
    assert told[1].startswith("  at 100")
    assert "'heart' at " in told[1]
    assert "test_virtual_time_loop.py" in told[1]
    assert told[1].endswith(": await asyncio.sleep(1)")


def test_somebody_else_ends_a_stuck_run() -> None:
    """Whoever is told of a deadlock may let something happen, and the loop goes on."""
    told: list[AldenteError] = []
    event = asyncio.Event()

    def on_stuck(loop: VirtualTimeLoop, error: AldenteError) -> bool:
        told.append(error)
        event.set()
        return True

    async def body(clock: Clock) -> bool:
        return await event.wait()

    assert run(body, on_stuck=on_stuck)
    assert [type(error) for error in told] == [DeadlockError]


def test_keyword_arguments_reach_asyncio() -> None:
    """Timers take a context, as asyncio's do."""
    import contextvars

    variable = contextvars.ContextVar("variable", default="outside")

    async def body(clock: Clock) -> str:
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        context.run(variable.set, "inside")
        seen: asyncio.Future[str] = loop.create_future()
        loop.call_later(1, lambda: seen.set_result(variable.get()), context=context)
        return await seen

    assert run(body) == "inside"


def test_a_job_that_waits_for_the_loop() -> None:
    """A job that only waits for something on the loop itself does not make time real."""

    async def body(clock: Clock) -> float:
        loop = asyncio.get_running_loop()

        async def cook() -> float:
            await asyncio.sleep(HOUR)
            return clock.elapsed

        return await asyncio.to_thread(
            lambda: asyncio.run_coroutine_threadsafe(cook(), loop).result()
        )

    assert HOUR <= run(body) < HOUR + 60


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's account of threads")
def test_a_thread_that_naps() -> None:
    """A thread in time.sleep() is waited for in real time, for some seconds altogether."""

    async def body(clock: Clock) -> float:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def work() -> None:
            time.sleep(0.3)
            loop.call_soon_threadsafe(done.set)

        threading.Thread(target=work).start()
        async with asyncio.timeout(HOUR):
            await done.wait()
        first = clock.elapsed
        over = threading.Event()

        def beat() -> None:
            while not over.is_set():
                time.sleep(0.01)

        heart = threading.Thread(target=beat)
        heart.start()
        await asyncio.sleep(HOUR)
        over.set()
        assert clock.elapsed - first == pytest.approx(HOUR)
        return first

    elapsed, seconds = timed_after(0.1, body)
    assert elapsed < 60
    assert seconds < 30


@pytest.mark.parametrize("far", [3e7, 1e12, math.inf])
def test_a_timer_far_away(far: float) -> None:
    """However far away a timer is, a job is waited for in real time; one at infinity is none."""

    async def body(clock: Clock) -> float:
        async with asyncio.timeout(far):
            await asyncio.to_thread(time.sleep, 0.3)
        return clock.elapsed

    elapsed, _ = timed_after(0.01, body)
    assert elapsed < 30


def test_a_thread_that_computes() -> None:
    """While a thread computes, loop time follows real time, as far as nothing is heard of it."""

    async def body(clock: Clock) -> float:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def compute() -> None:
            end = time.perf_counter() + 0.6
            while time.perf_counter() < end:
                pass
            loop.call_soon_threadsafe(done.set)

        threading.Thread(target=compute).start()
        await done.wait()
        return clock.elapsed

    if not os.path.isdir("/proc/self/task"):
        pytest.skip("needs Linux's account of threads")
    elapsed, _ = timed_after(0.05, body)
    assert elapsed < 10


def compute_for_a_moment() -> None:
    """Compute for a tenth of a second, however seldom this thread runs."""
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("in_job", [False, True], ids=["thread", "job"])
def test_a_machine_that_stands_still(in_job: bool) -> None:
    """Loop time does not pass while the whole process stands still in the middle of a thread's work."""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("needs Linux's account of threads")
    here = os.getpid()
    pause = ["sh", "-c", f"sleep 0.2; kill -STOP {here}; sleep 2; kill -CONT {here}"]

    async def body(clock: Clock) -> float:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def work() -> None:
            while pausing.poll() is None:
                compute_for_a_moment()
            compute_for_a_moment()

        def work_and_report() -> None:
            work()
            loop.call_soon_threadsafe(done.set)

        if in_job:
            await asyncio.to_thread(work)
        else:
            threading.Thread(target=work_and_report).start()
            await done.wait()
        return clock.elapsed

    # Started here, as starting it is something that a thread waits for.
    with subprocess.Popen(pause) as pausing:
        elapsed, seconds = timed(body)
    # Of the two seconds at most the half one by which a wait may be late.
    assert elapsed < seconds - 1


def test_sleeping_for_ever_keeps_nothing_going() -> None:
    """A timer that never comes is no reason for time to run, nor against a deadlock."""

    async def body(clock: Clock) -> None:
        await asyncio.sleep(math.inf)

    with pytest.raises(DeadlockError):
        run(body)
