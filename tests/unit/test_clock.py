"""The clock of a test, `settle` and `eventually`."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

import aldente
from aldente import Clock
from aldente._runner.bystanders import Bystanders
from aldente._virtual_time.loop import START, VirtualTimeLoop

T = TypeVar("T")
Body = Callable[[Clock], Coroutine[Any, Any, T]]


def run(body: Body[T]) -> T:
    """Run a body with the clock of a virtual-time loop."""

    async def main() -> T:
        return await body(Clock(asyncio.get_running_loop))

    tools = Bystanders(thread.ident for thread in threading.enumerate() if thread.ident)
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(bystanders=tools)) as runner:
        return runner.run(main())


def run_in_real_time(body: Body[T]) -> T:
    """Run a body with the clock of asyncio's own loop."""

    async def main() -> T:
        return await body(Clock(asyncio.get_running_loop))

    return asyncio.run(main())


def test_reading_the_clock() -> None:
    """The clock tells loop time, and what has passed to the nanosecond."""

    async def body(clock: Clock) -> None:
        assert (clock.time(), clock.elapsed) == (START, 0)
        await asyncio.sleep(0.1)
        await asyncio.sleep(0.2)
        assert clock.elapsed == 0.3
        assert repr(clock) == "<Clock at 100000.3, 0.3 s elapsed>"
        clock.begin()
        assert clock.elapsed == 0

    run(body)


def test_advance_stops_at_every_timer() -> None:
    """Tasks that a timer wakes run before the next one, those of the last moment too."""

    async def body(clock: Clock) -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []

        async def tick(name: str, seconds: float) -> None:
            while True:
                await asyncio.sleep(seconds)
                seen.append((name, clock.elapsed))
                await asyncio.sleep(0)
                seen.append((f"{name} again", clock.elapsed))

        tasks = [asyncio.create_task(tick(name, seconds)) for name, seconds in (("a", 2), ("b", 3))]
        await clock.advance(1.5)
        assert seen == []
        await clock.advance(2.5)
        assert clock.elapsed == 4
        for task in tasks:
            task.cancel()
        return seen

    assert run(body) == [
        ("a", 2),
        ("a again", 2),
        ("b", 3),
        ("b again", 3),
        ("a", 4),
        ("a again", 4),
    ]


def test_advance_in_fractions() -> None:
    """Several steps come to the same moment as one, whatever floats lose on the way."""

    async def body(clock: Clock) -> list[str]:
        seen: list[str] = []
        asyncio.get_running_loop().call_later(0.6, seen.append, "timer")
        for _ in range(3):
            await clock.advance(0.2)
        return seen

    assert run(body) == ["timer"]


def test_moments_are_told_to_the_nanosecond() -> None:
    """However far time has run, no digit is lost in words."""

    async def body(clock: Clock) -> None:
        task = asyncio.create_task(asyncio.sleep(20_000_000.25))
        await aldente.settle()
        assert str(clock.pending[0]).startswith("at 20100000.25: 'Task-")
        await clock.advance(20_000_000.125)
        assert repr(clock) == "<Clock at 20100000.125, 20000000.125 s elapsed>"
        task.cancel()

    run(body)


def test_advance_by_nothing() -> None:
    """Advancing by 0 s lets run what can run, and no timer but those of now."""

    async def body(clock: Clock) -> list[str]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_later(0, seen.append, "now")
        loop.call_later(0.001, seen.append, "later")
        await clock.advance(0)
        assert clock.elapsed == 0
        return seen

    assert run(body) == ["now"]


def test_advance_to() -> None:
    """Time may be moved to a moment, which may be now but not past."""

    async def body(clock: Clock) -> None:
        await clock.advance_to(START + 10)
        assert clock.time() == START + 10
        await clock.advance_to(START + 10)
        with pytest.raises(aldente.InvalidSetting) as caught:
            await clock.advance_to(START)
        assert str(caught.value) == (
            "100000.0 is not a valid advance_to. Virtual time never goes back, and it is 100010 now.\n"
            "It was given as advance_to=100000.0 (float)."
        )

    run(body)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", True, None, 10**400])
def test_advance_by_what_is_no_time(seconds: Any) -> None:
    """What is no number of seconds is refused."""

    async def body(clock: Clock) -> None:
        with pytest.raises(aldente.InvalidSetting, match="It must be a number of seconds of at le"):
            await clock.advance(seconds)

    run(body)


def test_advancing_real_time() -> None:
    """Real time can't be moved; the error says what to do."""

    async def body(clock: Clock) -> None:
        for advance, wanted in (
            (clock.advance(1), "clock.advance(1)"),
            (clock.advance_to(1e12), "clock.advance_to(1000000000000.0)"),
            (aldente.settle(), "aldente.settle()"),
        ):
            with pytest.raises(aldente.RealTimeError) as caught:
                await advance
            loop = type(asyncio.get_running_loop()).__name__
            assert str(caught.value) == (
                f"{wanted} needs virtual time, but the time of this event loop ({loop}) is real: "
                "aldente can't move it, or know that nothing more will happen.\n"
                "Fix: mark the test with @aldente.virtual_time, or set aldente_clock = virtual; "
                "outside of pytest use aldente.run(main, clock='virtual')."
            )
        assert clock.elapsed < 60

    run_in_real_time(body)


def test_pending_timers() -> None:
    """Each timer is told with its time, whom it wakes, and where that waits; cancelled ones are not."""

    async def nap(seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def limited() -> None:
        async with asyncio.timeout(20):
            await asyncio.Event().wait()

    async def body(clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(5, nothing)
        loop.call_later(1, nothing).cancel()
        tasks = [
            asyncio.create_task(nap(10), name="nap"),
            asyncio.create_task(limited(), name="limited"),
        ]
        await aldente.settle()
        callback, sleep, limit = clock.pending
        assert (callback.when, callback.task) == (START + 5, None)
        assert callback.source == "def nothing() -> None:"
        assert (sleep.when, sleep.task) == (START + 10, "nap")
        assert sleep.source == "await asyncio.sleep(seconds)"
        assert (limit.when, limit.task) == (START + 20, "limited")
        assert limit.source == "await asyncio.Event().wait()"
        assert str(sleep).startswith("at 100010: 'nap' at ")
        assert str(sleep).endswith(f":{sleep.place and sleep.place.line}: {sleep.source}")
        for task in tasks:
            task.cancel()

    run(body)


def nothing() -> None:
    """Do nothing."""


def test_settle_lets_no_time_pass() -> None:
    """All other tasks go as far as they can without time passing; those who settle meanwhile too."""

    async def body(clock: Clock) -> list[str]:
        seen: list[str] = []

        async def work() -> None:
            for number in range(3):
                await asyncio.sleep(0)
                seen.append(f"step {number}")
            await aldente.settle()
            seen.append("settled too")
            await asyncio.sleep(1)
            seen.append("later")

        task = asyncio.create_task(work())
        await aldente.settle()
        await aldente.settle()
        assert clock.elapsed == 0
        task.cancel()
        return seen

    assert run(body) == ["step 0", "step 1", "step 2", "settled too"]


def test_settle_waits_for_jobs() -> None:
    """A job of the executor is something that still happens."""

    async def body(clock: Clock) -> bool:
        job = asyncio.create_task(asyncio.to_thread(time.sleep, 0.05))
        await aldente.settle()
        return job.done()

    assert run(body)


def test_a_settle_that_is_cancelled() -> None:
    """Who gives up waiting holds nobody up."""

    async def body(clock: Clock) -> float:
        task = asyncio.create_task(aldente.settle())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(60)
        assert task.cancelled()
        return clock.elapsed

    assert run(body) == 60


def test_eventually_gives_the_answer() -> None:
    """The first true answer is returned, as soon as it is true; sync or async."""

    async def body(clock: Clock) -> None:
        answer = await aldente.eventually(lambda: clock.elapsed >= 0.5 and "soup")
        assert (answer, clock.elapsed) == ("soup", 0.5)

        async def ask() -> float | None:
            await asyncio.sleep(0.25)
            return clock.elapsed if clock.elapsed > 2 else None

        assert await aldente.eventually(ask, every=0.75) == 2.5 - 0.75 + 1

    run(body)


def test_eventually_asks_at_the_very_end() -> None:
    """What comes true at the last moment counts, and one question is asked even within 0 s."""

    async def body(clock: Clock) -> None:
        assert await aldente.eventually(lambda: clock.elapsed >= 1, within=1, every=0.3)
        with pytest.raises(aldente.NeverTrue) as caught:
            await aldente.eventually(bool, within=5, every=0.01)
        assert caught.value.asked == 501
        assert await aldente.eventually(lambda: True, within=0)

    run(body)


def test_eventually_never() -> None:
    """The assertion tells the question, how often it was asked, and the last answer."""

    async def body(clock: Clock) -> None:
        with pytest.raises(AssertionError) as caught:
            await aldente.eventually(lambda: [], within=2, every=0.5)
        assert str(caught.value) == (
            "await aldente.eventually(lambda: [], within=2, every=0.5) was not true within 2 s. "
            "It was called 5 times; the last result was []."
        )
        assert clock.elapsed == 2

    run(body)


def test_eventually_with_assertions() -> None:
    """A predicate may assert; its last complaint is the cause, and any other exception ends it."""

    async def body(clock: Clock) -> None:
        def check() -> bool:
            assert clock.elapsed > 1, "too early"
            return True

        assert await aldente.eventually(check)

        def complain() -> bool:
            raise AssertionError("never")

        with pytest.raises(aldente.NeverTrue) as caught:
            await aldente.eventually(complain, within=0)
        assert str(caught.value).endswith(
            "complain() was not true within 0 s. It was called once; the last time it raised "
            "AssertionError('never')."
        )
        assert str(caught.value.__cause__) == "never"

        def fail() -> bool:
            raise KeyError("soup")

        with pytest.raises(KeyError):
            await aldente.eventually(fail)

    run(body)


def test_eventually_on_real_time() -> None:
    """On a real loop it takes its time, and does the same."""

    async def body(clock: Clock) -> None:
        assert await aldente.eventually(lambda: clock.elapsed > 0.02)

    run_in_real_time(body)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"within": -1}, "It must be a number of seconds of at least 0."),
        ({"every": 0}, "It must be a number of seconds greater than 0."),
    ],
)
def test_eventually_with_wrong_times(options: dict[str, Any], message: str) -> None:
    """What is no time is refused."""

    async def body(clock: Clock) -> None:
        with pytest.raises(aldente.InvalidSetting, match=message):
            await aldente.eventually(bool, **options)

    run(body)


def test_eventually_with_a_coroutine() -> None:
    """A coroutine in the place of a function is refused, as it can't be asked twice."""

    async def ask() -> bool:
        return True

    async def body(clock: Clock) -> None:
        question: Any = ask()
        with pytest.raises(aldente.InvalidSetting, match="It must be a function without arguments"):
            await aldente.eventually(question)

    run(body)


def test_run_without_pytest() -> None:
    """A program runs on virtual time, its result or exception comes out, and nothing is left."""

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time() - began

    assert aldente.run(main, clock="virtual") == 3600
    assert aldente.run(lambda_free_answer) == 42
    assert aldente.run(functools.partial(main), clock="virtual") == 3600
    with pytest.raises(ZeroDivisionError):
        aldente.run(divide, clock="virtual")


async def lambda_free_answer() -> int:
    """An answer."""
    return 42


async def divide() -> float:
    """Fail."""
    return 1 / 0


def test_run_tells_who_waits_for_whom(tmp_path: Path) -> None:
    """A deadlock is told with its await graph."""
    script = tmp_path / "script.py"
    # In a process of its own, as threads of pytest's plugins might end the wait.
    script.write_text(
        "import asyncio, aldente\n\n"
        "async def main():\n"
        "    event = asyncio.Event()\n"
        "    async with asyncio.TaskGroup() as group:\n"
        "        group.create_task(event.wait(), name='waiter')\n\n"
        "aldente.run(main, clock='virtual')\n",
        encoding="utf-8",
    )
    result = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.partition("aldente.errors.")[2].startswith(
        "DeadlockError: Deadlock: nothing could happen any more while 'main' was running, so aldente ended it.\n"
        "'Task-1' (main) waits for 'waiter' (asyncio.TaskGroup).\n"
        "    script.py:5: async with asyncio.TaskGroup() as group:\n"
        "\n"
        "'waiter' (Event.wait) waits for "
    )


def test_run_without_end() -> None:
    """The limit of virtual time holds for programs too."""

    async def main() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(aldente.EndlessTimeError, match="more than 60 s of loop time"):
        aldente.run(main, clock="virtual", max_virtual_time=60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clock": "fake"}, "'fake' is not a valid clock. Valid clocks are: real, virtual."),
        ({"clock": "virtual", "patience": 0}, "It must be a number of seconds greater than 0."),
        ({"clock": "real", "wall": True}, "True is not a valid wall. It needs clock='virtual'."),
        ({"clock": "virtual", "wall": 1}, "1 is not a valid wall. It must be True or False."),
    ],
)
def test_run_with_wrong_options(options: dict[str, Any], message: str) -> None:
    """A wrong option is refused with what is allowed."""
    with pytest.raises(aldente.InvalidSetting, match=message):
        aldente.run(lambda_free_answer, **options)


def test_run_within_a_loop() -> None:
    """Inside of a running loop nothing can be run, and no coroutine is left behind."""

    async def main() -> None:
        for clock in ("real", "virtual"):
            with pytest.raises(RuntimeError) as caught:
                aldente.run(lambda_free_answer, clock=clock)
            assert str(caught.value) == (
                "aldente.run() cannot be called from a running event loop.\n"
                "Fix: await the function instead, or run it in a thread of its own: await "
                "asyncio.to_thread(aldente.run, main)."
            )

    asyncio.run(main())


def test_a_clock_of_no_loop() -> None:
    """A clock wants a function that finds its loop."""
    nothing_to_call: Any = None
    with pytest.raises(aldente.InvalidSetting, match="It must be a function that returns the loop"):
        Clock(nothing_to_call)


def test_run_with_a_coroutine() -> None:
    """A coroutine in the place of its function is refused, and not told of as never awaited."""
    program: Any = lambda_free_answer()
    with pytest.raises(aldente.InvalidSetting, match="without calling it"):
        aldente.run(program)
